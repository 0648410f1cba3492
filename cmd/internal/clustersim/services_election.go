package clustersim

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ringrift/rift/cmd/internal/elector"
	"github.com/ringrift/rift/commands"
	electioncmd "github.com/ringrift/rift/commands/election"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/election"
	"github.com/ringrift/rift/eventlog"
	electionedge "github.com/ringrift/rift/transport/election"
)

// The times of the election in a simulation.
const (
	electionLease = 2 * time.Second
	electsWithin  = 60 * electionLease // after Heal
	sharedEvery   = time.Second        // between two appends of a node, on average
	ballotFolder  = "voter"
	electionGroup = "shared"
)

// elections is the election of nodes that share a log. Each voter keeps its ballot on a
// disk of its own, which survives the replacement of its machine.
type elections struct {
	*services
	voters   []domain.NodeID
	log      *eventlog.Memory
	newest   election.LeaderChanged            // in the shared log
	promised map[domain.NodeID]election.Ballot // the last that check saw
	resigned map[uint64]bool                   // terms whose leader resigned
	elected  int
	stored   int
	reported bool // two leaders were reported
}

// candidate is a node's part in an election.
type candidate struct {
	voter   *elector.Voter
	elector *elector.Elector
	fenced  *elector.Fenced
	read    domain.Position // position up to which it has read the shared log
	term    uint64          // of the newest LEADER_CHANGED that it has read
	at      domain.Position // of that event
	planned int             // number of the newest plan; older plans do nothing
}

func newElections(s *services) *elections {
	v := &elections{services: s, log: eventlog.NewMemory(), promised: map[domain.NodeID]election.Ballot{}, resigned: map[uint64]bool{}}
	v.voters = slices.Sorted(slices.Values(s.cluster.config.Voters))
	return v
}

func (v *elections) boot(p *parts) error {
	h := p.host
	if !slices.Contains(v.voters, h.Name()) {
		return nil
	}
	if err := h.ballots.MkdirAll(ballotFolder, 0o700); err != nil {
		return err
	}
	if root, err := h.ballots.OpenDir(""); err != nil {
		return err
	} else if err := root.Sync(); err != nil {
		return err
	}
	config := elector.VoterConfig{
		Node: h.Name(), Electorate: election.Electorate{Voters: v.voters, Lease: electionLease}, FS: h.ballots, Dir: ballotFolder,
		Since: p.since, Now: v.cluster.Now, Known: func() (domain.Position, uint64) { return p.at, p.term },
	}
	if m := v.cluster.config.mutation; m != nil && m.votes != nil {
		m.votes(p, &config)
	}
	var err error
	if p.voter, err = elector.OpenVoter(config); err != nil {
		return err
	}
	p.fenced = elector.Fence(shared{v.log, p}, electionGroup)
	bus, err := commands.NewBus(p.fenced, v.cluster.catalog, nil, electioncmd.Specs())
	if err != nil {
		return err
	}
	candidacy := elector.Config{
		Voter: p.voter, Peers: map[domain.NodeID]elector.Peer{}, Addresses: map[domain.NodeID]string{}, Position: func() domain.Position { return p.read },
		Draw: func() float64 { return v.random.Float64() * v.random.Float64() },
		Record: func(ctx context.Context, term uint64) error {
			_, err := bus.Do(ctx, domain.Facts{Command: fmt.Sprintf("lead/%s/%d", h.Name(), term), Now: v.cluster.Now()}, electioncmd.TakeLead{Cluster: electionGroup, Leader: h.Name(), Term: term})
			v.catchUp(p)
			return err
		},
		Runtime: v.runtime(p),
	}
	for _, other := range v.cluster.hosts {
		if slices.Contains(v.voters, other.Name()) {
			candidacy.Addresses[other.Name()] = other.member.Address
			if other != h {
				candidacy.Peers[other.Name()] = voterOf{h, other}
			}
		}
	}
	if m := v.cluster.config.mutation; m != nil && m.elects != nil {
		m.elects(p, &candidacy)
	}
	if p.elector, err = elector.New(candidacy); err != nil {
		return err
	}
	p.fenced.Attach(p.elector)
	ballot := p.voter.Ballot()
	if before, had := v.promised[h.Name()]; had && (ballot.Term != before.Term || ballot.VotedFor != before.VotedFor) && ballot.Term <= before.Term {
		v.cluster.violate("the ballot of %s is back at term %d for %q, after %d for %q", h.Name(), ballot.Term, ballot.VotedFor, before.Term, before.VotedFor)
	}
	v.promised[h.Name()] = ballot
	v.plan(p, 0)
	v.begin(p, func() { v.appends(p) })
	return nil
}

