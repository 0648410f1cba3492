package work

import (
	"cmp"
	"slices"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/sched"
)

// SetNode sets what is known about a node.
func (q *Queue) SetNode(node sched.Node) error {
	if q.index.Nodes() > maxIdleNodes {
		q.index.ForgetIdle()
	}
	return q.index.SetNode(node)
}

// maxIdleNodes is the number of nodes beyond which those that hold nothing are
// forgotten.
const maxIdleNodes = 65536

// SetPauses sets the paused kinds and their reasons.
func (q *Queue) SetPauses(pauses map[string]string) { q.index.SetPauses(pauses) }

// SetMatcher sets the evaluator of expressions.
func (q *Queue) SetMatcher(matcher sched.Matcher) { q.index.SetMatcher(matcher) }

// CountClosed sets a function that is called with the number of items that a gate
// keeps from a claiming node; nil stops it.
func (q *Queue) CountClosed(count func(gate string, items int)) { q.index.CountClosed(count) }

// Pick returns what a node, described by SetNode, gets next; false for nothing. In
// that case the decision may name an item for which the node should reserve its
// free capacity. It does not change the queue.
func (q *Queue) Pick(node domain.NodeID, now time.Time) (sched.Decision, bool) {
	return q.index.Pick(string(node), now)
}

// DecisionOf returns a decision in the form in which the claim's event records it.
func DecisionOf(d sched.Decision) ClaimDecision {
	return ClaimDecision{
		Class: d.Class, Pool: d.Pool, Slots: d.Cost, Weight: d.Weight, VirtualStart: d.Start, Turn: d.Turn,
		Starving: d.Starving, Reserved: d.Reserved, Rejoined: d.Rejoined, Promised: d.Promised, Kept: d.Kept,
		WaitedMS: d.Waited.Milliseconds(), SlotsUsed: d.SlotsUsed, SlotsOf: d.SlotsOf,
	}
}

// HeldBy lists the items that a node holds, by the time of the claim, then by name.
func (q *Queue) HeldBy(node domain.NodeID) []*Item {
	var held []*Item
	for _, id := range q.index.HeldBy(string(node)) {
		held = append(held, q.items[domain.TaskID(id)])
	}
	slices.SortFunc(held, func(a, b *Item) int { return cmp.Or(a.ClaimedAt.Compare(b.ClaimedAt), cmp.Compare(a.ID, b.ID)) })
	return held
}

// ClaimedBy lists the items that a node holds under leases from a command.
func (q *Queue) ClaimedBy(node domain.NodeID, command string) []domain.TaskID {
	var ids []domain.TaskID
	for _, item := range q.HeldBy(node) {
		if item.ClaimedBy == command {
			ids = append(ids, item.ID)
		}
	}
	return ids
}

// Index returns the index of the queue, which must not be modified.
func (q *Queue) Index() *sched.Index { return q.index }

// AnyQueued reports whether any item is queued.
func (q *Queue) AnyQueued() bool { return q.index.Queued() > 0 }

// Rules returns the scheduling rules of the queue.
func (q *Queue) Rules() *sched.Rules { return q.index.Rules() }

// maxCycleSearch limits the items that a search for a cycle visits.
const maxCycleSearch = 10000

// FindCycle looks for a path from the dependencies back to the item and returns it,
// starting and ending with the item; nil for none. more has the dependencies of
// items that are being added.
func (q *Queue) FindCycle(task domain.TaskID, dependsOn []domain.TaskID, more map[domain.TaskID][]domain.TaskID) ([]domain.TaskID, error) {
	return Cycle(task, dependsOn, func(id domain.TaskID) ([]domain.TaskID, error) {
		if item, live := q.items[id]; live {
			return item.BlockedOn, nil
		}
		return more[id], nil
	})
}

// Cycle is FindCycle with a function that returns the dependencies of an item.
func Cycle(task domain.TaskID, dependsOn []domain.TaskID, waits func(domain.TaskID) ([]domain.TaskID, error)) ([]domain.TaskID, error) {
	type step struct {
		id     domain.TaskID
		before *step
	}
	seen := map[domain.TaskID]bool{}
	root := &step{id: task}
	var stack []*step
	push := func(from *step, ids []domain.TaskID) {
		for i := len(ids) - 1; i >= 0; i-- {
			stack = append(stack, &step{ids[i], from})
		}
	}
	push(root, dependsOn)
	for len(stack) > 0 {
		at := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if at.id == task {
			var path []domain.TaskID
			for s := at; s != nil; s = s.before {
				path = append([]domain.TaskID{s.id}, path...)
			}
			return path, nil
		}
		if seen[at.id] {
			continue
		}
		if seen[at.id] = true; len(seen) > maxCycleSearch {
			return nil, domain.Errorf(domain.TooMany, "item %s: more than %d items stand behind its dependencies", task, maxCycleSearch)
		}
		ids, err := waits(at.id)
		if err != nil {
			return nil, err
		}
		push(at, ids)
	}
	return nil, nil
}

// Exchanges lists the held items that should be preempted for waiting ones. node
// returns what is known about a node, or false if a gate keeps all work from it.
func (q *Queue) Exchanges(now time.Time, after time.Duration, node func(id string) (sched.Node, bool)) []sched.Exchange {
	return q.index.Exchanges(now, after, node)
}
