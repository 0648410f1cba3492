package esdbserver_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
)

// BenchmarkBatchAppend has 64 clients each keep 32 appends of one event in flight, and
// BenchmarkBatches appends of 32 events. They are compared with the embedded log, which
// appends as many events at once, and with a server that answers without reading, since
// every append includes the time of the client and gRPC.
func BenchmarkBatchAppend(b *testing.B) { benchmarkBatch(b, 32, 1) }

func BenchmarkBatches(b *testing.B) { benchmarkBatch(b, 8, 32) }

func benchmarkBatch(b *testing.B, flight, events int) {
	w := newBenched(b)
	ours, theirs := w.batchCalls(b, w.conns), w.batchCalls(b, blindServer(b))
	batches := func(n int, calls []streams.Streams_BatchAppendClient) {
		w.together(b, max(n/flight/events, 1), func(client int, stream string) error {
			for range flight {
				if err := calls[client].Send(w.batch(stream, events)); err != nil {
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
	}
	embedded := func(n int) {
		w.together(b, max(n/events, 1), func(_ int, stream string) error { return w.embeddedMany(stream, events) })
	}
	compared(b, max(b.N, benchRounds*benchClients*flight*events), []string{"appends", "embedded", "blind"},
		func(n int) { batches(n, ours) }, embedded, func(n int) { batches(n, theirs) })
	for _, call := range append(ours, theirs...) {
		_ = call.CloseSend()
	}
}

// batchCalls opens a BatchAppend call on each connection.
func (w *benched) batchCalls(b *testing.B, conns []*grpc.ClientConn) []streams.Streams_BatchAppendClient {
	b.Helper()
	calls := make([]streams.Streams_BatchAppendClient, len(conns))
	for i := range calls {
		var err error
		if calls[i], err = streams.NewStreamsClient(conns[i]).BatchAppend(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
	return calls
}

// blindCodec decodes and encodes nothing: it drops each message received and sends the
// same bytes each time.
type blindCodec struct{ answer []byte }

func (c blindCodec) Marshal(any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(c.answer)}, nil
}

func (blindCodec) Unmarshal(mem.BufferSlice, any) error { return nil }

func (blindCodec) Name() string { return "proto" }

// blind answers each message of a BatchAppend call without reading it.
type blind struct {
	streams.UnimplementedStreamsServer
}

func (blind) BatchAppend(call streams.Streams_BatchAppendServer) error {
	for {
		if err := call.RecvMsg(nil); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := call.SendMsg(nil); err != nil {
			return err
		}
	}
}

// blindServer starts a server of blind and connects as many clients to it as to ours.
func blindServer(b *testing.B) (conns []*grpc.ClientConn) {
	b.Helper()
	answer, err := proto.Marshal(&streams.BatchAppendResp{
		CorrelationId: uuidNamed("a"), StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte("bench-1")}, ExpectedStreamPosition: &streams.BatchAppendResp_Any{},
		Result: &streams.BatchAppendResp_Success_{Success: &streams.BatchAppendResp_Success{
			CurrentRevisionOption: &streams.BatchAppendResp_Success_CurrentRevision{CurrentRevision: 1000},
			PositionOption:        &streams.BatchAppendResp_Success_Position{Position: &shared.AllStreamPosition{CommitPosition: 100_000, PreparePosition: 100_000}},
		}},
	})
	if err != nil {
		b.Fatal(err)
	}
	server := grpc.NewServer(grpc.ForceServerCodecV2(blindCodec{answer}))
	streams.RegisterStreamsServer(server, blind{})
	listener := listen(b)
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	for range benchClients {
		conns = append(conns, dial(b, listener.Addr().String()))
	}
	b.Cleanup(func() {
		for _, conn := range conns {
			_ = conn.Close()
		}
		server.Stop()
		if err := <-done; err != nil {
			b.Error(err)
		}
	})
	return conns
}

func (w *benched) batch(stream string, events int) *streams.BatchAppendReq {
	messages := make([]*streams.BatchAppendReq_ProposedMessage, events)
	for i := range messages {
		p := w.proposed()
		messages[i] = &streams.BatchAppendReq_ProposedMessage{Id: p.Id, Metadata: p.Metadata, Data: p.Data}
	}
	return &streams.BatchAppendReq{
		CorrelationId: messages[0].Id, IsFinal: true, ProposedMessages: messages,
		Options: &streams.BatchAppendReq_Options{
			StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte(stream)}, ExpectedStreamPosition: &streams.BatchAppendReq_Options_Any{},
		},
	}
}
