package script

import (
	"cmp"
	"context"
	"slices"

	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/projections"
	"github.com/ringrift/rift/projections/store"
	workview "github.com/ringrift/rift/projections/work"
)

// consulted is a command that looks at the read models, put off until they stand
// where they stood when it was run.
type consulted struct {
	entry    store.OutboxEntry
	command  domain.Command
	recorded *recordedCommand // nil: it left nothing
	decided  bool             // at some moment
	settled  bool             // it came to what is recorded
	replayed []Outcome        // what it came to then, at the last moment it is likely to have seen
	refused  string
}

// viewing is a position at which a command is decided.
type viewing struct {
	at  domain.Position
	who int
}

// maxViews bounds how many positions before its events, or after its cause, a
// command may have seen the read models at.
const maxViews = 64

// consult decides the commands that look at the read models, on a rebuild of
// them that is taken from moment to moment. Most had seen everything that stands
// before their events; those that come to something else then may have looked
// earlier, while others were appending.
func (c *checker) consult(ctx context.Context, dir string, options ReplayOptions) error {
	if len(c.later) == 0 {
		return nil
	}
	likely := make([]viewing, len(c.later))
	for i, one := range c.later {
		likely[i] = viewing{one.entry.Position, i}
		if one.recorded != nil {
			likely[i].at = one.recorded.first - 1
		}
	}
	if err := c.decideAt(ctx, dir+"-likely", options, likely); err != nil {
		return err
	}
	var possible []viewing
	for who, one := range c.later {
		if one.settled {
			continue
		}
		from, to := one.entry.Position+1, c.upTo
		if one.recorded != nil {
			to = one.recorded.first - 2
			from = max(one.entry.Position, to-min(to, maxViews-1))
		}
		for at := from; at <= to && at < from+maxViews; at++ {
			possible = append(possible, viewing{at, who})
		}
	}
	if err := c.decideAt(ctx, dir+"-possible", options, possible); err != nil {
		return err
	}
	for who := range c.later {
		if one := &c.later[who]; !one.settled {
			if err := c.undecided(ctx, one); err != nil {
				return err
			}
		}
	}
	return nil
}

// decideAt brings fresh read models from moment to moment, and decides there what
// is not settled yet.
func (c *checker) decideAt(ctx context.Context, dir string, options ReplayOptions, moments []viewing) error {
	if len(moments) == 0 {
		return nil
	}
	slices.SortFunc(moments, func(a, b viewing) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.who, b.who)) })
	models, err := store.Open(dir, wiring.Projections(), nil, c.catalog, store.Options{
		Codec: wiring.FastCodec{}, Strict: options.Strict, Snapshots: store.SnapshotPolicy{Every: -1},
	})
	if err != nil {
		return err
	}
	defer func() { _ = models.Close() }() // a throw-away store
	now := standing{models, c.bus}
	c.bus.Models, c.bus.Queue = now, now
	defer func() { c.bus.Models, c.bus.Queue = nil, nil }()
	for _, m := range moments {
		one := &c.later[m.who]
		if one.settled {
			continue
		}
		if m.at > models.Position() {
			if err := models.Run(ctx, c.log, store.Until{Position: m.at}); err != nil {
				return err
			}
		}
		if err := c.decideOne(ctx, one, m.at); err != nil {
			return err
		}
	}
	return nil
}

// decideOne decides a command on the read models as they stand. It is settled if
// that comes to what is recorded.
func (c *checker) decideOne(ctx context.Context, one *consulted, at domain.Position) error {
	var like domain.Envelope
	was := []Outcome{}
	var err error
	if one.recorded == nil {
		like, err = c.eventAt(ctx, at)
	} else {
		was, like, err = c.outcomes(ctx, one.command.(commands.Targeted).Stream(), one.entry.CommandID, one.recorded)
	}
	if err != nil {
		return err
	}
	outcomes, refused, decided := c.decide(ctx, one.entry, one.command, at, like)
	if !decided {
		return nil
	}
	one.decided, one.replayed, one.refused = true, outcomes, refused
	one.settled = sameOutcomes(was, outcomes)
	switch {
	case !one.settled:
	case one.recorded == nil:
		c.out.Nothing++
	default:
		c.out.Same++
	}
	return nil
}

// undecided accounts for a command that came to what is recorded at no moment
// that was looked at.
func (c *checker) undecided(ctx context.Context, one *consulted) error {
	difference := Difference{
		Position: one.entry.Position, Reactor: one.entry.Reactor, Command: one.entry.CommandType, ID: one.entry.CommandID,
		Given: slices.Clone(one.entry.Command), Recorded: []Outcome{}, Replayed: one.replayed, Refused: one.refused,
	}
	if one.recorded == nil {
		if !one.decided || c.upTo-one.entry.Position > maxViews {
			c.out.Unproven++ // it may have come to nothing later
			return nil
		}
		difference.Kind = MissingOutcome
		return c.differ(ctx, difference)
	}
	was, _, err := c.outcomes(ctx, one.command.(commands.Targeted).Stream(), one.entry.CommandID, one.recorded)
	if err != nil {
		return err
	}
	if !one.decided || slices.ContainsFunc(was, func(o Outcome) bool { return o.Type == work.Refused{}.EventType() }) {
		c.out.ByID++ // what commands in flight expected of the queue is nowhere recorded
		return nil
	}
	difference.Kind, difference.Recorded = OtherOutcome, was
	return c.differ(ctx, difference)
}

// standing gives commands the read models as they stand, and the queue that their
// rows come to. Nobody else decides anything.
type standing struct {
	models *store.Store
	bus    *commands.Bus
}

// Snapshot gives them.
func (s standing) Snapshot(context.Context) (projections.View, func(), error) {
	snapshot, err := s.models.Snapshot()
	if err != nil {
		return nil, nil, err
	}
	return snapshot, snapshot.Close, nil
}

// Write decides a command that is only tried.
func (s standing) Write(ctx context.Context, call *commands.Call) (commands.Result, error) {
	view, release, err := s.Snapshot(ctx)
	if err != nil {
		return commands.Result{}, err
	}
	defer release()
	queue, err := workview.LoadQueue(view, nil)
	if err != nil {
		return commands.Result{}, err
	}
	group := commands.NewGroup(ctx, s.bus, &commands.Queue{
		Queue: queue, Models: view, Before: func(string) ([]domain.TaskID, error) { return nil, nil },
	})
	group.Decide(call)
	group.Append()
	return call.Result, call.Err
}
