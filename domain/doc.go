// Package domain provides what all areas of rift share: events and their envelopes
// in the log, the catalogue that decodes them, the facts a decision may use, policy
// documents, and errors with codes. The areas are packages below it: domain/work,
// domain/nodes, domain/training and so on.
//
// Neither it nor an area reads a clock, draws a random number, starts a goroutine,
// takes a lock or touches a file: everything that is not in the log reaches a
// decision through Facts, and everything a decision computed is stored in its
// events.
//
// Read event.go first (what is recorded), then catalog.go (how it stays readable),
// then an area. domain/nodes shows the parts of one: events, the state they fold
// into (Evolve), the settings (Policy), and the catalogue entries (Events).
package domain
