package commands

import (
	"context"
	"errors"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/eventlog"
)

// Group is commands on the queue that are decided one after the other and appended in one
// call. Each decision changes the queue at once. If Append reports that a part was not
// stored, the queue has to be loaded again.
type Group struct {
	bus    *Bus
	ctx    context.Context
	queue  *Queue
	calls  []*Call
	parts  []part
	writes []eventlog.Write
	last   map[domain.StreamID]int   // 1 + the index of the last write to a stream
	final  map[domain.StreamID]final // items that the group ends
	next   domain.Position

	expected struct{ writes, bytes int }
}

// final is the state of an item that ended in the group.
type final struct {
	task     work.Task
	revision domain.Revision
}

// part is the step that a write of the group belongs to.
type part struct {
	call *Call
	step int // in call.steps
}

// RefusedStep is the step of an item that was refused before its stream was read.
type RefusedStep struct {
	Task domain.TaskID
	Err  error
}

func (RefusedStep) CommandType() string       { return "work.refused" }
func (s RefusedStep) Stream() domain.StreamID { return s.Task.Stream() }

// ofItem is a spec that folds the stream of an item.
var ofItem = foldOf[work.Task](Spec{})

// NewGroup begins a group on a queue.
func NewGroup(ctx context.Context, bus *Bus, queue *Queue) *Group {
	g := &Group{bus: bus, ctx: ctx, queue: queue, last: map[domain.StreamID]int{}, final: map[domain.StreamID]final{}, next: work.Pending}
	queue.ended = g.ended
	if queue.Nodes == nil {
		queue.Nodes = NodesIn{queue.Models}
	}
	queue.wrote = func(stream domain.StreamID, command string) (bool, error) {
		_, found, err := bus.Log.Find(ctx, stream, EventID(command, stream, 0))
		return found, err
	}
	return g
}

// The bounds of a group. A log stores so much with one sync, so no part of a group can be
// stored while an earlier one that it depends on is lost.
const (
	maxGroupWrites = 1024
	maxGroupBytes  = 3 << 20
	writeOverhead  = 512 // bytes of a write besides payloads
)

// Takes reports whether there is room for a call. An empty group takes any call.
func (g *Group) Takes(call *Call) bool {
	writes, bytes := call.size()
	writes += g.expected.writes
	bytes += g.expected.bytes
	return len(g.calls) == 0 || writes <= maxGroupWrites && bytes+writes*writeOverhead <= maxGroupBytes
}

// Decide decides a command and applies its events to the queue. The result is complete
// after Append.
func (g *Group) Decide(call *Call) {
	call.Result, call.steps, call.parts, call.failed = Result{}, nil, 0, nil
	writes, bytes := call.size()
	g.expected.writes += writes
	g.expected.bytes += bytes
	call.Err = g.decide(call)
	g.calls = append(g.calls, call)
}

func (g *Group) decide(call *Call) (err error) {
	spec, c := call.Spec, call.Command
	if spec.fan == nil {
		return g.one(call, spec, c)
	}
	for target, err := range spec.fan(g.queue, c, call.Facts) {
		if err != nil {
			return err
		}
		if err := g.fan(call, target); err != nil {
			return err
		}
	}
	return nil
}

// one decides a command of one stream.
func (g *Group) one(call *Call, spec Spec, c domain.Command) error {
	target, ok := c.(Targeted)
	if !ok {
		return domain.Errorf(domain.Internal, "command %s names no stream", spec.Type)
	}
	prior, err := g.prior(target.Stream(), call.Facts.Command)
	if err != nil {
		return err
	}
	if spec.check != nil && len(prior) == 0 {
		if c, err = spec.check(g.queue, c, call.Facts); err != nil {
			return err
		}
		target = c.(Targeted)
	}
	step, err := g.step(call, spec, target, prior)
	call.steps = append(call.steps, step)
	return err
}

