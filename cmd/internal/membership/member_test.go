package membership_test

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/memberlist"

	"github.com/ringrift/rift/cmd/internal/membership"
	"github.com/ringrift/rift/cmd/internal/node"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/swim"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections/store"
	"github.com/ringrift/rift/transport"
	wire "github.com/ringrift/rift/transport/swim"
)

// All members notice a death. TestMembersInVirtualTime tests that with sixteen members.
func TestEverybodySeesADeath(t *testing.T) {
	const count = 5
	boxes := cluster(t, count, nil)
	dead := boxes[count-1]
	dead.deaf.Store(true)
	if err := dead.Kill(); err != nil {
		t.Fatal(err)
	}
	await(t, "everybody see it", func() bool {
		for _, b := range boxes[:count-1] {
			if b.state(t, dead.name) != swim.SwimDead {
				return false
			}
		}
		return true
	})
}

// A node that cannot be reached for a while is suspected, and is alive again once it can
// refute that. No member ever declares it dead.
func TestAFalseSuspicionIsRefuted(t *testing.T) {
	boxes := cluster(t, 4, func(_ int, c *membership.Config) {
		c.Tune = func(tune *memberlist.Config) {
			fast(tune)
			tune.SuspicionMult = 400 // so that a suspicion outlasts the delays of a busy machine
		}
	})
	victim := boxes[3]
	victim.deaf.Store(true)
	await(t, "a suspicion", func() bool {
		for _, b := range boxes[:3] {
			if b.state(t, victim.name) == swim.SwimSuspect {
				return true
			}
		}
		return false
	})
	victim.deaf.Store(false)
	await(t, "it alive everywhere, because it refuted the suspicion", func() bool {
		status, err := victim.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range boxes[:3] {
			if b.state(t, victim.name) != swim.SwimAlive {
				return false
			}
		}
		return status.Refuted > 0
	})
	for _, b := range boxes {
		if b.count(t, swim.SwimDead) > 0 {
			t.Errorf("%s thinks somebody dead", b.name)
		}
	}
}

// A node that leaves is not declared dead, and is alive when it comes back.
func TestLeavingAndComingBack(t *testing.T) {
	boxes := cluster(t, 3, nil)
	boxes[2].stop()
	await(t, "it left", func() bool {
		return boxes[0].state(t, "node-2") == swim.SwimLeft && boxes[1].state(t, "node-2") == swim.SwimLeft
	})
	boxes[2].start(t, membership.Config{Join: []string{boxes[1].server.URL}})
	await(t, "it alive again", func() bool {
		return boxes[0].state(t, "node-2") == swim.SwimAlive && boxes[2].count(t, swim.SwimAlive) == 3
	})
}

// A member retries to join until another member answers, and its status has the error.
func TestJoiningIsTriedAgain(t *testing.T) {
	seed := newBox(t, "seed")
	early := newBox(t, "early").start(t, membership.Config{Join: []string{seed.server.URL}})
	await(t, "a join that failed", func() bool {
		status, err := early.Status(t.Context())
		return err == nil && status.Joins.Failed > 0 && strings.Contains(status.Joins.LastError, "want 101, found 503")
	})
	seed.start(t, membership.Config{})
	await(t, "both", func() bool { return early.count(t, swim.SwimAlive) == 2 && seed.count(t, swim.SwimAlive) == 2 })
}