// runtime makes an elector wait in the services' time.
func (v *elections) runtime(p *parts) elector.Runtime {
	return elector.Runtime{
		Go: func(what func()) { v.begin(p, what) },
		All: func(all ...func()) {
			left := len(all)
			for _, one := range all {
				v.begin(p, func() { one(); left-- })
			}
			v.wait(func() bool { return left == 0 })
		},
		Within: func(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
			within, end := context.WithCancel(ctx)
			v.after(p.lasts(d), end)
			return within, end
		},
		Sleep: func(ctx context.Context, d time.Duration) {
			until := v.now + p.lasts(d)
			v.after(p.lasts(d), func() {})
			v.wait(func() bool { return v.now >= until || ctx.Err() != nil })
		},
		Wake: func() { v.plan(p, 0) },
	}
}

// plan runs the elector's next step after d by its process's clock.
func (v *elections) plan(p *parts, d time.Duration) {
	p.planned++
	plan := p.planned
	v.after(p.lasts(d), func() {
		p.run(func() {
			if plan == p.planned {
				if next := p.elector.Step(p.ctx); plan == p.planned {
					v.plan(p, next)
				}
			}
		})
	})
}

// catchUp makes a node read the shared log to its end.
func (v *elections) catchUp(p *parts) {
	for e, err := range v.log.ReadAll(context.Background(), p.read+1, eventlog.Forward, eventlog.Filter{}) {
		if err != nil {
			return
		}
		p.read = e.Position
		if e.Type == (election.LeaderChanged{}).EventType() && v.cluster.catalog.Fill(&e) == nil {
			p.at, p.term = e.Position, e.Event.(election.LeaderChanged).Term
		}
	}
}

// appends appends an event to the shared log about every sharedEvery, which succeeds while
// the node leads.
func (v *elections) appends(p *parts) {
	for i := 0; !p.dead() && !v.ending; i++ {
		v.sleep(sharedEvery/2 + v.upTo(sharedEvery))
		v.catchUp(p)
		if _, err := p.fenced.Append(p.ctx, domain.Stream("decided", string(p.host.Name())), domain.AnyRevision, eventlog.Proposed{
			ID: domain.DeriveID(fmt.Sprintf("decided/%s/%v/%d", p.host.Name(), p.offset, i), 0), Type: "DECIDED", Version: 1, Time: v.cluster.Now(), Data: []byte(`{}`),
		}); err == nil {
			v.stored++
		}
	}
}

// voterOf sends requests from a candidate to a voter.
type voterOf struct{ from, to *Host }

func (w voterOf) Vote(ctx context.Context, q electionedge.Vote) (election.VoteAnswer, error) {
	return ask(ctx, w.from.cluster.services, question[election.VoteAnswer]{
		kind: "election.vote", from: w.from.place, to: w.to, within: electionLease, twice: true,
		do: func(ctx context.Context, p *parts) (election.VoteAnswer, error) {
			return p.voter.Vote(ctx, election.Candidacy{Candidate: q.Candidate, Term: q.Term, LastPosition: q.LastPosition}, q.PreVote)
		},
	})
}

func (w voterOf) Heartbeat(ctx context.Context, q electionedge.Heartbeat) (election.BeatAnswer, error) {
	return ask(ctx, w.from.cluster.services, question[election.BeatAnswer]{
		kind: "election.heartbeat", from: w.from.place, to: w.to, within: electionLease, twice: true,
		do: func(ctx context.Context, p *parts) (election.BeatAnswer, error) {
			return p.voter.Heartbeat(ctx, election.Heartbeat{Leader: q.Leader, Term: q.Term, Lease: q.LeaseSeconds.Duration()})
		},
	})
}

// shared is the shared log as one node sees it. An append takes up to 0.1 s, one time in
// twenty up to 6 s, and stores nothing if its context ends before.
type shared struct {
	*eventlog.Memory
	part *parts
}

func (s shared) Close() error { return nil }

func (s shared) SetStreamMeta(context.Context, domain.StreamID, eventlog.StreamMeta) error {
	return nil
}

func (s shared) StreamMeta(context.Context, domain.StreamID) (eventlog.StreamMeta, error) {
	return eventlog.StreamMeta{}, nil
}

