package work

import (
	"encoding/json"
	"fmt"
	"iter"
	"time"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/domain/sched"
	"github.com/ringrift/rift/domain/training"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/projections"
	nodesview "github.com/ringrift/rift/projections/nodes"
	trainingview "github.com/ringrift/rift/projections/training"
	workview "github.com/ringrift/rift/projections/work"
)

// ClaimTasks claims items for a node.
type ClaimTasks struct {
	NodeID       domain.NodeID `json:"node_id"`
	Capabilities []string      `json:"capabilities,omitempty" doc:"task types it wants (none: any), and words that items may require"`
	Slots        int           `json:"slots,omitempty" doc:"free slots of the node; bounds the items"`
	Limit        int           `json:"limit,omitempty" doc:"most items wanted, 1 when absent"`
	// Wait is handled by the process: a claim is decided and stored without it.
	Wait *domain.Seconds `json:"wait,omitempty" doc:"how long it waits for an item when there is none, at most 30 s; absent: not at all" example:"30"`
}

// MaxWait limits how long a claim waits.
const MaxWait = 30 * time.Second

// Waits returns how long the claim waits for an item when there is none.
func (c ClaimTasks) Waits() time.Duration {
	if c.Wait == nil {
		return 0
	}
	return min(max(c.Wait.Duration(), 0), MaxWait)
}

// Waiting returns the claim with another wait.
func (c ClaimTasks) Waiting(wait domain.Seconds) domain.Command {
	c.Wait = &wait
	return c
}

func (ClaimTasks) CommandType() string { return "work.claim" }

// Size returns how many items it may claim.
func (c ClaimTasks) Size() (writes, bytes int) { return c.Limit, 0 }

// TasksClaimed is the answer to ClaimTasks.
type TasksClaimed struct {
	Items []ClaimedTask `json:"items"`
}

// ClaimedTask is one item with its lease.
type ClaimedTask struct {
	TaskID    domain.TaskID   `json:"task_id"`
	Lease     uint64          `json:"lease"`
	TaskType  string          `json:"task_type"`
	ConfigKey string          `json:"config_key"`
	Payload   json.RawMessage `json:"payload"`
	Attempt   int             `json:"attempt"`
	Deadline  time.Time       `json:"deadline" doc:"of the lease by the node's clock; heartbeats move it"`
	Lasts     domain.Seconds  `json:"lease_seconds" doc:"from the claim to the deadline, for clocks that differ from the node's"`
	Timeout   domain.Seconds  `json:"timeout_seconds" doc:"bound on the whole attempt, heartbeats or not"`

	Size int `json:"size,omitempty" doc:"how much of it to do, in its units (games, mostly); absent: as in the payload"`

	Exploration *work.Boost `json:"exploration,omitempty" doc:"of selfplay: how much more than usual it is to explore"`

	spawned domain.Position // position of its payload in the log
}

func completeClaim(c ClaimTasks, facts domain.Facts) (ClaimTasks, error) {
	var faults []domain.Fault
	if err := domain.CheckName(string(c.NodeID)); err != nil {
		faults = append(faults, domain.Fault{Field: "node_id", Reason: err.Error()})
	}
	if c.Limit == 0 {
		c.Limit = 1
	}
	if most := work.PolicyOf(facts.Policy).ClaimLimit; c.Limit < 0 || c.Limit > most {
		faults = append(faults, domain.Fault{Field: "limit", Reason: fmt.Sprintf("want 1 to %d, found %d", most, c.Limit)})
	}
	if c.Slots < 0 {
		faults = append(faults, domain.Fault{Field: "slots", Reason: fmt.Sprintf("want at least 0, found %d", c.Slots)})
	}
	if c.Slots > 0 {
		c.Limit = min(c.Limit, c.Slots)
	}
	if len(c.Capabilities) > 256 {
		faults = append(faults, domain.Fault{Field: "capabilities", Reason: fmt.Sprintf("want at most 256 words, found %d", len(c.Capabilities))})
	}
	return c, domain.Faulty("work.claim", faults)
}

