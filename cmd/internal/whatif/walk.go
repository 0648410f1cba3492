package whatif

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ringrift/rift/cmd/internal/matching"
	"github.com/ringrift/rift/cmd/internal/script"
	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections"
)

const (
	clockActor   = "clock"
	processActor = "rift" // what a node itself does, by no policy
	reactorActor = "reactor:"
)

// walk is one pass over a log.
type walk struct {
	ctx      context.Context
	log      *past
	catalog  *domain.Catalog
	match    *matching.Expressions
	bus      *commands.Bus
	q        Question
	worlds   []*world
	changes  []*Changed
	reactors map[string][]projections.Reactor // by event type

	recorded map[string]bool             // ids of commands of reactors that left events
	awaited  map[string][]domain.Command // those whose cause was met, in each world
	open     []*opened                   // decisions that more events may belong to
	byKey    map[string]*opened
	before   domain.Envelope      // the last event that was folded
	looked   time.Time            // at the clock
	dues     dueLists             // of the last look
	ahead    map[string]*Decision // of the clock, before they are recorded, by the ids of their commands
	alike    map[string]*Decision // those not recorded yet, by what ids have in common
	untold   map[string]int
	kept     map[string][]*Decision
	answer   Answer
}

// opened is a recorded decision whose events are being gathered.
type opened struct {
	key      string
	decision Decision
	recorded []script.Outcome
	results  []result
}

// maxApart bounds the distance between the events of one command.
const maxApart = 4096

func newWalk(ctx context.Context, log eventlog.Log, catalog *domain.Catalog, q Question) (*walk, error) {
	w := &walk{
		ctx: ctx, log: &past{AsOf: script.AsOf{Log: log}}, catalog: catalog, match: matching.New(), q: q, reactors: map[string][]projections.Reactor{},
		recorded: map[string]bool{}, awaited: map[string][]domain.Command{}, byKey: map[string]*opened{}, ahead: map[string]*Decision{}, alike: map[string]*Decision{},
		untold: map[string]int{}, kept: map[string][]*Decision{},
		answer: Answer{Kinds: map[string]int{}, Changes: []Changed{}, Untold: []Untold{}, Decisions: []Decision{}},
	}
	if len(q.Alone) == 0 || len(q.Alone) > maxAlone {
		return nil, domain.Errorf(domain.Invalid, "want 1 to %d changed settings, found %d", maxAlone, len(q.Alone))
	}
	for _, reactor := range wiring.Reactors() {
		w.reactors[reactor.Type] = append(w.reactors[reactor.Type], reactor)
	}
	var err error
	if w.bus, err = commands.NewBus(w.log, catalog, nil, wiring.Specs()...); err != nil {
		return nil, err
	}
	add := func(change json.RawMessage, alone *Changed) error {
		one, err := newWorld(catalog, w.match, change, alone)
		if err == nil {
			commands.NewGroup(ctx, w.bus, one.queue) // reads ended items for the queue
			w.worlds = append(w.worlds, one)
		}
		return err
	}
	if err := add(nil, nil); err != nil {
		return nil, err
	}
	if err := add(q.Change, nil); err != nil {
		return nil, err
	}
	w.log.live = w.worlds[0].queue.Queue
	w.bus.Aggregates = folded{w.worlds[0].queue.Queue, map[foldedKey]commands.Aggregate{}}
	for _, setting := range q.Alone {
		changed := &Changed{Key: setting.Key, Kinds: map[string]int{}}
		w.changes = append(w.changes, changed)
		if len(q.Alone) > 1 {
			if err := add(setting.Value, changed); err != nil {
				return nil, err
			}
		}
	}
	return w, nil
}

