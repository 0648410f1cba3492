// Package nodes is the read model of the machines: each node with its state, its
// breaker and whether it is idle, the cluster as a whole, the nodes' background
// processes (daemons), and the last success of each kind.
//
// It follows recorded changes only: the levels in heartbeats are in no row. It
// reads no clock, so it judges no silence by itself: queries that depend on time
// get it from the caller.
//
// Read nodes.go first (rows, handlers, queries), then gates.go (whether a node may
// get work), cluster.go, daemons.go and alarms.go.
package nodes
