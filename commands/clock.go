package commands

import (
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
)

// Timed is a command that the clock issues. Issuing it again under the same id does
// nothing.
type Timed struct {
	ID      string
	Command domain.Command
}

// Clock lists at most limit commands of one area that are due, and when the next one is
// (zero: not known).
type Clock func(v projections.View, now time.Time, policy domain.Policy, limit int) ([]Timed, time.Time, error)
