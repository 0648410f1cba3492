package work

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/domain/sched"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/projections"
	nodesview "github.com/ringrift/rift/projections/nodes"
	policyview "github.com/ringrift/rift/projections/policy"
)

// explainQueued evaluates the gates of every node and finds the place of the item.
func explainQueued(v projections.View, q ExplainTask, row TaskRow, answer *ExplainAnswer) error {
	policy, _, err := policyview.InForce(v)
	if err != nil {
		return err
	}
	withNodes, queue, err := queueOf(v)
	if err != nil {
		return err
	}
	return queue(func(queue *work.Queue) error {
		item, live := queue.Find(row.TaskID)
		if !live || item.State != work.StateQueued {
			return nil // it moved on since the row was read
		}
		pauses, err := PauseReasons(v)
		if err != nil {
			return err
		}
		queue.SetPauses(pauses)
		known, able, counts := 0, 0, &sched.GateCounts{}
		for entry, err := range nodesview.NodesTable.Scan(v, projections.Span{}) {
			if err != nil {
				return err
			}
			known++
			id := entry.Row.NodeID
			gates, err := describe(v, queue, id, q.Now, nodes.PolicyOf(policy), withNodes)
			if err != nil {
				return err
			}
			if counts.Add("node "+string(id), 1, schedGates(gates), queue.Index().Gates(string(row.TaskID), string(id), q.Now)) {
				able++
			}
		}
		answer.Nodes, answer.Able, answer.Closed = &known, &able, closedBy(counts)
		place, found := queue.Index().Place(string(row.TaskID), q.Now, projections.MaxPage)
		if !found {
			return domain.Errorf(domain.Internal, "item %s is queued, and has no place", row.TaskID)
		}
		answer.Place = placeOf(item, place, queue.Rules().Policy(), q.Now)
		answer.judge(row, known, able)
		return nil
	})
}

// judge sets the verdict by the counts and the place of a queued item.
func (a *ExplainAnswer) judge(row TaskRow, known, able int) {
	place := a.Place
	a.Gates = append(a.Gates,
		nodesview.Gate{Gate: "capable_node", OK: known == 0 || able > 0, Reason: fmt.Sprintf("%d of %d known nodes may run it now", able, known)},
		nodesview.Gate{Gate: "order", OK: place.AheadInGroup == 0 && place.FlowsAhead == 0, Reason: fmt.Sprintf("%d like it come first, and %d of %d configs of class %s", place.AheadInGroup, place.FlowsAhead, place.Flows, place.Class)})
	switch {
	case known > 0 && able == 0:
		a.Verdict = "queued: no known node may run it now"
		if room := place.Room; room != nil {
			a.Verdict = fmt.Sprintf("queued: node %s keeps its room for it until it fits, at most until %s", room.NodeID, room.Until.Format(domain.Timestamp))
		}
	case place.AheadInGroup > 0:
		a.Verdict = fmt.Sprintf("queued: %d items like it come first", place.AheadInGroup)
	case place.FlowsAhead > 0:
		a.Verdict = fmt.Sprintf("queued: %d configs are owed more than %s", place.FlowsAhead, or(row.ConfigKey, "(none)"))
	default:
		a.Verdict = "queued: the next claim that it fits may take it"
	}
}

// queueOf returns a function that calls another with the queue of a view, which is built
// from the rows if the view has none.
func queueOf(v projections.View) (QueueView, func(func(*work.Queue) error) error, error) {
	if withNodes, ok := v.(QueueView); ok {
		return withNodes, withNodes.Queue, nil
	}
	queue, err := LoadQueue(v, nil)
	return nil, func(f func(*work.Queue) error) error { return f(queue) }, err
}

// describe sets what is known about a node in the queue, and what its last claim asked
// for. It returns the gates of the node that are the same for all items.
func describe(v projections.View, queue *work.Queue, id domain.NodeID, now time.Time, policy nodes.Policy, withNodes QueueView) ([]nodesview.Gate, error) {
	facts, err := nodesview.FactsOf(v, id)
	if err != nil {
		return nil, err
	}
	claim := nodesview.Claim{Node: id}
	if withNodes != nil {
		claim.Level, claim.Capabilities = withNodes.LevelOf(id), withNodes.AskedBy(id)
	}
	gates := facts.Gates(now, policy, TriedOf(queue, id))
	if asked := claim.Capabilities; len(asked) > 0 {
		gates = append(gates, nodesview.Gate{Gate: sched.GateWanted, OK: true, Reason: "its last claim was for " + strings.Join(asked, ", ") + " only"})
	}
	return gates, queue.SetNode(facts.For(claim))
}

