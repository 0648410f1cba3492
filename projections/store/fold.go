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

// DecodeHandler is the handler of dead letters of events that could not be decoded. Such
// an event has one dead letter, however many handlers it has.
const DecodeHandler = "decode"

// workspace is where a fold keeps its rows. enter opens the tables of a projector, for
// its handlers; enter with nil opens all tables read-only, for reactors.
type workspace interface {
	projections.Tx
	enter(u *projector, at domain.Position)
	// mark returns the current state of the journal; undo reverts every write since.
	mark() int
	undo(mark int)
	// settleWrites empties the journal, once an event is folded.
	settleWrites()
	// enterLetters opens the dead letters of a version that is being built or, with
	// nil, those that are served.
	enterLetters(u *projector)
	// check encodes the rows written since mark and returns the first error.
	check(mark int) error
	// fault returns the error of the workspace itself, after which the fold ends.
	fault() error
}

// fold runs events through handlers and reactors: for a store, for a version that is
// built beside it, and for read models in memory.
type fold struct {
	catalog    *domain.Catalog
	codec      domain.Codec
	options    *Options
	projectors []*projector
	reactors   []*handler
	decoding   *handler // nil in a build, where the main run stores failures to decode
	workspace  workspace
	routes     map[string]*route
	// published holds routes for the goroutine that decodes ahead.
	published atomic.Pointer[map[string]*route]
	strict    bool
	careful   bool // rows are encoded when they are put, to find the handler of one that fails

	// The results of the events since the last commit, besides rows.
	at       checkpoint
	events   int
	bytes    int
	outbox   []OutboxEntry
	reissued bool // entries of outbox may be stored already
	settled  domain.Position
	failures []Failure
	act      *LetterAct // of the last event; nil: none
	rebuild  string     // the projection that the last event requests to rebuild; empty: none
	touched  []*handler
	tallies  []tally // counters before the event that is being folded
}

// tally is a handler with a copy of its counters.
type tally struct {
	handler *handler
	before  counters
}

// route is the handlers and reactors of one type of event, and what else is done with it.
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

// plan makes the routes. It is called whenever projectors are added or removed.
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

// unknownRoute is the route of a type that is not in the catalogue.
var unknownRoute = &route{}

func (f *fold) route(eventType string) *route {
	if r, ok := f.routes[eventType]; ok {
		return r
	}
	return unknownRoute
}

// decode decodes the payload of an event that has a handler or a reactor. It uses
// nothing but its arguments, so it can run ahead of the fold.
func decode(catalog *domain.Catalog, routes map[string]*route, e *domain.Envelope) error {
	r, ok := routes[e.Type]
	switch {
	case (!ok || !r.known) && e.Meta.Custom != "":
		return nil // an event of another program
	case !ok || !r.known:
		return domain.Errorf(domain.NotFound, "event type %q is not in the catalogue", e.Type)
	case !r.wanted():
		return nil
	}
	return catalog.Fill(e)
}

// apply folds one event; decoded is the error of decode. Its own error ends the fold:
// the workspace has failed, or the fold is strict.
func (f *fold) apply(e *domain.Envelope, decoded error) error {
	r := f.route(e.Type)
	if decoded == nil && e.Event == nil && r.wanted() {
		decoded = decode(f.catalog, f.routes, e) // a handler was added since
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

// handle runs a handler and undoes its writes when it fails.
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

// react runs a reactor on a view of position at and returns the entries of its commands.
func (f *fold) react(h *handler, e *domain.Envelope, at domain.Position) (entries []OutboxEntry, err error) {
	f.workspace.enter(nil, at)
	defer func() {
		if thrown := recover(); thrown != nil {
			entries, err = nil, domain.Errorf(domain.Internal, "reactor %s panicked: %v", h.name, thrown)
		}
	}()
	var seen projections.View = f.workspace
	if f.options.OnRead != nil {
		seen = observedView{f.workspace, h.name, f.options.OnRead}
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

// observedView reports each table that a reactor reads.
type observedView struct {
	projections.View
	reactor string
	tell    func(reactor, table string)
}

func (o observedView) Get(table, key string) (*projections.Cell, bool, error) {
	o.tell(o.reactor, table)
	return o.View.Get(table, key)
}

func (o observedView) Scan(table string, span projections.Span) iter.Seq2[projections.Row, error] {
	o.tell(o.reactor, table)
	return o.View.Scan(table, span)
}

// entry makes the outbox entry of a command. The fields that derive from the event's id
// are set when the entry is read.
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

// CommandID returns the id of the index-th command that a reactor issued for an event.
// It is the same on every node and after every crash.
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

// clearResults forgets the results since the last commit, which the commit now owns.
func (f *fold) clearResults() {
	for _, h := range f.touched {
		h.touched = false
	}
	f.touched = f.touched[:0]
	f.outbox, f.failures = nil, nil
	f.settled, f.events, f.bytes = 0, 0, 0
	f.careful = false
}

// drop discards everything folded since the last commit except the rows, which the
// workspace discards.
func (f *fold) drop(at checkpoint) {
	for _, h := range f.touched {
		h.counters = h.committed
	}
	f.clearResults()
	f.at = at
}
