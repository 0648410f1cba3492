package node

import (
	"context"
	"sync/atomic"

	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/commands"
	admincmd "github.com/ringrift/rift/commands/admin"
	nodescmd "github.com/ringrift/rift/commands/nodes"
	policycmd "github.com/ringrift/rift/commands/policy"
	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/admin"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/domain/training"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/eventlog"
)

// Order is a command for a node, with its origin.
type Order struct {
	ID, Actor, Causation, Correlation string
	Command                           domain.Command
	Dry                               bool
}

// Outcome is the result of an order.
type Outcome struct {
	Result commands.Result
	Err    error
}

// Do determines the facts of a command and runs it.
func (n *Node) Do(ctx context.Context, order Order) (commands.Result, error) {
	if claim, claims := order.Command.(workcmd.ClaimTasks); claims && claim.Wait != nil {
		return n.poll(ctx, order, claim)
	}
	var err error
	if !order.Dry {
		if ctx, err = n.lead(ctx); err != nil {
			return commands.Result{}, err
		}
	}
	facts, err := n.facts(ctx, order)
	if err != nil {
		return commands.Result{}, err
	}
	if domain.NodeCommand(order.ID) {
		return n.run(ctx, order, facts)
	}
	// The id is a key that the caller chose, and may have used for another command before.
	if facts.Request, err = commands.Digest(wiring.FastCodec{}, order.Command); err != nil {
		return commands.Result{}, err
	}
	first, err := n.keys.begin(ctx, n.log, order.ID, facts.Request, facts.Now)
	if err != nil {
		return commands.Result{}, err
	}
	var result commands.Result
	defer func() {
		if order.Dry {
			n.keys.end(order.ID, facts.Request, nil, nil, facts.Now)
		} else {
			n.keys.end(order.ID, facts.Request, result.Events, err, facts.Now)
		}
	}()
	if first > 0 {
		if facts, err = n.asAtFirst(ctx, facts, first); err != nil {
			return commands.Result{}, err
		}
	}
	result, err = n.run(ctx, order, facts)
	return result, err
}

// run runs a command whose facts are known.
func (n *Node) run(ctx context.Context, order Order, facts domain.Facts) (commands.Result, error) {
	if order.Dry {
		return n.bus.Try(ctx, facts, order.Command)
	}
	result, err := n.bus.Do(ctx, facts, order.Command)
	return n.finish(ctx, order, facts, result, err)
}

// asAtFirst returns the facts with the time and the policy of the first run of a repeated
// command, so that the command is not refused for what was allowed then. The facts of a
// batch also name the items that the first run refused.
func (n *Node) asAtFirst(ctx context.Context, facts domain.Facts, first domain.Position) (domain.Facts, error) {
	e, err := eventAt(ctx, n.log, first)
	if err != nil {
		return facts, err
	}
	facts.Now = e.Time
	if err := n.catalog.Fill(&e); err != nil {
		return facts, err
	}
	if added, ok := e.Event.(work.Spawned); ok {
		facts = facts.With(added.NotAdded)
	}
	if e.Meta.Policy == facts.PolicyName || e.Meta.Policy == "" {
		return facts, nil
	}
	stream := domain.PolicyStream(domain.PolicyDefaultName)
	revision, policy := domain.NoStream, domain.Policy{}
	for change, err := range n.log.Read(ctx, stream, 0, eventlog.Forward) {
		if policyName(revision) == e.Meta.Policy {
			break
		}
		if err == nil {
			err = n.catalog.Fill(&change)
		}
		if err != nil {
			return facts, err
		}
		if changed, ok := change.Event.(domain.PolicyChanged); ok {
			policy, revision = changed.Policy, change.Revision
		}
	}
	if policy, err = wiring.Sections().Read(policy); err != nil {
		return facts, domain.Errorf(domain.Internal, "%s: %w", e.Meta.Policy, err)
	}
	facts.Policy, facts.PolicyName = policy, e.Meta.Policy
	return facts, nil
}

// DoAll runs commands in their order. Successive commands on the queue are given to the
// dispatcher together, and successive commands that only record events to the log. A
// command that fails does not stop the others.
func (n *Node) DoAll(ctx context.Context, orders []Order) []Outcome {
	outcomes := make([]Outcome, len(orders))
	ctx, err := n.lead(ctx)
	if err != nil {
		for i := range outcomes {
			outcomes[i].Err = err
		}
		return outcomes
	}
	var calls []*commands.Call // of one kind
	var places []int
	flush := func() {
		switch {
		case len(calls) == 0:
			return
		case calls[0].Queued():
			n.work.writeAll(ctx, calls)
		default:
			n.bus.RecordAll(ctx, calls)
		}
		for i, call := range calls {
			at := places[i]
			outcomes[at].Result, outcomes[at].Err = n.finish(ctx, orders[at], call.Facts, call.Result, call.Err)
		}
		calls, places = nil, nil
	}
	for i, order := range orders {
		facts, err := n.facts(ctx, order)
		if err != nil {
			outcomes[i].Err = err
			continue
		}
		call, err := n.bus.Prepare(facts, order.Command)
		switch {
		case err != nil:
			outcomes[i].Err = err
		case call.Queued() || call.Records():
			if len(calls) > 0 && calls[0].Queued() != call.Queued() {
				flush()
			}
			calls, places = append(calls, call), append(places, i)
		default:
			flush()
			result, err := n.bus.Do(ctx, facts, order.Command)
			outcomes[i].Result, outcomes[i].Err = n.finish(ctx, order, facts, result, err)
		}
	}
	flush()
	return outcomes
}

