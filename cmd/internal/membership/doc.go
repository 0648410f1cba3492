// Package membership finds out which nodes are alive: hashicorp's memberlist (SWIM with
// Lifeguard) over the node's own HTTP port, so that a cluster needs no port besides.
//
// Packets are bounded POSTs to /swim/packet, streams are connections that a GET of
// /swim/stream was upgraded to; both are encrypted with keys that follow from the
// cluster's tokens, and carry no token. What this node finds becomes events only where
// it leads, and only as edges.
//
// Read member.go (joining, leaving and what is known), transport.go (how packets go),
// then edges.go (what becomes of what was found).
package membership
