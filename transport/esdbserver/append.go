package esdbserver

import (
	"context"
	"errors"
	"slices"

	"github.com/google/uuid"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/foreign"
)

// appendRequest is one append of a client.
type appendRequest struct {
	stream   string
	id       domain.StreamID
	expected domain.Revision
	events   []foreign.Event

	dataBytes, metaBytes int // of the events

	proposals []eventlog.Proposed // the events in the log's form; nil until proposals is called
}

// maxMetaBytes bounds the user metadata of one append.
const maxMetaBytes = 4 << 20

// appended is the result of an append.
type appended struct {
	revision domain.Revision // of the last event; NoStream for no events to no stream
	position domain.Position // 0: there was nothing to write
}

// maxAttempts bounds how often an append or a deletion is decided again after a conflict.
const maxAttempts = 100

// append writes, repeats or refuses an append. If the log decides the append like
// EventStoreDB, it takes one call; otherwise the append is decided here from the state of
// the stream and written with that state's revision.
func (s *Server) append(ctx context.Context, a *appendRequest) (appended, error) {
	if err := checkWritable(a.stream); err != nil {
		return appended{}, err
	}
	if err := s.admitted(a); err != nil {
		return appended{}, err
	}
	return s.appendAdmitted(ctx, a)
}

// admitted calls Config.Admit with every event of an append.
func (s *Server) admitted(a *appendRequest) error {
	if s.config.Admit == nil {
		return nil
	}
	proposals := s.proposals(a)
	for i := range proposals {
		if err := s.config.Admit(a.id, &proposals[i]); err != nil {
			return refused(err)
		}
	}
	return nil
}

// proposals returns the events in the log's form, with their own ids.
func (s *Server) proposals(a *appendRequest) []eventlog.Proposed {
	if a.proposals == nil {
		a.proposals = s.stored(a.events, nil)
	}
	return a.proposals
}

func (s *Server) appendAdmitted(ctx context.Context, a *appendRequest) (appended, error) {
	lock := s.lock(a.stream)
	lock.RLock()
	done, result, err := s.appendDirectly(ctx, a)
	lock.RUnlock()
	if done {
		return result, err
	}
	lock.Lock()
	defer lock.Unlock()
	for range maxAttempts {
		result, err = s.appendOnState(ctx, a)
		if !errors.Is(err, domain.ErrConflict) {
			return result, err
		}
	}
	return appended{}, domain.Errorf(domain.Unavailable, "append to %s: others wrote to it %d times meanwhile", a.stream, maxAttempts)
}

// checkWritable returns an error for streams that no client can write to.
func checkWritable(name string) error {
	if name == allStream || name == metaPrefix || isIndex(name) {
		return errAccessDenied("nobody writes to " + name)
	}
	return nil
}

// appendDirectly lets the log decide, and returns done = false if EventStoreDB might decide
// differently.
func (s *Server) appendDirectly(ctx context.Context, a *appendRequest) (done bool, result appended, err error) {
	if len(a.events) == 0 || isMeta(a.stream) {
		return false, appended{}, nil
	}
	meta, err := s.metaOf(ctx, a.stream)
	if err != nil {
		return true, appended{}, err
	}
	if meta.deleted() || meta.raw != nil && a.expected == domain.StreamExists {
		return false, appended{}, nil
	}
	receipt, err := s.log.Append(ctx, a.id, a.expected, s.proposals(a)...)
	result = appended{receipt.Revision, receipt.Last}
	switch {
	case err == nil && receipt.Duplicate:
		return a.expected == domain.AnyRevision || a.expected == domain.StreamExists, result, nil
	case err == nil:
		return true, result, nil
	case domain.CodeOf(err) == eventlog.Gone:
		return true, appended{}, errStreamDeleted(a.stream)
	case errors.Is(err, domain.ErrConflict), domain.CodeOf(err) == domain.Invalid:
		return false, appended{}, nil
	}
	return true, appended{}, err
}

