package main

import (
	"context"
	"time"

	"github.com/ringrift/rift/cmd/internal/node"
)

// catchUpPoll is how often a node that catches up is asked how far it is.
const catchUpPoll = 100 * time.Millisecond

// startProgress runs showCatchUp beside the node; stop ends it.
func (a *app) startProgress(ctx context.Context, n *node.Node) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		a.showCatchUp(ctx, n)
	}()
	return func() {
		cancel()
		<-done
	}
}

// showCatchUp shows on the terminal how far a node is that folds what its log
// held when it started, if that takes longer than a second. It returns once the
// node has caught up, or ctx ends.
func (a *app) showCatchUp(ctx context.Context, n *node.Node) {
	row, err := n.CatchUp(ctx)
	if err != nil || row == nil {
		return
	}
	from := row.Position
	bar := a.progress("catching up with the log", "events", int64(row.Head-from))
	defer bar.Done()
	ticker := time.NewTicker(catchUpPoll)
	defer ticker.Stop()
	for row != nil && err == nil {
		bar.Total(int64(row.Head - from))
		bar.Set(int64(row.Position - from))
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		row, err = n.CatchUp(ctx)
	}
}
