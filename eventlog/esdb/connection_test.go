package esdb_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/esdb"
	"github.com/ringrift/rift/transport/esdbserver"
	"github.com/ringrift/rift/transport/esdbserver/esdbtest"
)

// follower is a node that does not lead. It names the leader by gossip, and in the
// trailers of every call that it refuses.
type follower struct {
	streams.UnimplementedStreamsServer
	gossip.UnimplementedGossipServer
	members []*gossip.MemberInfo
	leader  [2]string
}

func (f *follower) gossiped(context.Context, *shared.Empty) (*gossip.ClusterInfo, error) {
	return &gossip.ClusterInfo{Members: f.members}, nil
}

// gossiping adds the Read method of gossip, because the follower has a Read of streams.
type gossiping struct {
	gossip.UnimplementedGossipServer
	*follower
}

func (g gossiping) Read(ctx context.Context, e *shared.Empty) (*gossip.ClusterInfo, error) {
	return g.gossiped(ctx, e)
}

func (f *follower) Read(_ *streams.ReadReq, out streams.Streams_ReadServer) error {
	return f.refuse(out)
}

func (f *follower) Append(out streams.Streams_AppendServer) error { return f.refuse(out) }

func (f *follower) refuse(out grpc.ServerStream) error {
	out.SetTrailer(metadata.Pairs("exception", "not-leader", "leader-endpoint-host", f.leader[0], "leader-endpoint-port", f.leader[1]))
	return status.Error(codes.NotFound, "not the leader")
}

func serveFollower(t *testing.T, f *follower) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	streams.RegisterStreamsServer(server, f)
	gossip.RegisterGossipServer(server, gossiping{follower: f})
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String()
}

func endpointOf(t *testing.T, address string) ([2]string, *gossip.EndPoint) {
	t.Helper()
	at, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return [2]string{host, port}, &gossip.EndPoint{Address: host, Port: uint32(at.Port)}
}

// openAt is open with a connection string.
func openAt(t *testing.T, connection string) *esdb.Log {
	t.Helper()
	log, err := esdb.Open(connection, esdb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	})
	return log
}

