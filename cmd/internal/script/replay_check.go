package script

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/ringrift/rift/cmd/internal/node"
	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/admin"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections/store"
)

// recordedCommand is a command of a reactor in the log.
type recordedCommand struct {
	first, count domain.Position
	cause        domain.EventID
	seen         bool // the replay has it too
}

// checker compares the commands of reactors on replay with those in the log.
type checker struct {
	log      eventlog.Log
	catalog  *domain.Catalog
	upTo     domain.Position
	recorded map[string]*recordedCommand
	policies []policyVersion
	settled  domain.Position // the log says that the commands of events up to here were run
	reached  int             // number of commands, in the order of the outbox, that were run by what the log shows
	beside   map[string]bool // those among them that may not have been run
	at       int             // number of commands that were looked at
	past     *AsOf           // the log on which bus decides
	bus      *commands.Bus
	later    []consulted // commands whose decision reads the read models
	out      Checked
}

// policyVersion is a version of the policy and the position from which on it is in force.
type policyVersion struct {
	name     string
	position domain.Position
	document domain.Policy
}

// Check replays a log into read models in a folder, and compares the commands of its
// reactors with those that the log shows.
func Check(ctx context.Context, log eventlog.Log, dir string, options ReplayOptions) (Checked, error) {
	c := &checker{log: log, recorded: map[string]*recordedCommand{}, out: Checked{Differences: []Difference{}}}
	head, err := log.Head(ctx)
	if err != nil {
		return c.out, err
	}
	if c.upTo, err = replayTarget(ctx, log, head, options); err != nil {
		return c.out, err
	}
	c.out.Position = c.upTo
	if c.catalog, err = wiring.Catalog(); err != nil {
		return c.out, err
	}
	c.past = &AsOf{Log: log}
	if c.bus, err = commands.NewBus(c.past, c.catalog, nil, wiring.Specs()...); err != nil {
		return c.out, err
	}
	// Without Settles, no command leaves the outbox, so it has all of them.
	models, err := store.Open(dir, wiring.Projections(), wiring.Reactors(), c.catalog, store.Options{
		Codec: wiring.FastCodec{}, Strict: options.Strict, OutboxMax: -1, Snapshots: store.SnapshotPolicy{Every: -1},
	})
	if err != nil {
		return c.out, err
	}
	defer func() { _ = models.Close() }() // the store is temporary
	if err := c.read(ctx, models, options.Progress); err != nil {
		return c.out, err
	}
	if err := c.eachCommand(ctx, models); err != nil {
		return c.out, err
	}
	if err := c.consult(ctx, dir, options); err != nil {
		return c.out, err
	}
	if err := c.unexpected(ctx); err != nil {
		return c.out, err
	}
	slices.SortStableFunc(c.out.Differences, func(a, b Difference) int {
		return cmp.Or(cmp.Compare(a.Position, b.Position), cmp.Compare(a.Reactor, b.Reactor), cmp.Compare(a.ID, b.ID))
	})
	c.out.Differences = c.out.Differences[:min(len(c.out.Differences), maxDifferences)]
	return c.out, nil
}

// read replays the log up to the position, and notes the recorded commands of reactors and
// the versions of the policy.
func (c *checker) read(ctx context.Context, models *store.Store, progress func(done, total domain.Position)) error {
	if c.upTo == 0 {
		return nil
	}
	c.policies = []policyVersion{{name: "policy-" + domain.PolicyDefaultName + "@0", document: wiring.Sections().Default()}}
	for e, err := range c.log.ReadAll(ctx, 1, eventlog.Forward, eventlog.Filter{}) {
		if err != nil {
			return err
		}
		if e.Position > c.upTo {
			break
		}
		if progress != nil && e.Position%4096 == 0 {
			progress(e.Position/2, c.upTo)
		}
		switch {
		case e.Type == domain.PolicyChanged{}.EventType():
			c.policy(e)
		case e.Type == admin.OutboxSettled{}.EventType():
			if err := c.catalog.Fill(&e); err != nil {
				return err
			}
			if settled, ok := e.Event.(admin.OutboxSettled); ok {
				c.settled = max(c.settled, settled.UpTo)
			}
		}
		if !strings.HasPrefix(e.Meta.Actor, reactorActor) || e.Meta.Command == "" {
			continue
		}
		known := c.recorded[e.Meta.Command]
		if known == nil {
			known = &recordedCommand{first: e.Position}
			if id, err := domain.ParseEventID(e.Meta.Causation); err == nil {
				known.cause = id
			}
			c.recorded[e.Meta.Command] = known
		}
		known.count++
	}
	return models.Run(ctx, c.log, store.Until{Position: c.upTo})
}

