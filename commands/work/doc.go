// Package work is the decisions of the queue: adding items, claiming them, reports
// of their holders, retries, expiry, dependencies, pins, preemption, pressure.
//
// All of it is decided on one queue in memory (commands.Queue) by one writer, one
// command after the other; what waits is never read from rows. Only the holder of
// the last lease may report, and what anybody else brings is kept and refused.
//
// Read work.go first (Specs lists the decisions), then add.go, claim.go and lease.go
// (an item's way), and flow.go (what time and nodes do to it: reactors and Clock).
package work
