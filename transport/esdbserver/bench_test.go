package esdbserver_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
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

// benched is a server over the embedded log, and what it is held against.
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

// rate has the clients do n things together and tells how many there were a second.
func (w *benched) rate(b *testing.B, n int, do func(client int, stream string) error) float64 {
	b.Helper()
	var left atomic.Int64
	left.Store(int64(n))
	var running sync.WaitGroup
	began := time.Now()
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
	return float64(n) / time.Since(began).Seconds()
}

var benchIDs atomic.Int64

func (w *benched) proposed() *streams.AppendReq_ProposedMessage {
	return &streams.AppendReq_ProposedMessage{
		Id: uuidNamed(fmt.Sprint("bench", benchIDs.Add(1))), Metadata: map[string]string{"type": "Benched", "content-type": "application/json"}, Data: w.data,
	}
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

func (w *benched) embedded(_ int, stream string) error {
	_, err := w.log.Append(context.Background(), domain.StreamID(stream), domain.AnyRevision, eventlog.Proposed{
		ID: domain.DeriveID("embedded", int(benchIDs.Add(1))), Type: "Benched", Version: 1, Data: w.data,
	})
	return err
}

// BenchmarkAppend has 64 clients append one event at a time, and holds that against
// calls that do nothing and against the embedded log, in the same run.
func BenchmarkAppend(b *testing.B) {
	w := newBenched(b)
	b.ResetTimer()
	rate := w.rate(b, b.N, w.appendOne)
	b.StopTimer()
	nothing := w.rate(b, b.N, func(client int, _ string) error {
		_, err := gossip.NewGossipClient(w.conns[client]).Read(context.Background(), &shared.Empty{})
		return err
	})
	embedded := w.rate(b, b.N, w.embedded)
	b.ReportMetric(rate, "appends/s")
	b.ReportMetric(rate/nothing, "of-no-op")
	b.ReportMetric(rate/embedded, "of-embedded")
}

// BenchmarkBatchAppend has 64 clients each keep 32 appends of one event in flight.
func BenchmarkBatchAppend(b *testing.B) {
	w := newBenched(b)
	const flight = 32
	calls := make([]streams.Streams_BatchAppendClient, benchClients)
	for i := range calls {
		var err error
		if calls[i], err = streams.NewStreamsClient(w.conns[i]).BatchAppend(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
	rounds := max(b.N/flight, 1)
	b.ResetTimer()
	rate := flight * w.rate(b, rounds, func(client int, stream string) error {
		for range flight {
			p := w.proposed()
			if err := calls[client].Send(&streams.BatchAppendReq{
				CorrelationId: p.Id, IsFinal: true,
				Options: &streams.BatchAppendReq_Options{
					StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte(stream)}, ExpectedStreamPosition: &streams.BatchAppendReq_Options_Any{},
				},
				ProposedMessages: []*streams.BatchAppendReq_ProposedMessage{{Id: p.Id, Metadata: p.Metadata, Data: p.Data}},
			}); err != nil {
				return err
			}
		}
		for range flight {
			answer, err := calls[client].Recv()
			if err != nil || answer.GetError() != nil {
				return errors.Join(err, fmt.Errorf("answer %v", answer.GetError()))
			}
		}
		return nil
	})
	b.StopTimer()
	for _, call := range calls {
		_ = call.CloseSend()
	}
	embedded := w.rate(b, rounds*flight, w.embedded)
	b.ReportMetric(rate, "appends/s")
	b.ReportMetric(rate/embedded, "of-embedded")
}

// prepared is a server that sends the same message over and over.
type prepared struct {
	streams.UnimplementedStreamsServer
	source *streams.ReadResp
	count  int
}

func (p *prepared) Read(_ *streams.ReadReq, out streams.Streams_ReadServer) error {
	message := &grpc.PreparedMsg{}
	if err := message.Encode(out, p.source); err != nil {
		return err
	}
	for range p.count {
		if err := out.SendMsg(message); err != nil {
			return err
		}
	}
	return nil
}

// BenchmarkReadAll reads $all through the official client, and holds that against
// what the client can decode from a server that does nothing but send.
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
	b.ResetTimer()
	rate := readAllRate(b, w.address, b.N)
	b.StopTimer()
	source := firstOfAll(b, w.conns[0])
	listener := listen(b)
	server := grpc.NewServer()
	streams.RegisterStreamsServer(server, &prepared{source: source, count: b.N})
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	b.Cleanup(func() {
		server.Stop()
		if err := <-done; err != nil {
			b.Error(err)
		}
	})
	bound := readAllRate(b, listener.Addr().String(), b.N)
	b.ReportMetric(rate, "events/s")
	b.ReportMetric(rate/bound, "of-prepared")
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

func readAllRate(b *testing.B, address string, n int) float64 {
	b.Helper()
	began := time.Now()
	events, err := officialClient(b, address).ReadAll(b.Context(), esdb.ReadAllOptions{From: esdb.Start{}, Direction: esdb.Forwards}, uint64(n))
	if err != nil {
		b.Fatal(err)
	}
	defer events.Close()
	for read := 0; ; read++ {
		if _, err := events.Recv(); errors.Is(err, io.EOF) {
			return float64(read) / time.Since(began).Seconds()
		} else if err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDelivery measures from an append to its delivery by a live subscription,
// both through the official client.
func BenchmarkDelivery(b *testing.B) {
	w := newBenched(b)
	client := officialClient(b, w.address)
	live, err := client.SubscribeToStream(b.Context(), "delivery-1", esdb.SubscribeToStreamOptions{From: esdb.Start{}})
	if err != nil {
		b.Fatal(err)
	}
	defer live.Close()
	var took, appended []time.Duration
	for b.Loop() {
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
}