// run reads the log twice: for the commands that are recorded, then to decide them again.
func (w *walk) run() error {
	head, err := w.log.Head(w.ctx)
	if err != nil {
		return err
	}
	last := head
	if w.q.To > 0 {
		last = min(last, w.q.To)
	}
	unfit := w.worlds[1].unfit
	all := w.log.ReadAll(w.ctx, 1, eventlog.Forward, eventlog.Filter{})
	for e, err := range all {
		if err != nil {
			return err
		}
		if e.Position > last {
			break
		}
		if strings.HasPrefix(e.Meta.Actor, reactorActor) {
			w.recorded[e.Meta.Command] = true
		}
		if unfit != nil && e.Type == (domain.PolicyChanged{}).EventType() && w.catalog.Fill(&e) == nil {
			if _, err := w.worlds[1].changed(e.Event.(domain.PolicyChanged).Policy); err == nil {
				unfit = nil
			}
		}
	}
	if unfit != nil { // there is no version of the policy that it goes with
		return unfit
	}
	for e, err := range all {
		if err != nil {
			return err
		}
		if e.Position > last {
			break
		}
		if err := w.event(e); err != nil {
			return domain.Errorf(domain.CodeOf(err), "event %d: %w", e.Position, err)
		}
		if w.q.Progress != nil {
			w.q.Progress(e.Position, last)
		}
	}
	return w.close(len(w.open))
}

// inside reports whether the decision of an event is asked for.
func (w *walk) inside(e domain.Envelope) bool {
	return e.Position >= w.q.From && (w.q.FromTime.IsZero() || !e.Time.Before(w.q.FromTime)) && (w.q.ToTime.IsZero() || !e.Time.After(w.q.ToTime))
}

// event decides the command of an event again, folds the event, and decides what the
// reactors make of it.
func (w *walk) event(e domain.Envelope) error {
	e.Data = slices.Clone(e.Data)
	_ = w.catalog.Fill(&e) // what cannot be decoded has no part in a decision
	inside := w.inside(e)
	w.log.At = e.Position - 1
	if inside {
		w.answer.From, w.answer.To = cmp.Or(w.answer.From, e.Position), e.Position
		if err := w.look(e); err != nil {
			return err
		}
		if err := w.gather(e); err != nil {
			return err
		}
	}
	for _, one := range w.worlds {
		if err := one.apply(e); err != nil {
			return err
		}
	}
	w.log.At, w.before = e.Position, e
	for _, reactor := range w.reactors[e.Type] {
		if err := w.react(e, reactor, inside); err != nil {
			return err
		}
	}
	return nil
}

// gather takes the next recorded event: of a decision that was met before, or of a new
// one.
func (w *walk) gather(e domain.Envelope) error {
	done := 0
	for done < len(w.open) && e.Position-w.open[done].decision.Position > maxApart {
		done++
	}
	if err := w.close(done); err != nil {
		return err
	}
	if e.Meta.Command == "" {
		return nil
	}
	key := e.Meta.Command
	if !domain.NodeActor(e.Meta.Actor) {
		key += "\x00" + string(e.Stream)
	}
	outcome := script.Outcome{Position: e.Position, Stream: e.Stream, Type: e.Type, Data: e.Data}
	if known := w.byKey[key]; known != nil {
		known.recorded = append(known.recorded, outcome)
		return nil
	}
	if d := cmp.Or(w.ahead[e.Meta.Command], w.alike[alike(e.Meta.Command)]); d != nil {
		w.ahead[e.Meta.Command] = d
		delete(w.alike, alike(d.id))
		w.recordedLater(d, outcome)
		return nil
	}
	asked, told, err := w.asked(e, outcome)
	if err != nil {
		return err
	}
	o := &opened{key: key, recorded: []script.Outcome{outcome}, decision: Decision{
		Position: e.Position, Time: e.Time, Event: e.Type, By: e.Meta.Actor, Recorded: true, id: e.Meta.Command,
	}}
	if told {
		o.decision.Command = typeOf(asked)
		if o.results, err = w.decideAll(asked, w.facts(e, e.Meta.Command), e.Meta.Policy); err != nil {
			return err
		}
	}
	w.byKey[key], w.open = o, append(w.open, o)
	return nil
}

