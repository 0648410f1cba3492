// Package membership finds out which nodes are alive. It runs hashicorp's memberlist (SWIM
// with Lifeguard) over the node's own HTTP port, so that a cluster needs no further port.
//
// Packets are POSTs to /swim/packet of a bounded size. Streams are connections that a GET
// of /swim/stream was upgraded to. Both are encrypted with keys that derive from the
// cluster's tokens, and carry no token. Only the node that leads makes events of what it
// finds, and only when the state of a member changes.
//
// Read member.go (joining and leaving), transport.go (how packets are sent), opinions.go
// (the states of members), then edges.go (how changes of state become events).
package membership
