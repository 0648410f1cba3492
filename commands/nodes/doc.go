// Package nodes decides about machines: registration and heartbeats, silence,
// retirement, the breakers that keep work off failing nodes, idle GPUs, background
// processes (daemons), and alarms for overdue successes.
//
// It waits for nothing: what is due follows from the time in Facts, and the clocks
// (Clock, DaemonsClock, AlarmsClock) list it from rows. Nothing is decided from a
// level that a node did not report.
//
// Read nodes.go first (commands and decisions of a node), then breaker.go (the
// reactors), daemons.go, alarms.go and idle.go.
package nodes
