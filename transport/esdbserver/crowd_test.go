package esdbserver_test

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"
)

// follow subscribes to $all and waits until it has caught up.
func follow(ctx context.Context, t testing.TB, conn *grpc.ClientConn) streams.Streams_ReadClient {
	t.Helper()
	call, err := streams.NewStreamsClient(conn).Read(ctx, &streams.ReadReq{Options: &streams.ReadReq_Options{
		StreamOption: &streams.ReadReq_Options_All{All: &streams.ReadReq_Options_AllOptions{AllOption: &streams.ReadReq_Options_AllOptions_End{End: &shared.Empty{}}}},
		CountOption:  &streams.ReadReq_Options_Subscription{}, FilterOption: &streams.ReadReq_Options_NoFilter{},
		UuidOption: &streams.ReadReq_Options_UUIDOption{Content: &streams.ReadReq_Options_UUIDOption_Structured{Structured: &shared.Empty{}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for {
		message, err := call.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if message.GetCaughtUp() != nil {
			return call
		}
	}
}

// A thousand idle subscriptions take little memory, client and server together.
func TestIdleSubscriptionsAreSmall(t *testing.T) {
	const subscriptions, most = 1000, 64 << 10
	w := newWorld(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	held := func() int64 {
		runtime.GC()
		runtime.GC() // what the first one only unlinked
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return int64(stats.HeapAlloc + stats.StackInuse)
	}
	follow(ctx, t, w.conn)
	before := held()
	for range subscriptions {
		follow(ctx, t, w.conn)
	}
	each := (held() - before) / subscriptions
	t.Logf("%d bytes a subscription", each)
	if each > most {
		t.Errorf("want at most %d bytes a subscription, found %d", most, each)
	}
}

// A subscriber that does not read slows no other one, and gets every event when it reads
// again.
func TestASlowSubscriberMissesNothing(t *testing.T) {
	t.Parallel()
	const others, events = 20, 2000
	w := newWorld(t)
	slow := follow(t.Context(), t, dialTo(t, w))
	conn := dialTo(t, w)
	var reading sync.WaitGroup
	check := func(call streams.Streams_ReadClient) {
		for i := range events {
			message, err := call.Recv()
			if err != nil {
				t.Error(err)
				return
			}
			if found := message.GetEvent().GetEvent().GetStreamRevision(); found != uint64(i) {
				t.Errorf("want revision %d, found %d", i, found)
				return
			}
		}
	}
	for range others {
		call := follow(t.Context(), t, conn)
		reading.Go(func() { check(call) })
	}
	data := bytes.Repeat([]byte("7"), 900) // more in all than is under way to anybody
	for i := range events {
		w.put(t, "s", i, i+1, data)
	}
	reading.Wait()
	check(slow)
}

func dialTo(t *testing.T, w *world) *grpc.ClientConn {
	t.Helper()
	conn := dial(t, w.conn.Target())
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(fmt.Errorf("connection: %w", err))
		}
	})
	return conn
}
