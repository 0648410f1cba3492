package node

import (
	"context"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/transport"
)

// readyPatience is how long a query waits for a node that has not caught up. After a clean
// stop there is little to fold.
const readyPatience = time.Second

// caughtUp reports whether the read models have applied the events that the log had when
// the node was opened. From then on they are close behind the log.
func (n *Node) caughtUp() bool { return n.config.Manual || n.store.Position() >= n.opened }

// CatchUp returns the progress of the read models; nil once they have caught up.
func (n *Node) CatchUp(ctx context.Context) (*transport.CatchUp, error) {
	if n.caughtUp() {
		return nil, nil
	}
	head, err := n.log.Head(ctx)
	if err != nil {
		return nil, err
	}
	progress := n.store.Progress()
	row := &transport.CatchUp{Position: progress.Position, Head: head}
	elapsed, folded := n.clock().Sub(progress.Began), progress.Position-progress.From
	if progress.Began.IsZero() || elapsed <= 0 || folded == 0 {
		return row, nil
	}
	rate := float64(folded) / elapsed.Seconds()
	row.PerSec = tenths(rate)
	eta := domain.Seconds(tenths(float64(head-progress.Position) / rate))
	row.ETA = &eta
	return row, nil
}

// ready waits a short time for the node to catch up. Its error has code unavailable and
// says how far it is.
func (n *Node) ready(ctx context.Context) error {
	if n.caughtUp() {
		return nil
	}
	short, cancel := context.WithTimeout(ctx, readyPatience)
	defer cancel()
	if n.store.WaitFor(short, n.opened) == nil {
		return nil
	}
	row, err := n.CatchUp(context.WithoutCancel(ctx))
	switch {
	case err != nil:
		return err
	case row == nil:
		return nil
	}
	return row.Unavailable()
}

// awaitApplied waits until a replicated log has the events that the read models have
// applied. After a crash the log may lack events that were not synced, until it has
// applied their entries again.
func (n *Node) awaitApplied(ctx context.Context) error {
	at := n.store.Position()
	if n.config.Members == nil || n.opened >= at {
		return nil
	}
	n.logger.Info("the read models are ahead of the records of the replicated log, which are applied again", "position", at, "records", n.opened)
	for item, err := range n.log.Subscribe(ctx, n.opened, eventlog.Filter{}) {
		if ctx.Err() != nil {
			return nil
		}
		if err != nil || item.Position >= at {
			return err
		}
	}
	return nil
}

// upTo waits until the read models have applied a position.
func (n *Node) upTo(ctx context.Context, p domain.Position) error {
	if n.store.Position() >= p {
		return nil
	}
	if n.config.Manual {
		return n.Sync(ctx)
	}
	return n.store.WaitFor(ctx, p)
}

// answeredPatience is how long a query that names no position waits at most for what this
// node has answered to commands before. A live store waits as long for more events to
// apply together when nobody asks, and a caller would not find what it just stored.
const answeredPatience = 25 * time.Millisecond

// upToAnswered waits a little until the read models have applied what this node has
// answered to commands.
func (n *Node) upToAnswered(ctx context.Context) error {
	answered := domain.Position(n.answered.Load())
	if n.config.Manual || n.store.Position() >= answered {
		return nil
	}
	brief, cancel := context.WithTimeout(ctx, answeredPatience)
	defer cancel()
	err := n.store.WaitFor(brief, answered)
	if err != nil && brief.Err() != nil && ctx.Err() == nil {
		return nil
	}
	return err
}
