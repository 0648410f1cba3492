package simulate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringrift/rift/cmd/internal/agenda"
	"github.com/ringrift/rift/cmd/internal/node"
	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/commands"
	policycmd "github.com/ringrift/rift/commands/policy"
	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections/store"
)

// Options configure a simulation.
type Options struct {
	Seed     uint64
	Log      eventlog.Log // an empty log; nil: one in memory
	Models   string       // folder of the read models; empty: in memory
	Progress func(Progress)
	// Patience is how much virtual time may pass after the last arrival until every
	// item has ended; 0: a week. Items that have not ended by then are stuck.
	Patience time.Duration

	after func(*node.Node) // called with the node at the end, for tests
}

// Progress is the progress of a simulation.
type Progress struct {
	Share  float64 // of the span
	Items  int
	Ended  int
	Events int64
}

// cachedRows is how many decoded rows the read models cache. Rows of ended items
// are not read again, and the garbage collector scans everything cached.
const cachedRows = 16 << 10

// patience is the default of Options.Patience.
const patience = 7 * 24 * time.Hour

// world is one run of a scenario.
type world struct {
	scenario Scenario
	options  Options
	node     *node.Node
	log      eventlog.Log
	catalog  *domain.Catalog
	audit    *Audit
	random   *rand.Rand
	now      time.Time

	coming   agenda.Agenda[func(*world) error]
	next     func() (Arrival, error, bool)
	pending  Arrival
	arriving bool // pending is the next arrival; false: there is none
	machines []*machine
	asleep   []*machine // machines that found nothing to claim, longest asleep first
	spare    int        // slots of spareOf, woken at spareAt, that wake has not counted off
	spareAt  time.Time
	spareOf  *machine
	fates    map[domain.TaskID]*fated
	waiters  map[domain.TaskID][]domain.TaskID // items, by the item that they depend on
	orders   int
	refused  map[string]int // Report.Reports
	adds     int            // how often an add was put off
}

// fated is an item that has not ended, with the number of its runs.
type fated struct {
	Fate
	runs int
}

func (w *world) after(d time.Duration, do func(*world) error) { w.at(w.now.Add(d), do) }

func (w *world) at(when time.Time, do func(*world) error) {
	w.coming.Put(when.Sub(w.scenario.Start), do)
}

// Run simulates a scenario to its end and returns the report.
func Run(ctx context.Context, scenario Scenario, options Options) (report Report, err error) {
	if options.Patience == 0 {
		options.Patience = patience
	}
	if scenario.Poll <= 0 || scenario.Tick <= 0 || scenario.Arrivals == nil || len(scenario.Machines) == 0 {
		return Report{}, domain.Errorf(domain.Invalid, "simulation: want machines, arrivals, and times between polls and ticks")
	}
	w := &world{
		scenario: scenario, options: options, log: options.Log, now: scenario.Start,
		random: rand.New(rand.NewPCG(options.Seed, 0x73696d756c617465)),
		fates:  map[domain.TaskID]*fated{}, waiters: map[domain.TaskID][]domain.TaskID{}, refused: map[string]int{},
	}
	if w.log == nil {
		w.log = eventlog.NewMemory()
	}
	if w.catalog, err = wiring.Catalog(); err != nil {
		return Report{}, err
	}
	models := store.Options{Snapshots: store.SnapshotPolicy{Every: -1}, OutboxMax: -1, CacheRows: cachedRows}
	folder := options.Models
	if folder == "" {
		models.FS, folder = vfs.NewMem(), "models"
	}
	w.node, err = node.Open(node.Config{
		Node: "simulator", Log: w.log, StoreDir: folder, Store: models, Manual: true, Paced: true,
		Clock: func() time.Time { return w.now },
	})
	if err != nil {
		return Report{}, err
	}
	defer func() { err = errors.Join(err, w.node.Close()) }()
	if w.audit, err = NewAudit(scenario); err != nil {
		return Report{}, err
	}
	next, stop := iter.Pull2(scenario.Arrivals)
	defer stop()
	w.next = next
	if err := w.play(ctx); err != nil {
		return Report{}, err
	}
	if options.after != nil {
		options.after(w.node)
	}
	return w.report(ctx)
}

// play processes all events in the order of their times.
func (w *world) play(ctx context.Context) error {
	if err := w.begin(ctx); err != nil {
		return err
	}
	end := w.scenario.Span + w.options.Patience
	for steps := 0; ; steps++ {
		if steps%1024 == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			w.progress()
		}
		next, comes := w.coming.Next()
		if w.arriving && (!comes || w.pending.At.Sub(w.scenario.Start) <= next) {
			if err := w.arrive(ctx); err != nil {
				return err
			}
			continue
		}
		if !comes || next > end {
			break
		}
		at, do := w.coming.Take()
		w.now = domain.Instant(w.scenario.Start.Add(at))
		if err := do(w); err != nil {
			return err
		}
		if !w.arriving && len(w.fates) == 0 && w.audit.Live() == 0 {
			break
		}
	}
	return w.settle(ctx)
}

// begin sets the policy, starts the machines and schedules the faults.
func (w *world) begin(ctx context.Context) error {
	policy, err := json.Marshal(w.scenario.Policy)
	if err != nil {
		return domain.Errorf(domain.Internal, "policy: %w", err)
	}
	if _, err := w.do(ctx, "operator", policycmd.SetPolicy{Name: domain.PolicyDefaultName, Change: policy, Reason: "simulation"}); err != nil {
		return err
	}
	for _, one := range w.scenario.Machines {
		m := &machine{Machine: one}
		w.machines = append(w.machines, m)
		if err := m.boot(ctx, w); err != nil {
			return err
		}
	}
	for _, fault := range w.scenario.Faults {
		m := w.machines[fault.Machine]
		w.at(fault.Start, func(w *world) error { return m.startFault(ctx, w, fault) })
		w.at(fault.End, func(w *world) error { return m.endFault(ctx, w, fault) })
	}
	var tick func(*world) error
	tick = func(w *world) error {
		w.after(w.scenario.Tick, tick)
		return w.settle(ctx)
	}
	w.after(w.scenario.Tick, tick)
	return w.nextArrival()
}

