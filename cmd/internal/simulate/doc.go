// Package simulate runs a cluster in virtual time: a node of rift decides about
// items, leases, nodes and deadlines with the commands, reactors and clocks that
// a running one has, while machines and people around it are made up, or played
// from a recording. Months pass in seconds, and the same seed gives the same log.
//
// It never waits, never reads the wall clock, and never decides anything that
// the node decides: machines only ask for work, do it, fail at it, fall silent
// or lie, and an audit that knows nothing but the log says whether the queue
// kept its promises.
//
// Read scenario.go (what is simulated), world.go (the loop of events), machine.go
// (what a machine does), then audit.go (what has to hold). day.go makes a
// scenario up, recording.go reads one.
package simulate
