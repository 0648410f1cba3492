package node

import (
	"context"
	"fmt"
	"time"

	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/admin"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections"
	nodesview "github.com/ringrift/rift/projections/nodes"
	"github.com/ringrift/rift/projections/store"
	"github.com/ringrift/rift/transport"
)

// Backend returns the node as the HTTP endpoints use it.
func (n *Node) Backend() transport.Backend { return backend{n} }

type backend struct{ node *Node }

func (b backend) Do(ctx context.Context, call transport.Call) (commands.Result, error) {
	result, err := b.node.Do(ctx, Order{
		ID: call.ID, Actor: call.Actor, Causation: call.Causation, Correlation: call.Correlation,
		Command: call.Command, Dry: call.Dry,
	})
	if !call.Dry {
		raise(&b.node.answered, result.Position)
	}
	return result, err
}

// Append appends an event that a client made. If an area has a command that decides such
// events, that command runs.
func (b backend) Append(ctx context.Context, stream domain.StreamID, expected domain.Revision, event domain.Event, call transport.Call) (commands.Result, error) {
	call.Command = b.node.bus.Bridged(stream, expected, event)
	return b.Do(ctx, call)
}

func (b backend) Spec(commandType string) (commands.Spec, bool) { return b.node.bus.Spec(commandType) }
func (b backend) Log() eventlog.Log                             { return b.node.log }
func (b backend) Catalog() *domain.Catalog                      { return b.node.catalog }
func (b backend) Lent() []any                                   { return b.node.parts }
func (b backend) Cluster() string                               { return b.node.config.Cluster }

// timed is a log that finds the position of a time.
type timed interface {
	PositionAt(ctx context.Context, at time.Time) (domain.Position, error)
}

func (b backend) View(ctx context.Context, at transport.At, after domain.Position, f func(projections.View) error) error {
	if !at.Set {
		if err := b.node.ready(ctx); err != nil {
			return err
		}
	}
	if err := b.node.upTo(ctx, after); err != nil {
		return err
	}
	if !at.Set && after == 0 {
		if err := b.node.upToAnswered(ctx); err != nil {
			return err
		}
	}
	if !at.Set {
		return b.node.store.Brief(func(v projections.View) error { return f(nodeView{View: bounded(ctx, v), node: b.node}) })
	}
	position := at.Position
	if !at.Time.IsZero() {
		clock, ok := b.node.log.(timed)
		if !ok {
			return domain.Errorf(domain.Invalid, "this log keeps no times; ask with at=<position>")
		}
		var err error
		if position, err = clock.PositionAt(ctx, at.Time); err != nil {
			return err
		}
	}
	head, err := b.node.log.Head(ctx)
	if err != nil {
		return err
	}
	if position > head {
		return domain.Faulty("query", []domain.Fault{{Field: "at", Reason: fmt.Sprintf("want a position up to the log's end at %d, found %d", head, position)}})
	}
	return b.node.store.At(ctx, b.node.log, position, func(v projections.View) error {
		return f(nodeView{View: bounded(ctx, v), node: b.node, past: true})
	})
}

func (b backend) Health(ctx context.Context) (transport.Health, error) {
	n := b.node
	health := transport.Health{Position: n.store.Position()}
	if !n.config.Recording {
		health.Node, health.Cluster, health.Version, health.Started = n.config.Node, n.config.Cluster, n.config.Version, n.started
		health.Uptime = domain.Seconds(n.clock().Sub(n.started).Truncate(time.Second).Seconds())
	}
	check := func(name string, state transport.State, reason string, numbers map[string]int64, causes ...string) {
		health.Checks = append(health.Checks, transport.Check{Name: name, State: state, Reason: reason, Causes: causes, Numbers: numbers})
	}
	if row, err := n.CatchUp(ctx); err == nil { // otherwise the check of the log reports the error
		health.CatchUp = row
	}
	head, err := n.log.Head(ctx)
	if err != nil {
		check("log", transport.StateFailed, err.Error(), nil)
	} else {
		check("log", transport.StateOK, "", map[string]int64{"head": int64(head)})
	}
	b.projectionsHealth(head, check)
	if !n.config.Recording {
		n.outboxHealth(check)
	}
	if err := b.leasesHealth(ctx, check); err != nil {
		check("leases", transport.StateFailed, err.Error(), nil)
	}
	if err := n.store.View(func(v projections.View) error { return clusterHealth(v, check) }); err != nil {
		check("cluster", transport.StateFailed, err.Error(), nil)
	}
	n.leaderHealth(&health, check)
	n.membersHealth(ctx, check)
	if n.config.ReadOnly {
		check("mode", transport.StateOK, "read-only: the node shows the log as it is, takes no commands and decides nothing", nil)
	}
	if n.steady != nil {
		clockHealth(n.steady.Off(), check)
	}
	if n.config.Disk != nil {
		diskHealth(n.config.Disk, check)
	}
	if n.draining.Load() {
		check("stopping", transport.StateDegraded, "the node is stopping and hands out no more work", nil)
	}
	health.Status = transport.Worst(health.Checks)
	return health, nil
}