// nextArrival reads the next arrival into pending.
func (w *world) nextArrival() (err error) {
	w.pending, err, w.arriving = w.next()
	return err
}

// arrive adds the pending item and all others that arrive at its time.
func (w *world) arrive(ctx context.Context) error {
	w.now = domain.Instant(w.pending.At)
	for moment := w.pending.At; w.arriving && w.pending.At.Equal(moment); {
		arrived := w.pending
		w.fates[arrived.Task.TaskID] = &fated{Fate: arrived.Fate}
		if err := w.add(ctx, arrived); err != nil {
			return err
		}
		if err := w.nextArrival(); err != nil {
			return err
		}
	}
	return nil
}

// addRetry is how long a producer waits when the queue is full.
const addRetry = 30 * time.Second

// add adds an item, and retries while the queue is full.
func (w *world) add(ctx context.Context, a Arrival) error {
	id := a.Task.TaskID
	_, err := w.do(ctx, "producer", a.Task)
	switch {
	case errors.Is(err, domain.ErrTooMany):
		w.adds++
		w.after(addRetry, func(w *world) error { return w.add(ctx, a) })
		return nil
	case err != nil:
		return fmt.Errorf("add %s: %w", id, err)
	case !a.Fate.CancelAt.IsZero():
		w.at(maxTime(a.Fate.CancelAt, w.now), func(w *world) error { return w.cancel(ctx, id) })
	}
	if len(a.Task.DependsOn) == 0 {
		w.wake(ctx, a.Task.Requires)
	}
	for _, dependency := range a.Task.DependsOn {
		if state, ended := w.audit.Ended(dependency); ended && state != work.StateDone {
			return w.cancel(ctx, id)
		}
		w.waiters[dependency] = append(w.waiters[dependency], id)
	}
	return nil
}

func maxTime(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// cancel cancels an item. A refusal because it is done already is counted, no error.
func (w *world) cancel(ctx context.Context, id domain.TaskID) error {
	if w.fates[id] == nil {
		return nil
	}
	_, err := w.do(ctx, "owner", workcmd.CancelTask{TaskID: id, Reason: "not wanted any more"})
	if errors.Is(err, domain.ErrConflict) {
		w.refused["cancel "+string(domain.CodeOf(err))]++
		return nil
	}
	return err
}

// do runs a command with its own id.
func (w *world) do(ctx context.Context, actor string, c domain.Command) (commands.Result, error) {
	w.orders++
	return w.node.Do(ctx, node.Order{ID: fmt.Sprintf("s%d", w.orders), Actor: actor, Command: c})
}

// maxRounds limits how often clocks and reactors may react to each other at one
// time.
const maxRounds = 10_000

// settle runs clocks and reactors until nothing is due, and passes the events to
// the audit.
func (w *world) settle(ctx context.Context) error {
	for range maxRounds {
		if err := w.node.Sync(ctx); err != nil {
			return err
		}
		ticked, err := w.node.TickOnce(ctx)
		if err != nil {
			return err
		}
		if ticked > 0 {
			if err := w.node.Sync(ctx); err != nil {
				return err
			}
		}
		drained, err := w.node.DrainOnce(ctx)
		if err != nil {
			return err
		}
		if ticked+drained == 0 {
			if err := w.node.RecordFailures(ctx); err != nil {
				return err
			}
			return w.observe(ctx)
		}
	}
	return domain.Errorf(domain.Internal, "simulation: clocks and reactors do not come to rest within %d rounds", maxRounds)
}

// observe passes new events to the audit, cancels items whose dependency failed, and
// wakes machines for items that are queued again.
func (w *world) observe(ctx context.Context) error {
	var ended []domain.TaskID
	for e, err := range w.log.ReadAll(ctx, w.audit.Position()+1, eventlog.Forward, eventlog.Filter{}) {
		if err == nil {
			err = w.catalog.Fill(&e)
		}
		if err != nil {
			return err
		}
		seen := w.audit.Observe(e)
		if seen.ended != "" {
			delete(w.fates, seen.ended)
			ended = append(ended, seen.ended)
		}
		if seen.queued != nil {
			w.wake(ctx, seen.queued)
		}
	}
	for _, id := range ended {
		// Cancel what waits for an item that will never be done.
		state, _ := w.audit.Ended(id)
		for _, waiter := range w.waiters[id] {
			if state != work.StateDone {
				if err := w.cancel(ctx, waiter); err != nil {
					return err
				}
			}
		}
		delete(w.waiters, id)
	}
	if w.audit.Queued() > 0 {
		for range min(len(w.asleep), wokenPerTick) {
			w.wake(ctx, nil) // an item may be claimable again without an event
		}
	}
	return nil
}

// wokenPerTick is how many sleeping machines claim again at each tick while an item is
// queued.
const wokenPerTick = 4

func (w *world) progress() {
	if w.options.Progress == nil {
		return
	}
	passed := w.now.Sub(w.scenario.Start)
	w.options.Progress(Progress{
		Share: min(1, float64(passed)/float64(max(w.scenario.Span, 1))),
		Items: w.audit.Items(), Ended: w.audit.Items() - w.audit.Live(), Events: int64(w.audit.Position()),
	})
}
