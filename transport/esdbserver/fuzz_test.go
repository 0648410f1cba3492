package esdbserver

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/foreign"
)

// Each of these targets makes one call of a method with the bytes of its messages. A
// message is served or refused. None makes the server panic, or answer that the fault is
// its own.

func FuzzStreamsRead(f *testing.F) {
	uuid := &streams.ReadReq_Options_UUIDOption{Content: &streams.ReadReq_Options_UUIDOption_Structured{Structured: &shared.Empty{}}}
	stream := &streams.ReadReq_Options_Stream{Stream: &streams.ReadReq_Options_StreamOptions{
		StreamIdentifier: identifier("s"), RevisionOption: &streams.ReadReq_Options_StreamOptions_Revision{Revision: 1},
	}}
	all := &streams.ReadReq_Options_All{All: &streams.ReadReq_Options_AllOptions{AllOption: &streams.ReadReq_Options_AllOptions_Start{Start: &shared.Empty{}}}}
	filter := &streams.ReadReq_Options_Filter{Filter: &streams.ReadReq_Options_FilterOptions{
		Filter: &streams.ReadReq_Options_FilterOptions_EventType{EventType: &streams.ReadReq_Options_FilterOptions_Expression{Regex: "^T", Prefix: []string{"a"}}},
		Window: &streams.ReadReq_Options_FilterOptions_Max{Max: 1}, CheckpointIntervalMultiplier: 1,
	}}
	fuzzCalls(f, &streams.Streams_ServiceDesc, "Read", one(
		&streams.ReadReq{Options: &streams.ReadReq_Options{StreamOption: stream, CountOption: &streams.ReadReq_Options_Count{Count: 5}, FilterOption: &streams.ReadReq_Options_NoFilter{}, UuidOption: uuid}},
		&streams.ReadReq{Options: &streams.ReadReq_Options{StreamOption: all, CountOption: &streams.ReadReq_Options_Subscription{}, FilterOption: filter, UuidOption: uuid, ResolveLinks: true}},
	))
}

func FuzzStreamsAppend(f *testing.F) {
	options := &streams.AppendReq{Content: &streams.AppendReq_Options_{Options: &streams.AppendReq_Options{
		StreamIdentifier: identifier("s"), ExpectedStreamRevision: &streams.AppendReq_Options_Any{Any: &shared.Empty{}},
	}}}
	event := &streams.AppendReq{Content: &streams.AppendReq_ProposedMessage_{ProposedMessage: &streams.AppendReq_ProposedMessage{
		Id: uuidOf(domain.EventID{1}, true), Metadata: map[string]string{keyType: "t", keyContentType: contentJSON}, Data: []byte("x"),
	}}}
	fuzzCalls(f, &streams.Streams_ServiceDesc, "Append", [][2]proto.Message{{options, event}})
}

func FuzzStreamsBatchAppend(f *testing.F) {
	batch := &streams.BatchAppendReq{
		CorrelationId: uuidOf(domain.EventID{1}, false), Options: &streams.BatchAppendReq_Options{StreamIdentifier: identifier("s"), ExpectedStreamPosition: &streams.BatchAppendReq_Options_Any{Any: &emptypb.Empty{}}},
		ProposedMessages: []*streams.BatchAppendReq_ProposedMessage{{Id: uuidOf(domain.EventID{2}, true), Metadata: map[string]string{keyType: "t", keyContentType: contentJSON}, Data: []byte("{}")}},
	}
	fuzzCalls(f, &streams.Streams_ServiceDesc, "BatchAppend", [][2]proto.Message{{batch, &streams.BatchAppendReq{CorrelationId: batch.CorrelationId, IsFinal: true}}})
}

func FuzzBatchPart(f *testing.F) {
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, message []byte) { checkBatchPart(t, message) })
}

func FuzzStreamsDelete(f *testing.F) {
	fuzzCalls(f, &streams.Streams_ServiceDesc, "Delete", one(&streams.DeleteReq{Options: &streams.DeleteReq_Options{
		StreamIdentifier: identifier("s"), ExpectedStreamRevision: &streams.DeleteReq_Options_Any{Any: &shared.Empty{}},
	}}))
}

func FuzzStreamsTombstone(f *testing.F) {
	fuzzCalls(f, &streams.Streams_ServiceDesc, "Tombstone", one(&streams.TombstoneReq{Options: &streams.TombstoneReq_Options{
		StreamIdentifier: identifier("s"), ExpectedStreamRevision: &streams.TombstoneReq_Options_Revision{Revision: 2},
	}}))
}