const (
	busyOutbox = 1024    // commands of reactors waiting
	busyLag    = 10_000  // positions a read model is behind
	sparseLag  = 8 << 20 // the same for a log whose positions have gaps
)

// outboxHealth reports whether commands of reactors are run as fast as they come.
func (n *Node) outboxHealth(check teller) {
	depth := n.store.OutboxLen()
	state, reason := transport.StateOK, ""
	if depth > busyOutbox {
		state, reason = transport.StateDegraded, "commands of reactors wait to be run"
	}
	check("outbox", state, reason, map[string]int64{"depth": int64(depth), "drained": int64(n.drained.Load()), "waits": int64(n.store.OutboxWaits())})
}

type teller func(name string, state transport.State, reason string, numbers map[string]int64, causes ...string)

func (b backend) projectionsHealth(head domain.Position, check teller) {
	state, reason := transport.StateOK, ""
	lag := int64(head) - int64(b.node.store.Position())
	letters := uint64(0)
	var causes []string
	for _, handler := range b.node.store.Handlers() {
		if handler.DeadLetters > 0 {
			letters += handler.DeadLetters
			causes = append(causes, fmt.Sprintf("%s: %d parked, %d of %d runs failed", handler.Name, handler.DeadLetters, handler.Failures, handler.Runs))
		}
	}
	for _, stat := range b.node.store.Projections() {
		if row := rebuildRow(stat.Rebuild, b.node.clock()); row != nil {
			what := fmt.Sprintf("version %d is being built", row.To)
			if row.From == row.To {
				what = fmt.Sprintf("version %d is being built again", row.To)
			}
			causes = append(causes, fmt.Sprintf("%s: %s, %v %% done; version %d serves as of %d", stat.Name, what, row.Percent, row.From, stat.Position))
		}
	}
	sick, busy := b.node.store.Health(), int64(busyLag)
	if b.node.config.Sparse {
		busy = sparseLag
	}
	switch {
	case sick != nil:
		state, reason = transport.StateFailed, sick.Error()
	case letters > 0:
		state, reason = transport.StateDegraded, fmt.Sprintf("%d events are parked as dead letters; see /dead-letters", letters)
	case lag > busy:
		state, reason = transport.StateDegraded, fmt.Sprintf("read models are %d positions behind the log", lag)
	}
	check("projections", state, reason, map[string]int64{"lag": max(lag, 0), "dead_letters": int64(letters), "failures_not_noted": int64(b.node.lost.Load())}, causes...)
}

func (b backend) leasesHealth(ctx context.Context, check teller) error {
	var due []work.Deadline
	if !b.node.config.ReadOnly { // a read-only node decides no deadlines
		now, presence := b.node.moment()
		policy, err := b.node.policyInForce(now)
		if err != nil {
			return err
		}
		if err := b.node.work.inspect(ctx, func(q *work.Queue) error {
			due, _ = (&commands.Queue{Queue: q}).DueBut(now.Add(-lateDeadline), presence, work.PolicyOf(policy.document), dueBatch)
			return nil
		}); err != nil {
			return err
		}
	}
	state, reason := transport.StateOK, ""
	var causes []string
	if len(due) > 0 {
		state, reason = transport.StateDegraded, fmt.Sprintf("%d deadlines passed more than %v ago and were not decided", len(due), lateDeadline)
		for _, row := range due[:min(len(due), shownCauses)] {
			causes = append(causes, fmt.Sprintf("%s of item %s was due at %s", row.Kind, row.TaskID, row.At.Format(domain.Timestamp)))
		}
	}
	check("leases", state, reason, map[string]int64{"overdue": int64(len(due))}, causes...)
	return nil
}

// shownCauses is the number of causes that a check lists at most.
const shownCauses = 16

// clusterHealth checks the health of the cluster and lists the nodes that are unhealthy.
func clusterHealth(v projections.View, check teller) error {
	row, err := nodesview.TheCluster(v)
	if err != nil {
		return err
	}
	sick, err := nodesview.SickNodes(v)
	if err != nil {
		return err
	}
	var causes []string
	for _, node := range sick[:min(len(sick), shownCauses)] {
		causes = append(causes, fmt.Sprintf("node %s is %s since %s: %s", node.NodeID, node.State, node.Since.Format(domain.Timestamp), node.Reason))
	}
	state, reason := transport.StateOK, ""
	if row.State == admin.ClusterSick {
		state, reason = transport.StateDegraded, "the cluster is unhealthy since "+row.Since.Format(domain.Timestamp)+": "+row.Reason
	}
	check("cluster", state, reason, map[string]int64{"known_nodes": int64(row.Known), "healthy_nodes": int64(row.Healthy)}, causes...)
	return nil
}

