package admin

import (
	"context"
	"time"

	"github.com/ringrift/rift/commands"
	admincmd "github.com/ringrift/rift/commands/admin"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/admin"
	"github.com/ringrift/rift/projections"
	"github.com/ringrift/rift/transport"
)

// oneLetter is the query for one dead letter.
type oneLetter struct {
	ID string `path:"id"`
}

// rebuildPatience is how long an answer waits for a rebuild to start.
const rebuildPatience = time.Second

// beginRebuild waits until the node has started the rebuild, so that a caller who
// then queries its progress finds it. A node far behind its log starts the rebuild
// when it reaches the event.
func beginRebuild(ctx context.Context, b transport.Backend, _ admincmd.RebuildProjection, result commands.Result) error {
	ctx, stop := context.WithTimeout(ctx, rebuildPatience)
	defer stop()
	err := b.View(ctx, transport.At{}, result.Position, func(projections.View) error { return nil })
	if domain.CodeOf(err) == domain.Timeout {
		return nil
	}
	return err
}

// stopNode stops the process once the request is on the log. The event has the
// values that the caller left out. A repeated command stops nothing: its first run
// already stopped the node it was for.
func stopNode(ctx context.Context, b transport.Backend, _ admincmd.RequestShutdown, result commands.Result) error {
	if result.Duplicate {
		return nil
	}
	for _, e := range result.Events {
		if wish, ok := e.Event.(admin.ShutdownRequested); ok {
			return b.Shutdown(ctx, wish.Reason, wish.GraceSeconds.Duration())
		}
	}
	return domain.Errorf(domain.Internal, "admin.shutdown: want its event, found %d others", len(result.Events))
}

// stopFollower stops a node that is not the leader and so cannot record the
// request.
func stopFollower(ctx context.Context, b transport.Backend, c admincmd.RequestShutdown) error {
	c, err := c.Complete()
	if err != nil {
		return err
	}
	return b.Shutdown(ctx, c.Reason, c.GraceSeconds.Duration())
}
