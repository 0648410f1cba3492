package raftlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/cryptotest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/pebblelog"
)

// world is a cluster in virtual time: nothing happens but by a step that the seed
// chooses. It checks what must hold after each.
type world struct {
	t       *testing.T
	random  *rand.Rand
	members []Member
	nodes   []*simNode
	flying  []*raftpb.Message
	leaders map[uint64]domain.NodeID // by term
	truth   []domain.Envelope        // what some node showed, by position
	asked   []*ask
	copies  int // snapshots whose records were copied
	crashes int
}

type simNode struct {
	world  *world
	member Member
	disk   *vfs.MemFS
	log    *Stepped
	deaf   map[int]bool // nodes whose messages do not come through
	seen   domain.Position
}

// ask is an append and what its caller was told.
type ask struct {
	request *request
	id      domain.EventID
	told    bool
}

func newWorld(t *testing.T, seed uint64, size int) *world {
	w := &world{t: t, random: rand.New(rand.NewPCG(seed, 14)), members: names(size), leaders: map[uint64]domain.NodeID{}}
	for _, m := range w.members {
		n := &simNode{world: w, member: m, disk: vfs.NewCrashableMem(), deaf: map[int]bool{}}
		w.nodes = append(w.nodes, n)
		n.open()
	}
	return w
}

func (n *simNode) Send(_ Member, messages []*raftpb.Message) {
	for _, m := range messages {
		if err := Check(m); err != nil {
			n.world.t.Fatalf("%s sends what Check refuses: %v", n.member.Node, err)
		}
		n.world.flying = append(n.world.flying, proto.Clone(m).(*raftpb.Message))
	}
}

func (n *simNode) Records(ctx context.Context, from Member, after, upTo domain.Position) iter.Seq2[domain.Envelope, error] {
	n.world.copies++
	for i, other := range n.world.nodes {
		if other.member.Node == from.Node && !n.deaf[i] {
			return other.log.ReadAll(ctx, after+1, eventlog.Forward, eventlog.Filter{To: upTo})
		}
	}
	return func(yield func(domain.Envelope, error) bool) { yield(domain.Envelope{}, errors.New("cut off")) }
}

func (n *simNode) open() {
	log, err := OpenStepped("node", Options{
		Cluster: "c1", Node: n.member.Node, Members: n.world.members, Transport: n,
		Ticking: Ticking{Tick: time.Hour, Heartbeat: 1, Election: 10}, Kept: 400,
		Records: pebblelog.Options{FS: n.disk, Small: true},
	}, nil)
	if err != nil {
		n.world.t.Fatalf("open %s: %v", n.member.Node, err)
	}
	n.log, n.seen = log, 0
}

// settle lets a node do what it can without hearing anything.
func (n *simNode) settle() {
	if err := n.log.Step(); err != nil {
		n.world.t.Fatalf("%s: %v", n.member.Node, err)
	}
	n.watch()
}

func (n *simNode) tick() {
	if err := n.log.Tick(); err != nil {
		n.world.t.Fatalf("%s: %v", n.member.Node, err)
	}
	n.watch()
}

// watch checks what a node shows against what others showed.
func (n *simNode) watch() {
	w := n.world
	if now := n.log.Standing(); now.Leads {
		if other, known := w.leaders[now.Term]; known && other != n.member.Node {
			w.t.Fatalf("term %d has the leaders %s and %s", now.Term, other, n.member.Node)
		}
		w.leaders[now.Term] = n.member.Node
	}
	for e, err := range n.log.ReadAll(context.Background(), n.seen+1, eventlog.Forward, eventlog.Filter{}) {
		if err != nil {
			w.t.Fatal(err)
		}
		if int(e.Position) <= len(w.truth) {
			if want := w.truth[e.Position-1]; want.ID != e.ID || want.Stream != e.Stream || want.Revision != e.Revision || !bytes.Equal(want.Data, e.Data) {
				w.t.Fatalf("%s: want %v at %d, found %v", n.member.Node, want, e.Position, e)
			}
		} else {
			w.truth = append(w.truth, e)
		}
		n.seen = e.Position
	}
	for _, a := range w.asked {
		w.hear(a)
	}
}

// hear checks what a caller is told, once: what is acknowledged is where the answer
// says.
func (w *world) hear(a *ask) {
	select {
	case <-a.request.done:
	default:
		return
	}
	if a.told {
		return
	}
	a.told = true
	if a.request.err == nil && a.request.written[0].Err == nil {
		p := a.request.written[0].Receipt.First
		if int(p) > len(w.truth) || w.truth[p-1].ID != a.id {
			w.t.Fatalf("an append is acknowledged at %d, which holds another event", p)
		}
	}
}

