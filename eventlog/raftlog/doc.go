// Package raftlog is the event log replicated by Raft among a few nodes. An append is
// acknowledged when a majority of the voters has it on disk. Every node applies the same
// entries in the same order to an embedded log of its own (pebblelog), its records, and
// reads from them.
//
// An entry is a group of appends with the revisions that they expect. Whether an append is
// stored is decided when its entry is applied, by the state of the records, which is the
// same on every node.
//
// The package never appends on a node that does not lead, never shows an event that is
// not committed, and never looks into a payload. Messages are carried by a Transport.
//
// Entries and votes are in a database beside the records. An entry is synced before the
// node acknowledges it. The records are synced later, and entries are dropped only after
// that: records that a loss of power takes are applied again from the entries, once the
// node hears from a leader. A follower that is too far behind for entries copies records.
//
// Read entry.go for what is replicated, replica.go for how Raft is driven, log.go for
// what callers see.
package raftlog
