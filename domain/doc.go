// Package domain is the vocabulary of rift: the events that may be true, the
// states they fold into, and the rules and policy constants both obey.
//
// It never reads a clock, draws a random number, starts a goroutine, takes a
// lock or touches a file: everything that is not in the log reaches a decision
// through Facts, and everything a decision computed is stored in its events.
//
// Read event.go first (what is written down), then catalog.go (how it is read
// back, for ever), then the file of the area you care about: work.go shows the
// pattern that all areas follow (events, state, Evolve, catalogue entries).
package domain
