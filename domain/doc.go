// Package domain is what every area of rift is written with: events and the
// envelopes a log keeps them in, the catalogue that reads them back, the facts a
// decision may use, policy documents, and errors with codes. The areas are
// packages of their own below it: domain/work, domain/nodes, domain/training …
//
// Nothing in it or in an area reads a clock, draws a random number, starts a
// goroutine, takes a lock or touches a file: everything that is not in the log
// reaches a decision through Facts, and everything a decision computed is stored
// in its events.
//
// Read event.go first (what is written down), then catalog.go (how it is read
// back, for ever), then an area. domain/nodes shows what they consist of: events,
// the state these fold into (Evolve), the numbers that decide (Policy), and the
// entries of the catalogue (Events).
package domain
