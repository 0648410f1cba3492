// Package projections provides what read models are built from: a projection folds
// events into the rows of its tables, a query returns data from a view of them, and
// a reactor reacts to an event with commands. The read models are packages below
// it, one per area: projections/work, projections/nodes and so on;
// projections/store keeps their rows.
//
// Nothing in it or in an area reads a clock, starts a goroutine, opens a file or
// does arithmetic on floats: a row is a function of the events before it, so that
// any log replayed at any batch size on any machine gives byte-equal rows. Times
// come from envelopes; floats are copied from events.
//
// Read projection.go (what a projection, a reactor and a query are), then table.go
// (how rows are kept), then an area: projections/gauntlet is short and complete.
package projections

import (
	"iter"

	"github.com/ringrift/rift/domain"
)

// Row is one stored row: its key in its table and its JSON. Value must not be
// modified. A row is valid as long as the view that returned it.
type Row struct {
	Key   string
	Value []byte
}

// Span selects the keys of a scan: those with Prefix, starting at From (inclusive;
// empty: at the first), in key order or backwards. Backwards, the scan starts
// before From (exclusive; empty: at the last).
type Span struct {
	Prefix  string
	From    string
	Reverse bool
}

// Cell is a row with its typed form and its JSON. A store caches cells: Typed is
// set once the row was decoded or put, JSON once it was read or encoded. Typed is a
// pointer to the row, which must not be modified.
type Cell struct {
	JSON  []byte
	Typed any
}

// View is the state of all read models at one position. A view must be used by one
// goroutine only.
type View interface {
	// Position returns the log position of the view.
	Position() domain.Position
	// Codec returns the codec of rows.
	Codec() domain.Codec
	// Get returns a row. The cell may be cached: Table sets its Typed form.
	Get(table, key string) (*Cell, bool, error)
	// Scan yields rows in key order.
	Scan(table string, span Span) iter.Seq2[Row, error]
}

// Typed is a view that may hold decoded rows. Cells returns false for a table
// without them. The rows are shared and must not be modified.
type Typed interface {
	Cells(table string, span Span) (iter.Seq2[string, Cell], bool)
}

// Tx is a view through which a projection writes. A projection can only read and
// write the tables it lists; the store refuses others.
type Tx interface {
	View
	// Put stores a row; its cell holds the typed form and must not change afterwards.
	Put(table, key string, cell *Cell) error
	// Delete removes a row if there is one.
	Delete(table, key string) error
}

// Handler applies one type of event to the tables of its projection.
type Handler struct {
	Type  string // the event type
	Name  string // the name in listings; empty: derived from its read model and event
	Apply func(Tx, domain.Envelope) error
}

// Named returns the handler with a name for listings.
func (h Handler) Named(name string) Handler {
	h.Name = name
	return h
}

// On returns a handler of event type E.
func On[E domain.Event](f func(Tx, domain.Envelope, E) error) Handler {
	var zero E
	return Handler{Type: zero.EventType(), Apply: func(tx Tx, e domain.Envelope) error {
		event, ok := e.Event.(E)
		if !ok {
			return domain.Errorf(domain.Internal, "%s at %d: want it decoded as %T, found %T", e.Type, e.Position, zero, e.Event)
		}
		return f(tx, e, event)
	}}
}

// Projection is one read model. Raising Version makes the store rebuild it
// beside the old one and switch when it has caught up.
type Projection struct {
	Name     string // "work"
	Version  int    // from 1
	About    string // one sentence for `rift handlers`
	Tables   []string
	Handlers []Handler
}

// Handle returns the handlers of an event type in the order in which they were
// listed.
func (p Projection) Handle(eventType string) []Handler {
	var found []Handler
	for _, handler := range p.Handlers {
		if handler.Type == eventType {
			found = append(found, handler)
		}
	}
	return found
}

// Reactor reacts to one type of event with commands, returned as data. It sees the
// view as of that event, including the event's own rows. It runs once per event on
// every node, but only the leader runs the commands, and a rebuild does not run it
// again.
type Reactor struct {
	Name   string // "work.retry": unique, part of the identity of its commands
	Type   string // the event type
	About  string
	Issues []string // the command types it may return
	// Expects lists the refusals of its commands that are normal: what the command
	// asks for was already done, or is not needed any more. Any other refusal is a
	// failure of the reactor, which is recorded as a dead letter.
	Expects []domain.Code
	React   func(View, domain.Envelope) ([]domain.Command, error)
}

// Expecting returns the reactor with expected refusals.
func (r Reactor) Expecting(codes ...domain.Code) Reactor {
	r.Expects = codes
	return r
}

// When returns a reactor to event type E.
func When[E domain.Event](name, about string, issues []string, f func(View, domain.Envelope, E) ([]domain.Command, error)) Reactor {
	var zero E
	return Reactor{
		Name: name, Type: zero.EventType(), About: about, Issues: issues,
		React: func(v View, e domain.Envelope) ([]domain.Command, error) {
			event, ok := e.Event.(E)
			if !ok {
				return nil, domain.Errorf(domain.Internal, "%s at %d: want it decoded as %T, found %T", e.Type, e.Position, zero, e.Event)
			}
			return f(v, e, event)
		},
	}
}

// Query computes an answer from a view. The answer may refer to rows of the view,
// so it is encoded before the view is released.
type Query[Q, R any] func(View, Q) (R, error)
