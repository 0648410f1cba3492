// Package cmaes is the decisions about searches by CMA-ES: starting one, taking over
// what came of a candidate, telling the search a generation and asking for the next,
// ending it.
//
// It evaluates nothing and adds no item to the queue itself: reactors.go answers its
// events with work.add_batch, and the ends of items with cmaes.report. A value that did
// not come is never made up: another candidate is drawn, or the rest weigh more.
//
// Read start.go, then report.go (what a generation goes through), then reactors.go.
package cmaes
