// Package work decides about the queue: adding items, claims, reports of lease
// holders, retries, expiry, dependencies, pins, preemption, pressure.
//
// All of it is decided on one queue in memory (commands.Queue) by one writer, one
// command after the other; waiting items are never read from rows. Only the holder
// of the last lease may report on an item; reports from others are recorded and
// rejected.
//
// Read work.go first (Specs lists the decisions), then add.go, claim.go and
// lease.go (the life of an item), and reactors.go and clock.go (the effects of
// events and time).
package work
