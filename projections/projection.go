// Package projections is what read models are made of: a projection folds events
// into the rows of its tables, a query answers from a view of them, and a reactor
// answers an event with commands. The read models are packages of their own below
// it, one per area: projections/work, projections/nodes …; projections/store keeps
// their rows.
//
// Nothing in it or in an area reads a clock, starts a goroutine, opens a file or
// does arithmetic on floats: a row is a function of the events before it, so any
// log replayed at any batch size on any machine gives byte-equal rows. Times come
// from envelopes; floats are copied from events.
//
// Read projection.go (what a projection, a reactor and a query are), then table.go
// (how rows are kept), then an area: projections/gauntlet is short and has all of
// it.
package projections

import (
	"iter"

	"github.com/ringrift/rift/domain"
)

// Row is one stored row: its key in its table and its JSON. Value must not be
// written to. A row is valid as long as the view that gave it.
type Row struct {
	Key   string
	Value []byte
}

// Span selects the keys of a scan: those with Prefix, from From on (inclusive;
// empty: from the first), in key order or backwards. Backwards, From is the
// first key that is left out (exclusive; empty: from the last).
type Span struct {
	Prefix  string
	From    string
	Reverse bool
}

// Cell is a row on its way between its typed form and its JSON. A store caches
// cells: Typed is set once decoded or put, JSON once read or encoded. Typed is a
// pointer to the row; what it points to never changes.
type Cell struct {
	JSON  []byte
	Typed any
}

// View is the state of all read models as of one position. A view belongs to
// one goroutine.
type View interface {
	// Position is the log position the view is true at.
	Position() domain.Position
	// Codec turns rows into JSON and back.
	Codec() domain.Codec
	// Get finds a row. The cell may be cached: Table fills its Typed form.
	Get(table, key string) (*Cell, bool, error)
	// Scan yields rows in key order.
	Scan(table string, span Span) iter.Seq2[Row, error]
}

// Typed is a view that may have rows decoded. Cells says false of a table of
// which it has not. What it yields is shared: it must not be written to.
type Typed interface {
	Cells(table string, span Span) (iter.Seq2[string, Cell], bool)
}

// Tx is a view that a projection writes through. A projection writes and reads
// only the tables it lists; the store refuses others.
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
	Name  string // that it is listed under; empty: of its read model and event
	Apply func(Tx, domain.Envelope) error
}

// Named gives the handler a name to be listed under.
func (h Handler) Named(name string) Handler {
	h.Name = name
	return h
}

// On makes a handler of event type E.
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

// Handle finds the handlers of an event type in the order they were listed.
func (p Projection) Handle(eventType string) []Handler {
	var found []Handler
	for _, handler := range p.Handlers {
		if handler.Type == eventType {
			found = append(found, handler)
		}
	}
	return found
}

// Reactor answers one type of event with commands, as data. It sees the view as
// of that event, the event's own rows included. It runs once per event on every
// node; only the leader's outbox is drained, and a rebuild never runs it again.
type Reactor struct {
	Name   string // "work.retry": unique, part of the identity of its commands
	Type   string // the event type
	About  string
	Issues []string // the command types it may return
	// Expects are the refusals of its commands that are nothing out of the order:
	// what it asks for was done by somebody else, or is not needed any more. Any
	// other is a failure of the reactor, recorded and parked.
	Expects []domain.Code
	React   func(View, domain.Envelope) ([]domain.Command, error)
}

// Expecting gives the reactor with the refusals that it expects.
func (r Reactor) Expecting(codes ...domain.Code) Reactor {
	r.Expects = codes
	return r
}

// When makes a reactor to event type E.
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

// Query answers a question from a view. The answer may hold rows as the view
// gave them: it is encoded before the view is let go.
type Query[Q, R any] func(View, Q) (R, error)
