package esdbserver_test

import (
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"

	"github.com/ringrift/rift/transport/esdbserver"
)

// rawCodec sends bytes as they are, whether or not they are a message.
type rawCodec struct{}

func (rawCodec) Name() string { return "proto" }

func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(v.([]byte))}, nil
}

func (rawCodec) Unmarshal(mem.BufferSlice, any) error { return nil }

const eventStore = "/event_store.client."

// Clients that send bad messages, or none, get a status that says what is wrong. The node
// keeps serving the others, and keeps nothing of the bad ones.
func TestBadClients(t *testing.T) {
	address := nodeOf(t, nil, esdbserver.Config{Insecure: true})
	conn := dial(t, address)
	t.Cleanup(func() { _ = conn.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	serves := func(t *testing.T) {
		t.Helper()
		call, err := streams.NewStreamsClient(conn).Read(ctx, usersRead())
		if err == nil {
			_, err = call.Recv()
		}
		if err != nil {
			t.Fatalf("want a node that serves others, found %v", err)
		}
	}
	t.Run("malformed messages", func(t *testing.T) {
		for _, method := range []string{
			"streams.Streams/Read", "streams.Streams/Append", "streams.Streams/BatchAppend", "streams.Streams/Delete", "streams.Streams/Tombstone",
			"persistent_subscriptions.PersistentSubscriptions/Create", "persistent_subscriptions.PersistentSubscriptions/Read", "persistent_subscriptions.PersistentSubscriptions/List",
		} {
			if code := status.Code(sendsRaw(ctx, conn, eventStore+method, []byte{0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f, 1})); code != codes.Internal {
				t.Errorf("%s: want %s, found %s", method, codes.Internal, code)
			}
		}
		if code := status.Code(sendsRaw(ctx, conn, eventStore+"users.Users/Create", nil)); code != codes.Unimplemented {
			t.Errorf("a service that is not there: want %s, found %s", codes.Unimplemented, code)
		}
		serves(t)
	})
	t.Run("an oversized message", func(t *testing.T) {
		if code := status.Code(sendsRaw(ctx, conn, eventStore+"streams.Streams/Delete", make([]byte, 18<<20))); code != codes.ResourceExhausted {
			t.Errorf("want %s, found %s", codes.ResourceExhausted, code)
		}
		serves(t)
	})
	t.Run("an endless append", func(t *testing.T) {
		call, err := streams.NewStreamsClient(conn).Append(ctx)
		if err != nil {
			t.Fatal(err)
		}
		err = call.Send(&streams.AppendReq{Content: &streams.AppendReq_Options_{Options: &streams.AppendReq_Options{
			StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte("endless")}, ExpectedStreamRevision: &streams.AppendReq_Options_Any{},
		}}})
		for err == nil {
			err = call.Send(&streams.AppendReq{Content: &streams.AppendReq_ProposedMessage_{ProposedMessage: &streams.AppendReq_ProposedMessage{
				Id: uuidNamed("endless"), Metadata: map[string]string{"type": "T", "content-type": "application/json"}, Data: make([]byte, 10<<10),
			}}})
		}
		if !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		if _, err := call.CloseAndRecv(); status.Code(err) != codes.InvalidArgument {
			t.Errorf("want %s, found %v", codes.InvalidArgument, err)
		}
		serves(t)
	})
	t.Run("abandoned calls and connections", func(t *testing.T) {
		before := runtime.NumGoroutine()
		for range 100 {
			abandon(ctx, t, conn)
			raw, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = raw.Write([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00")) // and no more
			_ = raw.Close()
		}
		serves(t)
		for runtime.NumGoroutine() > before+20 {
			select {
			case <-ctx.Done():
				t.Fatalf("want about %d goroutines once all are gone, found %d", before, runtime.NumGoroutine())
			case <-time.After(time.Millisecond):
			}
		}
	})
}

func usersRead() *streams.ReadReq {
	return &streams.ReadReq{Options: &streams.ReadReq_Options{
		StreamOption: &streams.ReadReq_Options_Stream{Stream: &streams.ReadReq_Options_StreamOptions{
			StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte("$users")}, RevisionOption: &streams.ReadReq_Options_StreamOptions_Start{},
		}},
		CountOption: &streams.ReadReq_Options_Count{Count: 1}, FilterOption: &streams.ReadReq_Options_NoFilter{},
		UuidOption: &streams.ReadReq_Options_UUIDOption{Content: &streams.ReadReq_Options_UUIDOption_String_{}},
	}}
}

// sendsRaw makes a call with one message of these bytes and returns the error it ends with.
func sendsRaw(ctx context.Context, conn *grpc.ClientConn, method string, message []byte) error {
	call, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, method, grpc.ForceCodecV2(rawCodec{}))
	if err != nil {
		return err
	}
	if err := call.SendMsg(message); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	_ = call.CloseSend() // what went wrong is in the answer
	var answer []byte
	for {
		if err := call.RecvMsg(&answer); err != nil {
			return err
		}
	}
}

// abandon begins a call of each kind that lasts, sends the first message, and leaves.
func abandon(ctx context.Context, t *testing.T, conn *grpc.ClientConn) {
	t.Helper()
	ctx, leave := context.WithCancel(ctx)
	defer leave()
	client := streams.NewStreamsClient(conn)
	appending, err := client.Append(ctx)
	if err == nil {
		err = appending.Send(&streams.AppendReq{Content: &streams.AppendReq_Options_{Options: &streams.AppendReq_Options{
			StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte("left")}, ExpectedStreamRevision: &streams.AppendReq_Options_Any{},
		}}})
	}
	batch, batchErr := client.BatchAppend(ctx)
	if batchErr == nil {
		batchErr = batch.Send(&streams.BatchAppendReq{CorrelationId: uuidNamed("left"), Options: &streams.BatchAppendReq_Options{
			StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte("left")}, ExpectedStreamPosition: &streams.BatchAppendReq_Options_Any{},
		}})
	}
	following := usersRead()
	following.Options.CountOption = &streams.ReadReq_Options_Subscription{}
	live, liveErr := client.Read(ctx, following)
	if liveErr == nil {
		_, liveErr = live.Recv()
	}
	if failed := slices.DeleteFunc([]error{err, batchErr, liveErr}, func(err error) bool { return err == nil }); len(failed) > 0 {
		t.Fatal(errors.Join(failed...))
	}
}
