package transport

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// OneEvent is the query for an event by its position or its id.
type OneEvent struct {
	ID string `path:"id"`
}

// EventAnswer is one event.
type EventAnswer struct {
	Event json.RawMessage `json:"event"`
}

// RowTypes returns the Go types of the members that are hand-written JSON, for
// the API description.
func (EventAnswer) RowTypes() map[string]any { return map[string]any{"event": EventRecord{}} }

// Causes is the query for what led to an event.
type Causes struct {
	OneEvent
	Limit int `query:"limit" default:"100"`
}

// CausesAnswer is a chain of causes, the nearest first. Complete is false
// when a cause was not found in the log, or when the length limit was
// reached.
type CausesAnswer struct {
	Event    json.RawMessage `json:"event"`
	Chain    []Cause         `json:"chain"`
	Complete bool            `json:"complete"`
}

// RowTypes returns the Go types of the members that are hand-written JSON, for
// the API description.
func (CausesAnswer) RowTypes() map[string]any { return map[string]any{"event": EventRecord{}} }

// Cause is one link of the chain: the command that decided an event, the
// event whose reaction issued the command, or, where a worker reported on a
// work item, the event that created the item.
type Cause struct {
	Kind    string            `json:"kind" doc:"\"command\", \"event\" or \"item\""`
	Command string            `json:"command,omitempty"`
	Actor   string            `json:"actor,omitempty"`
	Node    string            `json:"node,omitempty"`
	Policy  string            `json:"policy,omitempty"`
	Events  []json.RawMessage `json:"events,omitempty" doc:"what the command decided in one stream, or the event"`
	Missing string            `json:"missing,omitempty"`
}

// RowTypes returns the Go types of the members that are hand-written JSON, for
// the API description.
func (Cause) RowTypes() map[string]any { return map[string]any{"events": EventRecord{}} }

// EffectsAnswer lists what an event led to, in log order. Next is where the
// search stopped; it is 0 when the search reached the end of the log.
type EffectsAnswer struct {
	Event   json.RawMessage   `json:"event"`
	Effects []json.RawMessage `json:"effects"`
	Next    domain.Position   `json:"next"`
}

// RowTypes returns the Go types of the members that are hand-written JSON, for
// the API description.
func (EffectsAnswer) RowTypes() map[string]any {
	return map[string]any{"event": EventRecord{}, "effects": EventRecord{}}
}

// search limits the reads that one query about causes may make.
type search struct {
	log      eventlog.Log
	deadline time.Time
	looked   int
}

func newSearch(ctx context.Context, b Backend) *search {
	x := exchangeOf(ctx)
	return &search{log: b.Log(), deadline: x.start.Add(x.handler.config.ScanTime)}
}

// spent reports whether the time limit of the search has passed.
func (s *search) spent() bool {
	s.looked++
	return s.looked%256 == 0 && !time.Now().Before(s.deadline)
}

// find returns an event by position or id. An id does not say where the
// event is in the log, so it is searched for backwards from the end.
func (s *search) find(ctx context.Context, name string, before domain.Position) (domain.Envelope, error) {
	if position, err := domain.ParsePosition(name); err == nil {
		for e, err := range s.log.ReadAll(ctx, max(position, 1), eventlog.Forward, eventlog.Filter{}) {
			if err != nil || e.Position == position {
				return e, err
			}
			break
		}
		return domain.Envelope{}, domain.Errorf(domain.NotFound, "no event stands at position %s", name)
	}
	id, err := domain.ParseEventID(name)
	if err != nil {
		return domain.Envelope{}, domain.Faulty("request", []domain.Fault{{Field: "id", Reason: fmt.Sprintf("want a position or a UUID, found %q", clip(name))}})
	}
	for e, err := range s.log.ReadAll(ctx, before, eventlog.Backward, eventlog.Filter{}) {
		if err != nil || e.ID == id {
			return e, err
		}
		if s.spent() {
			return domain.Envelope{}, domain.Errorf(domain.Timeout, "event %s: not found down to position %d in the time for it; ask by position", name, e.Position)
		}
	}
	return domain.Envelope{}, domain.Errorf(domain.NotFound, "no event has the id %s", name)
}

func findEvent(ctx context.Context, b Backend, q OneEvent) (EventAnswer, domain.Position, error) {
	head, err := b.Log().Head(ctx)
	if err != nil {
		return EventAnswer{}, 0, err
	}
	e, err := newSearch(ctx, b).find(ctx, q.ID, eventlog.End)
	if err != nil {
		return EventAnswer{}, head, err
	}
	return EventAnswer{Event: appendEvent(nil, &e)}, head, nil
}

// maxChain limits the links and effects in one answer.
const maxChain = 1000

func checkChain(limit int) error {
	if limit < 1 || limit > maxChain {
		return domain.Faulty("request", []domain.Fault{{Field: "limit", Reason: fmt.Sprintf("want 1 to %d, found %d", maxChain, limit)}})
	}
	return nil
}

// startChain finds the event that a chain of causes or effects starts at,
// and the head of the log as of which the answer holds.
func startChain(ctx context.Context, b Backend, id string, limit int) (*search, domain.Envelope, domain.Position, error) {
	if err := checkChain(limit); err != nil {
		return nil, domain.Envelope{}, 0, err
	}
	head, err := b.Log().Head(ctx)
	if err != nil {
		return nil, domain.Envelope{}, 0, err
	}
	s := newSearch(ctx, b)
	e, err := s.find(ctx, id, eventlog.End)
	return s, e, head, err
}

