package node

import (
	"context"
	"iter"
	"slices"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections/store"
)

// The bounds of what early desks go by. Beyond them a desk shows more than it
// would have to.
const (
	maxBehind   = 1024 // positions that the view of an early desk may be behind the log
	maxNames    = 65536
	maxArrivals = 256
)

// additive are the events that only add work or use it up. What a claim makes of
// a view without them is as good: what was taken is held, and what was added is
// told as an arrival.
var additive = map[string]bool{
	domain.TaskSpawned{}.EventType(): true, domain.TaskClaimed{}.EventType(): true, domain.TaskStarted{}.EventType(): true,
	domain.TaskHeartbeat{}.EventType(): true, domain.TaskCompleted{}.EventType(): true, domain.SelfplayComplete{}.EventType(): true,
}

// freshness is what the view of an early desk must have applied. Its office's
// lock guards it.
type freshness struct {
	all      domain.Position            // for everybody: the last event that is not additive
	pasts    map[string]domain.Position // of those who had an early desk: up to what they did last
	arrivals map[commands.Arrival]domain.Position
}

func newFreshness() freshness {
	return freshness{pasts: map[string]domain.Position{}, arrivals: map[commands.Arrival]domain.Position{}}
}

// note takes over what a command left on the log, before anybody is told of it.
func (o *office) note(events []domain.Envelope) {
	if len(events) == 0 {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	f := &o.fresh
	for i := range events {
		e := &events[i]
		if spawned, ok := e.Event.(domain.TaskSpawned); ok {
			f.arrived(commands.Arrival{TaskType: spawned.TaskType, Priority: spawned.Priority}, e.Position, o.node.store)
		} else if !additive[e.Type] {
			f.all = max(f.all, e.Position)
		}
	}
}

func (f *freshness) arrived(kind commands.Arrival, at domain.Position, models *store.Store) {
	if _, known := f.arrivals[kind]; !known && len(f.arrivals) >= maxArrivals {
		applied := models.Position()
		for kind, at := range f.arrivals {
			if at <= applied {
				delete(f.arrivals, kind)
			}
		}
		if len(f.arrivals) >= maxArrivals {
			f.all = max(f.all, at)
			return
		}
	}
	f.arrivals[kind] = max(f.arrivals[kind], at)
}

// Early lends a desk whose view may be behind by what is additive.
func (o *office) Early(ctx context.Context, name string) (commands.EarlyDesk, func(domain.Position), bool, error) {
	if o.node.config.Manual {
		return nil, nil, false, nil // nobody brings its view up to date meanwhile
	}
	head, err := o.node.log.Head(ctx)
	if err != nil {
		return nil, nil, false, err
	}
	o.mu.Lock()
	must, known := o.fresh.pasts[name]
	if !known {
		must = head // nobody knows what it did last
	}
	must = max(must, o.fresh.all)
	o.mu.Unlock()
	if head > maxBehind {
		must = max(must, head-maxBehind)
	}
	if err := o.node.upTo(ctx, must); err != nil {
		return nil, nil, false, err
	}
	d, err := o.lendDesk()
	if err != nil {
		return nil, nil, false, err
	}
	return earlyDesk{d}, d.close, true, nil
}

// did notes how far what a name did reaches; 0 when nobody knows.
func (o *office) did(name string, upTo domain.Position) {
	o.mu.Lock()
	defer o.mu.Unlock()
	pasts := o.fresh.pasts
	if upTo == 0 {
		delete(pasts, name)
		return
	}
	if _, known := pasts[name]; !known && len(pasts) >= maxNames {
		clear(pasts) // they are asked to wait once more
	}
	pasts[name] = upTo
}

// earlyDesk is a desk with what its view does not show.
type earlyDesk struct{ *desk }

// Taken tells names that are held.
func (d earlyDesk) Taken(name string) bool {
	applied := d.Position()
	d.office.mu.Lock()
	defer d.office.mu.Unlock()
	until, held := d.office.holds[name]
	return held && until > applied
}

// Arrived yields what was added since the view.
func (d earlyDesk) Arrived() iter.Seq[commands.Arrival] {
	applied := d.Position()
	d.office.mu.Lock()
	defer d.office.mu.Unlock()
	var since []commands.Arrival
	for kind, at := range d.office.fresh.arrivals {
		if at > applied {
			since = append(since, kind)
		}
	}
	return slices.Values(since)
}
