package node

import (
	"context"
	"iter"
	"slices"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
	"github.com/ringrift/rift/projections/store"
)

// The bounds of what early desks go by. Beyond them a desk shows more than it
// would have to.
const (
	maxBehind   = 1024 // positions that the view of an early desk may be behind the log
	maxNodes    = 65536
	maxGiven    = 256 // items of one node
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
	all      domain.Position // for everybody: the last event that is not additive
	nodes    map[domain.NodeID]*past
	arrivals map[commands.Arrival]domain.Position
}

// past is what a node was given lately.
type past struct {
	upTo  domain.Position // what is not told below
	given []given         // in order of position
}

type given struct {
	projections.Given
	task    domain.TaskID
	command string
	at      domain.Position
}

func newFreshness() freshness {
	return freshness{nodes: map[domain.NodeID]*past{}, arrivals: map[commands.Arrival]domain.Position{}}
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
		switch event := e.Event.(type) {
		case domain.TaskSpawned:
			f.arrived(commands.Arrival{TaskType: event.TaskType, Priority: event.Priority}, e.Position, o.node.store)
		case domain.TaskCompleted:
			f.done(event.NodeID, event.TaskID)
		default:
			if !additive[e.Type] {
				f.all = max(f.all, e.Position)
			}
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

// must is what the view of a node's desk has to show.
func (f *freshness) must(node domain.NodeID, command string, head domain.Position) domain.Position {
	own, known := f.nodes[node]
	if !known {
		return head // nobody knows what it was given
	}
	must := max(f.all, own.upTo)
	for _, one := range own.given {
		if one.command == command {
			must = max(must, one.at) // its repetition is answered from the rows
		}
	}
	return must
}

// done notes that a node holds an item no more.
func (f *freshness) done(node domain.NodeID, task domain.TaskID) {
	own, known := f.nodes[node]
	if !known {
		return
	}
	for i := range own.given {
		if own.given[i].task == task {
			own.given[i].Done = true
		}
	}
}

// Early lends a desk whose view may be behind by what is additive.
func (o *office) Early(ctx context.Context, node domain.NodeID, command string) (commands.EarlyDesk, func(domain.Position), bool, error) {
	if o.node.config.Manual {
		return nil, nil, false, nil // nobody brings its view up to date meanwhile
	}
	head, err := o.node.log.Head(ctx)
	if err != nil {
		return nil, nil, false, err
	}
	o.mu.Lock()
	must := o.fresh.must(node, command, head)
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
	return earlyDesk{d, node}, d.close, true, nil
}

// claimed notes what a node was given, or that nobody knows.
func (o *office) claimed(node domain.NodeID, command string, result commands.Result, err error) {
	applied := o.node.store.Position()
	o.mu.Lock()
	defer o.mu.Unlock()
	nodes := o.fresh.nodes
	if err != nil {
		delete(nodes, node)
		return
	}
	own := nodes[node]
	if own == nil {
		if len(nodes) >= maxNodes {
			clear(nodes) // they have to wait once more
		}
		own = &past{}
		nodes[node] = own
	}
	own.given = slices.DeleteFunc(own.given, func(one given) bool { return one.at <= applied })
	answer, ok := result.Answer.(commands.TasksClaimed)
	if !ok || len(own.given)+len(answer.Items) > maxGiven {
		own.given, own.upTo = nil, result.Position
		return
	}
	for _, item := range answer.Items {
		own.given = append(own.given, given{projections.Given{TaskType: item.TaskType, ConfigKey: item.ConfigKey}, item.TaskID, command, result.Position})
	}
}

// earlyDesk is a desk with what its view does not show.
type earlyDesk struct {
	*desk
	node domain.NodeID
}

// Given are the items that the node was given since the view.
func (d earlyDesk) Given() []projections.Given {
	applied := d.Position()
	d.office.mu.Lock()
	defer d.office.mu.Unlock()
	own, known := d.office.fresh.nodes[d.node]
	if !known {
		return nil
	}
	var since []projections.Given
	for _, one := range own.given {
		if one.at > applied {
			since = append(since, one.Given)
		}
	}
	return since
}

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
