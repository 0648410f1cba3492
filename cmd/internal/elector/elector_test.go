package elector_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringrift/rift/cmd/internal/elector"
	"github.com/ringrift/rift/commands"
	electioncmd "github.com/ringrift/rift/commands/election"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/election"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/eventlog"
	electionedge "github.com/ringrift/rift/transport/election"
)

const lease = time.Second

// slowLog is a shared log that takes a while, and honours the end of its caller's time.
type slowLog struct {
	*eventlog.Memory
	stalled *atomic.Bool // appends of items take for ever, but no longer than their caller's time
}

func (s slowLog) Close() error { return nil }
func (s slowLog) SetStreamMeta(context.Context, domain.StreamID, eventlog.StreamMeta) error {
	return nil
}

func (s slowLog) StreamMeta(context.Context, domain.StreamID) (eventlog.StreamMeta, error) {
	return eventlog.StreamMeta{}, nil
}

func (s slowLog) wait(ctx context.Context) error {
	d := time.Duration(rand.Int64N(int64(lease / 10)))
	if s.stalled.Load() {
		d = 5 * lease
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s slowLog) Append(ctx context.Context, stream domain.StreamID, expected domain.Revision, events ...eventlog.Proposed) (eventlog.Receipt, error) {
	if err := s.wait(ctx); err != nil {
		return eventlog.Receipt{}, domain.Errorf(domain.Timeout, "append: %w", err)
	}
	return s.Memory.Append(ctx, stream, expected, events...)
}

// party is nodes that share a log and may not hear each other.
type party struct {
	t       *testing.T
	log     slowLog
	catalog *domain.Catalog
	mu      sync.Mutex
	cut     map[[2]domain.NodeID]bool
	members map[domain.NodeID]*member
}

type member struct {
	party  *party
	id     domain.NodeID
	disk   vfs.FS
	fenced *elector.Fenced
	voter  *elector.Voter
	*elector.Elector
	stop   context.CancelFunc
	ended  chan struct{}
	served atomic.Pointer[elector.Voter] // nil while the process is not running
}

// wire is the way from one member to another.
type wire struct {
	from, to *member
}

func (w wire) voter(ctx context.Context) (*elector.Voter, error) {
	p := w.from.party
	p.mu.Lock()
	cut := p.cut[[2]domain.NodeID{w.from.id, w.to.id}]
	p.mu.Unlock()
	voter := w.to.served.Load()
	if cut || voter == nil {
		<-ctx.Done()
		return nil, domain.Errorf(domain.Timeout, "no answer from %s: %w", w.to.id, ctx.Err())
	}
	return voter, nil
}

func (w wire) Vote(ctx context.Context, q electionedge.Vote) (election.VoteAnswer, error) {
	voter, err := w.voter(ctx)
	if err != nil {
		return election.VoteAnswer{}, err
	}
	return voter.Vote(ctx, election.Candidacy{Candidate: q.Candidate, Term: q.Term, LastPosition: q.LastPosition}, q.PreVote)
}

func (w wire) Heartbeat(ctx context.Context, q electionedge.Heartbeat) (election.BeatAnswer, error) {
	voter, err := w.voter(ctx)
	if err != nil {
		return election.BeatAnswer{}, err
	}
	return voter.Heartbeat(ctx, election.Heartbeat{Leader: q.Leader, Term: q.Term, Lease: q.LeaseSeconds.Duration()})
}

func newParty(t *testing.T, n int) *party {
	t.Helper()
	catalog, err := domain.NewCatalog(domain.StandardCodec{}, election.Events(), nodes.Events())
	if err != nil {
		t.Fatal(err)
	}
	p := &party{t: t, log: slowLog{eventlog.NewMemory(), new(atomic.Bool)}, catalog: catalog, cut: map[[2]domain.NodeID]bool{}, members: map[domain.NodeID]*member{}}
	for i := range n {
		id := domain.NodeID(fmt.Sprintf("n%d", i+1))
		p.members[id] = &member{party: p, id: id, disk: vfs.NewMem()}
	}
	for _, m := range p.members {
		m.start()
	}
	return p
}

func (p *party) ids() []domain.NodeID {
	var ids []domain.NodeID
	for id := range p.members {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

func (m *member) start() {
	p := m.party
	began := time.Now()
	var err error
	m.voter, err = elector.OpenVoter(elector.VoterConfig{
		Node: m.id, Electorate: election.Electorate{Voters: p.ids(), Lease: lease}, FS: m.disk, Since: func() time.Duration { return time.Since(began) },
	})
	if err != nil {
		p.t.Fatal(err)
	}
	m.fenced = elector.Fence(p.log, "main")
	bus, err := commands.NewBus(m.fenced, p.catalog, nil, electioncmd.Specs())
	if err != nil {
		p.t.Fatal(err)
	}
	config := elector.Config{
		Voter: m.voter, Peers: map[domain.NodeID]elector.Peer{}, Addresses: map[domain.NodeID]string{}, Position: func() domain.Position { return 0 },
		Record: func(ctx context.Context, term uint64) error {
			_, err := bus.Do(ctx, domain.Facts{Command: fmt.Sprintf("lead/%s/%d", m.id, term), Now: time.Now()}, electioncmd.TakeLead{Cluster: "main", Leader: m.id, Term: term})
			return err
		},
	}
	for id, other := range p.members {
		config.Addresses[id] = "http://" + string(id)
		if id != m.id {
			config.Peers[id] = wire{m, other}
		}
	}
	if m.Elector, err = elector.New(config); err != nil {
		p.t.Fatal(err)
	}
	m.fenced.Attach(m.Elector)
	m.served.Store(m.voter)
	ctx, cancel := context.WithCancel(context.Background())
	m.stop, m.ended = cancel, make(chan struct{})
	run, ended := m.Elector, m.ended
	go func() {
		defer close(ended)
		if err := run.Run(ctx); err != nil {
			p.t.Error(err)
		}
	}()
}

// kill ends a member without a word.
func (m *member) kill() {
	m.served.Store(nil)
	m.stop()
	<-m.ended
}

func (p *party) leader() *member {
	for _, id := range p.ids() {
		if m := p.members[id]; m.served.Load() != nil && m.Leader().Self {
			return m
		}
	}
	return nil
}

// settle waits until somebody leads.
func (p *party) settle() *member {
	p.t.Helper()
	for range 200 {
		if m := p.leader(); m != nil {
			return m
		}
		<-time.After(lease / 10)
	}
	p.t.Fatal("want a leader within 20 leases, found none")
	return nil
}

func (p *party) split(sides ...[]domain.NodeID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.cut)
	for i, side := range sides {
		for j, other := range sides {
			for _, a := range side {
				for _, b := range other {
					p.cut[[2]domain.NodeID{a, b}] = i != j
				}
			}
		}
	}
}

func (m *member) append(key string) error {
	_, err := m.fenced.Append(context.Background(), "node-x", domain.AnyRevision, eventlog.Proposed{
		ID: domain.DeriveID(key, 0), Type: "NODE_REGISTERED", Version: 1, Time: time.Now(), Data: []byte(`{"node_id":"x"}`),
	})
	return err
}

// check reads the log: a leader per term, terms that grow, and nothing of an older
// term behind a newer leader.
func (p *party) check() (leaders int) {
	p.t.Helper()
	var newest election.LeaderChanged
	for e, err := range p.log.ReadAll(context.Background(), 1, eventlog.Forward, eventlog.Filter{}) {
		if err == nil {
			err = p.catalog.Fill(&e)
		}
		if err != nil {
			p.t.Fatal(err)
		}
		changed, ok := e.Event.(election.LeaderChanged)
		switch {
		case ok && changed.Term <= newest.Term:
			p.t.Errorf("position %d: term %d of %s after %d of %s", e.Position, changed.Term, changed.Leader, newest.Term, newest.Leader)
		case ok:
			newest = changed
			leaders++
		case e.Meta.Term != newest.Term:
			p.t.Errorf("position %d: an append of term %d behind the leader of %d", e.Position, e.Meta.Term, newest.Term)
		}
	}
	return leaders
}

func (p *party) end() {
	for _, m := range p.members {
		if m.served.Load() != nil {
			m.kill()
		}
	}
	synctest.Wait()
}

// Through kills, partitions and restarts only the leader of the newest term appends,
// and whoever is cut off stops by itself.
func TestOnlyTheLeaderAppends(t *testing.T) {
	for seed := range uint64(6) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 7))
			p := newParty(t, 3+2*int(seed%2))
			defer p.end()
			over := make(chan struct{})
			var writers sync.WaitGroup
			var stored atomic.Int64
			for _, id := range p.ids() {
				writers.Go(func() {
					for n := 0; ; n++ {
						select {
						case <-over:
							return
						case <-time.After(lease / 20):
						}
						m := p.members[id]
						if m.served.Load() != nil && m.append(fmt.Sprintf("%s/%d", id, n)) == nil {
							stored.Add(1)
						}
					}
				})
			}
			for range 12 {
				<-time.After(time.Duration(random.Int64N(int64(3 * lease))))
				ids := p.ids()
				random.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
				if m := p.leader(); m != nil { // it is cut off first
					at := slices.Index(ids, m.id)
					ids[0], ids[at] = ids[at], ids[0]
				}
				switch random.IntN(3) {
				case 0:
					p.split(ids[:1], ids[1:])
				case 1:
					p.split(ids[:len(ids)/2], ids[len(ids)/2:])
				default:
					p.split(ids)
				}
			}
			p.split(p.ids())
			p.settle()
			close(over)
			writers.Wait()
			if leaders := p.check(); leaders < 2 || stored.Load() < 10 {
				t.Errorf("seed %d: want some leaders and appends, found %d and %d", seed, leaders, stored.Load())
			}
		})
	}
}

