package node

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/commands"
	nodescmd "github.com/ringrift/rift/commands/nodes"
	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/projections"
	nodesview "github.com/ringrift/rift/projections/nodes"
	trainingview "github.com/ringrift/rift/projections/training"
	workview "github.com/ringrift/rift/projections/work"
)

// tickEvery is the time between two ticks, which bounds how late a deadline is noticed.
const tickEvery = 100 * time.Millisecond

// dueBatch is the number of deadlines that one tick decides at most.
const dueBatch = 1024

// Tick issues the commands of deadlines that have passed, until ctx ends.
func (n *Node) Tick(ctx context.Context) error {
	ticker := time.NewTicker(tickEvery)
	defer ticker.Stop()
	var beat sync.WaitGroup
	beat.Go(func() { n.beat(ctx) })
	defer beat.Wait()
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

// beat reads the clock at regular times until ctx ends. From two readings that are far
// apart the clock concludes that the process was stopped. Ticks cannot be used for that,
// because they wait for the log.
func (n *Node) beat(ctx context.Context) {
	ticker := time.NewTicker(tickEvery)
	defer ticker.Stop()
	for {
		n.clock()
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// TickOnce issues the commands that are due now and returns the number of events that
// they led to.
func (n *Node) TickOnce(ctx context.Context) (int, error) {
	if !n.Leads() {
		return 0, nil
	}
	ctx, err := n.lead(ctx)
	if err != nil {
		return 0, err
	}
	if !n.config.Manual && n.store.Position() < n.opened {
		return 0, nil // behind the log, a deadline may seem to have passed though it was extended
	}
	now, presence := n.watchClock()
	var due []commands.Timed
	err = n.store.View(func(v projections.View) error {
		read := n.freshPolicy(now)
		if read == nil {
			var err error
			if read, err = n.readPolicy(v, now); err != nil {
				return err
			}
		}
		policy := read.document
		if err := n.work.inspect(ctx, func(q *work.Queue) (err error) {
			due, _, err = workcmd.Clock(&commands.Queue{Queue: q, Models: v, Nodes: commands.NodesIn{View: v}}, now, presence, policy, dueBatch, n.levelOf)
			return err
		}); err != nil {
			return err
		}
		for _, clock := range wiring.Clocks() {
			timed, _, err := clock(nodeView{View: v, node: n}, now, policy, dueBatch)
			if err != nil {
				return err
			}
			due = append(due, timed...)
		}
		silent, err := n.silences(v, now, nodes.PolicyOf(policy))
		if err != nil {
			return err
		}
		due = append(due, silent...)
		return n.work.inspect(ctx, func(q *work.Queue) error {
			idle, err := n.idlers(&commands.Queue{Queue: q, Models: v, Nodes: commands.NodesIn{View: v}}, now, policy)
			due = append(due, idle...)
			return err
		})
	})
	if err != nil {
		return 0, err
	}
	return n.runDue(ctx, due)
}

// silences lists the commands about nodes that were not heard from for too long.
func (n *Node) silences(v projections.View, now time.Time, policy nodes.Policy) ([]commands.Timed, error) {
	if n.eager() || n.levels.dueSeed(now) {
		if err := n.expectNodes(v, now); err != nil {
			return nil, err
		}
	}
	var due []commands.Timed
	shortest := time.Duration(float64(policy.SilentSeconds.Duration()) * policy.Patience.Least())
	for _, node := range n.levels.silent(now.Add(-shortest)) {
		row, known, err := nodesview.NodesTable.Get(v, string(node))
		if err != nil {
			return nil, err
		}
		if !known || row.State == nodes.StateOffline || row.State == nodes.StateRetired {
			n.levels.forget(node) // expectNodes adds it again once it is online
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
		case silent < limit || row.State == nodes.StateSick:
			continue
		}
		if !n.levels.mayDie(now, policy.Patience) {
			break
		}
		due = append(due, commands.Timed{
			ID:      fmt.Sprintf("clock/silent/%s/%s/%s", node, last.at.Format(domain.Timestamp), threshold),
			Command: nodescmd.SilentNode{NodeID: node, Silent: domain.Seconds(silent.Seconds()), Factor: factor},
		})
	}
	return due, nil
}

// idlers lists the commands about nodes whose GPU is idle: an IdleNode for one that holds
// no item though there is work for it, a ZombieNode for one whose items make no progress,
// and a BusyNode for one that is not idle any more.
func (n *Node) idlers(q *commands.Queue, now time.Time, policy domain.Policy) ([]commands.Timed, error) {
	limits := nodes.PolicyOf(policy).Idle
	if !n.eager() && !n.levels.dueLook(now, limits.EverySeconds.Duration()) {
		return nil, nil
	}
	var due []commands.Timed
	noticed, err := nodesview.IdleNodes(q.Models)
	if err != nil {
		return nil, err
	}
	shortest := min(limits.Seconds, limits.ZombieSeconds).Duration()
	idle := n.levels.idle(now.Add(-shortest))
	if len(noticed)+len(idle) == 0 {
		return nil, nil
	}
	look := idleLook{node: n, queue: q, now: now, policy: policy}
	if look.trains, err = trainingview.Trainers(q.Models); err != nil {
		return nil, err
	}
	for _, row := range inTurn(&n.levels.busyTurn, noticed, limits.MaxPerLook, func(row nodesview.IdleRow) domain.NodeID { return row.NodeID }) {
		reason, err := look.busyFor(row.NodeID)
		if err != nil {
			return nil, err
		}
		if reason != "" {
			due = append(due, commands.Timed{
				ID:      fmt.Sprintf("clock/busy/%s/%s", row.NodeID, row.Since.Format(domain.Timestamp)),
				Command: nodescmd.BusyNode{NodeID: row.NodeID, Reason: reason},
			})
		}
	}
	for _, node := range inTurn(&n.levels.idleTurn, idle, limits.MaxPerLook, func(node domain.NodeID) domain.NodeID { return node }) {
		said, err := look.idler(node)
		if err != nil {
			return nil, err
		}
		due = append(due, said...)
	}
	return due, nil
}

// idleLook is the state of one search for idle nodes.
type idleLook struct {
	node   *Node
	queue  *commands.Queue
	now    time.Time
	policy domain.Policy
	trains map[domain.NodeID]domain.ConfigKey
}

// idler lists the commands about one node whose GPU is idle. It reads the row of the node
// last, because for most nodes there is no command.
func (l idleLook) idler(node domain.NodeID) ([]commands.Timed, error) {
	n, limits := l.node, nodes.PolicyOf(l.policy).Idle
	last, _ := n.levels.last(node)
	if held := l.queue.HeldBy(node); len(held) > 0 {
		n.levels.works(node, l.now)
		if last.dead.IsZero() || last.read.Sub(last.dead) < limits.ZombieSeconds.Duration() {
			return nil, nil
		}
		return l.zombie(node, last, held)
	}
	if _, trains := l.trains[node]; trains { // whether or not it has an item; its idle time begins again afterwards
		n.levels.works(node, l.now)
		return nil, nil
	}
	if !l.queue.AnyQueued() || l.now.Sub(last.idle) < limits.Seconds.Duration() {
		return nil, nil
	}
	row, known, err := nodesview.NodesTable.Get(l.queue.Models, string(node))
	if err != nil || !known || row.State != nodes.StateOnline || row.IdleSince != nil {
		return nil, err
	}
	wanted, err := l.wouldGet(node)
	if err != nil || wanted == "" {
		return nil, err
	}
	return []commands.Timed{{
		ID:      fmt.Sprintf("clock/idle/%s/%s", node, last.idle.Format(domain.Timestamp)),
		Command: nodescmd.IdleNode{NodeID: node, Since: last.idle, GPUPercent: last.level.GPUPercent, TaskType: wanted},
	}}, nil
}

// zombie lists the commands about a node whose items make no progress. They count as stalled
// only if all of the time was before the last report of its load: an item's heartbeats say
// nothing about the GPU.
func (l idleLook) zombie(node domain.NodeID, last seen, held []*work.Item) ([]commands.Timed, error) {
	stalled, err := workview.StalledTasks(l.queue.Models, node, last.read.Add(-nodes.PolicyOf(l.policy).Idle.ZombieSeconds.Duration()))
	if err != nil || len(stalled) == 0 {
		return nil, err
	}
	if row, known, err := nodesview.NodesTable.Get(l.queue.Models, string(node)); err != nil || !known || row.State != nodes.StateOnline {
		return nil, err
	}
	first := slices.MinFunc(held, func(a, b *work.Item) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return []commands.Timed{{
		ID:      fmt.Sprintf("clock/zombie/%s/%s/%s/%d", node, last.dead.Format(domain.Timestamp), first.ID, first.Lease),
		Command: nodescmd.ZombieNode{NodeID: node, Idle: domain.Seconds(last.read.Sub(last.dead).Truncate(time.Millisecond).Seconds()), Tasks: stalled},
	}}, nil
}

// busyFor says why a node is not idle any more; empty if it still is.
func (l idleLook) busyFor(node domain.NodeID) (string, error) {
	if len(l.queue.HeldBy(node)) > 0 {
		return "it holds work", nil
	}
	if config, trains := l.trains[node]; trains {
		return fmt.Sprintf("it trains %s", config), nil
	}
	if last, known := l.node.levels.last(node); known && last.idle.IsZero() && last.level.GPUPercent != nil {
		return "its GPU works", nil
	}
	wanted, err := l.wouldGet(node)
	if err != nil || wanted != "" {
		return "", err
	}
	return "there is nothing that it may take", nil
}

// wouldGet returns the type of the item that a node would get now if it repeated its last
// claim; empty for none.
func (l idleLook) wouldGet(node domain.NodeID) (string, error) {
	if !l.queue.AnyQueued() {
		return "", nil
	}
	claim := nodesview.Claim{Node: node}
	if last, known := l.node.levels.last(node); known {
		claim.Level, claim.Capabilities = &last.level, last.asked
	}
	picked, found, err := workcmd.WouldGet(l.queue, claim, l.now, nodes.PolicyOf(l.policy))
	if err != nil || !found {
		return "", err
	}
	return picked.Type, nil
}

// eager reports whether every command and tick has to read the log again, because another
// writer may have appended.
func (n *Node) eager() bool { return n.config.Manual && !n.config.Paced }

// expectNodes begins to watch the nodes that are alive by the read models and that this
// process has not heard from. Of a node that it watches already it reads only the key.
func (n *Node) expectNodes(v projections.View, now time.Time) error {
	for row, err := range nodesview.NodesTable.RawScan(v, projections.Span{}) {
		if err != nil {
			return err
		}
		if _, expected := n.levels.last(domain.NodeID(row.Key)); expected {
			continue
		}
		node, _, err := nodesview.NodesTable.Get(v, row.Key)
		if err != nil {
			return err
		}
		if node.State == nodes.StateOnline || node.State == nodes.StateSick {
			n.levels.expect(node.NodeID, now)
		}
	}
	return nil
}
