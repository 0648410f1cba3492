// Package store keeps the read models: it folds the log into rows in Pebble,
// serves them to queries, and keeps what reactors want done in an outbox.
//
// Its invariants, which the tests check by name:
//
//  1. Rows, outbox entries, dead letters, counters and the checkpoint of a span
//     of events are written in one batch. Batches are not synced: the ones that a
//     crash loses are folded again from the log, with the same result.
//  2. Rows are a function of the events before them: the batch size, the cache,
//     snapshots, rebuilds and crashes do not change them (see Digest).
//  3. A handler that fails does not stop the others: what it wrote for that event
//     is undone, and the failure is stored as a dead letter.
//  4. A reactor sees an event once. The id of a command derives from the event, the
//     reactor and the command's index, so an entry that is folded again after a
//     crash is the same entry. A rebuild issues no commands.
//  5. Everything is bounded: cache, batch, outbox, dead letters, snapshots, and
//     questions about the past.
//
// The package never appends to the log, never decides and never sends a command: the
// process drains the outbox. A store that is lost is built again from the log.
//
// Read store.go first (opening and what a store knows of itself), then fold.go
// (what happens to one event), run.go (how the log is followed), tx.go (how rows
// wait to be written) and commit.go (how they are, while the fold goes on).
// snapshots.go and asof.go answer questions as of a position; memory.go is the same
// fold without a disk.
package store