// A leader that is killed is followed by another; one that resigns at once.
func TestSomebodyFollows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newParty(t, 3)
		defer p.end()
		first := p.settle()
		term := first.Leader().Term
		if err := first.ConfirmLeader(t.Context()); err != nil {
			t.Fatal(err)
		}
		changes := first.Changes()
		first.kill()
		killed := time.Now()
		second := p.settle()
		if second == first || second.Leader().Term <= term {
			t.Fatalf("want another leader in a newer term than %d, found %+v", term, second.Leader())
		}
		if took := time.Since(killed); took > 3*lease {
			t.Errorf("want another leader within three leases, took %v", took)
		}
		first.start() // its ballot is as it was
		<-time.After(5 * lease)
		if p.leader() != second {
			t.Errorf("want the leader as it was once %s is back", first.id)
		}
		_ = changes
		resigned := time.Now()
		second.Resign(t.Context())
		if second.Leader().Self {
			t.Error("want no leadership after resigning")
		}
		p.settle()
		if took := time.Since(resigned); took > lease/2 {
			t.Errorf("want a handover within half a lease, took %v", took)
		}
		p.check()
	})
}

// Voters are not free while an append of the leader that resigns is under way.
func TestWhoResignsWaitsForAppends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newParty(t, 3)
		defer p.end()
		leader := p.settle()
		<-time.After(lease) // everybody has heard of it
		p.log.stalled.Store(true)
		appended, resigned := make(chan error, 1), make(chan struct{})
		go func() { appended <- leader.append("slow") }()
		synctest.Wait()
		go func() { leader.Resign(t.Context()); close(resigned) }()
		<-time.After(lease / 10)
		for id, m := range p.members {
			if bound, _, _ := m.Voter.Bound(); bound != leader.id {
				t.Errorf("want %s bound to %s, found %q", id, leader.id, bound)
			}
		}
		if err := <-appended; err == nil {
			t.Error("want the append to end with the lease")
		}
		<-resigned
		p.log.stalled.Store(false)
		p.settle()
		p.check()
	})
}