// reactorActor is the prefix of the actor in events that the command of a reactor led to.
const reactorActor = "reactor:"

func (c *checker) policy(e domain.Envelope) {
	if c.catalog.Fill(&e) != nil {
		return // an event that cannot be decoded has no part in a decision
	}
	if changed, ok := e.Event.(domain.PolicyChanged); ok && changed.Name == domain.PolicyDefaultName {
		name := "policy-" + changed.Name + "@" + (e.Revision + 1).String()
		if whole, err := wiring.Sections().Read(changed.Policy); err == nil {
			c.policies = append(c.policies, policyVersion{name, e.Position, whole})
		}
	}
}

// policyNamed returns the version of the policy that an event names, or else the version
// in force at its position.
func (c *checker) policyNamed(name string, at domain.Position) policyVersion {
	found := c.policies[0]
	for _, version := range c.policies {
		if version.name == name {
			return version
		}
		if version.position <= at {
			found = version
		}
	}
	return found
}

// eachCommand checks the commands of reactors on replay, in the order of their events.
func (c *checker) eachCommand(ctx context.Context, models *store.Store) error {
	page := func(visit func(store.OutboxEntry) error) error {
		var cursor store.Cursor
		for {
			entries, err := models.Outbox(ctx, cursor, checkPage)
			if err != nil {
				return err
			}
			for _, entry := range entries {
				cursor = entry.Cursor()
				if err := visit(entry); err != nil {
					return err
				}
			}
			if len(entries) < checkPage {
				return nil
			}
		}
	}
	// The outbox is run in order, so the commands before one that was run were run too,
	// except for those that run concurrently with it.
	count := 0
	var near, last []store.OutboxEntry
	if err := page(func(entry store.OutboxEntry) error {
		if near = append(near, kept(entry)); len(near) == 2*atOnce {
			near = slices.Clone(near[atOnce:])
		}
		if count++; c.recorded[entry.CommandID] != nil {
			c.reached, last = count, near
		}
		return nil
	}); err != nil {
		return err
	}
	if err := c.findBeside(last); err != nil {
		return err
	}
	return page(func(entry store.OutboxEntry) error { return c.command(ctx, entry) })
}

// atOnce is the number of commands that a node takes from its outbox at once.
const atOnce = 256

// findBeside finds commands that a stopped node may not have run although it had run later
// ones. Successive commands in the outbox that are decided on one stream each run
// concurrently, those of the same stream in order. last ends with the last command that
// was run.
func (c *checker) findBeside(last []store.OutboxEntry) error {
	c.beside = map[string]bool{}
	ran := map[domain.StreamID]bool{}
	for i := len(last) - 1; i >= max(0, len(last)-atOnce); i-- {
		command, err := c.decode(last[i])
		if err != nil {
			return err
		}
		spec, _ := c.bus.Spec(last[i].CommandType)
		if spec.Queued(command) || spec.Records(command) {
			return nil
		}
		stream, alone := spec.DecidedBy(command)
		if !alone {
			return nil
		}
		if c.recorded[last[i].CommandID] != nil {
			ran[stream] = true
		}
		c.beside[last[i].CommandID] = !ran[stream]
	}
	return nil
}

func (c *checker) command(ctx context.Context, entry store.OutboxEntry) error {
	c.out.Commands++
	c.at++
	command, err := c.decode(entry)
	if err != nil {
		return err
	}
	recorded := c.recorded[entry.CommandID]
	if recorded != nil {
		recorded.seen = true
		return c.recordedOne(ctx, entry, command, recorded)
	}
	if (c.at > c.reached || c.beside[entry.CommandID]) && entry.Position > c.settled {
		c.out.Pending++
		return nil
	}
	return c.silent(ctx, entry, command)
}