// fan decides one step of a command that spans streams.
func (g *Group) fan(call *Call, target Targeted) error {
	if refused, ok := target.(RefusedStep); ok {
		call.steps = append(call.steps, Step{Stream: target.Stream(), Err: refused.Err})
		return nil
	}
	spec, ok := g.bus.specs[target.CommandType()]
	if !ok {
		return domain.Errorf(domain.Internal, "command type %q is not known", target.CommandType())
	}
	prior, err := g.prior(target.Stream(), call.Facts.Command)
	if err != nil {
		return err
	}
	step, err := g.step(call, spec, target, prior)
	if step.Err = err; err != nil && !(call.Spec.each && ofItself(err)) {
		return err
	}
	call.steps = append(call.steps, step)
	return nil
}

// step decides on one stream and applies the events to the queue. prior is the events of
// an earlier run of the command there.
func (g *Group) step(call *Call, spec Spec, c Targeted, prior []domain.Envelope) (Step, error) {
	stream := c.Stream()
	step := Step{Stream: stream}
	if _, err := domain.ParseStreamID(string(stream)); err != nil {
		return step, err
	}
	if len(prior) > 0 {
		if err := checkKey(call.Facts, prior); err != nil {
			return step, err
		}
		step.Events, step.Duplicate = prior, true
		state, _, err := g.state(spec, stream)
		if err == nil && spec.answer != nil {
			step.Answer = spec.answer(state, c, prior)
		}
		return step, errors.Join(err, refusalOf(prior))
	}
	if stateless, ok := c.(Stateless); ok {
		return g.record(call, stateless)
	}
	state, revision, err := g.state(spec, stream)
	if err != nil {
		return step, err
	}
	decided, refused := spec.decide(state, c, call.Facts)
	if len(decided) == 0 {
		if refused == nil && spec.answer != nil {
			step.Answer = spec.answer(state, c, nil)
		}
		return step, refused
	}
	events, proposed, err := g.bus.propose(stream, revision, call.Facts, decided)
	if err != nil {
		return step, err
	}
	if step.Events, err = g.take(call, eventlog.Write{Stream: stream, Expected: revision, Events: proposed}, events); err != nil {
		return step, err
	}
	state = spec.fold(state, events)
	g.note(stream, state, events)
	if spec.answer != nil {
		step.Answer = spec.answer(state, c, events)
	}
	return step, refused
}

// record applies the events of a stateless command.
func (g *Group) record(call *Call, c Stateless) (Step, error) {
	stream := c.Stream()
	step := Step{Stream: stream}
	spec := ofItem
	if stream.Category() != work.Category {
		spec = Spec{}
	}
	state, revision, err := g.state(spec, stream)
	if err != nil {
		return step, err
	}
	if stream.Category() == work.Category {
		if err := eventlog.Expect(stream, c.Expect(), revision); err != nil {
			return step, domain.Errorf(domain.Conflict, "%s", err.Error())
		}
	}
	events, proposed, err := g.bus.propose(stream, revision, call.Facts, c.Facts())
	if err != nil {
		return step, err
	}
	// An event about an item that has ended does not make it live again.
	write := eventlog.Write{Stream: stream, Expected: c.Expect(), Events: proposed}
	if task, _ := state.(work.Task); task.State.Final() {
		step.Events = g.keep(call, write, events)
	} else if step.Events, err = g.take(call, write, events); err != nil {
		return step, err
	}
	if spec.fold != nil {
		g.note(stream, spec.fold(state, events), events)
	}
	return step, err
}

// note keeps the state of an item that ended in this group, whose last events are not in
// the log yet.
func (g *Group) note(stream domain.StreamID, state any, events []domain.Envelope) {
	if stream.Category() != work.Category {
		return
	}
	if _, live := g.queue.Find(domain.TaskID(stream.ID())); !live {
		g.final[stream] = final{state.(work.Task), events[len(events)-1].Revision}
	}
}

// take applies events to the queue and keeps them for Append. Events that no log would
// store are refused first, because later decisions would depend on them.
func (g *Group) take(call *Call, write eventlog.Write, events []domain.Envelope) ([]domain.Envelope, error) {
	if err := eventlog.CheckProposed(write.Stream, write.Events); err != nil {
		return nil, err
	}
	first := g.next
	for i := range events {
		events[i].Position = first + domain.Position(i)
		if err := g.queue.Apply(events[i]); err != nil {
			return nil, err
		}
	}
	return g.keep(call, write, events), nil
}

