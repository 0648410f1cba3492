// Package esdb keeps a log on EventStoreDB, by its client's protocol: the contract of
// eventlog.Log over the streams and $all of a node or cluster.
//
// Positions are the database's commit positions: they grow with gaps. Events
// of the database itself (streams and types that begin with $) are not part of
// the log. Events of other programs are, in the form of package foreign.
// Deletion, truncation and age are the database's own. The database knows no
// append over several streams, so AppendMany sends appends to several streams at once, and
// waits for the answer before the next one to the same.
//
// The package uses EventStoreDB's client for connection strings and the messages of
// the protocol only, and makes the calls itself. The client's connection ends for good
// when no node answers, then leaves other callers waiting without end, and ends the
// process on an answer that it does not understand.
//
// When a node restarts, the leader changes or a channel breaks, a call is retried with
// growing pauses, until the caller's context ends or a number of attempts has failed; a
// subscription has no such number. An append whose answer was lost is sent again with
// the same ids and the same expected revision, which the database recognizes as a
// repetition.
//
// The package never looks into a payload. Of a stream it remembers only the ids, for a
// bounded number of streams.
//
// Read log.go, then connection.go, append.go, read.go and subscribe.go.
package esdb