// facts returns the facts of a command: what its decision may use besides the log.
func (n *Node) facts(ctx context.Context, order Order) (domain.Facts, error) {
	if n.config.ReadOnly && !order.Dry {
		return domain.Facts{}, errReadOnly
	}
	if _, claims := order.Command.(workcmd.ClaimTasks); claims && n.draining.Load() {
		return domain.Facts{}, domain.Errorf(domain.Unavailable, "this node is stopping and hands out no more work; ask another, or again in a moment")
	}
	now, presence := n.moment()
	facts := domain.Facts{
		Now: now, There: presence.There, Command: order.ID, Node: n.config.Node, Actor: order.Actor,
		Causation: order.Causation, Correlation: order.Correlation, Seed: SeedOf(order.ID),
	}
	if facts.Correlation == "" {
		facts.Correlation = order.ID
	}
	if !n.config.Manual {
		// The read models may not have the policy in force yet.
		if err := n.upTo(ctx, n.opened); err != nil {
			return facts, err
		}
	}
	policy, err := n.policyInForce(now)
	if err != nil {
		return facts, err
	}
	facts.Policy, facts.PolicyName = policy.document, policy.name
	facts = facts.With(n.match).With(n.config.Known...)
	switch c := order.Command.(type) {
	case workcmd.AddTask:
		n.prepare(c)
	case workcmd.AddTasks:
		n.prepare(c.Items[:min(len(c.Items), work.PolicyOf(policy.document).BatchLimit)]...)
	case workcmd.ClaimTasks:
		facts = facts.With(n.levelOf(c.NodeID))
	case nodescmd.NodeHeartbeat:
		facts = facts.With(n.levels.reading(c.NodeID, c.Level, nodes.PolicyOf(policy.document)))
	case admincmd.RebuildProjection:
		facts = facts.With(n.models())
	}
	return facts, nil
}

// policyName is the name, in events, of the policy as of a revision of its stream.
func policyName(revision domain.Revision) string {
	return "policy-" + domain.PolicyDefaultName + "@" + (revision + 1).String()
}

// prepare compiles the expressions of items, so that the dispatcher need not do it. Faults
// are reported when the command is decided.
func (n *Node) prepare(items ...workcmd.AddTask) {
	for _, item := range items {
		if item.Where != "" {
			_ = n.match.CheckWhere(item.Where)
		}
	}
}

// finish updates what this node keeps in memory by the result of a command, before the
// command is answered.
func (n *Node) finish(ctx context.Context, order Order, facts domain.Facts, result commands.Result, err error) (commands.Result, error) {
	opens := false
	for i := range result.Events {
		e := &result.Events[i]
		if decisive[e.Type] {
			raise(&n.decisive, e.Position)
		}
		opens = opens || opening[e.Type]
	}
	if opens {
		n.polls.wake()
	}
	if n.config.Done != nil {
		n.config.Done(order.Command, result)
	}
	if err != nil {
		return result, err
	}
	n.levels.note(order.Command, result, facts.Now, nodes.PolicyOf(facts.Policy))
	if _, changes := order.Command.(policycmd.SetPolicy); changes {
		// Once the command is answered, the new policy is in force.
		err = n.upTo(ctx, result.Position)
		n.policy.Store(nil)
	}
	return result, err
}

// decisive are the types of events of other areas that claims depend on: they are about
// nodes, pauses, policies and exploration. A claim waits until the read models have
// applied the last one that was acknowledged.
var decisive = decisiveTypes()

func decisiveTypes() map[string]bool {
	types := map[string]bool{training.ExplorationBoost{}.EventType(): true}
	for _, defs := range [][]domain.Def{nodes.Events(), admin.Events(), domain.PolicyEvents(nil)} {
		for _, def := range defs {
			types[def.Type] = true
		}
	}
	return types
}

// raise sets a number to a position, unless it is larger already.
func raise(number *atomic.Uint64, to domain.Position) {
	for {
		before := number.Load()
		if before >= uint64(to) || number.CompareAndSwap(before, uint64(to)) {
			return
		}
	}
}
