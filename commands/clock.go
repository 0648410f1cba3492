package commands

import (
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
)

// Timed is a command that the clock issues, with the id that makes a second
// issue of it harmless.
type Timed struct {
	ID      string
	Command domain.Command
}

// Clock lists the commands of one area whose moment has come, at most limit,
// and when the next one is (zero for none known). Passing time becomes an event
// through what a clock lists, never as a side effect of a read.
type Clock func(v projections.View, now time.Time, policy domain.Policy, limit int) ([]Timed, time.Time, error)
