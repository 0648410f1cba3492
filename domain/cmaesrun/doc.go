// Package cmaesrun is what a search by CMA-ES is in the log: a run asks for the
// candidates of a generation, each a work item, is told what came of them, and asks for
// the next.
//
// A generation's event holds all that its candidates and its update follow from, so
// that a run goes on at the exact generation on another machine, and by a later build;
// folding a stream computes nothing. The mathematics is domain/cmaes's, and only
// decisions call it.
//
// Read events.go, state.go (what they fold into), then objective.go (what a candidate's
// item says and what its result means).
package cmaesrun
