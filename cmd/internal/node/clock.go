package node

import (
	"context"
	"fmt"
	"time"

	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
)

// tickEvery bounds how late a deadline is noticed.
const tickEvery = 100 * time.Millisecond

// dueBatch bounds the deadlines that one tick decides.
const dueBatch = 1024

// Tick turns deadlines that have come into commands, until ctx ends.
func (n *Node) Tick(ctx context.Context) error {
	ticker := time.NewTicker(tickEvery)
	defer ticker.Stop()
	for {
		if _, err := n.TickOnce(ctx); err != nil && ctx.Err() == nil {
			n.logger.Warn("clock: a due command waits", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// TickOnce issues the commands that are due now and says how many of them led
// to events.
func (n *Node) TickOnce(ctx context.Context) (int, error) {
	now := domain.Instant(n.clock())
	var due []commands.Timed
	err := n.store.View(func(v projections.View) error {
		read, err := n.readPolicy(v, now)
		if err != nil {
			return err
		}
		policy := read.document
		for _, clock := range wiring.Clocks() {
			timed, _, err := clock(around{View: v, node: n}, now, policy, dueBatch)
			if err != nil {
				return err
			}
			due = append(due, timed...)
		}
		silent, err := n.silences(v, now, policy.Nodes)
		due = append(due, silent...)
		return err
	})
	if err != nil {
		return 0, err
	}
	happened := 0
	for _, timed := range due {
		result, err := n.Do(ctx, Order{ID: timed.ID, Actor: "clock", Command: timed.Command})
		switch {
		case err == nil && !result.Duplicate:
			happened += len(result.Events)
		case err == nil || !domain.CodeOf(err).Retryable():
		default:
			return happened, err
		}
	}
	return happened, nil
}

// silences lists what to say of nodes that were not heard from for too long.
func (n *Node) silences(v projections.View, now time.Time, policy domain.NodesPolicy) ([]commands.Timed, error) {
	if n.config.Manual || n.levels.dueSeed(now) {
		if err := n.expectNodes(v, now); err != nil {
			return nil, err
		}
	}
	var due []commands.Timed
	for _, node := range n.levels.silent(now.Add(-policy.SilentSeconds.Duration())) {
		row, known, err := projections.NodesTable.Get(v, string(node))
		if err != nil {
			return nil, err
		}
		if !known || row.State == domain.NodeOffline {
			n.levels.forget(node) // it is expected again once it is online
			continue
		}
		last, _ := n.levels.last(node)
		silent := domain.Seconds(now.Sub(last.at).Seconds())
		threshold := "unhealthy"
		if silent >= policy.OfflineSeconds {
			threshold = "offline"
		} else if row.State == domain.NodeSick {
			continue
		}
		due = append(due, commands.Timed{
			ID:      fmt.Sprintf("clock/silent/%s/%s/%s", node, last.at.Format(domain.Timestamp), threshold),
			Command: commands.SilentNode{NodeID: node, Silent: silent},
		})
	}
	return due, nil
}

// expectNodes starts the silence of nodes that the read models call alive and
// that nobody heard from since this process started.
func (n *Node) expectNodes(v projections.View, now time.Time) error {
	for entry, err := range projections.NodesTable.Scan(v, projections.Span{}) {
		if err != nil {
			return err
		}
		if entry.Row.State == domain.NodeOnline || entry.Row.State == domain.NodeSick {
			n.levels.expect(entry.Row.NodeID, now)
		}
	}
	return nil
}
