package esdbserver_test

import (
	"context"
	"errors"
	"io"
	"iter"
	"sync/atomic"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/transport/esdbserver"
)

// crowded is a server with a low limit of calls, with connections to it.
func crowded(t *testing.T, most, connections int) []*grpc.ClientConn {
	t.Helper()
	listener, everything := listen(t), []string{"$admins"}
	server, err := esdbserver.New(esdbserver.Config{
		Log: eventlog.NewMemory(), MaxCalls: most,
		Accounts: []esdbserver.Account{
			{Login: "greedy", Password: "much-more", Groups: everything},
			{Login: "honest", Password: "one-or-two", Groups: everything},
			{Login: "third", Password: "whatever", Groups: everything},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	var conns []*grpc.ClientConn
	for range connections {
		conns = append(conns, dial(t, listener.Addr().String()))
	}
	t.Cleanup(func() {
		server.Close()
		errs := []error{<-done}
		for _, conn := range conns {
			errs = append(errs, conn.Close())
		}
		if err := errors.Join(errs...); err != nil {
			t.Error(err)
		}
	})
	return conns
}

// asks makes a short call.
func asks(ctx context.Context, conn *grpc.ClientConn) codes.Code {
	_, err := serverfeatures.NewServerFeaturesClient(conn).GetSupportedMethods(ctx, &shared.Empty{})
	return status.Code(err)
}

// open subscribes to $all, and returns the function that ends the subscription.
func open(t *testing.T, who string, conn *grpc.ClientConn) context.CancelFunc {
	t.Helper()
	ctx, end := context.WithCancel(as(t, who))
	follow(ctx, t, conn)
	return end
}

// untilIt asks until the answer has a code, since a call still counts for a while after
// its client has seen it end.
func untilIt(t *testing.T, who string, conn *grpc.ClientConn, want codes.Code) {
	t.Helper()
	ctx, end := context.WithTimeout(as(t, who), time.Minute)
	defer end()
	for asks(ctx, conn) != want {
		if ctx.Err() != nil {
			t.Fatalf("want %s for %q within a minute", want, who)
		}
	}
}

// One caller may have half of the calls, over all its connections, and the others still
// get theirs. A call that ends no longer counts.
func TestOneCallerCannotTakeAllPlaces(t *testing.T) {
	t.Parallel()
	const most = 8
	conns := crowded(t, most, 4)
	const greedy, honest, third = "greedy:much-more", "honest:one-or-two", "third:whatever"
	var ends []context.CancelFunc
	for i := range most / 2 {
		ends = append(ends, open(t, greedy, conns[i%len(conns)]))
	}
	for _, conn := range conns {
		if code := asks(as(t, greedy), conn); code != codes.ResourceExhausted {
			t.Fatalf("beyond its share: want %s, found %s", codes.ResourceExhausted, code)
		}
		if code := asks(as(t, honest), conn); code != codes.OK {
			t.Fatalf("another caller: want %s, found %s", codes.OK, code)
		}
	}
	for i := range most / 2 {
		ends = append(ends, open(t, honest, conns[i%len(conns)]))
	}
	if code := asks(as(t, third), conns[0]); code != codes.ResourceExhausted {
		t.Fatalf("with all calls open: want %s, found %s", codes.ResourceExhausted, code)
	}
	ends[0]()
	untilIt(t, greedy, conns[0], codes.OK)
	for _, end := range ends {
		end()
	}
	untilIt(t, third, conns[0], codes.OK)
}

// Callers without a valid login are counted by their address, also while they send a
// request that will be refused.
func TestCallersWithoutALoginHaveAShare(t *testing.T) {
	t.Parallel()
	const most = 4
	conns := crowded(t, most, 2)
	ctx, end := context.WithCancel(as(t, "greedy:wrong-password"))
	defer end()
	var calls []streams.Streams_AppendClient
	for i := range most / 2 {
		call, err := streams.NewStreamsClient(conns[i%len(conns)]).Append(ctx)
		if err != nil {
			t.Fatal(err)
		}
		calls = append(calls, call)
	}
	untilIt(t, "", conns[0], codes.ResourceExhausted)
	if code := asks(as(t, "honest:one-or-two"), conns[0]); code != codes.OK {
		t.Fatalf("a caller with a login: want %s, found %s", codes.OK, code)
	}
	for _, call := range calls {
		if _, err := call.CloseAndRecv(); status.Code(err) != codes.Unauthenticated && !errors.Is(err, io.EOF) {
			t.Fatalf("want %s, found %v", codes.Unauthenticated, err)
		}
	}
	untilIt(t, "", conns[0], codes.OK)
}

// panicking is a log whose reads panic.
type panicking struct {
	*eventlog.Memory
	armed atomic.Bool
}

// Read panics.
func (p *panicking) Read(ctx context.Context, stream domain.StreamID, from domain.Revision, direction eventlog.Direction) iter.Seq2[domain.Envelope, error] {
	if p.armed.Load() {
		panic("the log cannot be read")
	}
	return p.Memory.Read(ctx, stream, from, direction)
}

// A call that has panicked no longer counts.
func TestACallThatPanicsGivesItsPlaceBack(t *testing.T) {
	t.Parallel()
	listener := listen(t)
	log := &panicking{Memory: eventlog.NewMemory()}
	server, err := esdbserver.New(esdbserver.Config{Log: log, Insecure: true, MaxCalls: 2})
	if err != nil {
		t.Fatal(err)
	}
	log.armed.Store(true)
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	conn := dial(t, listener.Addr().String())
	defer func() {
		server.Close()
		if err := errors.Join(conn.Close(), <-done); err != nil {
			t.Error(err)
		}
	}()
	for range 10 {
		call, err := streams.NewStreamsClient(conn).Read(t.Context(), &streams.ReadReq{Options: &streams.ReadReq_Options{
			StreamOption: &streams.ReadReq_Options_Stream{Stream: &streams.ReadReq_Options_StreamOptions{
				StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte("s")}, RevisionOption: &streams.ReadReq_Options_StreamOptions_Start{Start: &shared.Empty{}},
			}},
			CountOption: &streams.ReadReq_Options_Count{Count: 1}, FilterOption: &streams.ReadReq_Options_NoFilter{},
			UuidOption: &streams.ReadReq_Options_UUIDOption{Content: &streams.ReadReq_Options_UUIDOption_Structured{Structured: &shared.Empty{}}},
		}})
		if err == nil {
			_, err = call.Recv()
		}
		if status.Code(err) != codes.Internal {
			t.Fatalf("want %s, found %v", codes.Internal, err)
		}
	}
	if code := asks(t.Context(), conn); code != codes.OK {
		t.Fatalf("want %s, found %s", codes.OK, code)
	}
}
