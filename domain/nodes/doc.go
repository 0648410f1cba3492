// Package nodes is the machines of a cluster: which are online, unhealthy, offline
// or retired, the breakers that keep work off failing ones, their background
// processes (daemons), idle GPUs, and alarms for overdue successes.
//
// Heartbeats are not events; only the changes of health they cause are. Nothing
// here depends on the passage of time; what is due is decided in commands/nodes. An
// absent level is unknown, not zero.
//
// Read nodes.go (events of a node and the state they fold into), then health.go and
// breaker.go (when a node gets work); daemons_state.go counts restarts. Settings
// are in policy.go and the other policy files.
package nodes
