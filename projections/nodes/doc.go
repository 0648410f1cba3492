// Package nodes is the read model of the machines: each node with its state, its
// breaker and whether it is idle, the cluster as a whole, the nodes' background
// processes (daemons), and when each kind of success last happened.
//
// It follows edges only: levels that heartbeats report are in no row. It judges no
// silence by itself, since it reads no clock: questions about time take the moment
// from whoever asks.
//
// Read nodes.go first (rows, handlers, queries), then gates.go (may a node have
// work), cluster.go, daemons.go and alarms.go.
package nodes