// planClaim picks items one after the other, each from the queue as the previous
// pick left it. A repeated claim returns the items it claimed before.
func planClaim(q *commands.Queue, c ClaimTasks, facts domain.Facts) iter.Seq2[commands.Targeted, error] {
	return func(yield func(commands.Targeted, error) bool) {
		before, err := took(q, facts.Command, c.NodeID)
		if err != nil {
			yield(nil, err)
			return
		}
		for _, id := range before {
			if !yield(leaseTask{TaskID: id, NodeID: c.NodeID}, nil) {
				return
			}
		}
		if len(before) > 0 {
			return
		}
		open, err := ask(q, &c, facts)
		if err != nil {
			yield(nil, err)
			return
		}
		boosts := boostsOf(q.Models, facts.Now)
		for taken := 0; open && taken < c.Limit; taken++ {
			decision, found := q.Pick(c.NodeID, facts.Now)
			q.CountClosed(nil)
			if !found {
				if decision.Item != "" && !decision.Kept {
					yield(reserve(decision, facts), nil)
				}
				return
			}
			step, err := leasePicked(q, decision, c.NodeID, facts, boosts)
			if !yield(step, err) || err != nil {
				return
			}
		}
	}
}

// took lists the items that an earlier run of the claim took.
func took(q *commands.Queue, command string, node domain.NodeID) ([]domain.TaskID, error) {
	before, err := q.Before(command)
	if err != nil || len(before) > 0 {
		return before, err
	}
	return q.ClaimedBy(node, command), nil
}

// ask describes the node of a claim to the queue. It returns false if a gate keeps
// all work from the node.
func ask(q *commands.Queue, c *ClaimTasks, facts domain.Facts) (open bool, err error) {
	claim := nodesview.Claim{Node: c.NodeID, Capabilities: c.Capabilities, Slots: c.Slots, Level: domain.FactOf[*nodes.Level](facts)}
	closed, err := describe(q, claim, facts.Now, nodes.PolicyOf(facts.Policy))
	if err != nil {
		return false, err
	}
	if closed != nil {
		if q.Closed != nil {
			q.Closed(closed.Gate, 1)
		}
		return false, nil
	}
	known, err := q.Nodes.Node(c.NodeID)
	if err == nil && known.HalfOpen(facts.Now) {
		c.Limit = 1
	}
	q.CountClosed(q.Closed)
	return err == nil, err
}

// describe sets what the queue knows about the claiming node. It returns the gate
// that keeps all work from it, or nil.
func describe(q *commands.Queue, claim nodesview.Claim, now time.Time, policy nodes.Policy) (*nodesview.Gate, error) {
	known, err := q.Nodes.Node(claim.Node)
	if err != nil {
		return nil, err
	}
	if closed := workview.ClosedGate(known.Gates(now, policy, workview.TriedOf(q.Queue, claim.Node))); closed != nil {
		return closed, nil
	}
	pauses, err := q.Nodes.Pauses()
	if err != nil {
		return nil, err
	}
	q.SetPauses(pauses)
	if err := q.SetNode(known.For(claim)); err != nil {
		return nil, domain.Errorf(domain.Invalid, "node %q: %w", claim.Node, err)
	}
	return nil, nil
}

// WouldGet returns the item that a claim would get now; false for none.
func WouldGet(q *commands.Queue, claim nodesview.Claim, now time.Time, policy nodes.Policy) (sched.Decision, bool, error) {
	closed, err := describe(q, claim, now, policy)
	if err != nil || closed != nil {
		return sched.Decision{}, false, err
	}
	picked, found := q.Pick(claim.Node, now)
	return picked, found, nil
}

// leasePicked returns the step that leases a picked item to a node.
func leasePicked(q *commands.Queue, picked sched.Decision, node domain.NodeID, facts domain.Facts, boosts func(taskType, configKey string) (*work.Boost, error)) (leaseTask, error) {
	decision := work.DecisionOf(picked)
	step := leaseTask{TaskID: domain.TaskID(picked.Item), NodeID: node, Decision: &decision}
	if item, live := q.Find(step.TaskID); live {
		step.spawned = item.Spawned
	}
	var err error
	if step.Exploration, err = boosts(picked.Type, picked.Config); err != nil {
		return step, err
	}
	if len(work.PolicyOf(facts.Policy).Sizing) > 0 {
		decision.Size, err = workview.SizeFor(q.Models, picked.Type, picked.Config, node, work.PolicyOf(facts.Policy))
	}
	return step, err
}

func combineClaim(_ ClaimTasks, steps []commands.Step) TasksClaimed {
	answer := TasksClaimed{Items: []ClaimedTask{}}
	for _, step := range steps {
		if item, ok := step.Answer.(ClaimedTask); ok {
			answer.Items = append(answer.Items, item)
		}
	}
	return answer
}

