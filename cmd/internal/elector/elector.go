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

// Config configures an elector.
type Config struct {
	Voter     *Voter
	Peers     map[domain.NodeID]Peer   // the other voters
	Addresses map[domain.NodeID]string // of all voters
	// Record appends the LEADER_CHANGED of a term, and returns once the node has applied
	// the log up to it. An error with code conflict says that the log has a newer
	// LEADER_CHANGED.
	Record func(ctx context.Context, term uint64) error
	// Position returns the position up to which the node has applied the log.
	Position func() domain.Position
	Logger   *slog.Logger   // nil: none
	Draw     func() float64 // returns a number in [0, 1); nil: a random one
	Runtime  Runtime
}

// Elector is the candidate of a node: it runs for leader, and knows whether the node
// leads. It is safe for use by many goroutines. Nothing happens unless Run runs.
type Elector struct {
	Config
	self domain.NodeID

	mu      sync.Mutex
	member  election.Member
	told    eventlog.Leader
	changed chan struct{}
	poked   chan struct{}
	calls   sync.WaitGroup
	silent  map[domain.NodeID]string // voters that did not answer the last question, with the reasons
	record  uint64                   // the term whose LEADER_CHANGED is being appended
	appends int                      // appends in progress
}

var _ eventlog.Leadership = (*Elector)(nil)

// New returns an elector for a configured voter.
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

// Run asks voters for votes, renews leases and steps down until ctx ends, and waits for
// the calls in progress. It does not resign.
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

// Step does what is due, and returns the time after which it is to be called again.
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

// follow acts on the state of the member: it asks the voters, has a won election recorded
// and announces a change of leader. e.mu is held.
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

// pending is the reason of a voter that was asked and whose answer may still come.
const pending = "no answer yet"

// put asks every voter. It asks this node's own voter first and waits for it, so that the
// node's own promise is on disk before it asks the others.
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

// question sends a question to one voter and returns the answer. A voter that knows a
// newer term or another leader is an answer, not an error.
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

// written appends the LEADER_CHANGED of a term, with retries for as long as the node holds
// a majority's lease.
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

// holds reports whether a majority's lease binds it to the node in a term, and for how
// long. e.mu is held.
func (e *Elector) holds(term uint64) (time.Duration, bool) {
	now := e.since()
	_, of := e.member.Phase()
	return e.member.Until() - now, of == term && e.member.Holds(now)
}

// admit begins an append if the node leads a term, and returns how long the append may
// take. The caller calls ended when it is done.
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

// appending reports whether appends are in progress.
func (e *Elector) appending() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.appends > 0
}

// poke makes Run call Step soon. It does not block.
func (e *Elector) poke() { e.Runtime.Wake() }

// beaten is called after this node's voter has accepted a heartbeat. released says that
// the leader gave up its lease with it.
func (e *Elector) beaten(released bool) {
	if released {
		e.mu.Lock()
		e.member = e.member.Free(e.since(), e.Draw())
		e.mu.Unlock()
	}
	e.poke()
}

// missing lists the voters that did not answer the last question, with the reasons. e.mu
// is held.
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