func FuzzGroupsCreate(f *testing.F) {
	settings := &persistent.CreateReq_Settings{ReadBatchSize: 1, HistoryBufferSize: 2, NamedConsumerStrategy: persistent.CreateReq_Pinned}
	fuzzCalls(f, &persistent.PersistentSubscriptions_ServiceDesc, "Create", one(&persistent.CreateReq{Options: &persistent.CreateReq_Options{
		GroupName: "h", StreamIdentifier: identifier("s"), Settings: settings,
	}}))
}

func FuzzGroupsUpdate(f *testing.F) {
	fuzzCalls(f, &persistent.PersistentSubscriptions_ServiceDesc, "Update", one(&persistent.UpdateReq{Options: &persistent.UpdateReq_Options{
		GroupName: "g", StreamIdentifier: identifier("s"), Settings: &persistent.UpdateReq_Settings{ReadBatchSize: 1, HistoryBufferSize: 2},
	}}))
}

func FuzzGroupsDelete(f *testing.F) {
	fuzzCalls(f, &persistent.PersistentSubscriptions_ServiceDesc, "Delete", one(&persistent.DeleteReq{Options: &persistent.DeleteReq_Options{
		GroupName: "g", StreamOption: &persistent.DeleteReq_Options_StreamIdentifier{StreamIdentifier: identifier("s")},
	}}))
}

func FuzzGroupsRead(f *testing.F) {
	options := &persistent.ReadReq{Content: &persistent.ReadReq_Options_{Options: &persistent.ReadReq_Options{
		GroupName: "g", StreamOption: &persistent.ReadReq_Options_StreamIdentifier{StreamIdentifier: identifier("s")}, BufferSize: 2,
	}}}
	ids := []*shared.UUID{uuidOf(domain.DeriveID("fuzz", 0), true)}
	fuzzCalls(f, &persistent.PersistentSubscriptions_ServiceDesc, "Read", [][2]proto.Message{
		{options, &persistent.ReadReq{Content: &persistent.ReadReq_Ack_{Ack: &persistent.ReadReq_Ack{Ids: ids}}}},
		{options, &persistent.ReadReq{Content: &persistent.ReadReq_Nack_{Nack: &persistent.ReadReq_Nack{Ids: ids, Action: persistent.ReadReq_Nack_Park}}}},
	})
}

func FuzzGroupsGetInfo(f *testing.F) {
	fuzzCalls(f, &persistent.PersistentSubscriptions_ServiceDesc, "GetInfo", one(&persistent.GetInfoReq{Options: &persistent.GetInfoReq_Options{
		GroupName: "g", StreamOption: &persistent.GetInfoReq_Options_StreamIdentifier{StreamIdentifier: identifier("s")},
	}}))
}

func FuzzGroupsList(f *testing.F) {
	fuzzCalls(f, &persistent.PersistentSubscriptions_ServiceDesc, "List", one(&persistent.ListReq{Options: &persistent.ListReq_Options{
		ListOption: &persistent.ListReq_Options_ListForStream{ListForStream: &persistent.ListReq_StreamOption{
			StreamOption: &persistent.ListReq_StreamOption_Stream{Stream: identifier("s")},
		}},
	}}))
}

func FuzzGroupsReplayParked(f *testing.F) {
	fuzzCalls(f, &persistent.PersistentSubscriptions_ServiceDesc, "ReplayParked", one(&persistent.ReplayParkedReq{Options: &persistent.ReplayParkedReq_Options{
		GroupName: "g", StreamOption: &persistent.ReplayParkedReq_Options_StreamIdentifier{StreamIdentifier: identifier("s")}, StopAtOption: &persistent.ReplayParkedReq_Options_StopAt{StopAt: 1},
	}}))
}

// one returns calls of one message each.
func one(messages ...proto.Message) (calls [][2]proto.Message) {
	for _, m := range messages {
		calls = append(calls, [2]proto.Message{m, nil})
	}
	return calls
}

// fuzzCalls fuzzes a method. Each call has its own server, with a stream s of three events
// and a group g. The seeds are calls of up to two messages.
func fuzzCalls(f *testing.F, service *grpc.ServiceDesc, method string, seeds [][2]proto.Message) {
	for _, seed := range seeds {
		var parts [2][]byte
		for i, m := range seed {
			if m == nil {
				continue
			}
			var err error
			if parts[i], err = proto.Marshal(m); err != nil {
				f.Fatal(err)
			}
		}
		f.Add(parts[0], parts[1])
	}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		server := fuzzedServer(t)
		defer server.Close()
		ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), callerKey{}, &caller{whole: true}), 20*time.Millisecond)
		defer cancel()
		call := &fuzzedCall{ctx: ctx, cancel: cancel, messages: [][]byte{first, second}}
		var err error
		if at := slices.IndexFunc(service.Methods, func(m grpc.MethodDesc) bool { return m.MethodName == method }); at >= 0 {
			_, err = service.Methods[at].Handler(server.fuzzed(service), ctx, call.RecvMsg, nil)
		} else {
			at := slices.IndexFunc(service.Streams, func(m grpc.StreamDesc) bool { return m.StreamName == method })
			err = service.Streams[at].Handler(server.fuzzed(service), call)
		}
		if code := status.Code(statusOf(ctx, err)); code == codes.Internal || code == codes.DataLoss {
			t.Fatalf("want an answer or a refusal, found %v", err)
		}
	})
}

