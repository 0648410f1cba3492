package work

// Commands that reactors and the clock issue, for tests of what becomes of them.
type (
	LeaseTask      = leaseTask
	ExpireLease    = expireLease
	RetryFailed    = retryFailed
	RequeueWaiting = requeueWaiting
	PreemptLease   = preemptLease
)

// Backoff is how long an item waits before it is tried again.
var Backoff = backoff
