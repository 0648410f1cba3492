// Package backup registers the endpoints from which `rift backup` copies the log of a
// running node: where the log ends, and its events in frames. It neither makes frames nor
// reads them: the process provides a Source.
//
// Read Source, then Area.
package backup

import (
	"context"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections"
	"github.com/ringrift/rift/transport"
)

// Source is a log that can be backed up.
type Source interface {
	// Frontier returns the state of the log now. The events up to its head are durable.
	Frontier(ctx context.Context) (Frontier, error)
	// Frame returns events from a position on, as many as fit into a frame, at most up to
	// another position.
	Frame(ctx context.Context, from, to domain.Position) ([]byte, error)
}

// Frontier is the state of a log at one moment, as far as it is not events.
type Frontier struct {
	Head   domain.Position                         `json:"head" doc:"position of the last event that a backup begun now has"`
	Limits map[domain.StreamID]eventlog.StreamMeta `json:"limits,omitempty" doc:"the limits of streams"`
}

// Stretch asks for a frame.
type Stretch struct {
	From domain.Position `query:"from" required:"true" doc:"position of its first event"`
	To   domain.Position `query:"to" required:"true" doc:"the last position that it may have; it may end before"`
}

// Frame is a frame of a backup.
type Frame struct {
	Frame []byte `json:"frame" doc:"events in the form of a backup's files, packed, with a checksum"`
}

func tellFrontier(ctx context.Context, b transport.Backend, _ projections.NoQuestion) (Frontier, domain.Position, error) {
	source, err := transport.LentBy[Source](b)
	if err != nil {
		return Frontier{}, 0, err
	}
	frontier, err := source.Frontier(ctx)
	return frontier, frontier.Head, err
}

func tellFrame(ctx context.Context, b transport.Backend, q Stretch) (Frame, domain.Position, error) {
	source, err := transport.LentBy[Source](b)
	if err != nil {
		return Frame{}, 0, err
	}
	if q.From < 1 || q.From > q.To {
		return Frame{}, 0, domain.Faulty("request", []domain.Fault{{Field: "from", Reason: "want 1 to " + q.To.String() + ", found " + q.From.String()}})
	}
	frame, err := source.Frame(ctx, q.From, q.To)
	return Frame{frame}, q.To, err
}

// The names of the endpoints, by which a client asks for them.
const (
	FrontierRoute = "backup.frontier"
	FrameRoute    = "backup.frame"
)

// Area returns what this area adds to a process.
func Area() transport.Area {
	return transport.Area{
		Name: "backup",
		Routes: []transport.Route{
			transport.Tell("/backup", FrontierRoute, tellFrontier, transport.About("what a backup begun now has: the position at which it ends, and the limits of streams")),
			transport.Tell("/backup/frame", FrameRoute, tellFrame, transport.Scans(), transport.About("a stretch of the log as a backup keeps it; rift backup asks for one after the other")),
		},
	}
}
