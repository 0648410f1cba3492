package node

import (
	"context"
	"sync/atomic"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
)

// Order is a command on its way in, from whatever side.
type Order struct {
	ID, Actor, Causation, Correlation string
	Command                           domain.Command
	Dry                               bool
}

// Outcome is what came of an order.
type Outcome struct {
	Result commands.Result
	Err    error
}

// Do resolves the facts of the moment and runs a command.
func (n *Node) Do(ctx context.Context, order Order) (commands.Result, error) {
	facts, err := n.facts(ctx, order)
	if err != nil {
		return commands.Result{}, err
	}
	if order.Dry {
		return n.bus.Try(ctx, facts, order.Command)
	}
	result, err := n.bus.Do(ctx, facts, order.Command)
	return n.finish(ctx, order, facts, result, err)
}

// DoAll runs commands in their order. Those for the queue that stand next to each
// other are handed to the dispatcher together; one that fails stops none.
func (n *Node) DoAll(ctx context.Context, orders []Order) []Outcome {
	outcomes := make([]Outcome, len(orders))
	var calls []*commands.Call
	var places []int
	flush := func() {
		n.work.writeAll(ctx, calls)
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
		case call.Queued():
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

// facts are what a command may know besides the log.
func (n *Node) facts(ctx context.Context, order Order) (domain.Facts, error) {
	if n.config.ReadOnly && !order.Dry {
		return domain.Facts{}, errReadOnly
	}
	if _, claims := order.Command.(commands.ClaimTasks); claims && n.draining.Load() {
		return domain.Facts{}, domain.Errorf(domain.Unavailable, "this node is stopping and hands out no more work; ask another, or again in a moment")
	}
	now := domain.Instant(n.clock())
	facts := domain.Facts{
		Now: now, There: n.there(), Command: order.ID, Node: n.config.Node, Actor: order.Actor,
		Causation: order.Causation, Correlation: order.Correlation, Seed: SeedOf(order.ID),
	}
	if facts.Correlation == "" {
		facts.Correlation = order.ID
	}
	if !n.config.Manual {
		// A policy that the read models have not come to yet decides all the same.
		if err := n.upTo(ctx, n.opened); err != nil {
			return facts, err
		}
	}
	policy, err := n.policyInForce(now)
	if err != nil {
		return facts, err
	}
	facts.Policy, facts.PolicyName, facts.Rules, facts.Expressions = policy.document, policy.name, policy.rules, n.match
	switch c := order.Command.(type) {
	case commands.ClaimTasks:
		facts.Level = n.levelOf(c.NodeID)
	case commands.NodeHeartbeat:
		facts.Readings = n.levels.reading(c.NodeID, c.Level, policy.document.Nodes)
	case commands.RebuildProjection:
		facts.Models = n.models()
	}
	return facts, nil
}

// finish takes over what a command came to, before anybody is told of it.
func (n *Node) finish(ctx context.Context, order Order, facts domain.Facts, result commands.Result, err error) (commands.Result, error) {
	for i := range result.Events {
		if e := &result.Events[i]; decisive[e.Type] {
			raise(&n.decisive, e.Position)
		}
	}
	if n.config.Done != nil {
		n.config.Done(order.Command, result)
	}
	if err != nil {
		return result, err
	}
	n.levels.note(order.Command, result, facts.Now, facts.Policy.Nodes)
	if _, changes := order.Command.(commands.SetPolicy); changes {
		// Whoever was told that a policy is in force finds it in force.
		err = n.upTo(ctx, result.Position)
		n.policy.Store(nil)
	}
	return result, err
}

// decisive are the events of other areas that claims have to know: what they say
// of nodes, pauses and exploration is in the read models that a claim looks at
// once they are acknowledged.
var decisive = decisiveTypes()

func decisiveTypes() map[string]bool {
	types := map[string]bool{domain.ExplorationBoost{}.EventType(): true}
	for _, defs := range [][]domain.Def{domain.NodesEvents(), domain.AdminEvents(), domain.PolicyEvents()} {
		for _, def := range defs {
			types[def.Type] = true
		}
	}
	return types
}

// raise makes a number at least so large.
func raise(number *atomic.Uint64, to domain.Position) {
	for {
		before := number.Load()
		if before >= uint64(to) || number.CompareAndSwap(before, uint64(to)) {
			return
		}
	}
}
