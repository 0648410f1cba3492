package elector

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/election"
	"github.com/ringrift/rift/eventlog"
	electionedge "github.com/ringrift/rift/transport/election"
)

// Peer is another voter.
type Peer interface {
	Vote(ctx context.Context, q electionedge.Vote) (election.VoteAnswer, error)
	Heartbeat(ctx context.Context, q electionedge.Heartbeat) (election.BeatAnswer, error)
}

// Config is what an elector is made with.
type Config struct {
	Voter     *Voter
	Peers     map[domain.NodeID]Peer   // the other voters
	Addresses map[domain.NodeID]string // of all of them
	// Record appends the LEADER_CHANGED of a term, and returns once the node has
	// applied the log up to it. A conflict says that the log has a newer one.
	Record func(ctx context.Context, term uint64) error
	// Position is up to where the node has applied the log.
	Position func() domain.Position
	Logger   *slog.Logger   // nil: none
	Draw     func() float64 // in [0, 1); nil: at random
	Runtime  Runtime
}

// Elector leads the node's way to the lead, and knows whether it has it. It is safe
// for use by many goroutines. Run moves it.
type Elector struct {
	Config
	self domain.NodeID

	mu      sync.Mutex
	member  election.Member
	told    eventlog.Leader
	changed chan struct{}
	poked   chan struct{}
	calls   sync.WaitGroup
	silent  map[domain.NodeID]string // voters that did not answer the last question, and why
	record  uint64                   // the term that is being recorded
	appends int                      // that are under way
}

var _ eventlog.Leadership = (*Elector)(nil)

// New makes an elector of a configured voter.
func New(config Config) (*Elector, error) {
	voter := config.Voter.config
	if !voter.Electorate.Has(voter.Node) {
		return nil, domain.Errorf(domain.Invalid, "voters: want this node, %s, among them, found %v", voter.Node, voter.Electorate.Voters)
	}
	for _, id := range voter.Electorate.Voters {
		if id != voter.Node && config.Peers[id] == nil {
			return nil, domain.Errorf(domain.Invalid, "voters: want the address of %s", id)
		}
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	if config.Draw == nil {
		config.Draw = rand.Float64
	}
	e := &Elector{Config: config, self: voter.Node, changed: make(chan struct{}), poked: make(chan struct{}, 1), silent: map[domain.NodeID]string{}}
	e.Runtime.fill(e)
	e.member = election.NewMember(e.self, voter.Electorate, voter.Since(), config.Draw())
	config.Voter.told = e.beaten
	return e, nil
}

func (e *Elector) since() time.Duration            { return e.Voter.config.Since() }
func (e *Elector) electorate() election.Electorate { return e.Voter.config.Electorate }

// Run asks voters, renews and steps down until ctx ends, and then gives the
// leadership up.
func (e *Elector) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			e.calls.Wait()
			return nil
		case <-timer.C:
		case <-e.poked:
		}
		timer.Reset(e.Step(ctx))
	}
}

// Step does what is due and says after how long to look again. Run calls it.
func (e *Elector) Step(ctx context.Context) time.Duration {
	_, logged := e.Voter.config.Known()
	own := e.Voter.Ballot()
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.since()
	before, term := e.member.Phase()
	var ask election.Ask
	var asks bool
	e.member, ask, asks = e.member.Tick(now, e.Draw(), own, logged)
	if after, _ := e.member.Phase(); after == election.Following && (before == election.Leading || before == election.Won) {
		e.Logger.Warn("the lease ended: this node does not lead any more", "term", term, "silent_voters", e.missing())
	}
	e.follow(ctx, ask, asks)
	next := e.member.Next()
	for _, moment := range []time.Duration{e.member.Until(), own.Until} {
		if moment > now {
			next = min(next, moment)
		}
	}
	return max(next-now, time.Millisecond)
}

// follow does what the member came to. e.mu is held.
func (e *Elector) follow(ctx context.Context, ask election.Ask, asks bool) {
	for asks {
		ask, asks = e.put(ctx, ask)
	}
	if phase, term := e.member.Phase(); phase == election.Won && e.record != term {
		e.record = term
		e.Runtime.Go(func() { e.written(ctx, term) })
	}
	e.tell()
}

// pending stands for the answer of a voter that was asked just now.
const pending = "no answer yet"

