// Package relay moves calls to nodes that can call out but not be called. A Hub holds
// their mailboxes and serves the endpoints of transport/relay; an Agent, on such a
// node, takes its calls from one hub or several and has the node's own handler answer
// them.
//
// A call that changes something is a fact before it is delivered, and it is delivered
// again after a crash of either side: the target knows a repetition by the caller's
// key. The caller's credential is in memory alone. After a crash of the hub a call
// that came with one waits until its caller makes it again.
//
// Read hub.go (what a hub holds), forward.go and poll.go (the two sides of a
// mailbox), then agent.go.
package relay