// lateDeadline is how long a deadline may be overdue before health reports it.
const lateDeadline = 10 * time.Second

// clockHealth reports a wall clock that differs from the node's clock.
func clockHealth(off time.Duration, check teller) {
	ahead, hint := "ahead of", "; a restart takes it over at once"
	if off < 0 {
		ahead, hint = "behind", ""
	}
	if off.Abs() > shownOff {
		check("clock", transport.StateDegraded, fmt.Sprintf("the wall clock is %v %s this node's, which follows it by 1 s in %d; leases last as long as they say%s", off.Abs().Round(time.Second), ahead, followPart, hint), nil)
	}
}

func diskHealth(disk func() (free, total uint64, err error), check teller) {
	free, total, err := disk()
	if err != nil {
		check("disk", transport.StateDegraded, err.Error(), nil)
		return
	}
	state, reason := transport.StateOK, ""
	switch {
	case free < total/100 || free < 8<<20:
		state, reason = transport.StateFailed, "the disk is full; appends will be refused"
	case free < total/20:
		state, reason = transport.StateDegraded, "less than 5 % of the disk is free"
	}
	check("disk", state, reason, map[string]int64{"bytes_free": int64(free), "bytes_total": int64(total)})
}

func (b backend) DeadLetters(context.Context) (transport.DeadLetters, error) {
	answer := transport.DeadLetters{DeadLetters: []transport.DeadLetter{}}
	err := b.node.store.View(func(v projections.View) error {
		answer.Position = v.Position()
		for row, err := range v.Scan(store.DeadLetterTable, projections.Span{}) {
			if err != nil {
				return err
			}
			var letter transport.DeadLetter
			if err := v.Codec().Unmarshal(row.Value, &letter); err != nil {
				return domain.Errorf(domain.Corrupt, "dead letter %s: %w", row.Key, err)
			}
			answer.DeadLetters = append(answer.DeadLetters, letter)
		}
		return nil
	})
	return answer, err
}

func (b backend) Projections(ctx context.Context) (transport.Projections, error) {
	answer := transport.Projections{Position: b.node.store.Position(), Projections: []transport.ProjectionRow{}}
	head, err := b.node.log.Head(ctx)
	if err != nil {
		return answer, err
	}
	if kept := b.node.store.Snapshots(); kept.Every > 0 {
		answer.Snapshots = &transport.SnapshotRow{
			Count: kept.Count, Keep: kept.Keep, Bytes: kept.Bytes, Limit: kept.Limit, Every: kept.Every, Oldest: kept.Oldest, Newest: kept.Newest,
		}
	}
	tables := map[string][]string{}
	for _, projection := range wiring.Projections() {
		tables[projection.Name] = projection.Tables
	}
	for _, stat := range b.node.store.Projections() {
		row := transport.ProjectionRow{
			Name: stat.Name, Version: stat.Version, Generation: stat.Generation, About: stat.About, Position: stat.Position,
			Tables: tables[stat.Name], State: "live", Lag: uint64(max(int64(head)-int64(stat.Position), 0)),
		}
		row.Rebuild = rebuildRow(stat.Rebuild, b.node.clock())
		switch {
		case stat.Rebuild != nil:
			row.State = "rebuilding"
		case row.Lag > 0:
			row.State = "catching_up"
		}
		answer.Projections = append(answer.Projections, row)
	}
	return answer, nil
}

func (b backend) Shutdown(_ context.Context, reason string, grace time.Duration) error {
	if b.node.config.Leadership == nil {
		b.node.StopClaims() // in a cluster they end once another node leads
	}
	if b.node.config.OnShutdown != nil {
		b.node.config.OnShutdown(reason, grace)
	}
	return nil
}

// StopClaims makes the node hand out no more work. It is the first step of stopping.
func (n *Node) StopClaims() {
	n.draining.Store(true)
	n.polls.wake() // so that waiting claims are refused
}

// RecordFailures appends an event for each failure of a handler that has none yet. It is
// for a Manual node; otherwise Publish does it.
func (n *Node) RecordFailures(ctx context.Context) error {
	for {
		select {
		case failure := <-n.failures:
			if err := n.recordFailure(ctx, failure); err != nil {
				return err
			}
		default:
			return nil
		}
	}
}