// leaseTask leases one item to a node. Only a claim issues it.
type leaseTask struct {
	TaskID domain.TaskID `json:"task_id"`
	NodeID domain.NodeID `json:"node_id"`

	Decision *work.ClaimDecision `json:"decision,omitempty"`

	Exploration *work.Boost `json:"exploration,omitempty"`

	spawned domain.Position
}

func (leaseTask) CommandType() string       { return "work.lease" }
func (c leaseTask) Stream() domain.StreamID { return c.TaskID.Stream() }

func lease(t work.Task, c leaseTask, facts domain.Facts) ([]domain.Event, error) {
	if t.State != work.StateQueued {
		return nil, domain.Errorf(domain.Conflict, "item %s: want it queued, found it %s", c.TaskID, commands.Or(string(t.State), "unknown"))
	}
	return []domain.Event{work.Claimed{
		TaskID: c.TaskID, Lease: t.Lease + 1, NodeID: c.NodeID, Attempt: t.Attempts + 1,
		Deadline: leaseEnd(t, facts.Now, facts.Now, work.PolicyOf(facts.Policy)), Decision: c.Decision, Exploration: c.Exploration,
	}}, nil
}

// leaseEnd returns the end of a lease granted or extended now, which is never later
// than the time-out of the attempt claimed at claimed.
func leaseEnd(t work.Task, claimed, now time.Time, policy work.Policy) time.Time {
	end := now.Add(policy.LeaseSeconds.Duration())
	if bound := claimed.Add(t.Timeout); bound.Before(end) {
		end = bound
	}
	return domain.Instant(end)
}

func leased(t work.Task, c leaseTask, events []domain.Envelope) ClaimedTask {
	item := ClaimedTask{TaskID: c.TaskID, TaskType: t.Type, ConfigKey: t.ConfigKey, spawned: c.spawned, Timeout: domain.Seconds(t.Timeout.Seconds())}
	for _, e := range events {
		if claimed, ok := e.Event.(work.Claimed); ok {
			item.Lease, item.Attempt, item.Deadline, item.Lasts = claimed.Lease, claimed.Attempt, claimed.Deadline, training.SecondsOf(claimed.Deadline.Sub(e.Time))
			item.Exploration = claimed.Exploration
			if claimed.Decision != nil && claimed.Decision.Size != nil {
				item.Size = claimed.Decision.Size.Units
			}
		}
	}
	return item
}

// Fill puts the payloads of the items into the answer.
func (c TasksClaimed) Fill(events func(domain.StreamID, domain.Position) iter.Seq2[domain.Event, error]) error {
	for i := range c.Items {
		item := &c.Items[i]
		spawned, err := firstOf[work.Spawned](events(item.TaskID.Stream(), item.spawned))
		if err != nil {
			return domain.Errorf(domain.CodeOf(err), "item %s: %w", item.TaskID, err)
		}
		item.Payload = spawned.Payload
	}
	return nil
}

// firstOf returns the first event of a type.
func firstOf[E domain.Event](events iter.Seq2[domain.Event, error]) (E, error) {
	var none E
	for event, err := range events {
		if err != nil {
			return none, err
		}
		if found, ok := event.(E); ok {
			return found, nil
		}
	}
	return none, domain.Errorf(domain.Corrupt, "want %s in the log, found none", none.EventType())
}

// boostsOf returns explorationOf with the last result cached, since most items of
// one claim have the same type and config.
func boostsOf(v projections.View, now time.Time) func(taskType, configKey string) (*work.Boost, error) {
	var lastType, lastConfig string
	var last *work.Boost
	return func(taskType, configKey string) (*work.Boost, error) {
		if taskType == lastType && configKey == lastConfig {
			return last, nil
		}
		boost, err := explorationOf(v, taskType, configKey, now)
		if err == nil {
			lastType, lastConfig, last = taskType, configKey, boost
		}
		return boost, err
	}
}

// explorationOf returns the exploration boost for a selfplay item claimed at now;
// nil for none, and for items of other types.
func explorationOf(v projections.View, taskType, configKey string, now time.Time) (*work.Boost, error) {
	config, err := domain.ParseConfigKey(configKey)
	if err != nil || taskType != training.SelfplayItem {
		return nil, nil //nolint:nilerr // as in gameOf
	}
	boost, live, err := trainingview.ExplorationFor(v, config, now)
	if err != nil || !live {
		return nil, err
	}
	return &boost, nil
}