func TestALeaderIsFound(t *testing.T) {
	t.Parallel()
	address := serve(t)
	text, leader := endpointOf(t, address)
	f := &follower{leader: text}
	other := serveFollower(t, f)
	_, own := endpointOf(t, other)
	f.members = []*gossip.MemberInfo{
		{State: gossip.MemberInfo_Follower, IsAlive: true, HttpEndPoint: own},
		{State: gossip.MemberInfo_Leader, IsAlive: false, HttpEndPoint: &gossip.EndPoint{Address: "127.0.0.1", Port: 1}},
		{State: gossip.MemberInfo_Leader, IsAlive: true, HttpEndPoint: leader},
	}
	for what, connection := range map[string]string{
		"one node, which is not the leader":         "esdb://" + other + "?tls=false",
		"a list, of which one is away":              "esdb://127.0.0.1:1," + other + "?tls=false",
		"a list, by name":                           "esdb+discover://" + other + "?tls=false",
		"a list that prefers who is not the leader": "esdb+discover://" + other + "?tls=false&nodePreference=follower",
	} {
		log := openAt(t, connection)
		stream := domain.Stream("task", domain.DeriveID(what, 0).String())
		if _, err := log.Append(t.Context(), stream, domain.NoStream, proposed(0, 0, 0)); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if _, err := log.Head(t.Context()); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// restarts returns a function that starts a database on a log, and the address that it has
// from the first start on.
func restarts(t *testing.T, log *eventlog.Memory) (address *string, start func() (stop func())) {
	address = new("127.0.0.1:0")
	return address, func() (stop func()) {
		listener, err := net.Listen("tcp", *address)
		if err != nil {
			t.Fatal(err)
		}
		*address = listener.Addr().String()
		server, err := esdbserver.New(esdbserver.Config{Log: log, Insecure: true})
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- server.Serve(listener) }()
		return func() {
			server.Close()
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}
}

// A subscription waits for a node that does not answer, and continues where it was.
func TestANodeThatComesBack(t *testing.T) {
	t.Parallel()
	kept := eventlog.NewMemory()
	address, start := restarts(t, kept)
	stop := start()
	log := open(t, *address)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	told := make(chan eventlog.Item)
	go func() {
		defer close(told)
		for item, err := range log.Subscribe(ctx, 0, eventlog.Filter{}) {
			if err != nil {
				t.Errorf("subscription: %v", err)
				return
			}
			select {
			case told <- item:
			case <-ctx.Done():
				return
			}
		}
	}()
	for i := range 4 {
		if _, err := log.Append(ctx, "task-a", domain.Revision(i-1), proposed(0, i, 0)); err != nil {
			t.Fatal(err)
		}
		var item eventlog.Item
		for item = range told {
			if item.Envelope.Position != 0 {
				break
			}
		}
		if item.Envelope.ID != proposed(0, i, 0).ID {
			t.Fatalf("want event %d, found %+v", i, item.Envelope)
		}
		if i == 3 {
			break
		}
		stop()
		short, end := context.WithTimeout(ctx, 50*time.Millisecond)
		_, err := log.Append(short, "task-a", domain.Revision(i), proposed(0, i+1, 0))
		if end(); !errors.Is(err, context.DeadlineExceeded) || domain.CodeOf(err) != domain.Timeout {
			t.Fatalf("want an append to a node that is away to end with its context, found %v", err)
		}
		stop = start()
	}
	stop()
	cancel()
	for item := range told {
		t.Errorf("want nothing more, found %+v", item)
	}
}

// lines is a logger whose lines a test waits for.
type lines chan string

func (l lines) Write(line []byte) (int, error) {
	l <- string(line)
	return len(line), nil
}

// The logger gets one line when the database does not answer, and one when it answers
// again.
func TestANodeThatIsAwayIsTold(t *testing.T) {
	t.Parallel()
	address, start := restarts(t, eventlog.NewMemory())
	stop := start()
	said := make(lines, 16)
	log, err := esdb.Open("esdb://"+*address+"?tls=false", esdb.Options{Logger: slog.New(slog.NewTextHandler(said, nil))})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := log.Head(t.Context()); err != nil {
		t.Fatal(err)
	}
	stop()
	answered := make(chan error, 1)
	go func() {
		_, err := log.Head(t.Context())
		answered <- err
	}()
	if line := <-said; !strings.Contains(line, "level=WARN") || !strings.Contains(line, "does not answer") {
		t.Errorf("want a warning, found %s", line)
	}
	stop = start()
	if err := <-answered; err != nil {
		t.Fatal(err)
	}
	if line := <-said; !strings.Contains(line, "answers again") {
		t.Errorf("want it told that the database is back, found %s", line)
	}
	if _, err := log.Head(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Error(err)
	}
	stop()
	if len(said) > 0 {
		t.Errorf("want nothing more said, found %s", <-said)
	}
}

func TestPositionAt(t *testing.T) {
	t.Parallel()
	log := open(t, serve(t))
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var positions []domain.Position
	for i, minutes := range []int{0, 10, 5, 20} {
		e := proposed(0, i, 0)
		e.Time = at.Add(time.Duration(minutes) * time.Minute)
		receipt, err := log.Append(t.Context(), "task-a", domain.AnyRevision, e)
		if err != nil {
			t.Fatal(err)
		}
		positions = append(positions, receipt.Last)
	}
	for minutes, want := range map[int]domain.Position{-1: 0, 0: positions[0], 5: positions[0], 10: positions[2], 19: positions[2], 20: positions[3], 99: positions[3]} {
		if found, err := log.PositionAt(t.Context(), at.Add(time.Duration(minutes)*time.Minute)); err != nil || found != want {
			t.Errorf("minute %d: want position %d, found %d, %v", minutes, want, found, err)
		}
	}
}

// An append that the node refuses is refused at once, without further attempts.
func TestARefusalIsFinal(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refusals := map[string]domain.Code{
		"UNKNOWN": domain.NotFound, "BROKEN": domain.Invalid, "NOT_YOURS": domain.Forbidden,
	}
	server, err := esdbserver.New(esdbserver.Config{Log: eventlog.NewMemory(), Insecure: true, Admit: func(_ domain.StreamID, event *eventlog.Proposed) error {
		if code, refused := refusals[event.Type]; refused {
			return domain.Errorf(code, "no")
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	defer func() {
		server.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	log := open(t, listener.Addr().String())
	for eventType, want := range refusals {
		e := proposed(0, 0, 0)
		e.Type = eventType
		if _, err := log.Append(t.Context(), "task-a", domain.AnyRevision, e); domain.CodeOf(err) != want {
			t.Errorf("%s: want an error of code %s, found %v", eventType, want, err)
		}
	}
	if _, err := log.Append(t.Context(), "task-a", domain.NoStream, proposed(0, 0, 0)); err != nil {
		t.Errorf("want what is admitted stored, found %v", err)
	}
}

// The log uses the login of its connection string, or the certificate that the string
// names. A login that the database does not know is refused at once.
func TestCredentials(t *testing.T) {
	node := esdbtest.StartSecure(t)
	certificate := func(login string) string {
		file, key := node.Authority().User(login)
		return "&userCertFile=" + file + "&userKeyFile=" + key
	}
	for _, c := range []struct {
		name, login, more string
		want              domain.Code
	}{
		{"a login", "admin:changeit@", "", ""},
		{"a wrong password", "admin:wrong@", "", domain.Unauthorized},
		{"an account without the right", "ops:changeit@", "", domain.Forbidden},
		{"a certificate", "", certificate("admin"), ""},
		{"the certificate of nobody", "", certificate("stranger"), domain.Unauthorized},
		{"nothing", "", "", domain.Forbidden},
	} {
		t.Run(c.name, func(t *testing.T) {
			log, err := esdb.Open("esdb://"+c.login+node.Address()+"?tlsCAFile="+node.Authority().File()+c.more, esdb.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer log.Close()
			_, err = log.Append(t.Context(), "item-1", domain.AnyRevision, eventlog.Proposed{ID: domain.DeriveID(c.name, 0), Type: "TRIED", Version: 1, Data: []byte("{}")})
			if got := domain.CodeOf(err); err != nil && got != c.want || err == nil && c.want != "" {
				t.Errorf("append: want code %q, found %q: %v", c.want, got, err)
			}
		})
	}
	file, _ := node.Authority().User("admin")
	if log, err := esdb.Open("esdb://"+node.Address()+"?userCertFile="+file, esdb.Options{}); domain.CodeOf(err) != domain.Invalid {
		t.Errorf("a certificate without its key: want it refused as invalid, found %v, %v", log, err)
	}
}