// append asks a node; most of them do not lead and refuse.
func (w *world) append(n *simNode) {
	name := fmt.Sprint("event", len(w.asked))
	if len(w.asked) > 0 && w.random.IntN(8) == 0 {
		name = fmt.Sprint("event", w.random.IntN(len(w.asked))) // a retry
	}
	stream := domain.Stream("task", fmt.Sprint(domain.DeriveID(name, 0)[0]%3))
	expected := []domain.Revision{domain.AnyRevision, domain.NoStream, domain.Revision(w.random.IntN(20))}[w.random.IntN(3)]
	e := eventlog.Proposed{ID: domain.DeriveID(name, 0), Type: "KIND", Version: 1, Time: time.Unix(1, 0), Data: []byte(name)}
	q := newRequest(context.Background(), &call{})
	if err := q.add(&pebblelog.Change{Write: eventlog.Write{Stream: stream, Expected: expected, Events: []eventlog.Proposed{e}}}); err != nil {
		w.t.Fatal(err)
	}
	w.asked = append(w.asked, &ask{request: q, id: e.ID})
	if err := n.log.put(q); err != nil {
		w.t.Fatal(err)
	}
	n.settle()
}

// crash takes a node's power away and opens what its disk kept.
func (w *world) crash(n *simNode) {
	w.crashes++
	kept := n.disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: w.random.IntN(101), RNG: w.random})
	if err := n.log.Kill(); err != nil {
		w.t.Fatal(err)
	}
	n.disk = kept
	n.open()
	n.settle()
}

func (w *world) deliver(i int, keep bool) {
	m := w.flying[i]
	if !keep {
		w.flying = slices.Delete(w.flying, i, i+1)
	} else {
		m = proto.Clone(m).(*raftpb.Message)
	}
	from := slices.IndexFunc(w.members, func(x Member) bool { return x.ID() == m.GetFrom() })
	for _, n := range w.nodes {
		if n.member.ID() == m.GetTo() && !n.deaf[from] {
			n.log.Receive(m)
			n.settle()
		}
	}
}

func (w *world) step() {
	n := w.nodes[w.random.IntN(len(w.nodes))]
	switch chance := w.random.IntN(1000); {
	case chance < 300:
		n.tick()
	case chance < 400:
		w.append(n)
	case chance < 403:
		w.crash(n)
	case chance < 415: // one way
		n.deaf[w.random.IntN(len(w.nodes))] = true
	case chance < 420: // both ways
		for i, other := range w.nodes {
			n.deaf[i], other.deaf[slices.Index(w.nodes, n)] = true, true
		}
	case chance < 440:
		for _, n := range w.nodes {
			clear(n.deaf)
		}
	case len(w.flying) == 0:
	case chance < 470:
		i := w.random.IntN(len(w.flying))
		w.flying = slices.Delete(w.flying, i, i+1)
	case chance < 500:
		w.deliver(w.random.IntN(len(w.flying)), true)
	case chance < 700:
		w.deliver(w.random.IntN(len(w.flying)), false)
	default:
		w.deliver(0, false)
	}
	if len(w.flying) > 2000 {
		w.flying = slices.Delete(w.flying, 0, 1000)
	}
}

// heal mends everything and lets the nodes agree.
func (w *world) heal() {
	for _, n := range w.nodes {
		clear(n.deaf)
	}
	for round := range 4000 {
		for _, n := range w.nodes {
			n.tick()
		}
		for k := 0; len(w.flying) > 0 && k < 10000; k++ {
			w.deliver(0, false)
		}
		agreed := true
		for _, n := range w.nodes {
			now := n.log.Standing()
			agreed = agreed && now.Knows.NodeID != "" && int(n.seen) == len(w.truth) && now.Applied == w.nodes[0].log.Standing().Applied && !now.Copying
		}
		if agreed && round > 2 {
			return
		}
	}
	for _, n := range w.nodes {
		w.t.Logf("%+v seen %d", n.log.replica.describe(), n.seen)
	}
	w.t.Fatalf("the nodes do not come to agree on %d events", len(w.truth))
}

// TestSimulated runs clusters in virtual time, with messages that are lost, repeated
// and come late, partitions that work one way, and power that is cut.
func TestSimulated(t *testing.T) {
	copies, crashes, events, leaders := 0, 0, 0, 0
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			cryptotest.SetGlobalRandom(t, seed) // the library draws the time of elections from it
			w := newWorld(t, seed, []int{3, 5, 3, 1}[seed%4])
			defer func() {
				for _, n := range w.nodes {
					if err := n.log.Kill(); err != nil {
						t.Error(err)
					}
				}
			}()
			for range 6000 {
				w.step()
			}
			w.heal()
			stored := map[domain.EventID]bool{}
			for _, e := range w.truth {
				if stored[e.ID] {
					t.Fatalf("event %v is there twice", e)
				}
				stored[e.ID] = true
			}
			copies, crashes, events, leaders = copies+w.copies, crashes+w.crashes, events+len(w.truth), leaders+len(w.leaders)
		})
	}
	t.Logf("%d events, %d terms with a leader, %d crashes, %d copies", events, leaders, crashes, copies)
	if events < 100 || leaders < 12 || crashes < 12 || copies == 0 {
		t.Errorf("want the simulation to come to everything")
	}
}
