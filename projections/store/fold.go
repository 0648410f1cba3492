package store

import (
	"iter"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
)

// DeadLetterTable is the table of dead letters, readable through every View.
const DeadLetterTable = "admin.dead_letters"

// DecodeHandler is the name under which an event is parked that could not be
// decoded: once, not once for each handler that wanted it.
const DecodeHandler = "decode"

// workspace is where a fold keeps its rows. Between enter and the next enter the
// view is that of one handler: the tables of projector, or, with nil, reading only.
type workspace interface {
	projections.Tx
	enter(u *projector, at domain.Position)
	// mark names a moment; undo takes back every write since.
	mark() int
	undo(mark int)
	// settleWrites forgets what undo would need: the event is done.
	settleWrites()
	// enterLetters opens the dead letters: those of a version that is being
	// built, or, with nil, those everybody sees.
	enterLetters(u *projector)
	// check encodes what was written since mark, to learn whether it can be.
	check(mark int) error
	// fault is the error of the workspace itself: not a handler's, so it ends the fold.
	fault() error
}

// fold runs events through handlers. It is the same for a store, for a version
// that is built beside it, and for a store in memory.
type fold struct {
	catalog    *domain.Catalog
	codec      domain.Codec
	options    *Options
	projectors []*projector
	reactors   []*handler
	decoding   *handler // nil where failures to decode are somebody else's to park
	workspace  workspace
	routes     map[string]*route
	// published is routes for a goroutine that decodes ahead.
	published atomic.Pointer[map[string]*route]
	strict    bool
	careful   bool // encode rows at once, so that a row that cannot be blames its handler

	// What the events since the last commit brought, besides rows.
	at       checkpoint
	events   int
	bytes    int
	outbox   []OutboxEntry
	reissued bool // the outbox may already hold what is in this one
	settled  domain.Position
	failures []Failure
	act      *LetterAct // what the last event did about a dead letter
	rebuild  string     // the projection that the last event wants built again
	touched  []*handler
	tallies  []tally // counters before the event that is being folded
}

type tally struct {
	handler *handler
	before  counters
}

// route is what is done with one type of event.
type route struct {
	known    bool // in the catalogue
	handlers []*handler
	reactors []*handler
	settles  bool
	acts     bool
	rebuilds bool
}

func (r *route) wanted() bool {
	return r.settles || r.acts || r.rebuilds || len(r.handlers) > 0 || len(r.reactors) > 0
}

// plan makes the routes anew; called when projectors come or go.
func (f *fold) plan() {
	routes := map[string]*route{}
	for _, def := range f.catalog.Defs() {
		routes[def.Type] = &route{known: true}
	}
	at := func(eventType string) *route {
		if routes[eventType] == nil {
			routes[eventType] = &route{}
		}
		return routes[eventType]
	}
	for _, u := range f.projectors {
		for _, h := range u.handlers {
			r := at(h.eventType)
			r.handlers = append(r.handlers, h)
		}
	}
	for _, h := range f.reactors {
		r := at(h.eventType)
		r.reactors = append(r.reactors, h)
	}
	if f.options.Settles != nil && f.decoding != nil {
		for _, eventType := range f.options.SettleTypes {
			at(eventType).settles = true
		}
	}
	if f.options.Acts != nil {
		for _, eventType := range f.options.ActTypes {
			at(eventType).acts = true
		}
	}
	if f.options.Rebuilds != nil && f.decoding != nil {
		for _, eventType := range f.options.RebuildTypes {
			at(eventType).rebuilds = true
		}
	}
	f.routes = routes
	f.published.Store(&routes)
}

// unknownRoute is that of a type that is not in the catalogue and that nobody wants.
var unknownRoute = &route{}

func (f *fold) route(eventType string) *route {
	if r, ok := f.routes[eventType]; ok {
		return r
	}
	return unknownRoute
}

// decode fills an envelope when somebody wants it. It touches nothing but the
// catalogue and the routes it is given, so that it can run ahead of the fold.
func decode(catalog *domain.Catalog, routes map[string]*route, e *domain.Envelope) error {
	r, ok := routes[e.Type]
	switch {
	case (!ok || !r.known) && e.Meta.Custom != "":
		return nil // another system's, which says nothing to us
	case !ok || !r.known:
		return domain.Errorf(domain.NotFound, "event type %q is not in the catalogue", e.Type)
	case !r.wanted():
		return nil
	}
	return catalog.Fill(e)
}

// apply folds one event; decoded is what decode said of it. The error it
// returns ends the fold: only a strict one has any.
func (f *fold) apply(e *domain.Envelope, decoded error) error {
	r := f.route(e.Type)
	if decoded == nil && e.Event == nil && r.wanted() {
		decoded = decode(f.catalog, f.routes, e) // wanted since it was decoded
	}
	issued, failed, settled := len(f.outbox), len(f.failures), f.settled
	f.tallies = f.tallies[:0]
	if err := f.run(r, e, decoded); err != nil {
		f.workspace.undo(0)
		for _, t := range slices.Backward(f.tallies) {
			t.handler.counters = t.before
		}
		f.outbox, f.failures, f.settled, f.act = f.outbox[:issued], f.failures[:failed], settled, nil
		f.rebuild = ""
		return err
	}
	f.workspace.settleWrites()
	f.at = checkpoint{position: e.Position, micros: e.Time.UnixMicro(), event: e.ID}
	f.events++
	f.bytes += len(e.Data)
	return nil
}