func (g *Group) keep(call *Call, write eventlog.Write, events []domain.Envelope) []domain.Envelope {
	for i := range events {
		events[i].Position = g.next
		g.next++
	}
	if call.Dry {
		return events
	}
	// If an earlier write of the group to this stream is not stored, this one must not
	// be either, even if another writer brought the stream to the expected revision.
	write.After = g.last[write.Stream]
	g.writes = append(g.writes, write)
	g.last[write.Stream] = len(g.writes)
	g.parts = append(g.parts, part{call, len(call.steps)})
	call.parts++
	return events
}

// prior returns the events of an earlier run of a command on a stream.
func (g *Group) prior(stream domain.StreamID, command string) ([]domain.Envelope, error) {
	first, found, err := g.bus.Log.Find(g.ctx, stream, EventID(command, stream, 0))
	if err != nil || !found {
		return nil, err
	}
	var prior []domain.Envelope
	for e, err := range g.bus.Log.Read(g.ctx, stream, first.Revision, eventlog.Forward) {
		if err != nil {
			return nil, err
		}
		if e.Meta.Command != command {
			break
		}
		if err := g.bus.Catalog.Fill(&e); err != nil {
			return nil, err
		}
		prior = append(prior, e)
	}
	return prior, nil
}

// state returns the state of a stream with the decisions of this group and earlier ones.
func (g *Group) state(spec Spec, stream domain.StreamID) (any, domain.Revision, error) {
	if spec.fold == nil {
		return nil, domain.NoStream, nil // it is not used
	}
	if stream.Category() == work.Category {
		if item, live := g.queue.Find(domain.TaskID(stream.ID())); live {
			return item.Task, item.Revision, nil
		}
		if ended, here := g.final[stream]; here {
			return ended.task, ended.revision, nil
		}
	}
	aggregate := &loaded{Aggregate: Aggregate{Revision: domain.NoStream}}
	_, err := g.bus.readAfter(g.ctx, spec, stream, "", aggregate)
	return aggregate.State, aggregate.Revision, err
}

// ended returns the state of an item that is not live, from its stream.
func (g *Group) ended(id domain.TaskID) (work.Task, error) {
	state, _, err := g.state(ofItem, id.Stream())
	if err != nil || state == nil {
		return work.Task{}, err
	}
	return state.(work.Task), nil
}

// Append stores the events of the group and completes the calls. If a part was not stored,
// it returns false: the queue is then ahead of the log and has to be loaded again, and
// calls for which Again is true have to be decided again.
func (g *Group) Append() (stored bool) {
	stored = true
	if len(g.writes) > 0 {
		for i, written := range g.bus.Log.AppendMany(g.ctx, g.writes) {
			stored = g.settle(g.parts[i], written) && stored
		}
	}
	for _, call := range g.calls {
		if call.failed == nil {
			g.complete(call)
		}
	}
	return stored
}

// settle sets the positions and revisions of the events of a part. If they were not
// stored, it notes the error and returns false.
func (g *Group) settle(p part, written eventlog.Written) bool {
	step := &p.call.steps[p.step]
	if written.Err == nil && written.Receipt.Duplicate {
		written.Err = &eventlog.Conflict{Stream: step.Stream, Reason: "the events were stored before"}
	}
	if written.Err != nil {
		p.call.failed = errors.Join(p.call.failed, written.Err)
		return false
	}
	place(step.Events, &written.Receipt)
	g.queue.Advance(written.Receipt.Last)
	if spawned, ok := step.Events[0].Event.(work.Spawned); ok {
		g.queue.Placed(spawned.TaskID, step.Events[0].Position)
	}
	return true
}

// complete makes the result of a call whose parts are stored.
func (g *Group) complete(call *Call) {
	result := Result{Position: g.queue.Position()}
	stored := domain.Position(0)
	for _, step := range call.steps {
		result.Events = append(result.Events, step.Events...)
		result.Duplicate = result.Duplicate || step.Duplicate
		if n := len(step.Events); n > 0 && !call.Dry {
			stored = max(stored, step.Events[n-1].Position)
		}
	}
	if stored > 0 {
		result.Position = stored
	}
	switch {
	case call.Spec.combine != nil:
		result.Answer = call.Spec.combine(call.Command, call.steps)
	case len(call.steps) == 1:
		result.Answer = call.steps[0].Answer
	}
	call.Result = result
}
