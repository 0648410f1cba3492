package states

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
	"github.com/ringrift/rift/projections/store"
)

// Step is an event and what it does: the rows that it changes, and the commands that
// reactors give for it.
type Step struct {
	Event    domain.Envelope
	Tables   []TableDiff // A is before the event, B after it
	Commands []Reaction
	Failures []Failure
}

// Reaction is a command of a reactor.
type Reaction struct {
	Reactor string          `json:"reactor"`
	Command string          `json:"command"`
	Body    json.RawMessage `json:"body"`
}

// Failure is a handler or reactor that cannot take the event.
type Failure struct {
	Handler string `json:"handler"`
	Error   string `json:"error"`
}

// Stepper folds events and knows what each does. One goroutine at a time may use it.
type Stepper struct {
	catalog  *domain.Catalog
	models   *store.Memory
	reactors map[string][]projections.Reactor // by event type
	noting   bool
	rows     map[rowKey]*rowChange // that the event changes; of handlers that succeed
	failures []Failure
}

type rowKey struct{ table, key string }

// rowChange is a row before and after an event; nil: it is not there.
type rowChange struct{ before, after *projections.Cell }

// NewStepper makes a stepper at the beginning of a log.
func NewStepper(catalog *domain.Catalog) (*Stepper, error) {
	return newStepper(catalog, wiring.Projections(), wiring.Reactors())
}

func newStepper(catalog *domain.Catalog, models []projections.Projection, reactors []projections.Reactor) (*Stepper, error) {
	s := &Stepper{catalog: catalog, reactors: map[string][]projections.Reactor{}}
	var watched []projections.Projection
	for _, model := range models {
		watched = append(watched, s.watched(model))
	}
	for _, reactor := range reactors {
		s.reactors[reactor.Type] = append(s.reactors[reactor.Type], reactor)
	}
	var err error
	s.models, err = store.NewMemory(watched, nil, catalog, store.Options{
		Codec:     wiring.FastCodec{},
		OnFailure: func(f store.Failure) { s.failures = append(s.failures, Failure{f.Handler, f.Err.Error()}) },
	})
	return s, err
}

// watched is a read model whose writes are noted, once a handler has succeeded.
func (s *Stepper) watched(model projections.Projection) projections.Projection {
	model.Handlers = slices.Clone(model.Handlers)
	for i, h := range model.Handlers {
		model.Handlers[i].Apply = func(tx projections.Tx, e domain.Envelope) error {
			if !s.noting {
				return h.Apply(tx, e)
			}
			watching := &watchedTx{Tx: tx, rows: map[rowKey]*rowChange{}}
			if err := h.Apply(watching, e); err != nil {
				return err
			}
			for key, row := range watching.rows {
				if known := s.rows[key]; known != nil {
					known.after = row.after
				} else {
					s.rows[key] = row
				}
			}
			return nil
		}
	}
	return model
}

// watchedTx notes the rows that a handler stores and deletes.
type watchedTx struct {
	projections.Tx
	rows map[rowKey]*rowChange
}

func (w *watchedTx) note(table, key string, after *projections.Cell) error {
	known := w.rows[rowKey{table, key}]
	if known == nil {
		known = &rowChange{}
		before, found, err := w.Get(table, key)
		if err != nil {
			return err
		}
		if found {
			known.before = before
		}
		w.rows[rowKey{table, key}] = known
	}
	known.after = after
	return nil
}

// Put stores a row.
func (w *watchedTx) Put(table, key string, cell *projections.Cell) error {
	if err := w.note(table, key, cell); err != nil {
		return err
	}
	return w.Tx.Put(table, key, cell)
}

// Delete removes a row if there is one.
func (w *watchedTx) Delete(table, key string) error {
	if err := w.note(table, key, nil); err != nil {
		return err
	}
	return w.Tx.Delete(table, key)
}

// Skip folds the next event.
func (s *Stepper) Skip(e domain.Envelope) error {
	s.noting, s.failures = false, nil
	return s.models.Apply(e)
}

// Apply folds the next event and says what it does.
func (s *Stepper) Apply(e domain.Envelope) (Step, error) {
	s.noting, s.failures, s.rows = true, nil, map[rowKey]*rowChange{}
	e.Data = slices.Clone(e.Data)
	if err := s.models.Apply(e); err != nil {
		return Step{}, err
	}
	step := Step{Event: e, Commands: []Reaction{}}
	var err error
	if step.Tables, err = s.changes(); err != nil {
		return step, err
	}
	if filled := e; s.catalog.Fill(&filled) == nil {
		for _, reactor := range s.reactors[e.Type] {
			if err := s.react(&step, filled, reactor); err != nil {
				return step, err
			}
		}
	}
	step.Failures = append([]Failure{}, s.failures...)
	return step, nil
}

// changes lists the rows that the event changes.
func (s *Stepper) changes() ([]TableDiff, error) {
	before, after := map[string]map[string]json.RawMessage{}, map[string]map[string]json.RawMessage{}
	for key, row := range s.rows {
		for _, side := range []struct {
			rows map[string]map[string]json.RawMessage
			cell *projections.Cell
		}{{before, row.before}, {after, row.after}} {
			if side.cell == nil {
				continue
			}
			encoded := json.RawMessage(slices.Clone(side.cell.JSON))
			if encoded == nil {
				var err error
				if encoded, err = (wiring.FastCodec{}).Marshal(side.cell.Typed); err != nil {
					return nil, domain.Errorf(domain.Internal, "row %s of table %s: %w", key.key, key.table, err)
				}
			}
			if side.rows[key.table] == nil {
				side.rows[key.table] = map[string]json.RawMessage{}
			}
			side.rows[key.table][subject(key.table, key.key)] = encoded
		}
	}
	tables := map[string]bool{}
	for key := range s.rows {
		tables[key.table] = true
	}
	of := func(rows map[string]map[string]json.RawMessage) func(string) (map[string]json.RawMessage, error) {
		return func(table string) (map[string]json.RawMessage, error) { return rows[table], nil }
	}
	return diffTables(slices.Sorted(maps.Keys(tables)), of(before), of(after))
}

// react adds the commands that a reactor gives for the event.
func (s *Stepper) react(step *Step, e domain.Envelope, reactor projections.Reactor) error {
	var given []domain.Command
	if err := s.models.View(func(v projections.View) (err error) {
		given, err = reactor.React(v, e)
		return err
	}); err != nil {
		s.failures = append(s.failures, Failure{reactor.Name, err.Error()})
		return nil
	}
	for _, c := range given {
		body, err := (wiring.FastCodec{}).Marshal(c)
		if err != nil {
			return domain.Errorf(domain.Internal, "reactor %s, command %s: %w", reactor.Name, c.CommandType(), err)
		}
		step.Commands = append(step.Commands, Reaction{reactor.Name, c.CommandType(), body})
	}
	return nil
}