// A node without the cluster's key or with another cluster's name cannot join, and invalid
// packets are refused. The states of the members do not change.
func TestStrangersAreKeptOut(t *testing.T) {
	boxes := cluster(t, 2, func(_ int, c *membership.Config) { c.Secrets = []string{"a-secret-of-the-cluster"} })
	stranger := newBox(t, "stranger").start(t, membership.Config{Join: []string{boxes[0].server.URL}, Secrets: []string{"another-secret"}})
	naked := newBox(t, "naked").start(t, membership.Config{Join: []string{boxes[0].server.URL}})
	for _, b := range []*box{stranger, naked} {
		await(t, "a join that failed", func() bool {
			status, err := b.Status(t.Context())
			return err == nil && status.Joins.Failed > 1
		})
	}
	post := func(kind, from string, body []byte) int {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), "POST", boxes[0].server.URL+"/swim/packet", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", kind)
		request.Header.Set(wire.FromHeader, from)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		return response.StatusCode
	}
	of := func(cluster, text string) []byte {
		packet, err := memberlist.AddLabelHeaderToPacket([]byte(text), cluster)
		if err != nil {
			t.Fatal(err)
		}
		return packet
	}
	for _, one := range []struct {
		kind, from string
		body       []byte
		want       int
	}{
		{"text/plain", "", nil, 400},
		{wire.PacketType, "localhost:1", nil, 400},
		{wire.PacketType, "", []byte("garbage"), 403},
		{wire.PacketType, "10.0.0.1:1", bytes.Repeat([]byte{3}, 64<<10), 403},
		{wire.PacketType, "", of("other", "garbage"), 403},
		{wire.PacketType, "", []byte{244}, 400},
		{wire.PacketType, "", of("main", "garbage"), 204}, // accepted here; the library finds out later, and that is counted as well
		{wire.PacketType, "", make([]byte, 64<<10+1), 413},
	} {
		if got := post(one.kind, one.from, one.body); got != one.want {
			t.Errorf("%s from %q, %d bytes: want %d, found %d", one.kind, one.from, len(one.body), one.want, got)
		}
	}
	await(t, "what was refused counted", func() bool {
		status, err := boxes[0].Status(t.Context())
		return err == nil && status.Packets.Refused >= 6
	})
	response, err := http.Get(boxes[0].server.URL + "/swim/stream")
	if err != nil {
		t.Fatal(err)
	}
	if _ = response.Body.Close(); response.StatusCode != 400 {
		t.Errorf("a stream without an upgrade: %d", response.StatusCode)
	}
	for _, b := range boxes {
		members, err := b.Members(t.Context())
		if err != nil || len(members.Members) != 2 {
			t.Errorf("%+v %v", members, err)
		}
	}
}