// placeOf returns the place of a queued item.
func placeOf(item *work.Item, found sched.Place, limits sched.Policy, now time.Time) *Place {
	place := &Place{
		Class: found.Class.Name, Starving: found.Starving, AheadInGroup: found.Ahead, Config: item.ConfigKey, Weight: found.Weight,
		Flows: found.Flows, FlowsAhead: found.FlowsAhead, BoundTurns: found.BoundTurns, Promised: string(item.Promised),
	}
	starves := item.QueuedAt.Add(time.Duration(found.Class.StarveAfterSeconds) * time.Second)
	if limits.Reservations > 0 {
		from := starves.Add(time.Duration(limits.ReserveAfter) * time.Second)
		place.Overdue = now.After(from)
		if place.Starving && !place.Overdue {
			place.RoomFrom = from.UTC().Format(domain.Timestamp)
		}
	}
	if item.Room != nil && item.Room.Until.After(now) {
		room := *item.Room
		place.Room = &room
	}
	if !place.Starving {
		text := starves.UTC().Format(domain.Timestamp)
		place.StarvesAt = &text
	}
	return place
}

func explainNode(v projections.View, q ExplainTask) (answer ExplainAnswer, err error) {
	policy, _, err := policyview.InForce(v)
	if err != nil {
		return answer, err
	}
	withNodes, queue, err := queueOf(v)
	if err != nil {
		return answer, err
	}
	err = queue(func(queue *work.Queue) error {
		answer, err = nodeAnswer(v, q, queue, nodes.PolicyOf(policy), withNodes)
		return err
	})
	return answer, err
}

func nodeAnswer(v projections.View, q ExplainTask, queue *work.Queue, policy nodes.Policy, withNodes QueueView) (ExplainAnswer, error) {
	node := domain.NodeID(q.Node)
	pauses, err := PauseReasons(v)
	if err != nil {
		return ExplainAnswer{}, err
	}
	queue.SetPauses(pauses)
	gates, err := describe(v, queue, node, q.Now, policy, withNodes)
	if err != nil {
		return ExplainAnswer{}, err
	}
	queued, able, counts := 0, 0, &sched.GateCounts{}
	for _, group := range queue.Index().ForNode(q.Node, q.Now) {
		queued += group.Queued
		if counts.Add(fmt.Sprintf("%s %s", group.Type, group.First), group.Queued, group.Gates) {
			able += group.Queued
		}
	}
	answer := ExplainAnswer{Gates: gates, Queued: &queued, Able: &able, Closed: closedBy(counts)}
	for i, gate := range queue.Index().NodeGates(q.Node, q.Now) {
		if i == 1 {
			answer.Gates = append(answer.Gates, nodesview.Gate{Gate: "queue", OK: queued > 0, Reason: fmt.Sprintf("%d items are queued", queued)})
		}
		answer.Gates = append(answer.Gates, nodesview.Gate{Gate: gate.Name, OK: gate.OK, Reason: gate.Reason})
	}
	if !slices.ContainsFunc(answer.Gates, func(gate nodesview.Gate) bool { return gate.Gate == "queue" }) {
		answer.Gates = append(answer.Gates, nodesview.Gate{Gate: "queue", OK: queued > 0, Reason: fmt.Sprintf("%d items are queued", queued)})
	}
	if ClosedGate(gates) == nil {
		answer.next(queue, node, q.Now)
	}
	closed := ClosedGate(answer.Gates)
	switch {
	case answer.Next != nil:
		answer.Verdict = fmt.Sprintf("may claim: %d of %d queued items fit, the next is %s", able, queued, answer.Next.TaskID)
	case closed != nil:
		answer.Verdict = "gets nothing: " + closed.Reason
	default:
		answer.Verdict = fmt.Sprintf("gets nothing: it may have none of %d queued items", queued)
	}
	return answer, nil
}

// next sets the item that a claim of the node would get, or reserve room for.
func (a *ExplainAnswer) next(queue *work.Queue, node domain.NodeID, now time.Time) {
	picked, found := queue.Pick(node, now)
	switch {
	case found:
		decision := work.DecisionOf(picked)
		a.Next = &NextItem{domain.TaskID(picked.Item), decision.Reasons(node, picked.Config, picked.Priority)}
	case picked.Item != "" && !picked.Kept:
		a.Gates = append(a.Gates, nodesview.Gate{Gate: sched.GateReserved, OK: false, Reason: fmt.Sprintf("its next claim keeps its room for %s, which wants %d of %d slots", picked.Item, picked.Cost, picked.SlotsOf)})
	}
}

// schedGates converts gates to those of the scheduler.
func schedGates(gates []nodesview.Gate) []sched.Gate {
	list := make([]sched.Gate, len(gates))
	for i, gate := range gates {
		list[i] = sched.Gate{Name: gate.Gate, OK: gate.OK, Reason: gate.Reason}
	}
	return list
}
