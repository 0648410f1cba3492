// Package raftlog is the log replicated by Raft among a few nodes: an append is
// stored when a majority of the voters has it on disk, and every node applies the
// same entries in the same order to an embedded log of its own (pebblelog), which it
// reads from.
//
// An entry is a group of appends with the revisions they expect. Whether each is
// stored is decided when it is applied, by what the log holds then, so every node
// decides the same; the call that waits is answered with what its own node decided.
//
// The package never appends on a node that does not lead, never shows what is not
// committed, and looks into no payload. It carries no message itself: a Transport does.
//
// Costs: entries and votes are in a database beside the records, so a group costs two
// syncs on each node, one after the other: that of the entry, which the majority
// answers for, and that of the records. A follower that is too far behind for entries
// copies records from where its own end.
//
// Read entry.go for what is replicated, replica.go for how Raft is driven, log.go for
// what callers see.
package raftlog
