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
	if !n.config.Manual && n.store.Position() < n.opened {
		return 0, nil // what is due by models that are not up to date yet may be due no more
	}
	now := domain.Instant(n.clock())
	var due []commands.Timed
	err := n.store.View(func(v projections.View) error {
		read := n.freshPolicy(now)
		if read == nil {
			var err error
			if read, err = n.readPolicy(v, now); err != nil {
				return err
			}
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
		if err != nil {
			return err
		}
		due = append(due, silent...)
		idle, err := n.idlers(v, now, policy.Nodes)
		due = append(due, idle...)
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
	if n.eager() || n.levels.dueSeed(now) {
		if err := n.expectNodes(v, now); err != nil {
			return nil, err
		}
	}
	var due []commands.Timed
	shortest := time.Duration(float64(policy.SilentSeconds.Duration()) * policy.Patience.Least())
	for _, node := range n.levels.silent(now.Add(-shortest)) {
		row, known, err := projections.NodesTable.Get(v, string(node))
		if err != nil {
			return nil, err
		}
		if !known || row.State == domain.NodeOffline || row.State == domain.NodeRetired {
			n.levels.forget(node) // it is expected again once it is online
			continue
		}
		last, _ := n.levels.last(node)
		factor := policy.Patience.Factor(node, last.level.CPUPercent)
		limit, gone := policy.Stretched(factor)
		silent := now.Sub(last.at)
		threshold := "unhealthy"
		switch {
		case silent >= gone:
			threshold = "offline"
		case silent < limit || row.State == domain.NodeSick:
			continue
		}
		if !n.levels.mayDie(now, policy.Patience) {
			break
		}
		due = append(due, commands.Timed{
			ID:      fmt.Sprintf("clock/silent/%s/%s/%s", node, last.at.Format(domain.Timestamp), threshold),
			Command: commands.SilentNode{NodeID: node, Silent: domain.Seconds(silent.Seconds()), Factor: factor},
		})
	}
	return due, nil
}

// idlers lists what to say of nodes whose GPU does nothing: that they hold
// nothing though there is work for them, that they hold items and get on with
// none, or that an idleness which was noticed is over.
func (n *Node) idlers(v projections.View, now time.Time, policy domain.NodesPolicy) ([]commands.Timed, error) {
	if !n.eager() && !n.levels.dueLook(now, policy.Idle.EverySeconds.Duration()) {
		return nil, nil
	}
	var due []commands.Timed
	noticed, err := projections.IdleNodes(v)
	if err != nil {
		return nil, err
	}
	shortest := min(policy.Idle.Seconds, policy.Idle.ZombieSeconds).Duration()
	idle := n.levels.idle(now.Add(-shortest))
	if len(noticed)+len(idle) == 0 {
		return nil, nil
	}
	about, err := lookAround(v)
	if err != nil {
		return nil, err
	}
	for _, row := range inTurn(&n.levels.busyTurn, noticed, policy.Idle.MaxPerLook, func(row projections.IdleRow) domain.NodeID { return row.NodeID }) {
		reason, err := n.busyFor(v, row.NodeID, now, about)
		if err != nil {
			return nil, err
		}
		if reason != "" {
			due = append(due, commands.Timed{
				ID:      fmt.Sprintf("clock/busy/%s/%s", row.NodeID, row.Since.Format(domain.Timestamp)),
				Command: commands.BusyNode{NodeID: row.NodeID, Reason: reason},
			})
		}
	}
	for _, node := range inTurn(&n.levels.idleTurn, idle, policy.Idle.MaxPerLook, func(node domain.NodeID) domain.NodeID { return node }) {
		said, err := n.idler(v, node, now, policy.Idle, about)
		if err != nil {
			return nil, err
		}
		due = append(due, said...)
	}
	return due, nil
}

// surroundings is what a look at idle nodes has to know once, not for each node.
type surroundings struct {
	queued bool // there is anything to be had
	trains map[domain.NodeID]domain.ConfigKey
}

func lookAround(v projections.View) (s surroundings, err error) {
	if s.queued, err = projections.AnyQueued(v); err != nil {
		return s, err
	}
	s.trains, err = projections.Trainers(v)
	return s, err
}

// idler is what to say of one node whose GPU does nothing. The row of the node
// is read last: of most there is nothing to say.
func (n *Node) idler(v projections.View, node domain.NodeID, now time.Time, policy domain.IdlePolicy, about surroundings) ([]commands.Timed, error) {
	last, _ := n.levels.last(node)
	held, err := projections.HeldBy(v, node)
	if err != nil {
		return nil, err
	}
	if len(held) > 0 {
		n.levels.works(node, now)
		if last.dead.IsZero() || now.Sub(last.dead) < policy.ZombieSeconds.Duration() {
			return nil, nil
		}
		stalled, err := projections.StalledTasks(v, node, now.Add(-policy.ZombieSeconds.Duration()))
		if err != nil || len(stalled) == 0 {
			return nil, err
		}
		if row, known, err := projections.NodesTable.Get(v, string(node)); err != nil || !known || row.State != domain.NodeOnline {
			return nil, err
		}
		return []commands.Timed{{
			ID:      fmt.Sprintf("clock/zombie/%s/%s/%s/%d", node, last.dead.Format(domain.Timestamp), held[0].TaskID, held[0].Lease),
			Command: commands.ZombieNode{NodeID: node, Since: last.dead, Tasks: stalled},
		}}, nil
	}
	if _, trains := about.trains[node]; trains { // with or without an item: what comes after it begins anew
		n.levels.works(node, now)
		return nil, nil
	}
	if !about.queued || now.Sub(last.idle) < policy.Seconds.Duration() {
		return nil, nil
	}
	row, known, err := projections.NodesTable.Get(v, string(node))
	if err != nil || !known || row.State != domain.NodeOnline || row.IdleSince != nil {
		return nil, err
	}
	wanted, err := n.wouldGet(v, node, now)
	if err != nil || wanted == "" {
		return nil, err
	}
	return []commands.Timed{{
		ID:      fmt.Sprintf("clock/idle/%s/%s", node, last.idle.Format(domain.Timestamp)),
		Command: commands.IdleNode{NodeID: node, Since: last.idle, GPUPercent: last.level.GPUPercent, TaskType: wanted},
	}}, nil
}

// busyFor tells why an idleness that was noticed is over; empty when it is not.
func (n *Node) busyFor(v projections.View, node domain.NodeID, now time.Time, about surroundings) (string, error) {
	held, err := projections.HeldBy(v, node)
	if err != nil {
		return "", err
	}
	if len(held) > 0 {
		return "it holds work", nil
	}
	if config, trains := about.trains[node]; trains {
		return fmt.Sprintf("it trains %s", config), nil
	}
	if last, known := n.levels.last(node); known && last.idle.IsZero() && last.level.GPUPercent != nil {
		return "its GPU works", nil
	}
	if !about.queued {
		return "there is nothing that it may take", nil
	}
	wanted, err := n.wouldGet(v, node, now)
	if err != nil || wanted != "" {
		return "", err
	}
	return "there is nothing that it may take", nil
}

// wouldGet is the type of the item that a node would be given if it asked;
// empty for none.
func (n *Node) wouldGet(v projections.View, node domain.NodeID, now time.Time) (string, error) {
	policy, err := n.policyInForce(now)
	if err != nil {
		return "", err
	}
	gates, err := projections.NodeGates(v, node, now, policy.document.Nodes)
	if err != nil {
		return "", err
	}
	for _, gate := range gates {
		if !gate.OK {
			return "", nil
		}
	}
	claimant := projections.Claimant{Node: node, Limit: 1}
	if last, known := n.levels.last(node); known {
		claimant.Level = &last.level
	}
	picked, err := projections.PickTasks(v, claimant, projections.Market{Rules: policy.rules, Now: now})
	if err != nil || len(picked) == 0 || picked[0].Room != nil {
		return "", err
	}
	row, _, err := projections.WorkItemsTable.Get(v, string(picked[0].TaskID))
	return row.TaskType, err
}

// eager tells that every step looks at everything as it is now.
func (n *Node) eager() bool { return n.config.Manual && !n.config.Paced }

// expectNodes starts the silence of nodes that the read models call alive and
// that nobody heard from since this process started. Nodes that are expected
// already are told by their names.
func (n *Node) expectNodes(v projections.View, now time.Time) error {
	for row, err := range projections.NodesTable.RawScan(v, projections.Span{}) {
		if err != nil {
			return err
		}
		if _, expected := n.levels.last(domain.NodeID(row.Key)); expected {
			continue
		}
		node, _, err := projections.NodesTable.Get(v, row.Key)
		if err != nil {
			return err
		}
		if node.State == domain.NodeOnline || node.State == domain.NodeSick {
			n.levels.expect(node.NodeID, now)
		}
	}
	return nil
}