// leading is a node on a log of its own.
func leading(t testing.TB) (*node.Node, eventlog.Log) {
	t.Helper()
	log := eventlog.NewMemory()
	n, err := node.Open(node.Config{Node: "node-0", Log: log, StoreDir: "models", Store: store.Options{FS: vfs.NewMem(), Small: true}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var actors sync.WaitGroup
	for _, actor := range []func(context.Context) error{n.Follow, n.Drain, n.Tick} {
		actors.Go(func() {
			if err := actor(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() {
		cancel()
		actors.Wait()
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n, log
}

// What the leader's member finds becomes events once: online, unhealthy for a suspicion,
// recovered, offline. A node that gives a sign of life in another way is not reported
// offline when its packets are lost.
func TestEdgesAreEvents(t *testing.T) {
	n, log := leading(t)
	boxes := cluster(t, 3, func(i int, c *membership.Config) {
		c.Tune = func(tune *memberlist.Config) {
			fast(tune)
			tune.SuspicionMult = 6000 // so that no member is declared dead, however busy the machine is
		}
		if i == 0 {
			c.Backend, c.Heard, c.LastHeard = n.Backend(), n.Heard, n.LastHeard
		}
	})
	events := func(node string) string {
		var types []string
		for e, err := range log.ReadAll(t.Context(), 1, eventlog.Forward, eventlog.Filter{Streams: []string{"node-" + node}}) {
			if err != nil {
				t.Fatal(err)
			}
			types = append(types, e.Type)
		}
		return strings.Join(types, " ")
	}
	told := func(node, event string) func() bool {
		return func() bool { return strings.Contains(events(node), event) }
	}
	await(t, "both online", func() bool { return events("node-1") != "" && events("node-2") != "" })
	boxes[1].deaf.Store(true)
	await(t, "it unhealthy", told("node-1", "NODE_UNHEALTHY"))
	boxes[1].deaf.Store(false)
	await(t, "it recovered", told("node-1", "NODE_RECOVERED"))
	boxes[2].stop()
	await(t, "it offline", told("node-2", "HOST_OFFLINE"))
	members, err := boxes[0].Members(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range members.Members {
		if row.NodeID == "node-2" && (row.State != swim.SwimLeft || row.Heard) {
			t.Errorf("%+v", row)
		}
	}
	// On a busy machine members may be suspected meanwhile, but each change is one event.
	edges := regexp.MustCompile(`^HOST_ONLINE( NODE_UNHEALTHY NODE_RECOVERED)*( NODE_UNHEALTHY)?( HOST_OFFLINE)?$`)
	for node, want := range map[string]string{"node-1": "NODE_UNHEALTHY NODE_RECOVERED", "node-2": "HOST_OFFLINE"} {
		if got := events(node); !edges.MatchString(got) || !strings.Contains(got, want) {
			t.Errorf("%s: want edges with %s, found %q", node, want, got)
		}
	}
	if got := events("node-0"); got != "HOST_ONLINE" {
		t.Errorf("the leader itself: want it online, found %q", got)
	}
}

// A member that does not lead reports nothing. Once it leads, it reports the states that
// it knows.
func TestOnlyTheLeaderReports(t *testing.T) {
	n, log := leading(t)
	var leads atomic.Bool
	var looks atomic.Int64
	cluster(t, 2, func(i int, c *membership.Config) {
		if i == 0 {
			c.Backend = n.Backend()
			c.Leads = func() bool {
				looks.Add(1)
				return leads.Load()
			}
		}
	})
	head := func() domain.Position {
		at, err := log.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	seen := looks.Load()
	await(t, "a look at members that are alive", func() bool { return looks.Load() >= seen+2 })
	if at := head(); at != 0 {
		t.Errorf("want nothing reported, found %d events", at)
	}
	leads.Store(true)
	await(t, "the other member reported", func() bool { return head() > 0 })
}

// A node whose packets are lost, but which gives other signs of life, stays online in the
// log, and is listed as dead but heard. One that gives none goes offline.
func TestAliveButThoughtDead(t *testing.T) {
	n, log := leading(t)
	boxes := cluster(t, 3, func(i int, c *membership.Config) {
		if i == 0 {
			c.Backend, c.Heard = n.Backend(), n.Heard
			c.LastHeard = func(id domain.NodeID) time.Time {
				if id == "node-1" {
					return time.Now() // a heartbeat at this very moment
				}
				return time.Time{}
			}
		}
	})
	offline := func() (gone []domain.StreamID) {
		for e, err := range log.ReadAll(t.Context(), 1, eventlog.Forward, eventlog.Filter{Types: []string{"HOST_OFFLINE"}}) {
			if err != nil {
				t.Fatal(err)
			}
			gone = append(gone, e.Stream)
		}
		return gone
	}
	for _, b := range boxes[1:] { // the edges of the first are handled before those of the second
		b.deaf.Store(true)
		if err := b.Kill(); err != nil {
			t.Fatal(err)
		}
		await(t, "it dead in the eyes of the leader", func() bool { return boxes[0].state(t, b.name) == swim.SwimDead })
	}
	await(t, "somebody offline", func() bool { return len(offline()) > 0 })
	if gone := offline(); len(gone) != 1 || gone[0] != "node-node-2" {
		t.Errorf("want the second offline alone, found %v", gone)
	}
	members, err := boxes[0].Members(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range members.Members[1:] {
		if row.State != swim.SwimDead || row.Heard != (row.NodeID == "node-1") {
			t.Errorf("%+v", row)
		}
	}
}

// Any packet is accepted, or refused with a code, and the member keeps working.
func FuzzPacket(f *testing.F) {
	b := newBox(f, "node-0").start(f, membership.Config{})
	f.Add("10.0.0.1:7", []byte{0})
	f.Add("", []byte{7, 2, 0, 1, 0, 1, 9, 9})
	f.Add("[::1]:8770", []byte(`{"u":"http://x"}`))
	f.Add("10.0.0.1:7", []byte{244, 4, 'm', 'a', 'i', 'n', 4, 0x85})
	f.Fuzz(func(t *testing.T, from string, packet []byte) {
		if err := b.Packet(from, packet); err != nil && transport.CodeOf(err) != domain.Invalid && transport.CodeOf(err) != domain.Forbidden && transport.CodeOf(err) != domain.TooMany {
			t.Error(err)
		}
		if n := b.count(t, swim.SwimAlive); n != 1 {
			t.Errorf("want the member alone, found %d", n)
		}
	})
}

// Addresses that other nodes cannot call are refused.
func TestAddressesOfMembers(t *testing.T) {
	for _, address := range []string{"", "10.0.0.5:8770", "http://0.0.0.0:8770", "http://[::]:8770", "ftp://x"} {
		if _, err := membership.New(membership.Config{Node: "a", Address: address}); transport.CodeOf(err) != domain.Invalid {
			t.Errorf("%q: %v", address, err)
		}
	}
}

// Any stream is accepted or closed, and the member keeps working alone.
func FuzzStream(f *testing.F) {
	b := newBox(f, "node-0").start(f, membership.Config{})
	f.Add([]byte{244, 4, 'm', 'a', 'i', 'n', 6, 0x85})
	f.Add([]byte("garbage"))
	f.Fuzz(func(t *testing.T, sent []byte) {
		mine, theirs := net.Pipe()
		if err := b.Stream(theirs); err != nil {
			t.Error(err)
		}
		if err := mine.SetDeadline(time.Now().Add(time.Second)); err != nil {
			t.Error(err)
		}
		_, _ = mine.Write(sent) // the member may close the connection at any byte
		if err := mine.Close(); err != nil {
			t.Error(err)
		}
		if n := b.count(t, swim.SwimAlive); n != 1 {
			t.Errorf("want the member alone, found %d", n)
		}
	})
}
