// Package states folds a log event by event and knows the state after each: how many
// items and nodes are in which state, who leads, what is wrong. It evaluates
// conditions over that state, and compares the states of two logs.
//
// The fold is that of the read models, in memory, so that a state here is what the
// queries of a node answer as of that position. It reads no clock and no log itself:
// the caller brings the events.
//
// Read follower.go (the fold), state.go (what is known after each event), condition.go
// (expressions over it), search.go (where one becomes true), diff.go (two states), then
// stepper.go (what one event does).
package states

import (
	"slices"

	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
	"github.com/ringrift/rift/projections/store"
)

// Follower folds events. One goroutine at a time may use it; its memory grows with
// the rows of the read models that it folds.
type Follower struct {
	State  *State
	models *store.Memory
	tables []string
}

// New makes a follower of an empty log that folds the named read models, such as work
// or nodes; nil: all.
func New(catalog *domain.Catalog, names []string) (*Follower, error) {
	f := &Follower{State: newState()}
	var models []projections.Projection
	for _, model := range wiring.Projections() {
		if names == nil || slices.Contains(names, model.Name) {
			models = append(models, observed(model, f.State))
			f.tables = append(f.tables, model.Tables...)
		}
	}
	slices.Sort(f.tables)
	var err error
	f.models, err = store.NewMemory(models, nil, catalog, store.Options{Codec: wiring.FastCodec{}})
	return f, err
}

// Apply folds the next event. An event that a handler cannot take changes nothing of
// what the handler keeps, as on a node.
func (f *Follower) Apply(e domain.Envelope) error {
	f.State.Position, f.State.Time = e.Position, e.Time
	return f.models.Apply(e)
}

// View calls see with the rows.
func (f *Follower) View(see func(projections.View) error) error { return f.models.View(see) }

// observed is a read model whose writes the state is told of, once a handler has
// succeeded.
func observed(model projections.Projection, state *State) projections.Projection {
	model.Handlers = slices.Clone(model.Handlers)
	for i, h := range model.Handlers {
		model.Handlers[i].Apply = func(tx projections.Tx, e domain.Envelope) error {
			noted := &notedTx{Tx: tx}
			if err := h.Apply(noted, e); err != nil {
				return err
			}
			for _, write := range noted.writes {
				state.change(write.key, write.row)
			}
			return nil
		}
	}
	return model
}

// notedTx notes the rows that a handler stores.
type notedTx struct {
	projections.Tx
	writes []write
}

type write struct {
	key string
	row any // a pointer to the row
}

// Put stores a row.
func (n *notedTx) Put(table, key string, cell *projections.Cell) error {
	if cell != nil && cell.Typed != nil && counts(cell.Typed) {
		n.writes = append(n.writes, write{key, cell.Typed})
	}
	return n.Tx.Put(table, key, cell)
}
