// Package gossip is what nodes tell each other of themselves: documents, each owned by
// the node that it is about, and the pure merge that brings all nodes to the same ones.
//
// A document is a hint. Leadership, leases and terms are never in one, and nothing is
// decided by one but that its node was heard from.
//
// Read document.go (what a node says of itself), peers.go (how documents are merged),
// then digest.go (how two nodes find what differs without telling everything).
package gossip
