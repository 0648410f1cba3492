// Package esdb keeps a log on EventStoreDB, through its client: the contract of
// eventlog.Log over the streams and $all of a node or cluster.
//
// Positions are the database's commit positions: they grow with gaps. Events
// of the database itself (streams and types that begin with $) are not part of
// the log. Those of other programs are, in the form of package foreign.
// Deletion, truncation and age are the database's own. The database knows no
// append over several streams, so AppendMany appends one after the other.
//
// Whatever the client suffers (a node that restarts, a leader that changes, a
// connection that is cut) is waited out here, with pauses that grow, until the
// caller's context ends or the attempts do. An append whose answer was lost is
// sent again with the same ids after the same revision, which the database
// takes for the repetition that it is.
//
// The package never looks into a payload, and remembers of a stream only which
// ids it has, for as many streams as fit.
//
// Read log.go, then append.go, read.go and subscribe.go.
package esdb