// put asks every voter. This node's own answer comes first, and at once: what it
// promises itself is on disk before anybody else is asked.
func (e *Elector) put(ctx context.Context, ask election.Ask) (election.Ask, bool) {
	if ctx.Err() != nil {
		return election.Ask{}, false
	}
	own, err := e.question(ctx, local{e.Voter}, e.self, ask)
	if err != nil {
		e.Logger.Error("this node's own ballot cannot be kept", "error", err)
		e.silent[e.self] = err.Error()
		return election.Ask{}, false
	}
	for _, id := range e.electorate().Voters {
		peer := e.Peers[id]
		if id == e.self {
			continue
		}
		if e.silent[id] == "" {
			e.silent[id] = pending
		}
		e.Runtime.Go(func() {
			within, cancel := e.Runtime.Within(ctx, e.electorate().Lease/3)
			defer cancel()
			answer, err := e.question(within, peer, id, ask)
			e.mu.Lock()
			defer e.mu.Unlock()
			if err != nil {
				e.silent[id] = err.Error()
				return
			}
			delete(e.silent, id)
			e.take(ctx, answer)
		})
	}
	var next election.Ask
	var asks bool
	e.member, next, asks = e.member.Take(own, e.since())
	return next, asks
}

// take counts an answer. e.mu is held.
func (e *Elector) take(ctx context.Context, answer election.Answer) {
	before, _ := e.member.Phase()
	until := e.member.Until()
	member, ask, asks := e.member.Take(answer, e.since())
	e.member = member
	if after, _ := e.member.Phase(); asks || after != before || e.member.Until() != until {
		e.follow(ctx, ask, asks)
		e.poke()
	}
}

// question puts a question to one voter.
func (e *Elector) question(ctx context.Context, peer Peer, id domain.NodeID, ask election.Ask) (election.Answer, error) {
	answer := election.Answer{Round: ask.Round, Voter: id}
	var err error
	switch ask.Phase {
	case election.Looking, election.Asking:
		var said election.VoteAnswer
		said, err = peer.Vote(ctx, electionedge.Vote{Candidate: e.self, Term: ask.Term, LastPosition: e.Position(), PreVote: ask.Phase == election.Looking})
		answer.Granted, answer.Term, answer.Lease = said.Granted, said.Term, said.LeaseSeconds.Duration()
	default:
		var said election.BeatAnswer
		said, err = peer.Heartbeat(ctx, electionedge.Heartbeat{Leader: e.self, Term: ask.Term, LeaseSeconds: domain.Seconds(ask.Lease.Seconds())})
		answer.Granted, answer.Term, answer.Lease = err == nil, said.Term, said.LeaseSeconds.Duration()
	}
	var newer interface{ Leads() (string, uint64) }
	if errors.As(err, &newer) && domain.CodeOf(err) == domain.Conflict {
		_, answer.Term = newer.Leads()
		answer.Granted = false
		return answer, nil
	}
	return answer, err
}

// written has the log take the change of leader while a majority is bound to the node.
func (e *Elector) written(ctx context.Context, term uint64) {
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		e.mu.Lock()
		left, holds := e.holds(term)
		e.mu.Unlock()
		if !holds {
			return
		}
		within, cancel := e.Runtime.Within(ctx, left)
		err := e.Record(within, term)
		cancel()
		e.mu.Lock()
		switch {
		case err == nil:
			e.member = e.member.Recorded(term)
			e.Logger.Info("this node leads", "term", term)
			e.tell()
		case domain.CodeOf(err) == domain.Conflict:
			e.Logger.Warn("the log has a newer leader", "term", term, "error", err)
			e.member = e.member.StandDown(e.since() + e.electorate().Lease/4)
			e.tell()
			e.poke()
		}
		e.mu.Unlock()
		if err == nil || domain.CodeOf(err) == domain.Conflict {
			return
		}
		e.Logger.Warn("the change of leader is not on the log yet", "term", term, "error", err)
		if e.Runtime.Sleep(ctx, pause); ctx.Err() != nil {
			return
		}
	}
}

// holds tells for how long a majority is bound to the node in a term. e.mu is held.
func (e *Elector) holds(term uint64) (time.Duration, bool) {
	now := e.since()
	_, of := e.member.Phase()
	return e.member.Until() - now, of == term && e.member.Holds(now)
}

// admit lets an append begin while the node leads a term, and tells for how long it may
// take. The append ends with ended.
func (e *Elector) admit(term uint64) (time.Duration, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	left, holds := e.holds(term)
	if phase, _ := e.member.Phase(); phase != election.Leading || !holds {
		return 0, false
	}
	e.appends++
	return left, true
}

func (e *Elector) ended() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.appends--
}

// appending reports whether appends are under way.
func (e *Elector) appending() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.appends > 0
}

// poke has Run look again. It never waits.
func (e *Elector) poke() { e.Runtime.Wake() }

// beaten is told of a heartbeat that this node's voter took.
func (e *Elector) beaten(released bool) {
	if released {
		e.mu.Lock()
		e.member = e.member.Free(e.since(), e.Draw())
		e.mu.Unlock()
	}
	e.poke()
}

// missing lists the voters that did not answer the last question. e.mu is held.
func (e *Elector) missing() string {
	var names []string
	for _, id := range e.electorate().Voters {
		if why, silent := e.silent[id]; silent {
			names = append(names, string(id)+" ("+why+")")
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}
