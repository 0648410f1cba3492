package membership_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
	"go.uber.org/goleak"

	"github.com/ringrift/rift/cmd/internal/membership"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/swim"
	"github.com/ringrift/rift/transport"
	wire "github.com/ringrift/rift/transport/swim"
)

func TestMain(m *testing.M) {
	code := m.Run()
	// A probe of memberlist ends only after its time-out, even after a shutdown.
	for ended := time.Now(); code == 0; {
		err := goleak.Find(
			goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"),
			goleak.IgnoreAnyFunction("github.com/golang/glog.(*fileSink).flushDaemon"))
		if err == nil {
			break
		}
		if time.Since(ended) > time.Minute {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// lender is the part of a process that the endpoints of the failure detector need.
type lender struct {
	transport.Backend
	member atomic.Pointer[membership.Member]
}

func (l *lender) Lent() []any {
	if member := l.member.Load(); member != nil {
		return []any{wire.Member(member)}
	}
	return nil
}

// box is a machine: an address with a member.
type box struct {
	*membership.Member
	name   string
	lender *lender
	deaf   atomic.Bool // drops everything that it receives
	server *httptest.Server
	stop   func()
}

// fast are settings for tests of a few members: probes more often than on a LAN, and
// suspicions long enough for a busy machine, on which members would otherwise declare each
// other dead again and again.
func fast(c *memberlist.Config) {
	c.ProbeInterval, c.ProbeTimeout = 250*time.Millisecond, 200*time.Millisecond
	c.GossipInterval, c.PushPullInterval = 20*time.Millisecond, time.Second
}

// newBox opens the address of a machine.
func newBox(t testing.TB, name string) *box {
	t.Helper()
	b := &box{name: name, lender: &lender{}}
	handler, err := transport.NewHandler(b.lender, transport.Config{}, wire.Area())
	if err != nil {
		t.Fatal(err)
	}
	b.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if b.deaf.Load() {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(b.server.Close)
	return b
}

// start starts the member of a machine.
func (b *box) start(t testing.TB, config membership.Config) *box {
	t.Helper()
	config.Node, config.Address, config.Cluster = domain.NodeID(b.name), b.server.URL, "main"
	if config.Tune == nil {
		config.Tune = fast
	}
	member, err := membership.New(config)
	if err != nil {
		t.Fatal(err)
	}
	b.Member = member
	b.lender.member.Store(member)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- member.Run(ctx) }()
	b.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(b.stop)
	return b
}

// cluster starts members that join the first of them.
func cluster(t testing.TB, count int, change func(int, *membership.Config)) []*box {
	t.Helper()
	var boxes []*box
	for i := range count {
		b := newBox(t, fmt.Sprint("node-", i))
		config := membership.Config{}
		if i > 0 {
			config.Join = []string{boxes[0].server.URL}
		}
		if change != nil {
			change(i, &config)
		}
		boxes = append(boxes, b.start(t, config))
	}
	await(t, "everybody alive everywhere", func() bool {
		for _, b := range boxes {
			if b.count(t, swim.SwimAlive) != count {
				return false
			}
		}
		return true
	})
	return boxes
}

func (b *box) count(t testing.TB, state swim.State) int {
	t.Helper()
	members, err := b.Members(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, row := range members.Members {
		if row.State == state {
			n++
		}
	}
	return n
}

func (b *box) state(t testing.TB, name string) swim.State {
	t.Helper()
	members, err := b.Members(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range members.Members {
		if string(row.NodeID) == name {
			return row.State
		}
	}
	return ""
}

// await waits for a condition, long enough for a busy machine.
func await(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(90 * time.Second); !condition(); <-time.After(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("want %s", what)
		}
	}
}
