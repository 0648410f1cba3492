// Package store keeps the read models: it folds the log into rows in Pebble,
// serves them to queries, and keeps what reactors want done in an outbox.
//
// Its invariants, which the tests check by name:
//
//  1. Rows, outbox entries, dead letters, counters and the checkpoint of a span
//     of events move in one batch. Batches are not synced: a lost tail comes
//     back from the log, and so do exactly the rows, entries and counts of it.
//  2. Rows are a function of the events before them: the batch size, the cache,
//     snapshots, rebuilds and crashes leave no trace in them (see Digest).
//  3. A handler that fails never stops the world: what it wrote for that event
//     is undone, the failure is parked as a dead letter, everything else goes on.
//  4. A reactor sees an event once. Its commands are named after the event, the
//     reactor and their place, so an entry that comes back after a crash is the
//     same entry. A rebuild issues nothing.
//  5. Everything is bounded: cache, batch, outbox, dead letters, snapshots, asks.
//
// It never appends to the log, never decides anything and never sends a command:
// the process drains the outbox. Nothing here is the truth: a store that is lost
// is built again from the log.
//
// Read store.go first (opening and what a store knows of itself), then fold.go
// (what happens to one event), run.go (how the log is followed), tx.go (how rows
// wait to be written) and commit.go (how they are, while the fold goes on).
// snapshots.go and asof.go answer questions as of a position; memory.go is the same
// fold without a disk.
package store