func whyEvent(ctx context.Context, b Backend, q Causes) (CausesAnswer, domain.Position, error) {
	answer := CausesAnswer{Complete: true}
	turn, err := exchangeOf(ctx).handler.turns.turn(ctx)
	if err != nil {
		return answer, 0, err
	}
	defer turn.give()
	s, e, head, err := startChain(ctx, b, q.ID, q.Limit)
	if err != nil {
		return answer, head, err
	}
	answer.Event = appendEvent(nil, &e)
	for len(answer.Chain) < q.Limit {
		if e.Meta.Command != "" {
			siblings, err := s.siblings(ctx, &e)
			if err != nil {
				return answer, head, err
			}
			answer.Chain = append(answer.Chain, Cause{
				Kind: "command", Command: e.Meta.Command, Actor: e.Meta.Actor, Node: e.Meta.Node, Policy: e.Meta.Policy, Events: siblings,
			})
		}
		if e.Meta.Causation == "" {
			spawned, found, err := s.origin(ctx, &e)
			if err != nil || !found {
				return answer, head, err
			}
			answer.Chain = append(answer.Chain, Cause{Kind: "item", Events: []json.RawMessage{appendEvent(nil, &spawned)}})
			e = spawned
			continue
		}
		cause, err := s.find(ctx, e.Meta.Causation, e.Position)
		switch code := CodeOf(err); {
		case err == nil:
		case code == domain.NotFound || code == domain.Timeout || code == domain.Invalid:
			answer.Chain = append(answer.Chain, Cause{Kind: "event", Missing: err.Error()})
			answer.Complete = false
			return answer, head, nil
		default:
			return answer, head, err
		}
		answer.Chain = append(answer.Chain, Cause{Kind: "event", Events: []json.RawMessage{appendEvent(nil, &cause)}})
		e = cause
	}
	answer.Complete = false
	return answer, head, nil
}

// origin returns the first event of the work item that an event belongs to.
// A worker's report has no recorded cause, so the creation of its item
// stands in for it.
func (s *search) origin(ctx context.Context, e *domain.Envelope) (domain.Envelope, bool, error) {
	if e.Stream.Category() != workItems || e.Revision == 0 {
		return domain.Envelope{}, false, nil
	}
	for first, err := range s.log.Read(ctx, e.Stream, 0, eventlog.Forward) {
		return first, err == nil, err
	}
	return domain.Envelope{}, false, nil
}

// workItems is the stream category of work items.
var workItems = domain.TaskID("").Stream().Category()

// siblings returns the events that one command decided in one stream: the
// adjacent events with the same command id.
func (s *search) siblings(ctx context.Context, e *domain.Envelope) ([]json.RawMessage, error) {
	var before, after []json.RawMessage
	for other, err := range s.log.Read(ctx, e.Stream, e.Revision, eventlog.Backward) {
		if err != nil {
			return nil, err
		}
		if other.Meta.Command != e.Meta.Command || len(before) == maxChain {
			break
		}
		before = append(before, appendEvent(nil, &other))
	}
	for other, err := range s.log.Read(ctx, e.Stream, e.Revision+1, eventlog.Forward) {
		if err != nil {
			return nil, err
		}
		if other.Meta.Command != e.Meta.Command || len(after) == maxChain {
			break
		}
		after = append(after, appendEvent(nil, &other))
	}
	all := make([]json.RawMessage, 0, len(before)+len(after))
	for i := range before {
		all = append(all, before[len(before)-1-i])
	}
	return append(all, after...), nil
}

// Effects is the query for what an event led to.
type Effects struct {
	OneEvent
	From  domain.Position `query:"from" doc:"where to go on"`
	Limit int             `query:"limit" default:"100"`
}

func eventEffects(ctx context.Context, b Backend, q Effects) (EffectsAnswer, domain.Position, error) {
	var answer EffectsAnswer
	turn, err := exchangeOf(ctx).handler.turns.turn(ctx)
	if err != nil {
		return answer, 0, err
	}
	defer turn.give()
	s, e, head, err := startChain(ctx, b, q.ID, q.Limit)
	if err != nil {
		return answer, head, err
	}
	answer.Event = appendEvent(nil, &e)
	// A later page needs the causes and items that the earlier pages found.
	causes, items := map[string]bool{e.ID.String(): true}, map[domain.StreamID]string{}
	begins := func(e *domain.Envelope) {
		if e.Stream.Category() == workItems && e.Revision == 0 {
			items[e.Stream] = e.ID.String()
		}
	}
	begins(&e)
	for other, err := range s.log.ReadAll(ctx, e.Position+1, eventlog.Forward, eventlog.Filter{}) {
		if err != nil {
			return answer, head, err
		}
		if other.Position > head {
			break
		}
		if other.Position%readWindow == 0 {
			turn.pass()
		}
		cause := other.Meta.Causation
		if cause == "" && other.Revision > 0 {
			cause = items[other.Stream] // a worker's report has no recorded cause: use the item's creation
		}
		if cause != "" && causes[cause] {
			begins(&other)
			if len(causes) > maxEffects {
				return answer, head, domain.Errorf(domain.TooMany, "event %s: it has more than %d effects up to position %d", q.ID, maxEffects, other.Position)
			}
			causes[other.ID.String()] = true
			if other.Position >= q.From {
				answer.Effects = append(answer.Effects, appendEvent(nil, &other))
			}
		}
		if len(answer.Effects) >= q.Limit || s.spent() {
			answer.Next = other.Position + 1
			break
		}
	}
	return answer, head, nil
}

// maxEffects limits how many causes and items a search for effects
// remembers.
const maxEffects = 100_000
