package esdbserver_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/pebblelog"
	"github.com/ringrift/rift/transport/esdbserver"
)

const (
	benchClients = 64
	benchBytes   = 256
)

// benched is a server over the embedded log, and what it is compared with.
type benched struct {
	log     *pebblelog.Log
	address string
	conns   []*grpc.ClientConn // one a client
	data    []byte
	streams atomic.Int64 // names given out
}

func newBenched(b *testing.B) *benched {
	b.Helper()
	log, err := pebblelog.Open(b.TempDir(), pebblelog.Options{})
	if err != nil {
		b.Fatal(err)
	}
	server, err := esdbserver.New(esdbserver.Config{Log: log, Insecure: true})
	if err != nil {
		b.Fatal(err)
	}
	listener := listen(b)
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	w := &benched{log: log, address: listener.Addr().String(), data: fmt.Appendf(nil, `{"payload":"%0*d"}`, benchBytes-14, 7)}
	for range benchClients {
		w.conns = append(w.conns, dial(b, w.address))
	}
	b.Cleanup(func() {
		for _, conn := range w.conns {
			_ = conn.Close()
		}
		server.Close()
		if err := errors.Join(<-done, log.Close()); err != nil {
			b.Error(err)
		}
	})
	return w
}

// together has the clients do n operations in all.
func (w *benched) together(b *testing.B, n int, do func(client int, stream string) error) {
	b.Helper()
	var left atomic.Int64
	left.Store(int64(n))
	var running sync.WaitGroup
	for client := range benchClients {
		stream := fmt.Sprint("bench-", w.streams.Add(1))
		running.Go(func() {
			for left.Add(-1) >= 0 {
				if err := do(client, stream); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	running.Wait()
}

var benchIDs atomic.Int64

// benchMetadata is the metadata of all events of a benchmark.
var benchMetadata = map[string]string{"type": "Benched", "content-type": "application/json"}

func (w *benched) proposed() *streams.AppendReq_ProposedMessage {
	id := &shared.UUID_Structured{MostSignificantBits: 1 << 62, LeastSignificantBits: benchIDs.Add(1)}
	return &streams.AppendReq_ProposedMessage{Id: &shared.UUID{Value: &shared.UUID_Structured_{Structured: id}}, Metadata: benchMetadata, Data: w.data}
}

func (w *benched) appendOne(client int, stream string) error {
	call, err := streams.NewStreamsClient(w.conns[client]).Append(context.Background())
	if err != nil {
		return err
	}
	if err := call.Send(&streams.AppendReq{Content: &streams.AppendReq_Options_{Options: &streams.AppendReq_Options{
		StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte(stream)}, ExpectedStreamRevision: &streams.AppendReq_Options_Any{Any: &shared.Empty{}},
	}}}); err != nil {
		return err
	}
	if err := call.Send(&streams.AppendReq{Content: &streams.AppendReq_ProposedMessage_{ProposedMessage: w.proposed()}}); err != nil {
		return err
	}
	_, err = call.CloseAndRecv()
	return err
}

func (w *benched) embedded(_ int, stream string) error { return w.embeddedMany(stream, 1) }

func (w *benched) embeddedMany(stream string, n int) error {
	events := make([]eventlog.Proposed, n)
	for i := range events {
		events[i] = eventlog.Proposed{ID: domain.DeriveID("embedded", int(benchIDs.Add(1))), Type: "Benched", Version: 1, Data: w.data}
	}
	_, err := w.log.Append(context.Background(), domain.StreamID(stream), domain.AnyRevision, events...)
	return err
}

// spent is how much one side of a comparison has done, and the time and processor time
// that it took. Other work on the machine adds to the time, but not to the processor
// time.
type spent struct {
	done      int
	wall, cpu time.Duration
}

func (s *spent) measure(b *testing.B, n int, do func(n int)) {
	b.Helper()
	began, used := time.Now(), processorTime(b)
	do(n)
	s.wall += time.Since(began)
	s.cpu += processorTime(b) - used
	s.done += n
}

func (s *spent) rate() float64 { return float64(s.done) / s.wall.Seconds() }

func (s *spent) cost() float64 { return s.cpu.Seconds() / float64(s.done) * 1e6 }

func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// benchRounds is the number of turns in which each side of a comparison is measured, so
// that other work on the machine slows all sides alike.
const benchRounds = 8

// compared has each side do n operations in turns, and reports the rate of the first,
// also as a fraction of the rate of each other.
func compared(b *testing.B, n int, names []string, sides ...func(n int)) {
	b.Helper()
	results := make([]spent, len(sides))
	b.ResetTimer()
	for range benchRounds {
		for i, side := range sides {
			results[i].measure(b, max(n/benchRounds, benchClients), side)
		}
	}
	b.StopTimer()
	b.ReportMetric(results[0].rate(), names[0]+"/s")
	b.ReportMetric(results[0].cost(), "µs-cpu")
	for i := range results[1:] {
		b.ReportMetric(results[0].rate()/results[i+1].rate(), "of-"+names[i+1])
		b.ReportMetric(results[i+1].cost(), "µs-cpu-"+names[i+1])
	}
}

// BenchmarkAppend has 64 clients append one event at a time, and compares that with
// calls that do nothing and with the embedded log, in the same run.
func BenchmarkAppend(b *testing.B) {
	w := newBenched(b)
	nothing := func(client int, _ string) error {
		_, err := gossip.NewGossipClient(w.conns[client]).Read(context.Background(), &shared.Empty{})
		return err
	}
	compared(b, b.N, []string{"appends", "no-op", "embedded"},
		func(n int) { w.together(b, n, w.appendOne) }, func(n int) { w.together(b, n, nothing) }, func(n int) { w.together(b, n, w.embedded) })
}

// prepared is a server that sends the same message repeatedly.
type prepared struct {
	streams.UnimplementedStreamsServer
	source *streams.ReadResp
}

func (p *prepared) Read(request *streams.ReadReq, out streams.Streams_ReadServer) error {
	message := &grpc.PreparedMsg{}
	if err := message.Encode(out, p.source); err != nil {
		return err
	}
	for range request.GetOptions().GetCount() {
		if err := out.SendMsg(message); err != nil {
			return err
		}
	}
	return nil
}

// BenchmarkReadAll reads $all through the official client, and compares that with what
// the client can decode from a server that does nothing but send.
func BenchmarkReadAll(b *testing.B) {
	w := newBenched(b)
	const batch = 1000
	for at := 0; at < b.N; at += batch {
		events := make([]eventlog.Proposed, batch)
		for i := range events {
			events[i] = eventlog.Proposed{ID: domain.DeriveID("read", at+i), Type: "Benched", Version: 1, Data: w.data}
		}
		if _, err := w.log.Append(b.Context(), domain.StreamID(fmt.Sprint("read-", at%7)), domain.AnyRevision, events...); err != nil {
			b.Fatal(err)
		}
	}
	source := firstOfAll(b, w.conns[0])
	listener := listen(b)
	server := grpc.NewServer()
	streams.RegisterStreamsServer(server, &prepared{source: source})
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	b.Cleanup(func() {
		server.Stop()
		if err := <-done; err != nil {
			b.Error(err)
		}
	})
	ours, theirs := officialClient(b, w.address), officialClient(b, listener.Addr().String())
	compared(b, b.N, []string{"events", "prepared"}, func(n int) { readEvents(b, ours, n) }, func(n int) { readEvents(b, theirs, n) })
}

func firstOfAll(b *testing.B, conn *grpc.ClientConn) (last *streams.ReadResp) {
	b.Helper()
	call, err := streams.NewStreamsClient(conn).Read(b.Context(), &streams.ReadReq{Options: &streams.ReadReq_Options{
		StreamOption: &streams.ReadReq_Options_All{All: &streams.ReadReq_Options_AllOptions{AllOption: &streams.ReadReq_Options_AllOptions_End{}}}, ReadDirection: streams.ReadReq_Options_Backwards,
		CountOption: &streams.ReadReq_Options_Count{Count: 1}, FilterOption: &streams.ReadReq_Options_NoFilter{},
		UuidOption: &streams.ReadReq_Options_UUIDOption{Content: &streams.ReadReq_Options_UUIDOption_Structured{Structured: &shared.Empty{}}},
	}})
	if err == nil {
		last, err = call.Recv()
	}
	if err != nil {
		b.Fatal(err)
	}
	return last
}

func officialClient(b *testing.B, address string) *esdb.Client {
	b.Helper()
	config, err := esdb.ParseConnectionString("esdb://" + address + "?tls=false")
	if err != nil {
		b.Fatal(err)
	}
	config.Logger = esdb.NoopLogging()
	client, err := esdb.NewClient(config)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = client.Close() })
	return client
}

func readEvents(b *testing.B, client *esdb.Client, n int) {
	b.Helper()
	events, err := client.ReadAll(b.Context(), esdb.ReadAllOptions{From: esdb.Start{}, Direction: esdb.Forwards}, uint64(n))
	if err != nil {
		b.Fatal(err)
	}
	defer events.Close()
	for {
		if _, err := events.Recv(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDelivery measures the time from an append to its delivery by a live
// subscription, both through the official client. It also measures the append to the
// embedded log alone, since an event is durable before it is delivered, and a call that
// does nothing, since the event goes to the server and back.
func BenchmarkDelivery(b *testing.B) {
	w := newBenched(b)
	client := officialClient(b, w.address)
	live, err := client.SubscribeToStream(b.Context(), "delivery-1", esdb.SubscribeToStreamOptions{From: esdb.Start{}})
	if err != nil {
		b.Fatal(err)
	}
	defer live.Close()
	var took, appended, embedded, nothing []time.Duration
	for b.Loop() {
		idle := time.Now()
		if _, err := gossip.NewGossipClient(w.conns[0]).Read(context.Background(), &shared.Empty{}); err != nil {
			b.Fatal(err)
		}
		nothing = append(nothing, time.Since(idle))
		alone := time.Now()
		if err := w.embedded(0, "alone-1"); err != nil {
			b.Fatal(err)
		}
		embedded = append(embedded, time.Since(alone))
		began := time.Now()
		answered := make(chan time.Duration, 1)
		go func() {
			err := w.appendOne(0, "delivery-1")
			answered <- time.Since(began)
			if err != nil {
				b.Error(err)
			}
		}()
		for said := live.Recv(); said.EventAppeared == nil; said = live.Recv() {
			if said.SubscriptionDropped != nil {
				b.Fatal(said.SubscriptionDropped.Error)
			}
		}
		took = append(took, time.Since(began))
		appended = append(appended, <-answered)
	}
	median := func(all []time.Duration) float64 {
		slices.Sort(all)
		return float64(all[len(all)/2].Microseconds())
	}
	b.ReportMetric(median(took), "µs-median")
	b.ReportMetric(median(appended), "µs-append-median")
	b.ReportMetric(median(embedded), "µs-embedded-median")
	b.ReportMetric(median(nothing), "µs-no-op-median")
}
