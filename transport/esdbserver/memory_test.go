package esdbserver_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"runtime"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/transport/esdbserver"
)

// frugal returns a world whose server may hold a number of bytes for clients.
func frugal(t *testing.T, most int64) *world {
	t.Helper()
	w := &world{log: eventlog.NewMemory()}
	listener := listen(t)
	server, err := esdbserver.New(esdbserver.Config{Log: w.log, Insecure: true, Memory: most})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	// The window is small, so that little is in flight to a client that does not read.
	w.conn, err = grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithStaticStreamWindowSize(64<<10), grpc.WithStaticConnWindowSize(64<<20))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		w.conn.Close()
		server.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return w
}

// heapInUse returns the bytes of the heap after a collection.
func heapInUse() int64 {
	runtime.GC()
	runtime.GC() // what the first one only unlinked
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

func (w *world) readUnread(ctx context.Context, t *testing.T, options *streams.ReadReq_Options) streams.Streams_ReadClient {
	t.Helper()
	options.UuidOption = &streams.ReadReq_Options_UUIDOption{Content: &streams.ReadReq_Options_UUIDOption_String_{String_: &shared.Empty{}}}
	options.FilterOption = &streams.ReadReq_Options_NoFilter{}
	call, err := streams.NewStreamsClient(w.conn).Read(ctx, &streams.ReadReq{Options: options})
	if err != nil {
		t.Fatal(err)
	}
	return call
}

func ofStream(name string) *streams.ReadReq_Options_Stream {
	return &streams.ReadReq_Options_Stream{Stream: &streams.ReadReq_Options_StreamOptions{
		StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte(name)}, RevisionOption: &streams.ReadReq_Options_StreamOptions_Start{Start: &shared.Empty{}},
	}}
}

// Many reads and subscriptions whose clients do not read stay within the limit of memory,
// hold up no other call, and lose no event.
func TestUnreadStreamsFitTheMemory(t *testing.T) {
	const most, calls, events = 24 << 20, 14, 150
	w := frugal(t, most)
	w.fillWith(t, "s", events, append(bytes.Repeat([]byte("7"), 20<<10), '7'))
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	count := &streams.ReadReq_Options_Count{Count: 1 << 40}
	all := &streams.ReadReq_Options_All{All: &streams.ReadReq_Options_AllOptions{AllOption: &streams.ReadReq_Options_AllOptions_Start{Start: &shared.Empty{}}}}
	before := heapInUse()
	var unread []streams.Streams_ReadClient
	for range calls {
		unread = append(unread,
			w.readUnread(ctx, t, &streams.ReadReq_Options{StreamOption: ofStream("s"), CountOption: count}),
			w.readUnread(ctx, t, &streams.ReadReq_Options{StreamOption: all, CountOption: count}),
			w.readUnread(ctx, t, &streams.ReadReq_Options{StreamOption: ofStream("s"), CountOption: &streams.ReadReq_Options_Subscription{}}))
	}
	for _, call := range unread { // each has begun
		if _, err := call.Header(); err != nil {
			t.Fatal(err)
		}
	}
	var grown int64
	for range 20 { // and has come as far as it comes
		<-time.After(20 * time.Millisecond)
		grown = max(grown, heapInUse()-before)
	}
	t.Logf("%d MiB for %d streams", grown>>20, len(unread))
	const clients = 3 * calls * 96 << 10 // their windows, and what they keep of calls
	if grown > most+clients {
		t.Errorf("want at most %d MiB, found %d", (most+clients)>>20, grown>>20)
	}
	w.put(t, "other", 0, 1, nil)
	for _, call := range unread[3:] {
		if _, err := call.Recv(); err != nil {
			t.Errorf("want every call open, found %v", err)
		}
	}
	for _, call := range unread[:3] {
		for want := 0; want < events; {
			message, err := call.Recv()
			if err != nil {
				t.Fatalf("want %d events, found %d: %v", events, want, err)
			}
			e := message.GetEvent().GetEvent()
			if string(e.GetStreamIdentifier().GetStreamName()) != "s" {
				continue
			}
			if e.GetStreamRevision() != uint64(want) {
				t.Fatalf("want revision %d, found %d", want, e.GetStreamRevision())
			}
			want++
		}
	}
}

// The bytes that a group has read for consumers that do not answer are bounded, however
// many events they have room for, and the consumers get every event.
func TestUnreadGroupsFitTheMemory(t *testing.T) {
	t.Parallel()
	const most, size, events = 4 << 20, 100 << 10, 100
	w := frugal(t, most)
	w.script(t, "group do=create stream=s history=5000 batch=1000")
	w.fillWith(t, "s", events, append(bytes.Repeat([]byte("7"), size), '7'))
	m := w.join(t, "s", 1000)
	defer m.stop()
	held := func(info *persistent.SubscriptionInfo) int64 {
		return int64(info.TotalInFlightMessages) + int64(info.ReadBufferCount)
	}
	for until := time.Now().Add(time.Minute); held(w.info(t)) < 4; <-time.After(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("want some events read")
		}
	}
	for range 50 {
		if n := held(w.info(t)); n > most*3/8/size+1 {
			t.Fatalf("want at most %d events of %d bytes held, found %d", most*3/8/size+1, size, n)
		}
	}
	for range events {
		if err := m.answer(m.next(t).GetEvent().GetId(), persistent.ReadReq_Nack_Unknown); err != nil {
			t.Fatal(err)
		}
	}
}

// An append that exceeds the limit of memory is refused, and releases what it had
// reserved.
func TestAppendsFitTheMemory(t *testing.T) {
	t.Parallel()
	w := frugal(t, 3<<19)
	large := append(bytes.Repeat([]byte("7"), 700<<10), '7')
	for range 3 {
		call, err := streams.NewStreamsClient(w.conn).Append(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range []*streams.AppendReq{
			{Content: &streams.AppendReq_Options_{Options: &streams.AppendReq_Options{
				StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte("s")}, ExpectedStreamRevision: &streams.AppendReq_Options_Any{Any: &shared.Empty{}},
			}}},
			{Content: &streams.AppendReq_ProposedMessage_{ProposedMessage: &streams.AppendReq_ProposedMessage{
				Id: uuidNamed("large"), Metadata: map[string]string{"type": "T", "content-type": "application/json"}, Data: large,
			}}},
		} {
			if err := call.Send(m); err != nil && !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
		}
		if _, err := call.CloseAndRecv(); status.Code(err) != codes.ResourceExhausted {
			t.Errorf("want %s, found %v", codes.ResourceExhausted, err)
		}
	}
	w.fillWith(t, "s", 20, large[len(large)-(100<<10):])
	if got := w.script(t, "batch stream=s ids=a,b size=300000"); got[:7] != "Resourc" {
		t.Errorf("want a batch refused, found %s", got)
	}
	if got := w.script(t, "batch stream=s ids=c size=100000"); got[:7] != "current" {
		t.Errorf("want a batch taken, found %s", got)
	}
}