// stored returns events in the log's form. An event whose id is in the log already, or
// twice in the append, gets a new id there.
func (s *Server) stored(events []foreign.Event, there func(domain.EventID) bool) []eventlog.Proposed {
	now := s.clock()
	proposals := make([]eventlog.Proposed, len(events))
	for i := range events {
		id := events[i].ID
		if there != nil && (there(id) || slices.ContainsFunc(events[:i], func(e foreign.Event) bool { return e.ID == id })) {
			id = domain.EventID(uuid.New())
		}
		proposals[i] = events[i].Proposed(id, now)
	}
	return proposals
}

// appendOnState decides an append from the state of its stream. If the stream changes
// meanwhile, the error is the log's conflict.
func (s *Server) appendOnState(ctx context.Context, a *appendRequest) (appended, error) {
	state, err := s.stateOf(ctx, a.stream, a.id)
	if err != nil {
		return appended{}, err
	}
	if state.tombstoned {
		return appended{}, errStreamDeleted(a.stream)
	}
	known, err := s.knownEvents(ctx, a)
	if err != nil {
		return appended{}, err
	}
	repeats, err := s.decideAppend(ctx, a, &state, known)
	switch {
	case err != nil:
		return appended{}, err
	case repeats != nil:
		return *repeats, nil
	case len(a.events) == 0:
		return appended{revision: state.last}, nil
	}
	events := s.stored(a.events, func(id domain.EventID) bool { _, found := known[id]; return found })
	return s.write(ctx, a, &state, events)
}

// knownEvents returns the events of an append that its stream has already, by id.
func (s *Server) knownEvents(ctx context.Context, a *appendRequest) (map[domain.EventID]domain.Envelope, error) {
	known := map[domain.EventID]domain.Envelope{}
	for i := range a.events {
		e, found, err := s.log.Find(ctx, a.id, a.events[i].ID)
		if err != nil {
			return nil, err
		}
		if found {
			known[a.events[i].ID] = e
		}
	}
	return known, nil
}

// decideAppend decides by the expected revision. An error refuses the append, a result is
// that of the append it repeats, and neither means to write it after state.last.
func (s *Server) decideAppend(ctx context.Context, a *appendRequest, state *streamState, known map[domain.EventID]domain.Envelope) (*appended, error) {
	wrong := &wrongVersion{a.stream, a.expected, state.last}
	exists := state.last >= 0
	switch {
	case a.expected == domain.AnyRevision:
		return repeatedAnywhere(a, known, wrong)
	case a.expected == domain.StreamExists:
		switch {
		case state.meta.deleted() && (exists || state.meta.raw != nil):
			return nil, errStreamDeleted(a.stream)
		case !exists && state.meta.raw == nil:
			return nil, wrong
		}
		return repeatedAnywhere(a, known, wrong)
	case a.expected == state.last:
		return nil, nil // written, even if the ids are there already
	case a.expected < state.last && a.expected >= domain.NoStream:
		repeated, err := s.repeatedAt(ctx, a, a.expected+1)
		if err != nil || repeated != nil {
			return repeated, err
		}
		if a.expected == domain.NoStream && state.meta.deleted() {
			return nil, nil // a deleted stream counts as no stream
		}
	}
	return nil, wrong
}

// repeatedAnywhere decides an append without an exact expected revision: it repeats one if
// the stream has all its events, is new if the stream lacks the first one, and else is in
// conflict.
func repeatedAnywhere(a *appendRequest, known map[domain.EventID]domain.Envelope, wrong error) (*appended, error) {
	if len(a.events) == 0 {
		return nil, nil
	}
	if _, found := known[a.events[0].ID]; !found {
		return nil, nil
	}
	if slices.ContainsFunc(a.events, func(e foreign.Event) bool { _, found := known[e.ID]; return !found }) {
		return nil, wrong
	}
	last := known[a.events[len(a.events)-1].ID]
	return &appended{last.Revision, last.Position}, nil
}