func (c *checker) decode(entry store.OutboxEntry) (domain.Command, error) {
	spec, known := c.bus.Spec(entry.CommandType)
	if !known {
		return nil, domain.Errorf(domain.Corrupt, "command of %s at %d: type %q is not known", entry.Reactor, entry.Position, entry.CommandType)
	}
	pointer := spec.New()
	if err := (wiring.FastCodec{}).Unmarshal(entry.Command, pointer); err != nil {
		return nil, domain.Errorf(domain.Corrupt, "command of %s at %d: %w", entry.Reactor, entry.Position, err)
	}
	return spec.Value(pointer), nil
}

// recordedOne decides a command again on its stream as it was before its events.
func (c *checker) recordedOne(ctx context.Context, entry store.OutboxEntry, command domain.Command, recorded *recordedCommand) error {
	target, ok := command.(commands.Targeted)
	if !ok {
		c.out.ByID++
		return nil
	}
	was, first, err := c.outcomes(ctx, target.Stream(), entry.CommandID, recorded)
	if err != nil {
		return err
	}
	difference := Difference{
		Kind: OtherOutcome, Position: entry.Position, Reactor: entry.Reactor, Command: entry.CommandType, ID: entry.CommandID,
		Given: slices.Clone(entry.Command), Recorded: was, Replayed: []Outcome{},
	}
	if len(was) == 0 { // its events are on another stream than those of the replay
		difference.Recorded, _, err = c.outcomes(ctx, "", entry.CommandID, recorded)
		if err != nil {
			return err
		}
		return c.differ(ctx, difference)
	}
	now, refused, decided := c.decide(ctx, entry, command, recorded.first-1, first)
	if !decided {
		c.later = append(c.later, consulted{entry: kept(entry), command: command, recorded: recorded})
		return nil
	}
	if SameOutcomes(was, now) {
		c.out.Same++
		return nil
	}
	difference.Replayed, difference.Refused = now, refused
	return c.differ(ctx, difference)
}

// decide decides a command on the log as it was at a position. It returns false if the
// decision needs read models.
func (c *checker) decide(ctx context.Context, entry store.OutboxEntry, command domain.Command, at domain.Position, like domain.Envelope) (outcomes []Outcome, refused string, decided bool) {
	policy := c.policyNamed(like.Meta.Policy, at)
	c.past.At = at
	result, err := c.bus.Try(ctx, domain.Facts{
		Now: like.Time, Command: entry.CommandID, Node: like.Meta.Node, Actor: reactorActor + entry.Reactor, Causation: entry.EventID.String(),
		Correlation: entry.Correlation, Term: like.Meta.Term, Seed: node.SeedOf(entry.CommandID), Policy: policy.document, PolicyName: policy.name,
	}, command)
	if domain.CodeOf(err) == domain.Unavailable && err != nil {
		return nil, "", false
	}
	if err != nil {
		refused = err.Error()
	}
	outcomes = []Outcome{}
	for _, e := range result.Events {
		outcomes = append(outcomes, Outcome{Stream: e.Stream, Type: e.Type, Data: e.Data})
	}
	return outcomes, refused, true
}

// kept returns a copy of an entry that does not share its command with the page.
func kept(entry store.OutboxEntry) store.OutboxEntry {
	entry.Command = slices.Clone(entry.Command)
	return entry
}

// outcomes returns the recorded events of a command, on one stream or on any.
func (c *checker) outcomes(ctx context.Context, stream domain.StreamID, id string, recorded *recordedCommand) ([]Outcome, domain.Envelope, error) {
	var first domain.Envelope
	found := []Outcome{}
	left := recorded.count
	for e, err := range c.log.ReadAll(ctx, recorded.first, eventlog.Forward, eventlog.Filter{}) {
		if err != nil {
			return nil, first, err
		}
		if e.Position > c.upTo || left == 0 || e.Position > recorded.first+maxBatch {
			break
		}
		if e.Meta.Command != id {
			continue
		}
		left--
		if stream != "" && e.Stream != stream {
			continue
		}
		if len(found) == 0 {
			first = e
		}
		found = append(found, Outcome{e.Position, e.Stream, e.Type, slices.Clone(e.Data)})
	}
	return found, first, nil
}
