package script

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"iter"
	"reflect"
	"slices"
	"strings"

	"github.com/ringrift/rift/cmd/internal/node"
	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections/store"
)

// Checked is what a check of a log came to: what its reactors command when it is
// replayed, held against what it shows was commanded.
//
// A command that left events is decided again on its stream as it was before
// them, and on the read models as they were if it consults them, at their time
// and under the policy that they name, and has to come to the same events. One
// that spans streams is not decided again: it has to be there, under its id, and
// no more. A command that left nothing is right when at some moment since it could have come to nothing,
// or was not run yet when the log ends; else it is missing. What the clock and
// callers command is not checked.
type Checked struct {
	Position  domain.Position `json:"position"`  // checked up to here
	Commands  int             `json:"commands"`  // that reactors give on replay
	Same      int             `json:"same"`      // decided again, to the very events that are recorded
	ByID      int             `json:"by_id"`     // recorded; not decided again
	Nothing   int             `json:"nothing"`   // not recorded, and could have come to nothing
	Pending   int             `json:"pending"`   // not recorded; the log ends before they were run
	Unproven  int             `json:"unproven"`  // not recorded; whether they came to nothing cannot be told
	Differing int             `json:"differing"` // all differences; the first are listed
	// Differences are in the order of the events that were answered.
	Differences []Difference `json:"differences"`
}

// Difference is a command that a replay has otherwise than the log.
type Difference struct {
	Kind     string          `json:"kind"`     // "other", "missing" or "unexpected"
	Position domain.Position `json:"position"` // of the event that was answered
	Event    string          `json:"event_type,omitempty"`
	Reactor  string          `json:"reactor"`
	Command  string          `json:"command,omitempty"` // its type
	ID       string          `json:"command_id"`
	Given    json.RawMessage `json:"given,omitempty"` // the command on replay
	Recorded []Outcome       `json:"recorded"`        // what the log shows
	Replayed []Outcome       `json:"replayed"`        // what the replay comes to
	Refused  string          `json:"refused,omitempty"`
}

// The kinds of differences.
const (
	OtherOutcome      = "other"      // it comes to other events
	MissingOutcome    = "missing"    // it comes to events, and none are recorded
	UnexpectedCommand = "unexpected" // it is recorded, and no reactor gives it
)

// Outcome is an event that a command came to.
type Outcome struct {
	Position domain.Position `json:"position,omitempty"` // of a recorded one
	Stream   domain.StreamID `json:"stream"`
	Type     string          `json:"type"`
	Data     json.RawMessage `json:"data"`
}

const (
	maxDifferences = 100 // that are listed
	maxMoments     = 256 // of a stream, at which a command could have come to nothing
	checkPage      = 4096
)

// recordedCommand is a command of a reactor that the log shows.
type recordedCommand struct {
	first, count domain.Position
	cause        domain.EventID
	seen         bool // the replay gives it too
}

// checker holds a log against what its reactors command.
type checker struct {
	log      eventlog.Log
	catalog  *domain.Catalog
	upTo     domain.Position
	recorded map[string]*recordedCommand
	policies []policyVersion
	settled  domain.Position // commands of events up to here were run
	reached  int             // so many commands were run, in the order of the outbox
	at       int             // how many were looked at
	past     *until          // the log that bus decides on
	bus      *commands.Bus
	later    []consulted // commands that need read models
	out      Checked
}

// policyVersion is a version of the policy, and from where on it is in force.
type policyVersion struct {
	name     string
	position domain.Position
	document domain.Policy
}

// Check replays a log into read models in a folder and holds what reactors
// command against what the log shows.
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
	c.past = &until{Log: log}
	if c.bus, err = commands.NewBus(c.past, c.catalog, nil, wiring.Specs()...); err != nil {
		return c.out, err
	}
	// Without Settles nothing is taken from the outbox: it holds every command.
	models, err := store.Open(dir, wiring.Projections(), wiring.Reactors(), c.catalog, store.Options{
		Codec: wiring.FastCodec{}, Strict: options.Strict, OutboxMax: -1, Snapshots: store.SnapshotPolicy{Every: -1},
	})
	if err != nil {
		return c.out, err
	}
	defer func() { _ = models.Close() }() // a throw-away store
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

