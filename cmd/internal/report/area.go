package report

import (
	"slices"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
	"github.com/ringrift/rift/projections/store"
)

// area is the fold of a report that is read from an area's read model in memory.
type area struct {
	excerpt
	models  *store.Memory
	types   []string        // of the area's events, in order
	touched map[string]bool // ids of streams with events in the window
}

func newArea(catalog *domain.Catalog, window Window, model projections.Projection, events []domain.Def) (area, error) {
	models, err := store.NewMemory([]projections.Projection{model}, nil, catalog, store.Options{Strict: true})
	if err != nil {
		return area{}, err
	}
	a := area{excerpt: newExcerpt(window), models: models, touched: map[string]bool{}}
	for _, def := range events {
		a.types = append(a.types, def.Type)
	}
	slices.Sort(a.types)
	return a, nil
}

// Types returns the types of events that the report needs.
func (a *area) Types() []string { return a.types }

// Apply folds the next event. It returns false once the window is over.
func (a *area) Apply(e domain.Envelope) (more bool, err error) {
	if looks, more := a.sees(e); !looks {
		return more, nil
	}
	if _, ours := slices.BinarySearch(a.types, e.Type); !ours {
		return true, nil
	}
	if err := a.models.Apply(e); err != nil {
		return false, domain.Errorf(domain.CodeOf(err), "event %d: %w", e.Position, err)
	}
	a.note(e)
	if a.count(e) {
		a.touched[e.Stream.ID()] = true
	}
	return true, nil
}

// Empty reports whether no event was in the window.
func (a *area) Empty() bool { return len(a.touched) == 0 }
