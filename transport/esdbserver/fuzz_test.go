package esdbserver

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// What a client sends is refused or understood; it never brings the server down.
func FuzzRequests(f *testing.F) {
	for _, m := range []proto.Message{
		&streams.ReadReq{Options: &streams.ReadReq_Options{
			StreamOption: &streams.ReadReq_Options_Stream{Stream: &streams.ReadReq_Options_StreamOptions{
				StreamIdentifier: identifier("$ce-a"), RevisionOption: &streams.ReadReq_Options_StreamOptions_Revision{Revision: 3},
			}},
			CountOption: &streams.ReadReq_Options_Count{Count: 5}, FilterOption: &streams.ReadReq_Options_NoFilter{NoFilter: &shared.Empty{}},
			UuidOption: &streams.ReadReq_Options_UUIDOption{Content: &streams.ReadReq_Options_UUIDOption_Structured{Structured: &shared.Empty{}}},
		}},
		&streams.AppendReq{Content: &streams.AppendReq_ProposedMessage_{ProposedMessage: &streams.AppendReq_ProposedMessage{
			Id: uuidOf(domain.EventID{1}, true), Metadata: map[string]string{keyType: "t", keyContentType: contentJSON}, Data: []byte("x"),
		}}},
		&persistent.CreateReq{Options: &persistent.CreateReq_Options{
			GroupName: "g", StreamIdentifier: identifier("s"), Settings: &persistent.CreateReq_Settings{ReadBatchSize: 1, HistoryBufferSize: 2},
		}},
		&persistent.UpdateReq{Options: &persistent.UpdateReq_Options{GroupName: "g", Settings: &persistent.UpdateReq_Settings{}}},
		&streams.DeleteReq{Options: &streams.DeleteReq_Options{StreamIdentifier: identifier("d"), ExpectedStreamRevision: &streams.DeleteReq_Options_Any{Any: &shared.Empty{}}}},
		&streams.BatchAppendReq{CorrelationId: uuidOf(domain.EventID{1}, false), IsFinal: true, Options: &streams.BatchAppendReq_Options{StreamIdentifier: identifier("b")}},
	} {
		bytes, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(bytes)
	}
	server, err := New(Config{Log: eventlog.NewMemory(), Insecure: true})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(server.Close)
	f.Fuzz(func(t *testing.T, bytes []byte) {
		if m := (&streams.ReadReq{}); proto.Unmarshal(bytes, m) == nil {
			if r, err := readingOf(m.GetOptions()); err == nil && !r.subscribe {
				out := &sender{stream: discard{}, reading: r, server: server}
				if r.stream == "" {
					_ = server.readAll(t.Context(), r, out) // only the crash counts
				} else {
					_ = server.readStream(t.Context(), r, out) // as above
				}
			}
		}
		if m := (&streams.AppendReq{}); proto.Unmarshal(bytes, m) == nil {
			if o := m.GetOptions(); o != nil {
				_, _ = expectedOfAppend(o)
			}
			p := m.GetProposedMessage()
			if event, err := proposed(p.GetId(), p.GetMetadata(), p.GetCustomMetadata(), p.GetData()); err == nil {
				if err := eventlog.CheckProposed("fuzz-1", []eventlog.Proposed{event.Proposed(event.ID, server.clock())}); err != nil && domain.CodeOf(err) != domain.TooLarge {
					t.Fatalf("want what the decoder lets through to be fit for a log: %v", err)
				}
			}
		}
		if m := (&persistent.CreateReq{}); proto.Unmarshal(bytes, m) == nil {
			if d, from, err := createdDefinition(m.GetOptions()); err == nil {
				_, _ = d.Settings.check(d), from.resolve(d, 5, 5)
			}
		}
		if m := (&persistent.UpdateReq{}); proto.Unmarshal(bytes, m) == nil {
			if d, from, err := updatedDefinition(m.GetOptions()); err == nil {
				_, _ = d.Settings.check(d), from.resolve(d, 5, 5)
			}
		}
		checkBatchPart(t, bytes)
		var part batchPart
		if err := part.decode(mem.BufferSlice{mem.SliceBuffer(bytes)}); err == nil {
			one := &batch{options: part.head.GetOptions()}
			one.err = one.start(server.clock())
			one.take(&part, 100)
		}
		fuzzUnary(t.Context(), server, bytes)
		parseStreamMeta(bytes)
		linkTarget(bytes)
	})
}

// discard is a client that looks at nothing.
type discard struct {
	streams.Streams_ReadServer
}

func (discard) Send(*streams.ReadResp) error { return nil }

func (discard) SendMsg(any) error { return nil }

// fuzzUnary has the calls that answer once handle whatever they understand.
func fuzzUnary(ctx context.Context, server *Server, bytes []byte) {
	ctx = context.WithValue(ctx, callerKey{}, &caller{whole: true})
	events, groups := &streamsService{server: server}, &groupsService{server: server}
	if m := (&streams.DeleteReq{}); proto.Unmarshal(bytes, m) == nil {
		_, _ = events.Delete(ctx, m) // only the crash counts, here and below
	}
	if m := (&streams.TombstoneReq{}); proto.Unmarshal(bytes, m) == nil {
		_, _ = events.Tombstone(ctx, m)
	}
	if m := (&persistent.DeleteReq{}); proto.Unmarshal(bytes, m) == nil {
		_, _ = groups.Delete(ctx, m)
	}
	if m := (&persistent.GetInfoReq{}); proto.Unmarshal(bytes, m) == nil {
		_, _ = groups.GetInfo(ctx, m)
	}
	if m := (&persistent.ListReq{}); proto.Unmarshal(bytes, m) == nil {
		_, _ = groups.List(ctx, m)
	}
	if m := (&persistent.ReplayParkedReq{}); proto.Unmarshal(bytes, m) == nil {
		_, _ = groups.ReplayParked(ctx, m)
	}
	if m := (&persistent.ReadReq{}); proto.Unmarshal(bytes, m) == nil {
		_, _ = parseUUIDs(m.GetAck().GetIds())
		_, _ = parseUUIDs(m.GetNack().GetIds())
	}
}

// What comes over HTTP is refused or stored as well.
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
