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

// oneLetter asks for a dead letter.
type oneLetter struct {
	ID string `path:"id"`
}

// rebuildPatience is how long an answer waits for a rebuild to begin.
const rebuildPatience = time.Second

// beginRebuild answers once the node has begun, so that whoever asks next how far
// it is finds it. A node that is far behind its log begins when it gets there.
func beginRebuild(ctx context.Context, b transport.Backend, _ admincmd.RebuildProjection, result commands.Result) error {
	ctx, stop := context.WithTimeout(ctx, rebuildPatience)
	defer stop()
	err := b.View(ctx, transport.At{}, result.Position, func(projections.View) error { return nil })
	if domain.CodeOf(err) == domain.Timeout {
		return nil
	}
	return err
}

// stopNode stops the process once the wish is on the log. The event knows what
// the caller left out. Told again, the wish is an old one: the node that it
// stopped is gone.
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

// stopFollower stops a node that does not lead, and so cannot write the wish down.
func stopFollower(ctx context.Context, b transport.Backend, c admincmd.RequestShutdown) error {
	c, err := c.Complete()
	if err != nil {
		return err
	}
	return b.Shutdown(ctx, c.Reason, c.GraceSeconds.Duration())
}
