package whatif

import (
	"context"
	"iter"
	"slices"

	"github.com/ringrift/rift/cmd/internal/script"
	"github.com/ringrift/rift/commands"
	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections"
)

// result is what a command comes to in one world.
type result struct {
	outcomes []script.Outcome
	refused  string
	unknown  bool // it cannot be decided from the log
}

// Why a command that is not given in a world comes to nothing there.
const (
	notAsked = "it is not commanded"
	notDue   = "it is not due then"
)

// decideAll decides a command in each world; nil is one that is not given there. The
// version of the policy is the one that an event names.
func (w *walk) decideAll(asked []domain.Command, facts domain.Facts, version string) ([]result, error) {
	results := make([]result, len(w.worlds))
	for i, one := range w.worlds {
		switch {
		case one.unfit == nil:
		case one.alone == nil:
			return nil, domain.Errorf(domain.Invalid, "the change does not go with %s: %w", one.policyName(), one.unfit)
		default:
			one.alone.Unfit = one.unfit.Error()
		}
		if asked[i] == nil {
			results[i] = result{outcomes: []script.Outcome{}, refused: notAsked}
			if facts.Actor == clockActor {
				results[i].refused = notDue
			}
			continue
		}
		facts.Policy, facts.PolicyName = one.policyNamed(version), version
		var err error
		if results[i], err = w.decide(one, asked[i], facts); err != nil {
			return nil, err
		}
	}
	return results, nil
}

// decide decides a command in one world and changes nothing there.
func (w *walk) decide(one *world, c domain.Command, facts domain.Facts) (r result, err error) {
	r.outcomes = []script.Outcome{}
	var events []domain.Event
	var refused error
	switch c := c.(type) {
	case workcmd.AddTask:
		_ = one.view(func(projections.View) error { events, refused = workcmd.TryAdd(one.queue, c, facts); return nil })
	case workcmd.AddTasks:
		_ = one.view(func(projections.View) error { events, refused = workcmd.TryBatch(one.queue, c, facts); return nil })
	case workcmd.ClaimTasks:
		_ = one.view(func(projections.View) error { events, refused = workcmd.TryClaim(one.queue, c, facts); return nil })
	default:
		w.bus.Models = one
		done, err := w.bus.Try(w.ctx, facts, c)
		if err != nil && domain.CodeOf(err) == domain.Unavailable {
			return result{unknown: true}, w.ctx.Err()
		}
		for _, e := range done.Events {
			r.outcomes = append(r.outcomes, script.Outcome{Stream: e.Stream, Type: e.Type, Data: e.Data})
		}
		refused = err
	}
	for _, event := range events {
		name, _, data, err := w.catalog.Encode(event)
		if err != nil {
			return r, err
		}
		r.outcomes = append(r.outcomes, script.Outcome{Stream: streamOf(event), Type: name, Data: data})
	}
	if refused != nil {
		r.refused = domain.Clip(refused.Error(), maxRefusal)
	}
	return r, w.ctx.Err()
}

// maxRefusal bounds the text of a refusal.
const maxRefusal = 300

// streamOf returns the stream of an event of an add or a claim.
func streamOf(event domain.Event) domain.StreamID {
	switch e := event.(type) {
	case work.Spawned:
		return e.TaskID.Stream()
	case work.Claimed:
		return e.TaskID.Stream()
	}
	return ""
}

// compare counts a decision by what it comes to in each world, and keeps it if it would
// have been another. The first result is what was decided.
func (w *walk) compare(d *Decision, results []result) (differs bool) {
	d.Was, d.Keys = results[0].outcomes, []string{}
	for i, one := range w.worlds[1:] {
		r := results[i+1]
		if r.unknown || script.SameOutcomes(d.Was, r.outcomes) {
			continue
		}
		kind := kindOf(d.Was, r.outcomes)
		if one.alone == nil {
			differs = true
			d.Kind, d.Would, d.Refused = kind, r.outcomes, r.refused
		}
		for _, changed := range w.countedBy(one) {
			changed.Differing++
			changed.Kinds[kind]++
			d.Keys = append(d.Keys, changed.Key)
		}
	}
	if differs {
		w.keep(d)
	}
	return differs
}

// countedBy returns the setting that a world stands for: the only one of all, or the one
// that alone is changed there.
func (w *walk) countedBy(one *world) []*Changed {
	switch {
	case one.alone != nil:
		return []*Changed{one.alone}
	case len(w.changes) == 1:
		return w.changes
	}
	return nil
}

// kindOf says how what would be decided differs from what was.
func kindOf(was, would []script.Outcome) string {
	switch {
	case len(would) == 0:
		return Gone
	case len(was) == 0:
		return New
	case slices.EqualFunc(was, would, func(a, b script.Outcome) bool { return a.Stream == b.Stream && a.Type == b.Type }):
		return Values
	}
	return Other
}

// folded is what streams fold to, as of the event before the command that is decided: of
// live items what the queue has, of other streams what was folded before. Streams may be
// long, and are read as of positions that only grow.
type folded struct {
	live  *work.Queue
	other map[foldedKey]commands.Aggregate
}

type foldedKey struct {
	stream domain.StreamID
	kind   any
}

// Get returns the aggregate of a stream.
func (f folded) Get(stream domain.StreamID, kind any, _ string) (aggregate commands.Aggregate, known, wrote bool) {
	if kind == any((*work.Task)(nil)) {
		item, live := f.live.Find(domain.TaskID(stream.ID()))
		if !live {
			return aggregate, false, false
		}
		return commands.Aggregate{State: item.Task, Revision: item.Revision, Position: f.live.Position()}, true, false
	}
	aggregate, known = f.other[foldedKey{stream, kind}]
	return aggregate, known, false
}

// Put stores the aggregate of a stream.
func (f folded) Put(stream domain.StreamID, kind any, _ domain.Revision, aggregate commands.Aggregate, _ []string, _ int) {
	if kind != any((*work.Task)(nil)) {
		f.other[foldedKey{stream, kind}] = aggregate
	}
}

// Extend does nothing, for nothing is appended.
func (folded) Extend(domain.StreamID, []domain.Envelope) {}

// past is the log as it was. What the queue has of a live item is all that there is.
type past struct {
	script.AsOf
	live *work.Queue
}

// Read omits events after the position.
func (p *past) Read(ctx context.Context, stream domain.StreamID, from domain.Revision, direction eventlog.Direction) iter.Seq2[domain.Envelope, error] {
	if stream.Category() == work.Category && direction == eventlog.Forward {
		if item, live := p.live.Find(domain.TaskID(stream.ID())); live && from > item.Revision {
			return func(func(domain.Envelope, error) bool) {}
		}
	}
	return p.AsOf.Read(ctx, stream, from, direction)
}
