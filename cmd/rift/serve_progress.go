package main

import (
	"context"
	"time"

	"github.com/ringrift/rift/cmd/internal/node"
)

// catchUpPoll is the interval at which the progress of a node that catches up is read.
const catchUpPoll = 100 * time.Millisecond

// startProgress runs showCatchUp in the background until stop is called.
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

// showCatchUp shows on the terminal how far a starting node has folded its log, if that
// takes longer than a second. It returns when the node has caught up, or ctx ends.
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
