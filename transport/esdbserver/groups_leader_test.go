package esdbserver_test

import (
	"context"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/transport/esdbserver"
)

// crew is a set of nodes on one log. The test sets which of them leads.
type crew struct {
	log   *eventlog.Memory
	nodes map[domain.NodeID]*crewNode

	mu      sync.Mutex
	leader  eventlog.Leader
	changed chan struct{}
}

// crewNode is a node's view of the crew: who leads, and its log, which takes appends only
// from the leader and only in its term.
type crewNode struct {
	esdbserver.Log
	crew    *crew
	name    domain.NodeID
	address string
	server  *esdbserver.Server
	world   *world

	believes domain.NodeID // who leads, where it is wrong
	late     atomic.Int32  // appends of a term in which it led, after that
}

func newCrew(t *testing.T, names ...domain.NodeID) *crew {
	t.Helper()
	c := &crew{log: eventlog.NewMemory(), nodes: map[domain.NodeID]*crewNode{}, changed: make(chan struct{})}
	for _, name := range names {
		listener := listen(t)
		n := &crewNode{Log: c.log, crew: c, name: name, address: listener.Addr().String(), world: &world{log: c.log}}
		n.world.micros.Store(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).UnixMicro())
		var err error
		n.server, err = esdbserver.New(esdbserver.Config{Log: n, Leadership: n, Insecure: true, Clock: n.world.now})
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- n.server.Serve(listener) }()
		n.world.conn = dial(t, n.address)
		t.Cleanup(func() {
			n.world.conn.Close()
			n.server.Close()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
		c.nodes[name] = n
	}
	return c
}

// lead makes a node lead in the next term. If it is empty, that term has no known leader.
func (c *crew) lead(name domain.NodeID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leader = eventlog.Leader{NodeID: name, Term: c.leader.Term + 1}
	if name != "" {
		c.leader.Address = "http://" + c.nodes[name].address
	}
	close(c.changed)
	c.changed = make(chan struct{})
}

func (n *crewNode) Leader() eventlog.Leader {
	n.crew.mu.Lock()
	defer n.crew.mu.Unlock()
	leader := n.crew.leader
	if n.believes != "" {
		leader.NodeID, leader.Address = n.believes, "http://"+n.crew.nodes[n.believes].address
	}
	leader.Self = leader.NodeID == n.name
	return leader
}

func (n *crewNode) Changes() <-chan struct{} {
	n.crew.mu.Lock()
	defer n.crew.mu.Unlock()
	return n.crew.changed
}

func (n *crewNode) ConfirmLeader(context.Context) error { return n.refusal(context.Background()) }

func (n *crewNode) refusal(ctx context.Context) error {
	leader, term := n.Leader(), eventlog.TermOf(ctx)
	if !leader.Self || term != 0 && term != leader.Term {
		if term != 0 {
			n.late.Add(1)
		}
		return &eventlog.NotLeader{Leader: leader}
	}
	return nil
}

func (n *crewNode) Append(ctx context.Context, stream domain.StreamID, expected domain.Revision, events ...eventlog.Proposed) (eventlog.Receipt, error) {
	if err := n.refusal(ctx); err != nil {
		return eventlog.Receipt{}, err
	}
	return n.Log.Append(ctx, stream, expected, events...)
}

func (n *crewNode) AppendMany(ctx context.Context, writes []eventlog.Write) []eventlog.Written {
	if err := n.refusal(ctx); err != nil {
		written := make([]eventlog.Written, len(writes))
		for i := range written {
			written[i].Err = err
		}
		return written
	}
	return n.Log.AppendMany(ctx, writes)
}

// answers repeats a line of a script until it has the wanted answer.
func (n *crewNode) answers(t *testing.T, line, want string) {
	t.Helper()
	for until := time.Now().Add(time.Minute); ; <-time.After(time.Millisecond) {
		got := n.world.script(t, line)
		if got == want {
			return
		}
		if time.Now().After(until) {
			t.Fatalf("%s: %s:\nwant %s\nfound %s", n.name, line, want, got)
		}
	}
}

// consumes runs a line of a script, which must have the wanted answer.
func (n *crewNode) consumes(t *testing.T, line, want string) {
	t.Helper()
	if got := n.world.script(t, line); got != want {
		t.Fatalf("%s: %s:\nwant %s\nfound %s", n.name, line, want, got)
	}
}

// letGo waits until the server ends the call of a consumer, and returns its status and
// trailers.
func (m *member) letGo(t *testing.T) string {
	t.Helper()
	defer time.AfterFunc(time.Minute, m.stop).Stop()
	for {
		if _, err := m.call.Recv(); err != nil {
			return told(err, m.call.Trailer())
		}
	}
}

// elsewhere is the refusal that names the leader.
func (n *crewNode) elsewhere(t *testing.T, told string) {
	t.Helper()
	host, port, err := net.SplitHostPort(n.address)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"NotFound: ", "exception = not-leader\n", "leader-endpoint-host = " + host + "\n", "leader-endpoint-port = " + port + "\n"} {
		if !strings.Contains(told, want) {
			t.Errorf("want %q in the refusal, found %s", want, told)
		}
	}
}

