package states

import (
	"context"

	"github.com/ringrift/rift/domain"
)

// Search looks for the event after which a condition is true and before which it was
// not. It evaluates the condition after every event, so that it finds one that holds
// for an event only.
type Search struct {
	Held          bool    // it was true to begin with
	Before, After []Value // around the last event; of one that was not found, as it began and is

	condition *Condition
	follower  *Follower
	begun     bool
	holds     bool
	first     []Value
}

// NewSearch makes a search of a condition from an empty log on.
func NewSearch(catalog *domain.Catalog, condition *Condition) (*Search, error) {
	follower, err := New(catalog, condition.models())
	return &Search{condition: condition, follower: follower}, err
}

// Skip folds an event before the stretch that is searched.
func (s *Search) Skip(e domain.Envelope) error { return s.follower.Apply(e) }

// Apply folds the next event, and reports whether the condition became true with it.
func (s *Search) Apply(ctx context.Context, e domain.Envelope) (found bool, err error) {
	state := s.follower.State
	if !s.begun {
		s.begun = true
		if s.holds, err = s.condition.Holds(ctx, state); err != nil {
			return false, err
		}
		s.Held, s.first = s.holds, s.condition.Values(state)
		s.Before, s.After = s.first, s.first
	}
	if err := s.follower.Apply(e); err != nil {
		return false, err
	}
	if !s.condition.clock && !state.changed {
		return false, nil
	}
	before := s.holds
	if s.holds, err = s.condition.Holds(ctx, state); err != nil {
		return false, err
	}
	s.Before, s.After = s.After, s.condition.Values(state)
	if s.holds && !before {
		return true, nil
	}
	return false, nil
}

// End says that no event follows: Before is then how the stretch began.
func (s *Search) End() { s.Before = s.first }
