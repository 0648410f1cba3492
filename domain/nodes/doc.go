// Package nodes is the machines of a cluster: which are online, unhealthy,
// offline or retired, the breakers that keep work off those where it fails, their
// background processes (daemons), GPUs that do nothing, and kinds of success that
// fail to happen.
//
// Heartbeats are no events: only the edges that they cross are. Nothing here
// notices that time passed; what is due is decided in commands/nodes. An absent
// level is unknown, not zero.
//
// Read nodes.go (events of a node and the state they fold into), then health.go
// and breaker.go (when a node is trusted); daemons_state.go counts restarts.
// Numbers are in policy.go and its neighbours.
package nodes
