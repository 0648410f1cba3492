// Package simulate runs a cluster in virtual time: a node of rift decides about
// items, leases, nodes and deadlines with its real commands, reactors and clocks,
// while the machines and people around it are generated, or replayed from a
// recording. Months pass in seconds, and the same seed gives the same log.
//
// It never waits, never reads the wall clock, and never decides anything that the
// node decides: machines only claim work, do it, fail at it, fall silent or send
// wrong reports, and an audit that only reads the log checks whether the queue kept
// its promises.
//
// Read scenario.go (what is simulated), world.go (the event loop), machine.go (the
// behaviour of a machine), then audit.go (what must hold). day.go generates a
// scenario, recording.go reads one.
package simulate