// Persistent subscriptions run on the leader, which reads from the log which there are,
// their checkpoints and their parked events.
func TestGroupsFollowTheLeader(t *testing.T) {
	t.Parallel()
	c := newCrew(t, "n1", "n2")
	n1, n2 := c.nodes["n1"], c.nodes["n2"]
	if got := n1.world.script(t, "group do=list"); !strings.HasPrefix(got, "Unavailable: ") {
		t.Errorf("without a leader: want Unavailable, found %s", got)
	}
	c.lead("n1")
	n1.answers(t, "group do=create stream=s retries=5", "ok\n")
	n1.world.fill(t, "s", 20)
	n1.consumes(t, "consume stream=s take=4 answers=ack,park,ack,ack",
		"confirmation s::g\ns@0 # retry 0: ack\ns@1 # retry 0: park\ns@2 # retry 0: ack\ns@3 # retry 0: ack\n")
	kept := func(n *crewNode, checkpoint string, parked int64) {
		t.Helper()
		for until := time.Now().Add(time.Minute); ; <-time.After(time.Millisecond) {
			info := n.world.info(t)
			if info.LastCheckpointedEventPosition == checkpoint && info.ParkedMessageCount == parked {
				return
			}
			if time.Now().After(until) {
				t.Fatalf("%s: want checkpoint %s and %d parked, found %v", n.name, checkpoint, parked, info)
			}
		}
	}
	kept(n1, "3", 1)
	for _, line := range []string{
		"group do=create stream=t", "group do=update stream=s", "group do=delete stream=s", "group do=info stream=s",
		"group do=list", "group do=list stream=s", "group do=replay stream=s", "group do=restart", "consume stream=s",
	} {
		n1.elsewhere(t, n2.world.script(t, line))
	}

	m := n1.world.join(t, "s", 10)
	if e := m.next(t); e.GetEvent().GetStreamRevision() != 4 {
		t.Errorf("want revision 4, found %v", e)
	}
	c.lead("n2")
	n2.elsewhere(t, m.letGo(t))
	n2.elsewhere(t, n1.world.script(t, "consume stream=s"))
	n2.answers(t, "group do=list", "s::g\n")
	kept(n2, "3", 1)
	n2.answers(t, "group do=create stream=s group=h", "ok\n")
	n2.consumes(t, "consume stream=s take=3", "confirmation s::g\ns@4 # retry 0: ack\ns@5 # retry 0: ack\ns@6 # retry 0: ack\n")
	n2.answers(t, "group do=replay stream=s", "ok\n")
	kept(n2, "6", 1)

	m = n2.world.join(t, "s", 1)
	c.lead("")
	if got := m.letGo(t); !strings.HasPrefix(got, "Unavailable: ") {
		t.Errorf("want a consumer let go as unavailable, found %s", got)
	}
	c.lead("n1")
	n1.answers(t, "group do=list", "s::g\ns::h\n")
	kept(n1, "6", 1)
	m = n1.world.join(t, "s", 1)
	c.lead("n1") // the lead was lost and won again
	if got := m.letGo(t); !strings.HasPrefix(got, "Unavailable: ") {
		t.Errorf("want a consumer let go as unavailable, found %s", got)
	}
	n1.answers(t, "group do=list", "s::g\ns::h\n")
	n1.consumes(t, "consume stream=s take=1", "confirmation s::g\ns@7 # retry 0: ack\n")
}

// A node that hands over the lead writes the checkpoints first, so that no acknowledged
// event is sent again.
func TestGroupsAreHandedOver(t *testing.T) {
	t.Parallel()
	c := newCrew(t, "n1", "n2")
	c.lead("n1")
	c.nodes["n1"].answers(t, "group do=create stream=s checkpoint=1000", "ok\n")
	c.nodes["n1"].world.fill(t, "s", 5)
	c.nodes["n1"].consumes(t, "consume stream=s take=3", "confirmation s::g\ns@0 # retry 0: ack\ns@1 # retry 0: ack\ns@2 # retry 0: ack\n")
	c.nodes["n1"].server.EndGroups()
	if got := c.nodes["n1"].world.script(t, "consume stream=s"); !strings.HasPrefix(got, "Unavailable: ") {
		t.Errorf("want it unavailable, found %s", got)
	}
	c.lead("n2")
	c.nodes["n2"].answers(t, "group do=list", "s::g\n")
	c.nodes["n2"].consumes(t, "consume stream=s take=1", "confirmation s::g\ns@3 # retry 0: ack\n")

	// A node that has lost the lead writes no more checkpoints.
	c.lead("n1")
	c.nodes["n1"].answers(t, "group do=list", "s::g\n")
	c.nodes["n1"].consumes(t, "consume stream=s take=1", "confirmation s::g\ns@3 # retry 0: ack\n")
	c.nodes["n2"].server.Close()
	if late := c.nodes["n2"].late.Load(); late != 0 {
		t.Errorf("want nothing written once the lead is lost, found %d attempts", late)
	}
}

// A group starts without what an interrupted removal has left of an earlier one with its
// name.
func TestGroupsBeginAnewUnderAnOldName(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill(t, "s", 3)
	w.fill(t, "$persistentsubscription-s::g-parked", 2)
	w.script(t, "group do=create stream=s")
	if info := w.info(t); info.ParkedMessageCount != 0 {
		t.Errorf("want nothing parked, found %v", info)
	}
}
