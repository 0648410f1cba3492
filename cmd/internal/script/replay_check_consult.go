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

// consulted is a command whose decision reads the read models. It is decided once they are
// at the positions at which it may have been run.
type consulted struct {
	entry    store.OutboxEntry
	command  domain.Command
	recorded *recordedCommand // nil: the log has no events of it
	decided  bool             // at one position at least
	settled  bool             // a decision gave what is recorded
	replayed []Outcome        // result of the decision at the latest likely position
	refused  string
}

// viewing is a position at which a command is decided again.
type viewing struct {
	at  domain.Position
	who int
}

// maxViews bounds the positions, before the events of a command or after its cause, at
// which it is decided again.
const maxViews = 64

// consult decides the commands that read the read models, on read models that are rebuilt
// step by step. Most commands had read everything before their events. Those with another
// result there may have been decided on earlier read models, while other commands
// appended.
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

// decideAt builds new read models and stops at each position to decide the commands that
// are not settled yet.
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
	defer func() { _ = models.Close() }() // the store is temporary
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

// decideOne decides a command on the read models as they are now. It is settled if the
// result is what is recorded.
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
	one.settled = SameOutcomes(was, outcomes)
	switch {
	case !one.settled:
	case one.recorded == nil:
		c.out.Nothing++
	default:
		c.out.Same++
	}
	return nil
}

// undecided reports a command whose decision gave what is recorded at none of the
// positions.
func (c *checker) undecided(ctx context.Context, one *consulted) error {
	difference := Difference{
		Position: one.entry.Position, Reactor: one.entry.Reactor, Command: one.entry.CommandType, ID: one.entry.CommandID,
		Given: slices.Clone(one.entry.Command), Recorded: []Outcome{}, Replayed: one.replayed, Refused: one.refused,
	}
	if one.recorded == nil {
		if !one.decided || c.upTo-one.entry.Position > maxViews {
			c.out.Unproven++ // at a later position its decision may give no events
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
		c.out.ByID++ // what concurrent commands expected of the queue is not recorded
		return nil
	}
	difference.Kind, difference.Recorded = OtherOutcome, was
	return c.differ(ctx, difference)
}

// standing lends commands the read models as they are now, and the queue built from their
// rows.
type standing struct {
	models *store.Store
	bus    *commands.Bus
}

// Snapshot returns the read models.
func (s standing) Snapshot(context.Context) (projections.View, func(), error) {
	snapshot, err := s.models.Snapshot()
	if err != nil {
		return nil, nil, err
	}
	return snapshot, snapshot.Close, nil
}

// Write decides a command and appends nothing.
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