// Without a majority nobody leads, commands name the voters that are missed, and the
// leader that was cut off says no to confirm itself.
func TestWithoutAMajorityNobodyLeads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newParty(t, 3)
		defer p.end()
		leader := p.settle()
		changes := leader.Changes()
		var others []domain.NodeID
		for _, id := range p.ids() {
			if id != leader.id {
				others = append(others, id)
			}
		}
		p.split([]domain.NodeID{others[0]}, []domain.NodeID{others[1]}, []domain.NodeID{leader.id})
		if err := leader.ConfirmLeader(t.Context()); err == nil {
			t.Error("want no confirmation without a majority")
		}
		<-changes
		if leader.Leader().Self {
			t.Fatal("want the leader to notice that it is alone")
		}
		<-time.After(10 * lease)
		if m := p.leader(); m != nil {
			t.Fatalf("want no leader without a majority, found %s", m.id)
		}
		err := leader.append("late")
		if domain.CodeOf(err) != domain.Unavailable {
			t.Errorf("want unavailable, found %v", err)
		}
		for _, id := range others {
			if err == nil || !strings.Contains(err.Error(), string(id)) {
				t.Errorf("want the missing voter %s named, found %v", id, err)
			}
		}
		p.split(p.ids())
		p.settle()
		p.check()
	})
}

// An append that hangs is over before another node can lead.
func TestAnAppendEndsWithTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newParty(t, 3)
		defer p.end()
		leader := p.settle()
		p.log.stalled.Store(true)
		hung := make(chan error, 1)
		go func() { hung <- leader.append("hung") }()
		synctest.Wait()
		var others []domain.NodeID
		for _, id := range p.ids() {
			if id != leader.id {
				others = append(others, id)
			}
		}
		p.split([]domain.NodeID{leader.id}, others)
		err := <-hung
		p.log.stalled.Store(false)
		if domain.CodeOf(err) != domain.Unavailable || !strings.Contains(err.Error(), "may be stored") {
			t.Errorf("want it said that the append may be stored, found %v", err)
		}
		if next := p.settle(); next == leader {
			t.Errorf("want another leader than %s, which is cut off", leader.id)
		}
		p.check()
	})
}

// A second process that the log says leads now stops the first one, lease or not:
// two nodes were given different lists of voters.
func TestTheLogHasTheLastWord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newParty(t, 1)
		defer p.end()
		leader := p.settle()
		if err := leader.append("before"); err != nil {
			t.Fatal(err)
		}
		_, _, data, err := p.catalog.Encode(election.LeaderChanged{Leader: "stranger", Term: leader.Leader().Term + 1})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.log.Memory.Append(t.Context(), election.Stream("main"), domain.AnyRevision, eventlog.Proposed{
			ID: domain.DeriveID("stranger", 0), Type: "LEADER_CHANGED", Version: 1, Time: time.Now(), Data: data,
		}); err != nil {
			t.Fatal(err)
		}
		err = leader.append("after")
		if err == nil || leader.Leader().Self {
			t.Errorf("want the append refused and the leader stopped, found %v, %+v", err, leader.Leader())
		}
		p.check()
		for _, w := range leader.fenced.AppendMany(t.Context(), []eventlog.Write{{Stream: "node-x", Expected: domain.AnyRevision, Events: []eventlog.Proposed{{ID: domain.DeriveID("many", 0), Type: "X", Version: 1}}}}) {
			if w.Err == nil {
				t.Error("want every write refused")
			}
		}
	})
}
