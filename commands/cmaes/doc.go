// Package cmaes decides about searches by CMA-ES: starting one, recording the
// results of candidates, passing a generation to the search and asking for the
// next, ending it.
//
// It evaluates nothing and adds no item to the queue itself: reactors.go reacts to
// its events with work.add_batch, and to the ends of items with cmaes.report. A
// missing value is never invented: another candidate is drawn, or the remaining
// ones get more weight.
//
// Read start.go, then report.go (the life of a generation), then reactors.go.
package cmaes
