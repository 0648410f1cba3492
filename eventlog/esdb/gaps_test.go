package esdb_test

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/logtest"
)

// TestPositionsWithGaps has a node between whose events are gaps, as on
// EventStoreDB, where a position is a place in a file, and that refuses every
// position at which no event begins.
func TestPositionsWithGaps(t *testing.T) {
	t.Parallel()
	logtest.Run(t, func(t testing.TB) eventlog.Log { return &dense{Log: open(t, serveGaps(t))} })
}

// gaps is a node that passes calls on to another and spreads its positions.
type gaps struct {
	streams.UnimplementedStreamsServer
	node streams.StreamsClient
}

// The place of the n-th event of the node behind it.
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
			break // the answer says why
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
	_ = grpc.SetTrailer(ctx, trailers) // fails only outside of a call
	return answer, err
}