func (s shared) Append(ctx context.Context, stream domain.StreamID, expected domain.Revision, events ...eventlog.Proposed) (eventlog.Receipt, error) {
	v := s.part.host.cluster.services.votes
	takes := v.upTo(electionLease / 20)
	if v.random.IntN(20) == 0 {
		takes = v.upTo(3 * electionLease)
	}
	until := v.now + takes
	v.after(takes, func() {})
	v.wait(func() bool { return v.now >= until || ctx.Err() != nil })
	if ctx.Err() != nil {
		return eventlog.Receipt{}, domain.Errorf(domain.Timeout, "append: %w", ctx.Err())
	}
	receipt, err := s.Memory.Append(ctx, stream, expected, events...)
	if err == nil {
		v.checkAppend(s.part, stream, events)
	}
	return receipt, err
}

// checkAppend checks an append that the shared log stored: a new leader has a newer term,
// and any other event was decided in the newest term.
func (v *elections) checkAppend(p *parts, stream domain.StreamID, events []eventlog.Proposed) {
	for _, e := range events {
		if stream != election.Stream(electionGroup) {
			// An append of a node's earlier term may be stored in its next term.
			if e.Meta.Term != v.newest.Term && v.newest.Leader != p.host.Name() {
				v.cluster.violate("the shared log took what %s decided in term %d, in the term %d of %s", p.host.Name(), e.Meta.Term, v.newest.Term, v.newest.Leader)
			}
			continue
		}
		changed, err := v.cluster.catalog.Decode(e.Type, e.Version, e.Data)
		if err != nil {
			v.cluster.violate("the shared log took %s: %v", e.Type, err)
			continue
		}
		if now := changed.(election.LeaderChanged); now.Term <= v.newest.Term {
			v.cluster.violate("the shared log has %s as the leader of term %d after %s of %d", now.Leader, now.Term, v.newest.Leader, v.newest.Term)
		} else {
			v.newest = now
			v.elected++
		}
	}
}

// check checks that at most one node holds the lease, and the voters' promises.
func (v *elections) check() {
	var holders []string
	for _, h := range v.cluster.hosts {
		p := h.parts
		if p == nil || p.elector == nil {
			continue
		}
		if now := p.elector.Leader(); now.Self {
			holders = append(holders, fmt.Sprintf("%s in term %d", h.Name(), now.Term))
		}
		v.checkBallot(p)
	}
	if len(holders) > 1 && !v.reported {
		v.reported = true
		v.cluster.violate("two hold the lease of the election: %s", strings.Join(holders, ", "))
	}
}

// checkBallot checks that a voter's term only grows, that it votes once per term, and that
// it votes for nobody else until its promise ends by its own clock.
func (v *elections) checkBallot(p *parts) {
	name, now, before := p.host.Name(), p.voter.Ballot(), v.promised[p.host.Name()]
	if now == before {
		return
	}
	v.promised[name] = now
	switch {
	case now.Term < before.Term:
		v.cluster.violate("the ballot of %s went back from term %d to %d", name, before.Term, now.Term)
	case now.Term == before.Term && now.VotedFor != before.VotedFor:
		v.cluster.violate("%s voted for %s and for %s in term %d", name, before.VotedFor, now.VotedFor, now.Term)
	case now.VotedFor != before.VotedFor && p.since() < before.Until:
		v.cluster.violate("%s voted for %s in term %d while it was bound to %s for another %v", name, now.VotedFor, now.Term, before.VotedFor, before.Until-p.since())
	case now.VotedFor == before.VotedFor && now.Term == before.Term && now.Until < before.Until && !v.resigned[now.Term]:
		v.cluster.violate("%s took back its promise to %s in term %d", name, now.VotedFor, now.Term)
	}
}

// settle waits until a leader is elected.
func (v *elections) settle() {
	c := v.cluster
	for until := c.now + electsWithin; c.now < until; {
		if v.leader() != nil {
			return
		}
		v.keepRunning()
		c.Run(electionLease)
	}
	c.violate("nobody was elected for the shared log within %v", electsWithin)
}

// resign makes the leader resign.
func (v *elections) resign() {
	for _, h := range v.cluster.hosts {
		if p := h.parts; p != nil && p.elector != nil && h.awake() {
			if now := p.elector.Leader(); now.Self {
				v.resigned[now.Term] = true
				v.begin(p, func() { p.elector.Resign(p.ctx) })
			}
		}
	}
}

// leader returns the leader; nil: none.
func (v *elections) leader() *Host {
	for _, h := range v.cluster.hosts {
		if p := h.parts; p != nil && p.elector != nil && p.elector.Leader().Self {
			return h
		}
	}
	return nil
}