// fuzzed is what serves a service.
func (s *Server) fuzzed(service *grpc.ServiceDesc) any {
	if service == &streams.Streams_ServiceDesc {
		return &streamsService{server: s}
	}
	return &groupsService{server: s}
}

func fuzzedServer(t *testing.T) *Server {
	log := eventlog.NewMemory()
	var events []eventlog.Proposed
	for i := range 3 {
		events = append(events, eventlog.Proposed{ID: domain.DeriveID("fuzz", i), Type: "T", Version: 1, Time: time.Unix(int64(i), 0), Data: []byte("{}")})
	}
	stream, err := foreign.StreamID("s")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := log.Append(t.Context(), stream, domain.NoStream, events...); err != nil {
		t.Fatal(err)
	}
	server, err := New(Config{Log: log, Insecure: true})
	if err != nil {
		t.Fatal(err)
	}
	_, err = (&groupsService{server: server}).Create(context.WithValue(t.Context(), callerKey{}, &caller{whole: true}), &persistent.CreateReq{Options: &persistent.CreateReq_Options{
		GroupName: "g", StreamIdentifier: identifier("s"), Settings: &persistent.CreateReq_Settings{ReadBatchSize: 1, HistoryBufferSize: 2, LiveBufferSize: 2, MaxRetryCount: 1, MaxCheckpointCount: 2},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return server
}

// fuzzedCall is a call whose client sends messages and ignores the answers. It leaves
// after a few answers or when the time is up.
type fuzzedCall struct {
	ctx      context.Context
	cancel   func()
	messages [][]byte
	answers  int
}

func (c *fuzzedCall) Context() context.Context { return c.ctx }

func (c *fuzzedCall) RecvMsg(into any) error {
	if len(c.messages) == 0 {
		return io.EOF
	}
	message := c.messages[0]
	c.messages = c.messages[1:]
	if err := newEventCodec().Unmarshal(mem.BufferSlice{mem.SliceBuffer(slices.Clone(message))}, into); err != nil {
		return status.Error(codes.InvalidArgument, err.Error()) // grpc answers by itself
	}
	return nil
}

func (c *fuzzedCall) SendMsg(any) error {
	if c.answers++; c.answers == 8 {
		c.cancel()
	}
	return nil
}

func (*fuzzedCall) SetHeader(metadata.MD) error { return nil }

func (*fuzzedCall) SendHeader(metadata.MD) error { return nil }

func (*fuzzedCall) SetTrailer(metadata.MD) {}

// FuzzStored reads metadata of streams and links as clients have stored them.
func FuzzStored(f *testing.F) {
	f.Add([]byte(`{"$tb":3,"$maxAge":7,"$acl":{"$r":"a"}}`))
	f.Add([]byte(`3@s`))
	f.Fuzz(func(_ *testing.T, bytes []byte) {
		parseStreamMeta(bytes)
		linkTarget(bytes)
	})
}

// A request over HTTP is stored or refused, too.
func FuzzPost(f *testing.F) {
	f.Add("stream", "T", "application/json", "", "Basic YTpi", []byte("{}"))
	f.Add("$$x", "$metadata", "text/plain; charset=utf-8", "38fffbc2-339e-11ea-8c7b-784f43837872", "", []byte("x"))
	open, err := New(Config{Log: eventlog.NewMemory(), Insecure: true})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(open.Close)
	closed, err := New(Config{Log: eventlog.NewMemory(), Accounts: DefaultAccounts()})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(closed.Close)
	f.Fuzz(func(t *testing.T, stream, kind, content, id, authorization string, body []byte) {
		for server, mayPass := range map[*Server]bool{open: true, closed: authorization != ""} {
			request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(string(body)))
			request.SetPathValue("stream", stream)
			for key, value := range map[string]string{"ES-EventType": kind, "Content-Type": content, "ES-EventId": id, "Authorization": authorization} {
				request.Header.Set(key, value)
			}
			answer := httptest.NewRecorder()
			server.post(answer, request)
			if code := answer.Code; code == http.StatusCreated && !mayPass || code >= http.StatusInternalServerError && code != http.StatusServiceUnavailable {
				t.Fatalf("post to %q: found %d: %s", stream, code, answer.Body)
			}
		}
	})
}
