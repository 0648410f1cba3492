package esdb_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// TestPositionsWithGaps runs against a node whose positions have gaps, as on EventStoreDB,
// where a position is an offset in a file, and which refuses every position at which no
// event begins.
func TestPositionsWithGaps(t *testing.T) {
	t.Parallel()
	log := open(t, serveGaps(t))
	for i := range 12 {
		events := []eventlog.Proposed{proposed(0, i, 0), proposed(0, i, 1), proposed(0, i, 2)}[:1+i%3]
		for n := range events {
			events[n].Type = fmt.Sprint("KIND_", (i+n)%2)
		}
		receipt, err := log.Append(t.Context(), domain.Stream("task", strconv.Itoa(i%2)), domain.AnyRevision, events...)
		if err != nil {
			t.Fatal(err)
		}
		again, err := log.Append(t.Context(), domain.Stream("task", strconv.Itoa(i%2)), domain.AnyRevision, events...)
		if err != nil || !again.Duplicate {
			t.Fatalf("want a repetition, found %+v, %v", again, err)
		}
		for n := range events {
			want := receipt.First + domain.Position(n)*gap
			if receipt.Place(n) != want || again.Place(n) != want {
				t.Errorf("want event %d of %d at %d, found %+v and again %+v", n, len(events), want, receipt, again)
			}
		}
		if want := domain.Position(len(events)-1) * gap; receipt.Last-receipt.First != want {
			t.Errorf("want the places of %d events, found %+v", len(events), receipt)
		}
	}
	all := readGaps(t, log, 0, eventlog.Forward, eventlog.Filter{})
	if len(all) != 24 {
		t.Fatalf("want 24 events, found %d", len(all))
	}
	head := all[len(all)-1].Position
	if found, err := log.Head(t.Context()); err != nil || found != head {
		t.Errorf("want the head at %d, found %d, %v", head, found, err)
	}
	starts := []domain.Position{0, 1, head + 1, head + 50, eventlog.End}
	for i := 0; i < len(all); i += 5 {
		at := all[i].Position
		starts = append(starts, at-1, at, at+1, at+50)
	}
	filters := []eventlog.Filter{{}, {Streams: []string{"task-1"}}, {Types: []string{"KIND_1"}}, {To: all[9].Position}, {From: all[3].Position, To: all[9].Position + 7}, {From: all[20].Position}}
	for _, filter := range filters {
		for _, from := range starts {
			for _, direction := range []eventlog.Direction{eventlog.Forward, eventlog.Backward} {
				var want []domain.Position
				for _, e := range all {
					first, last := filter.Window(from, direction, head)
					if filter.Keeps(e.Stream, e.Type) && e.Position >= first && e.Position <= last {
						want = append(want, e.Position)
					}
				}
				if direction == eventlog.Backward {
					slices.Reverse(want)
				}
				var found []domain.Position
				for _, e := range readGaps(t, log, from, direction, filter) {
					found = append(found, e.Position)
				}
				if !slices.Equal(want, found) {
					t.Fatalf("read from %d, backward %v, %+v: want %v, found %v", from, direction, filter, want, found)
				}
			}
		}
	}
	for i, e := range all {
		found, there, err := log.Find(t.Context(), e.Stream, e.ID)
		if err != nil || !there || found.Position != e.Position {
			t.Errorf("find event %d: want it at %d, found %d, %v", i, e.Position, found.Position, err)
		}
		next := i + 1
		for item, err := range log.Subscribe(t.Context(), e.Position, eventlog.Filter{}) {
			if err != nil {
				t.Fatal(err)
			}
			if item.Envelope.Position == 0 {
				if item.CaughtUp {
					break
				}
				continue
			}
			if item.Position != all[next].Position {
				t.Fatalf("subscription after %d: want %d, found %d", e.Position, all[next].Position, item.Position)
			}
			next++
		}
		if next != len(all) {
			t.Errorf("subscription after %d: want it to the end, found it at event %d", e.Position, next)
		}
	}
}

func readGaps(t *testing.T, log eventlog.Log, from domain.Position, direction eventlog.Direction, filter eventlog.Filter) (all []domain.Envelope) {
	t.Helper()
	for e, err := range log.ReadAll(t.Context(), from, direction, filter) {
		if err != nil {
			t.Fatalf("read from %d, backward %v, %+v: %v", from, direction, filter, err)
		}
		all = append(all, e)
	}
	return all
}

// gaps is a node that forwards calls to another and spreads its positions.
type gaps struct {
	streams.UnimplementedStreamsServer
	node streams.StreamsClient
}

// The position of the n-th event of the underlying node.
const (
	gap    = 137
	offset = 41
)

func spread(at uint64) uint64 { return at*gap + offset }

func serveGaps(t testing.TB) string {
	t.Helper()
	channel, err := grpc.NewClient(serve(t), grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(17<<20)))
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.MaxRecvMsgSize(17 << 20))
	streams.RegisterStreamsServer(server, &gaps{node: streams.NewStreamsClient(channel)})
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := errors.Join(<-done, channel.Close()); err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String()
}

func (g *gaps) Read(request *streams.ReadReq, out streams.Streams_ReadServer) error {
	if at := request.GetOptions().GetAll().GetPosition(); at != nil {
		if at.CommitPosition != at.PreparePosition || at.CommitPosition < offset || (at.CommitPosition-offset)%gap != 0 {
			return status.Errorf(codes.Unknown, "at position %d no event begins", at.CommitPosition)
		}
		at.CommitPosition = (at.CommitPosition - offset) / gap
		at.PreparePosition = at.CommitPosition
	}
	in, err := g.node.Read(out.Context(), request)
	if err != nil {
		return err
	}
	for {
		message, err := in.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			out.SetTrailer(in.Trailer())
			return err
		}
		if e := message.GetEvent(); e != nil {
			e.Event.CommitPosition, e.Event.PreparePosition = spread(e.Event.CommitPosition), spread(e.Event.PreparePosition)
			e.Position = &streams.ReadResp_ReadEvent_CommitPosition{CommitPosition: e.Event.CommitPosition}
		}
		if c := message.GetCheckpoint(); c != nil {
			c.CommitPosition, c.PreparePosition = spread(c.CommitPosition), spread(c.PreparePosition)
		}
		if err := out.Send(message); err != nil {
			return err
		}
	}
}

func (g *gaps) Append(in streams.Streams_AppendServer) error {
	out, err := g.node.Append(in.Context())
	if err != nil {
		return err
	}
	for {
		message, err := in.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if err := out.Send(message); err != nil {
			break // the answer has the error
		}
	}
	answer, err := out.CloseAndRecv()
	if err != nil {
		in.SetTrailer(out.Trailer())
		return err
	}
	if at := answer.GetSuccess().GetPosition(); at != nil {
		at.CommitPosition, at.PreparePosition = spread(at.CommitPosition), spread(at.PreparePosition)
	}
	return in.SendAndClose(answer)
}

func (g *gaps) Tombstone(ctx context.Context, request *streams.TombstoneReq) (*streams.TombstoneResp, error) {
	var trailers metadata.MD
	answer, err := g.node.Tombstone(ctx, request, grpc.Trailer(&trailers))
	_ = grpc.SetTrailer(ctx, trailers) // it fails only outside of a call
	return answer, err
}
