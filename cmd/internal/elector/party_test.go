package elector_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
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

// slowLog is a shared log whose calls take time and end with the context of the caller.
type slowLog struct {
	*eventlog.Memory
	stalled *atomic.Bool // appends of items hang until the context of the caller ends
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

// party are nodes that share a log and may be cut off from each other.
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

// wire is the connection from one member to another.
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

// kill ends a member without a resignation.
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

// settle waits until a node leads.
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

// check reads the log: each term has one leader, terms grow, and no event of an older term
// is after a newer leader.
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
