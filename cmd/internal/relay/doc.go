// Package relay delivers calls to nodes that can make calls but not receive them. A Hub
// holds the mailboxes of such nodes and serves the endpoints of transport/relay. An Agent,
// which runs on such a node, takes calls from one or several hubs and has the node's own
// handler answer them.
//
// A call that changes something is recorded in the log before it is delivered. It is
// delivered again after a crash of either side, and the target recognizes a repetition by
// the caller's key. The caller's credential is kept in memory only: after a crash of the
// hub, a call that came with a credential waits until its caller repeats it.
//
// Read hub.go (the mailboxes), forward.go and poll.go (the two sides of a mailbox), then
// agent.go.
package relay