// read brings the read models to the position, and notes what the log shows of
// reactors' commands and of policies.
func (c *checker) read(ctx context.Context, models *store.Store, progress func(done, total domain.Position)) error {
	if c.upTo == 0 {
		return nil
	}
	c.policies = []policyVersion{{name: "policy-" + domain.PolicyDefaultName + "@0", document: domain.DefaultPolicy()}}
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
		case e.Type == domain.OutboxSettled{}.EventType():
			if err := c.catalog.Fill(&e); err != nil {
				return err
			}
			if settled, ok := e.Event.(domain.OutboxSettled); ok {
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

// reactorActor is how events name the reactor whose command they came of.
const reactorActor = "reactor:"

func (c *checker) policy(e domain.Envelope) {
	if c.catalog.Fill(&e) != nil {
		return // an event that cannot be read decided nothing
	}
	if changed, ok := e.Event.(domain.PolicyChanged); ok && changed.Name == domain.PolicyDefaultName {
		name := "policy-" + changed.Name + "@" + (e.Revision + 1).String()
		c.policies = append(c.policies, policyVersion{name, e.Position, changed.Policy})
	}
}

// policyNamed is the version that an event names, else the one in force there.
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

// eachCommand checks what reactors give on replay, in the order of their events.
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
	// The outbox is run in order: whatever stands before a command that was run
	// was run as well.
	count := 0
	if err := page(func(entry store.OutboxEntry) error {
		if count++; c.recorded[entry.CommandID] != nil {
			c.reached = count
		}
		return nil
	}); err != nil {
		return err
	}
	return page(func(entry store.OutboxEntry) error { return c.command(ctx, entry) })
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
	if c.at > c.reached && entry.Position > c.settled {
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

// recordedOne decides a command again on the stream as it was before its events.
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
	if len(was) == 0 { // it went to another stream than the replay's would
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
	if sameOutcomes(was, now) {
		c.out.Same++
		return nil
	}
	difference.Replayed, difference.Refused = now, refused
	return c.differ(ctx, difference)
}

// decide runs a command against the log as it was at a position. Not decided:
// it needs read models.
func (c *checker) decide(ctx context.Context, entry store.OutboxEntry, command domain.Command, at domain.Position, like domain.Envelope) (outcomes []Outcome, refused string, decided bool) {
	policy := c.policyNamed(like.Meta.Policy, at)
	c.past.at = at
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

// kept is an entry that may be kept: its command is not shared with the page.
func kept(entry store.OutboxEntry) store.OutboxEntry {
	entry.Command = slices.Clone(entry.Command)
	return entry
}

// silent looks for a moment at which a command that left nothing could have come
// to nothing: right after its event, or after a later one of its stream.
func (c *checker) silent(ctx context.Context, entry store.OutboxEntry, command domain.Command) error {
	target, ok := command.(commands.Targeted)
	if !ok {
		c.out.Unproven++
		return nil
	}
	cause, err := c.eventAt(ctx, entry.Position)
	if err != nil {
		return err
	}
	outcomes, _, decided := c.decide(ctx, entry, command, entry.Position, cause)
	if !decided {
		c.later = append(c.later, consulted{entry: kept(entry), command: command})
		return nil
	}
	if len(outcomes) == 0 {
		c.out.Nothing++
		return nil
	}
	moments := 0
	for e, err := range c.log.Read(ctx, target.Stream(), 0, eventlog.Forward) {
		if err != nil {
			return err
		}
		if e.Position > c.upTo {
			break
		}
		if e.Position <= entry.Position {
			continue
		}
		if moments++; moments > maxMoments {
			c.out.Unproven++
			return nil
		}
		if later, _, _ := c.decide(ctx, entry, command, e.Position, e); len(later) == 0 {
			c.out.Nothing++
			return nil
		}
	}
	return c.differ(ctx, Difference{
		Kind: MissingOutcome, Position: entry.Position, Event: cause.Type, Reactor: entry.Reactor, Command: entry.CommandType, ID: entry.CommandID,
		Given: slices.Clone(entry.Command), Recorded: []Outcome{}, Replayed: outcomes,
	})
}

// unexpected lists the commands that the log shows and no reactor gives.
func (c *checker) unexpected(ctx context.Context) error {
	var ids []string
	for id, recorded := range c.recorded {
		if !recorded.seen {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b string) int { return cmp.Compare(c.recorded[a].first, c.recorded[b].first) })
	for _, id := range ids {
		recorded := c.recorded[id]
		first, err := c.eventAt(ctx, recorded.first)
		if err != nil {
			return err
		}
		difference := Difference{Kind: UnexpectedCommand, Reactor: strings.TrimPrefix(first.Meta.Actor, reactorActor), ID: id, Position: recorded.first, Replayed: []Outcome{}}
		if len(c.out.Differences) < maxDifferences {
			if position, found, err := c.positionOf(ctx, recorded.cause, recorded.first); err != nil {
				return err
			} else if found {
				difference.Position = position
			}
			if difference.Recorded, _, err = c.outcomes(ctx, first.Stream, id, recorded); err != nil {
				return err
			}
		}
		if err := c.differ(ctx, difference); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) differ(ctx context.Context, difference Difference) error {
	c.out.Differing++
	if difference.Event == "" {
		cause, err := c.eventAt(ctx, difference.Position)
		if err != nil {
			return err
		}
		difference.Event = cause.Type
	}
	if len(c.out.Differences) < 2*maxDifferences {
		c.out.Differences = append(c.out.Differences, difference)
	}
	return nil
}

// outcomes are the recorded events of a command, on one stream or any.
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

// maxBatch bounds how far apart the events of one command are looked for; those
// of one stream stand together.
const maxBatch = 4096

func (c *checker) eventAt(ctx context.Context, position domain.Position) (domain.Envelope, error) {
	for e, err := range c.log.ReadAll(ctx, position, eventlog.Forward, eventlog.Filter{}) {
		return e, err
	}
	return domain.Envelope{}, domain.Errorf(domain.Corrupt, "check: no event stands at position %d", position)
}

// positionOf looks an event up that stands before another, near it first.
func (c *checker) positionOf(ctx context.Context, id domain.EventID, before domain.Position) (domain.Position, bool, error) {
	if id.IsZero() {
		return 0, false, nil
	}
	for e, err := range c.log.ReadAll(ctx, before, eventlog.Backward, eventlog.Filter{}) {
		if err != nil || e.ID == id {
			return e.Position, err == nil, err
		}
	}
	return 0, false, nil
}

// sameOutcomes tells whether a replay came to what is recorded.
func sameOutcomes(recorded, replayed []Outcome) bool {
	return slices.EqualFunc(recorded, replayed, func(a, b Outcome) bool {
		return a.Stream == b.Stream && a.Type == b.Type && (bytes.Equal(a.Data, b.Data) || sameDocument(a.Data, b.Data))
	})
}

func sameDocument(a, b []byte) bool {
	read := func(text []byte) (value any, err error) {
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.UseNumber()
		err = decoder.Decode(&value)
		return value, err
	}
	x, errA := read(a)
	y, errB := read(b)
	return errA == nil && errB == nil && reflect.DeepEqual(x, y)
}

// until is a log as it was at a position, for decisions that are only tried.
type until struct {
	eventlog.Log
	at domain.Position
}

// Read leaves out what was appended later.
func (u *until) Read(ctx context.Context, stream domain.StreamID, from domain.Revision, direction eventlog.Direction) iter.Seq2[domain.Envelope, error] {
	return func(yield func(domain.Envelope, error) bool) {
		for e, err := range u.Log.Read(ctx, stream, from, direction) {
			if err == nil && e.Position > u.at {
				if direction == eventlog.Forward {
					return
				}
				continue
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// Find leaves it out as well.
func (u *until) Find(ctx context.Context, stream domain.StreamID, id domain.EventID) (domain.Envelope, bool, error) {
	e, found, err := u.Log.Find(ctx, stream, id)
	if err != nil || !found || e.Position > u.at {
		return domain.Envelope{}, false, err
	}
	return e, true, nil
}