// close judges the first n open decisions.
func (w *walk) close(n int) error {
	for _, o := range w.open[:n] {
		delete(w.byKey, o.key)
		switch {
		case o.results == nil || o.results[0].unknown:
			for _, outcome := range o.recorded {
				w.untold[outcome.Type]++
			}
			continue
		case !script.SameOutcomes(o.recorded, o.results[0].outcomes):
			w.answer.UnlikeAt = cmp.Or(w.answer.UnlikeAt, o.decision.Position)
			w.answer.Unlike++
			continue
		}
		o.results[0].outcomes = o.recorded
		if !w.compare(&o.decision, o.results) {
			w.answer.Same++
		}
	}
	w.open = slices.Delete(w.open, 0, n)
	return nil
}

// keep counts a decision that would have been another, and lists it.
func (w *walk) keep(d *Decision) {
	w.answer.Differing++
	w.answer.Kinds[d.Kind]++
	if len(w.kept[d.Kind]) < MaxDecisions {
		w.kept[d.Kind] = append(w.kept[d.Kind], d)
	}
}

// recordedLater notes that what would have been decided earlier was decided in the end.
func (w *walk) recordedLater(d *Decision, outcome script.Outcome) {
	if d.Recorded = true; d.Kind == New {
		w.answer.Kinds[New]--
		w.answer.Kinds[Earlier]++
		for _, changed := range w.changes {
			if slices.Contains(d.Keys, changed.Key) {
				changed.Kinds[New]--
				changed.Kinds[Earlier]++
			}
		}
		d.Kind, d.RecordedAt = Earlier, outcome.Position
	}
	d.Was = append(d.Was, outcome)
}

// finish fills in the answer what is known at the end.
func (w *walk) finish() error {
	sections := wiring.Sections()
	settings := make([]map[string]json.RawMessage, 2)
	for i := range settings {
		listed, err := sections.Settings(w.worlds[i].policy)
		if err != nil {
			return err
		}
		settings[i] = map[string]json.RawMessage{}
		for _, setting := range listed {
			settings[i][setting.Key] = setting.Value
		}
	}
	for i, changed := range w.changes {
		changed.Before, changed.After = settings[0][changed.Key], settings[1][changed.Key]
		if changed.After == nil { // several settings at once
			changed.After = valueAt(w.q.Alone[i].Value, changed.Key)
		}
		maps.DeleteFunc(changed.Kinds, func(_ string, n int) bool { return n == 0 })
		w.answer.Changes = append(w.answer.Changes, *changed)
	}
	maps.DeleteFunc(w.answer.Kinds, func(_ string, n int) bool { return n == 0 })
	for _, name := range slices.Sorted(maps.Keys(w.untold)) {
		w.answer.Untold = append(w.answer.Untold, Untold{name, w.untold[name]})
	}
	slices.SortStableFunc(w.answer.Untold, func(a, b Untold) int { return cmp.Compare(b.Count, a.Count) })
	for _, decisions := range w.kept {
		for _, d := range decisions {
			w.answer.Decisions = append(w.answer.Decisions, *d)
		}
	}
	slices.SortFunc(w.answer.Decisions, func(a, b Decision) int {
		return cmp.Or(cmp.Compare(slices.Index(Kinds, a.Kind), slices.Index(Kinds, b.Kind)), cmp.Compare(a.Position, b.Position), cmp.Compare(a.By, b.By), cmp.Compare(a.id, b.id))
	})
	return nil
}

// valueAt returns the value at a dotted key of a patch; nil if there is none.
func valueAt(patch json.RawMessage, key string) json.RawMessage {
	for part := range strings.SplitSeq(key, ".") {
		var members map[string]json.RawMessage
		if json.Unmarshal(patch, &members) != nil {
			return nil
		}
		patch = members[part]
	}
	return patch
}
