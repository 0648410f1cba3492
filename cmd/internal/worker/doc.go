// Package worker runs a cluster's items on one machine: it claims what the
// machine can do, runs a command per item, keeps the lease alive while the
// command works, and reports what came of it.
//
// An item's command is not trusted: it gets its argv without a
// shell, a short list of variables, a folder of its own and a process group of
// its own. Whatever it prints is bounded, and whatever it leaves behind is
// killed and removed. The worker never reports on a lease that it lost, never
// hands the token to a command, and never decides what happens to an item: it
// says what it saw, and the cluster decides.
//
// Items are claimed for all free slots in one call, their heartbeats go together,
// and so do the reports that are due while another is under way.
//
// Read supervise.go first (what is done with one attempt and when, without
// clock or process), then attempt.go (the same with both), run.go (the worker
// from its beginning to its end), claim.go (claims and slots), batcher.go and
// heartbeats.go (which reports share a call) and cluster.go (how nodes are asked).
package worker
