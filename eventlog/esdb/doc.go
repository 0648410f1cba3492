// Package esdb keeps a log on EventStoreDB, by its client's protocol: the contract of
// eventlog.Log over the streams and $all of a node or cluster.
//
// Positions are the database's commit positions: they grow with gaps. Events
// of the database itself (streams and types that begin with $) are not part of
// the log. Those of other programs are, in the form of package foreign.
// Deletion, truncation and age are the database's own. The database knows no
// append over several streams, so AppendMany sends appends to several streams at once, and
// waits for the answer before the next one to the same.
//
// Of that client it takes connection strings and the protocol's messages. It makes
// the calls itself: the client's own connection ends for good when no node answers,
// leaves other callers waiting for ever then, and ends the process on an answer
// that it does not understand.
//
// Whatever a connection suffers (a node that restarts, a leader that changes, a
// channel that is cut) is waited out here, with pauses that grow, until the
// caller's context ends or the attempts do; a subscription has no bound of those.
// An append whose answer was lost is sent again with the same ids after the same
// revision, which the database takes for the repetition that it is.
//
// The package never looks into a payload, and remembers of a stream only which
// ids it has, for as many streams as fit.
//
// Read log.go, then connection.go, append.go, read.go and subscribe.go.
package esdb