func (f *fold) run(r *route, e *domain.Envelope, decoded error) error {
	if decoded != nil {
		if f.decoding == nil {
			return nil
		}
		f.count(f.decoding, e.Position)
		return f.fail(f.decoding, e, decoded)
	}
	for _, h := range r.handlers {
		if e.Position <= h.projector.record.position && !h.projector.record.inStep {
			continue
		}
		f.count(h, e.Position)
		if err := f.handle(h, e); err != nil {
			if err := f.fail(h, e, err); err != nil {
				return err
			}
		}
	}
	for _, h := range r.reactors {
		if e.Position <= h.after {
			continue
		}
		f.count(h, e.Position)
		entries, err := f.react(h, e, e.Position)
		if err != nil {
			if err := f.fail(h, e, err); err != nil {
				return err
			}
		}
		f.outbox = append(f.outbox, entries...)
		for i := range entries {
			f.bytes += len(entries[i].Command)
		}
	}
	if r.settles {
		if upTo, ok := f.options.Settles(*e); ok {
			f.settled = max(f.settled, upTo)
		}
	}
	if r.acts {
		if act, ok := f.options.Acts(*e); ok {
			f.act = &act
		}
	}
	if r.rebuilds {
		if projection, ok := f.options.Rebuilds(*e); ok {
			f.rebuild = projection
		}
	}
	return nil
}

// handle runs a handler; when it fails, its writes are undone.
func (f *fold) handle(h *handler, e *domain.Envelope) (err error) {
	mark := f.workspace.mark()
	f.workspace.enter(h.projector, e.Position)
	defer func() {
		if thrown := recover(); thrown != nil {
			err = domain.Errorf(domain.Internal, "handler %s panicked: %v", h.name, thrown)
		}
		if err != nil {
			f.workspace.undo(mark)
		}
	}()
	if err := h.apply(f.workspace, *e); err != nil {
		return err
	}
	if f.careful {
		return f.workspace.check(mark)
	}
	return nil
}

// react runs a reactor and names its commands. The view it sees is of position at.
func (f *fold) react(h *handler, e *domain.Envelope, at domain.Position) (entries []OutboxEntry, err error) {
	f.workspace.enter(nil, at)
	defer func() {
		if thrown := recover(); thrown != nil {
			entries, err = nil, domain.Errorf(domain.Internal, "reactor %s panicked: %v", h.name, thrown)
		}
	}()
	var seen projections.View = f.workspace
	if f.options.OnRead != nil {
		seen = overlooked{f.workspace, h.name, f.options.OnRead}
	}
	found, err := h.reactor.React(seen, *e)
	if err != nil {
		return nil, err
	}
	for i, command := range found {
		entry, err := f.entry(h, e, i, command)
		if err != nil {
			return nil, err
		}
		entries = append(entries, entry)
	}
	return entries, nil
}

// overlooked is a view whose looks are told.
type overlooked struct {
	projections.View
	reactor string
	tell    func(reactor, table string)
}

func (o overlooked) Get(table, key string) (*projections.Cell, bool, error) {
	o.tell(o.reactor, table)
	return o.View.Get(table, key)
}

func (o overlooked) Scan(table string, span projections.Span) iter.Seq2[projections.Row, error] {
	o.tell(o.reactor, table)
	return o.View.Scan(table, span)
}

// entry makes the entry of a command. What follows from the event's id is filled
// in when somebody asks for the entry.
func (f *fold) entry(h *handler, e *domain.Envelope, index int, command domain.Command) (OutboxEntry, error) {
	if command == nil {
		return OutboxEntry{}, domain.Errorf(domain.Internal, "reactor %s: command %d is nil", h.name, index)
	}
	issued := command.CommandType()
	if len(h.reactor.Issues) > 0 && !slices.Contains(h.reactor.Issues, issued) {
		return OutboxEntry{}, domain.Errorf(domain.Internal, "reactor %s: want commands of types %s, found %s",
			h.name, strings.Join(h.reactor.Issues, ", "), issued)
	}
	body, err := f.codec.Marshal(command)
	if err != nil {
		return OutboxEntry{}, domain.Errorf(domain.Internal, "reactor %s, command %s: %w", h.name, issued, err)
	}
	return OutboxEntry{
		Position: e.Position, EventID: e.ID, Reactor: h.name, Index: index,
		CommandType: issued, Command: body, Correlation: e.Meta.Correlation,
	}, nil
}

// CommandID names the index-th command of a reactor's answer to an event: the
// same on every node and after every crash.
func CommandID(event domain.EventID, reactor string, index int) string {
	return domain.DeriveID(event.String()+"\x00"+reactor, index).String()
}

func (f *fold) count(h *handler, at domain.Position) {
	f.touch(h)
	h.counters.runs++
	h.counters.last = max(h.counters.last, at)
}

func (f *fold) touch(h *handler) {
	f.tallies = append(f.tallies, tally{h, h.counters})
	if !h.touched {
		h.touched = true
		f.touched = append(f.touched, h)
	}
}

// gathered begins to gather anew: what was gathered belongs to somebody else.
func (f *fold) gathered() {
	for _, h := range f.touched {
		h.touched = false
	}
	f.touched = f.touched[:0]
	f.outbox, f.failures = nil, nil
	f.settled, f.events, f.bytes = 0, 0, 0
	f.careful = false
}

// drop forgets what was folded since the last commit; the rows are the workspace's to drop.
func (f *fold) drop(at checkpoint) {
	for _, h := range f.touched {
		h.counters = h.committed
	}
	f.gathered()
	f.at = at
}
