// Package worker runs a cluster's items on one machine: it claims what the machine
// can do, runs a command per item, extends the lease while the command works, and
// reports the outcome.
//
// An item's command is not trusted: it gets its argv without a shell, a short list
// of variables, and a folder and process group of its own. Its output is limited,
// and everything it leaves behind is killed and removed. The worker never reports
// on a lease that it lost, never passes its token to a command, and never decides
// what happens to an item: it reports what it observed, and the cluster decides.
//
// Items are claimed for all free slots in one call, their heartbeats are sent
// together, and so are reports that become due while another is being sent.
//
// Read supervise.go first (what is done with one attempt and when, without clock or
// process), then attempt.go (the same with both), run.go (the worker from start to
// end), claim.go (claims and slots), batcher.go and heartbeats.go (which reports
// share a call) and cluster.go (how nodes are called).
package worker
