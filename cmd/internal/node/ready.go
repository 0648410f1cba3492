package node

import (
	"context"
	"time"

	"github.com/ringrift/rift/domain"
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
