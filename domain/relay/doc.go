// Package relay is calls to nodes that can call out but not be called: what a call
// is, the facts of its way through the mailbox of a node, and its bounds.
//
// It moves nothing: the hub that holds mailboxes is a part of the process. The
// credential of a caller is no part of any fact.
//
// Read call.go (a call and its events), then via.go (why calls do not go in circles).
package relay