// repeatedAt returns the result of the append that a repeats, if the stream has the same
// events in sequence from a revision on.
func (s *Server) repeatedAt(ctx context.Context, a *appendRequest, first domain.Revision) (*appended, error) {
	if len(a.events) == 0 {
		return nil, nil
	}
	next := 0
	for e, err := range s.log.Read(ctx, a.id, first, eventlog.Forward) {
		if err != nil {
			return nil, err
		}
		if foreign.ID(&e) != a.events[next].ID {
			return nil, nil
		}
		if next++; next == len(a.events) {
			return &appended{e.Revision, e.Position}, nil
		}
	}
	return nil, nil
}

// write appends events after state.last. For a deleted stream it first writes metadata that
// let the stream begin with these events, so that no acknowledged event is hidden.
func (s *Server) write(ctx context.Context, a *appendRequest, state *streamState, events []eventlog.Proposed) (appended, error) {
	writes := []eventlog.Write{{Stream: a.id, Expected: state.last, Events: events}}
	if state.meta.deleted() {
		id, err := foreign.StreamID(metaPrefix + a.stream)
		if err != nil {
			return appended{}, err
		}
		writes[0].After = 1
		writes = append([]eventlog.Write{{
			Stream: id, Expected: state.meta.revision, Events: s.metaEvent(truncated(state.meta.raw, state.last+1)),
		}}, writes...)
	}
	if isMeta(a.stream) {
		follow, err := s.keepHidden(ctx, a, len(events), state.last)
		if err != nil {
			return appended{}, err
		}
		writes = append(writes, follow...)
	}
	main := 0
	if state.meta.deleted() {
		main = 1
	}
	written := s.log.AppendMany(ctx, writes)
	for i := range written {
		if err := written[i].Err; err != nil {
			if domain.CodeOf(err) == eventlog.Gone {
				return appended{}, errStreamDeleted(a.stream)
			}
			return appended{}, err
		}
	}
	receipt := written[main].Receipt
	return appended{receipt.Revision, receipt.Last}, nil
}

// keepHidden returns a write that follows new metadata of a deleted stream. The new
// metadata undelete the stream, and the write keeps its old events hidden.
func (s *Server) keepHidden(ctx context.Context, a *appendRequest, events int, last domain.Revision) ([]eventlog.Write, error) {
	name := original(a.stream)
	older, err := s.metaOf(ctx, name)
	if err != nil || !older.deleted() {
		return nil, err
	}
	given := parseStreamMeta(a.events[len(a.events)-1].Data)
	if given.deleted() {
		return nil, nil
	}
	id, err := foreign.StreamID(name)
	if err != nil {
		return nil, err
	}
	head, found, err := s.lastEvent(ctx, id)
	if err != nil || !found {
		return nil, err
	}
	return []eventlog.Write{{
		Stream: a.id, Expected: last + domain.Revision(events), After: 1,
		Events: s.metaEvent(truncated(given.raw, head.Revision+1)),
	}}, nil
}

// metaEvent returns an event with a stream's new metadata.
func (s *Server) metaEvent(raw []byte) []eventlog.Proposed {
	event := foreign.Event{ID: domain.EventID(uuid.New()), Type: typeMetadata, JSON: true, Data: raw}
	return []eventlog.Proposed{event.Proposed(event.ID, s.clock())}
}

// put appends an event of the server itself.
func (s *Server) put(ctx context.Context, name string, event foreign.Event) error {
	id, err := foreign.StreamID(name)
	if err != nil {
		return err
	}
	event.ID = domain.EventID(uuid.New())
	_, err = s.appendAdmitted(ctx, &appendRequest{stream: name, id: id, expected: domain.AnyRevision, events: []foreign.Event{event}})
	return err
}
