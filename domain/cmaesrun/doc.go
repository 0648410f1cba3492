// Package cmaesrun is a search by CMA-ES in the log: a run asks for the candidates
// of a generation, each a work item, records their values, and asks for the next
// generation.
//
// The event of a generation has everything that its candidates and its update
// depend on, so that a run continues exactly on another machine and with a later
// build; folding a stream computes nothing. The mathematics is in domain/cmaes,
// which only decisions call.
//
// Read events.go, state.go (what they fold into), then objective.go (a candidate's
// payload and its result).
package cmaesrun
