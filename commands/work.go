package commands

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/sched"
	"github.com/ringrift/rift/projections"
)

// AddTask asks for an item to be queued.
type AddTask struct {
	TaskID         domain.TaskID   `json:"task_id,omitempty"` // made up when absent
	TaskType       string          `json:"task_type"`
	ConfigKey      string          `json:"config_key,omitempty"`
	Priority       *int            `json:"priority,omitempty"` // 0 to 100, larger first
	Payload        json.RawMessage `json:"payload,omitempty"`
	DependsOn      []domain.TaskID `json:"depends_on,omitempty"`
	Requires       []string        `json:"requires,omitempty"` // capability words a node must offer, all of them
	Where          string          `json:"where,omitempty"`    // an expression over a node's facts: only nodes it is true of
	RequiresGPU    bool            `json:"requires_gpu,omitempty"`
	Pin            *PinTask        `json:"pin,omitempty"`     // the only node that may have it, for a while
	Exclude        []PinTask       `json:"exclude,omitempty"` // nodes that may not have it, for a while
	TimeoutSeconds domain.Seconds  `json:"timeout_seconds,omitempty"`
	MaxAttempts    int             `json:"max_attempts,omitempty"`
	UniqueKey      string          `json:"unique_key,omitempty"` // refused while a live item has it
	Replaces       domain.TaskID   `json:"replaces,omitempty"`   // an item that ended without being done: this one, once done, unblocks what waits for it
	Force          bool            `json:"force,omitempty"`      // past the limits of the queue's length, for what must not wait

	admission admission
	batch     string // the command that adds it among others
}

// CommandType is work.add.
func (AddTask) CommandType() string { return "work.add" }

// Stream is the item's.
func (c AddTask) Stream() domain.StreamID { return c.TaskID.Stream() }

// TaskAdded is the answer to an add.
type TaskAdded struct {
	TaskID       domain.TaskID `json:"task_id"`
	Backpressure string        `json:"backpressure,omitempty"` // "soft": the queue is long; producers slow down
}

// maxWord bounds a task type, a config key and the like.
const maxWord = 200

func completeAdd(c AddTask, facts domain.Facts) (AddTask, error) {
	policy := facts.Policy.Work
	var faults []domain.Fault
	fault := func(field, format string, args ...any) {
		faults = append(faults, domain.Fault{Field: field, Reason: fmt.Sprintf(format, args...)})
	}
	word := func(field, value string, required bool) {
		if value == "" && !required {
			return
		}
		if err := domain.CheckName(value); err != nil {
			fault(field, "%s", err.Error())
		}
	}
	if c.TaskID == "" {
		c.TaskID = domain.TaskID("t-" + domain.DeriveID(facts.Command, 0).String()[:13])
	}
	word("task_id", string(c.TaskID), true)
	word("task_type", c.TaskType, true)
	word("config_key", c.ConfigKey, false)
	if len(c.UniqueKey) > maxWord || strings.ContainsRune(c.UniqueKey, 0) {
		fault("unique_key", "want at most %d bytes and no NUL, found %d bytes", maxWord, len(c.UniqueKey))
	}
	if c.Priority == nil {
		c.Priority = &policy.DefaultPriority
	}
	if *c.Priority < 0 || *c.Priority > 100 {
		fault("priority", "want 0 to 100, found %d", *c.Priority)
	}
	if len(c.Payload) > policy.MaxPayloadBytes {
		fault("payload", "want at most %d bytes, found %d", policy.MaxPayloadBytes, len(c.Payload))
	}
	if len(c.DependsOn) > policy.MaxDependencies {
		fault("depends_on", "want at most %d items, found %d", policy.MaxDependencies, len(c.DependsOn))
	}
	for i, dependency := range c.DependsOn {
		word(fmt.Sprintf("depends_on[%d]", i), string(dependency), true)
	}
	word("replaces", string(c.Replaces), false)
	for i, required := range c.Requires {
		word(fmt.Sprintf("requires[%d]", i), required, true)
	}
	faults = append(faults, expressionFaults("where", c.Where, facts, domain.Expressions.CheckWhere)...)
	if c.Pin != nil {
		c.Pin = &[]PinTask{c.Pin.until(facts)}[0]
		faults = append(faults, c.Pin.faults("pin", facts)...)
	}
	if len(c.Exclude) > maxExcluded {
		fault("exclude", "want at most %d nodes, found %d", maxExcluded, len(c.Exclude))
	}
	c.Exclude = slices.Clone(c.Exclude)
	for i := range c.Exclude {
		c.Exclude[i] = c.Exclude[i].until(facts)
		faults = append(faults, c.Exclude[i].faults(fmt.Sprintf("exclude[%d]", i), facts)...)
	}
	if c.TimeoutSeconds == 0 {
		c.TimeoutSeconds = policy.TimeoutSeconds
	}
	if !(c.TimeoutSeconds > 0) || c.TimeoutSeconds > 30*24*3600 {
		fault("timeout_seconds", "want more than 0 and at most 30 days, found %v", float64(c.TimeoutSeconds))
	}
	if c.MaxAttempts == 0 {
		c.MaxAttempts = policy.MaxAttempts
	}
	if c.MaxAttempts < 1 || c.MaxAttempts > 1000 {
		fault("max_attempts", "want 1 to 1000, found %d", c.MaxAttempts)
	}
	c.DependsOn = unique(c.DependsOn)
	return c, domain.Faulty("work.add", faults)
}

// unique drops repetitions and keeps the order.
func unique[T comparable](list []T) []T {
	var kept []T
	for _, v := range list {
		if !slices.Contains(kept, v) {
			kept = append(kept, v)
		}
	}
	return kept
}

// consultAdd refuses a cycle of dependencies and a second live item of a key.
func consultAdd(desk Desk, c AddTask, _ domain.Facts) (AddTask, error) {
	if err := checkReplaced(desk, c); err != nil {
		return c, err
	}
	c, err := holdUnique(desk, c)
	if err != nil {
		return c, err
	}
	return c, findCycle(desk, c, nil)
}

// checkReplaced refuses an item that is to replace one which needs no replacement.
func checkReplaced(desk Desk, c AddTask) error {
	if c.Replaces == "" {
		return nil
	}
	row, found, err := projections.WorkItemsTable.Get(desk, string(c.Replaces))
	switch {
	case err != nil:
		return err
	case !found:
		return domain.Faulty("work.add", []domain.Fault{{Field: "replaces", Reason: fmt.Sprintf("no item %q is known", c.Replaces)}})
	case !row.State.Failed():
		return domain.Errorf(domain.Conflict, "item %s is %s; only one that is dead, cancelled or expired can be replaced", c.Replaces, row.State)
	}
	return nil
}

// holdUnique refuses an item whose unique key a live item has, or is being given.
func holdUnique(desk Desk, c AddTask) (AddTask, error) {
	if c.UniqueKey == "" {
		return c, nil
	}
	live, found, err := projections.LiveUnique(desk, c.UniqueKey)
	switch {
	case err != nil:
		return c, err
	case found && live != c.TaskID:
		return c, domain.Errorf(domain.Conflict, "unique key %q: item %s is live and has it", c.UniqueKey, live)
	case !found && !desk.Take("unique:"+c.UniqueKey):
		return c, domain.Errorf(domain.Conflict, "unique key %q: another item with it is being added", c.UniqueKey)
	}
	return c, nil
}

// findCycle refuses an item that would wait for itself, or for what waits for
// the one that it replaces.
func findCycle(desk Desk, c AddTask, more map[domain.TaskID][]domain.TaskID) error {
	for _, id := range []domain.TaskID{c.TaskID, c.Replaces} {
		if id == "" {
			continue
		}
		cycle, err := projections.FindCycle(desk, id, c.DependsOn, more)
		if err == nil && cycle != nil {
			err = cycleFault(cycle)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func cycleFault(cycle []domain.TaskID) error {
	return domain.Faulty("work.add", []domain.Fault{{Field: "depends_on", Reason: "a cycle: " + arrows(cycle)}})
}

func arrows(path []domain.TaskID) string {
	names := make([]string, len(path))
	for i, id := range path {
		names[i] = string(id)
	}
	return strings.Join(names, " → ")
}

func addTask(t domain.Task, c AddTask, _ domain.Facts) ([]domain.Event, error) {
	if t.State != "" {
		return nil, domain.Errorf(domain.Conflict, "item %s exists and is %s", c.TaskID, t.State)
	}
	if c.admission.refused != nil {
		return nil, c.admission.refused
	}
	spawned := domain.TaskSpawned{
		TaskID: c.TaskID, TaskType: c.TaskType, ConfigKey: c.ConfigKey, Priority: *c.Priority, Payload: c.Payload,
		DependsOn: c.DependsOn, Requires: c.Requires, Where: c.Where, RequiresGPU: c.RequiresGPU,
		TimeoutSeconds: c.TimeoutSeconds, MaxAttempts: c.MaxAttempts, UniqueKey: c.UniqueKey, Batch: c.batch, Replaces: c.Replaces,
	}
	if c.Pin != nil {
		spawned.Pin = &domain.Pin{NodeID: c.Pin.NodeID, Until: c.Pin.Until}
	}
	for _, node := range c.Exclude {
		spawned.Exclude = append(spawned.Exclude, domain.Exclusion{NodeID: node.NodeID, Until: node.Until})
	}
	return []domain.Event{spawned}, nil
}

// ClaimTasks asks for items for a node.
type ClaimTasks struct {
	NodeID       domain.NodeID `json:"node_id"`
	Capabilities []string      `json:"capabilities,omitempty"` // task types it wants (none: any), and words that items may require
	Slots        int           `json:"slots,omitempty"`        // free slots of the node; bounds the items
	Limit        int           `json:"limit,omitempty"`        // most items wanted, 1 when absent
}

// CommandType is work.claim.
func (ClaimTasks) CommandType() string { return "work.claim" }

// TasksClaimed is the answer to a claim.
type TasksClaimed struct {
	Items []ClaimedTask `json:"items"`
}

// ClaimedTask is one item with the lease to report under.
type ClaimedTask struct {
	TaskID    domain.TaskID   `json:"task_id"`
	Lease     uint64          `json:"lease"`
	TaskType  string          `json:"task_type"`
	ConfigKey string          `json:"config_key"`
	Payload   json.RawMessage `json:"payload"`
	Attempt   int             `json:"attempt"`
	Deadline  time.Time       `json:"deadline"`        // of the lease; heartbeats move it
	Timeout   domain.Seconds  `json:"timeout_seconds"` // bound on the whole attempt, heartbeats or not

	Size int `json:"size,omitempty"` // how much of it to do, in its units (games, mostly); absent: what the payload says

	Exploration *domain.Boost `json:"exploration,omitempty"` // of selfplay: how much more than usual it is to explore
}

// sizeOf is how large an item is to be on a node.
func sizeOf(v projections.View, taskType, config string, node domain.NodeID, facts domain.Facts) (*domain.Size, error) {
	if len(facts.Policy.Work.Sizing) == 0 {
		return nil, nil
	}
	return projections.SizeFor(v, taskType, config, node, facts.Policy.Work)
}

func completeClaim(c ClaimTasks, facts domain.Facts) (ClaimTasks, error) {
	var faults []domain.Fault
	if err := domain.CheckName(string(c.NodeID)); err != nil {
		faults = append(faults, domain.Fault{Field: "node_id", Reason: err.Error()})
	}
	if c.Limit == 0 {
		c.Limit = 1
	}
	if most := facts.Policy.Work.ClaimLimit; c.Limit < 0 || c.Limit > most {
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

// GateMeter is a desk that counts what the gates keep from nodes that claim:
// items, or 1 for a gate that keeps everything from the node.
type GateMeter interface {
	Closed(gate string, items int)
}

// planClaim picks items; a claim that is repeated gets those it took before.
func planClaim(desk Desk, c ClaimTasks, facts domain.Facts) (Plan, error) {
	if !desk.Take("claim:" + facts.Command) {
		return Plan{}, domain.Errorf(domain.Unavailable, "claim %s is being answered already; ask again", facts.Command)
	}
	var plan Plan
	before, err := projections.ClaimedBefore(desk, facts.Command)
	if err != nil {
		return plan, err
	}
	for _, id := range before {
		plan.Steps = append(plan.Steps, leaseTask{TaskID: id, NodeID: c.NodeID})
	}
	if len(before) > 0 {
		return plan, nil
	}
	gates, err := projections.NodeGates(desk, c.NodeID, facts.Now, facts.Policy.Nodes)
	if err != nil {
		return plan, err
	}
	count := func(string, int) {}
	if meter, ok := desk.(GateMeter); ok {
		count = meter.Closed
	}
	for _, gate := range gates {
		if !gate.OK {
			count(gate.Gate, 1)
			plan.Wanting = true
			return plan, nil
		}
	}
	trying, err := projections.HalfOpen(desk, c.NodeID, facts.Now)
	if err != nil {
		return plan, err
	}
	if trying {
		c.Limit = 1
	}
	rules, err := facts.Scheduler()
	if err != nil {
		return plan, err
	}
	market := projections.Market{Rules: rules, Matcher: matcherOf(facts), Now: facts.Now, Take: desk.Take, Closed: count}
	early, isEarly := desk.(EarlyDesk)
	if isEarly {
		market.Taken = early.Taken
	}
	claimant := projections.Claimant{Node: c.NodeID, Capabilities: c.Capabilities, Limit: c.Limit, Slots: c.Slots, Level: facts.Level}
	if isEarly {
		claimant.Given = early.Given()
	}
	picked, err := projections.PickTasks(desk, claimant, market)
	if err != nil {
		return plan, err
	}
	if isEarly && (len(picked) < c.Limit || outdone(picked, early, rules)) {
		return Plan{Wanting: true}, nil
	}
	for _, one := range picked {
		if one.Room != nil {
			if !one.Kept {
				plan.Steps = append(plan.Steps, reserveRoom{Room: *one.Room, Replaces: one.Replaces})
			}
			continue
		}
		exploration, err := explorationOf(desk, one.TaskType, one.ConfigKey, facts.Now)
		if err != nil {
			return plan, err
		}
		if one.Decision.Size, err = sizeOf(desk, one.TaskType, one.ConfigKey, c.NodeID, facts); err != nil {
			return plan, err
		}
		plan.Steps = append(plan.Steps, leaseTask{TaskID: one.TaskID, NodeID: c.NodeID, Decision: &one.Decision, Exploration: exploration})
	}
	return plan, nil
}

// outdone tells whether something was added since the desk's view that goes
// before what was picked, by its class or its priority.
func outdone(picked []projections.Picked, desk EarlyDesk, rules *sched.Rules) bool {
	for arrival := range desk.Arrived() {
		rank := rules.Rank(rules.Type(arrival.TaskType).Class)
		for _, one := range picked {
			if one.Room != nil || one.Decision.Reserved {
				continue // it has waited for longer than what has just come
			}
			if of := rules.Rank(one.Decision.Class); rank < of || rank == of && arrival.Priority > one.Priority && !one.Decision.Starving {
				return true
			}
		}
	}
	return false
}

func combineClaim(_ ClaimTasks, steps []Step) TasksClaimed {
	answer := TasksClaimed{Items: []ClaimedTask{}}
	for _, step := range steps {
		if item, ok := step.Answer.(ClaimedTask); ok {
			answer.Items = append(answer.Items, item)
		}
	}
	return answer
}

// leaseTask gives one item to a node. Only a claim issues it.
type leaseTask struct {
	TaskID domain.TaskID `json:"task_id"`
	NodeID domain.NodeID `json:"node_id"`

	Decision *domain.ClaimDecision `json:"decision,omitempty"`

	Exploration *domain.Boost `json:"exploration,omitempty"`
}

func (leaseTask) CommandType() string       { return "work.lease" }
func (c leaseTask) Stream() domain.StreamID { return c.TaskID.Stream() }

func lease(t domain.Task, c leaseTask, facts domain.Facts) ([]domain.Event, error) {
	if t.State != domain.WorkQueued {
		return nil, domain.Errorf(domain.Conflict, "item %s: want it queued, found it %s", c.TaskID, or(string(t.State), "unknown"))
	}
	return []domain.Event{domain.TaskClaimed{
		TaskID: c.TaskID, Lease: t.Lease + 1, NodeID: c.NodeID, Attempt: t.Attempts + 1,
		Deadline: leaseEnd(t, facts.Now, facts.Now, facts.Policy.Work), Decision: c.Decision, Exploration: c.Exploration,
	}}, nil
}

// leaseEnd is one lease from now, but never beyond the item's time-out.
func leaseEnd(t domain.Task, claimed, now time.Time, policy domain.WorkPolicy) time.Time {
	end := now.Add(policy.LeaseSeconds.Duration())
	if bound := claimed.Add(t.Timeout); bound.Before(end) {
		end = bound
	}
	return domain.Instant(end)
}

func leased(t domain.Task, c leaseTask, events []domain.Envelope) ClaimedTask {
	item := ClaimedTask{TaskID: c.TaskID, TaskType: t.Type, ConfigKey: t.ConfigKey, Payload: t.Payload, Timeout: domain.Seconds(t.Timeout.Seconds())}
	for _, e := range events {
		if claimed, ok := e.Event.(domain.TaskClaimed); ok {
			item.Lease, item.Attempt, item.Deadline = claimed.Lease, claimed.Attempt, claimed.Deadline
			item.Exploration = claimed.Exploration
			if claimed.Decision != nil && claimed.Decision.Size != nil {
				item.Size = claimed.Decision.Size.Units
			}
		}
	}
	return item
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// CancelTask asks that an item not be worked on any more.
type CancelTask struct {
	TaskID domain.TaskID `json:"task_id"`
	Reason string        `json:"reason,omitempty"`

	batch bool // one of a class that is cancelled
}

// CommandType is work.cancel.
func (CancelTask) CommandType() string { return "work.cancel" }

// Stream is the item's.
func (c CancelTask) Stream() domain.StreamID { return c.TaskID.Stream() }

func cancelTask(t domain.Task, c CancelTask, _ domain.Facts) ([]domain.Event, error) {
	switch {
	case t.State == "":
		return nil, unknownTask(c.TaskID)
	case t.State == domain.WorkCancelled:
		return nil, nil
	case t.State.Final():
		return nil, domain.Errorf(domain.Conflict, "item %s is %s; there is nothing to cancel", c.TaskID, t.State)
	}
	cancelled := domain.TaskCancelled{TaskID: c.TaskID, Reason: c.Reason, Batch: c.batch}
	if t.State.Held() {
		cancelled.Lease, cancelled.NodeID = t.Lease, t.Node
	}
	return []domain.Event{cancelled}, nil
}

func unknownTask(id domain.TaskID) error {
	return domain.Errorf(domain.NotFound, "no item %q is known", id)
}

// Work is how the commands of the queue are run.
func Work() []Spec {
	return []Spec{
		HandleAnswer("queue an item", addTask,
			func(_ domain.Task, c AddTask, _ []domain.Envelope) TaskAdded {
				return TaskAdded{c.TaskID, c.admission.level}
			},
			Normalize(completeAdd), Glance(admitAdd),
			Consult(func(c AddTask) bool { return c.UniqueKey != "" || len(c.DependsOn) > 0 || c.Replaces != "" }, consultAdd)),
		Fan("take items for a node", planClaim, combineClaim, Normalize(completeClaim), Early(func(c ClaimTasks) domain.NodeID { return c.NodeID })),
		HandleAnswer("give an item to a node", lease, leased),
		HandleAnswer("say that work on an item began", startTask, func(t domain.Task, _ StartTask, _ []domain.Envelope) TaskStarted { return TaskStarted{t.Deadline} }, Normalize(completeReport[StartTask])),
		HandleAnswer("keep a lease alive", heartbeatTask, heartbeaten, Normalize(completeReport[HeartbeatTask])),
		Handle("report an item done", completeTask, Normalize(completeReport[CompleteTask]), Ends()),
		Handle("report that an attempt failed", failTask, Normalize(completeReport[FailTask])),
		Handle("give an item back unfinished", releaseTask, Normalize(completeReport[ReleaseTask])),
		Handle("cancel an item", cancelTask, Normalize(func(c CancelTask, _ domain.Facts) (CancelTask, error) {
			return c, domain.Faulty("work.cancel", nameFaults("task_id", string(c.TaskID)))
		}), Ends()),
		Handle("end a lease whose deadline passed", expireTask),
		Handle("decide what follows a failed attempt", retryTask),
		Handle("queue an item whose back-off is over", requeueTask),
		Handle("note that a dependency is done", unblockTask),
		Handle("cancel an item that waits for one which ended without being done", abandonTask),
		Handle("take a lease from a node that is not trusted", revokeTask),
		Fan("queue many items", planBatch, combineBatch, Normalize(completeBatch), Each()),
		Fan("report many items done", planReports[CompleteTasks], combineCompleted, Normalize(completeReports[CompleteTasks]), Each()),
		Fan("report that many attempts failed", planReports[FailTasks], combineFailed, Normalize(completeReports[FailTasks]), Each()),
		Fan("keep many leases alive", planReports[HeartbeatTasks], combineBeaten, Normalize(completeReports[HeartbeatTasks]), Each()),
		Fan("cancel the items of a class", planCancelBatch, combineCancelBatch, Normalize(completeCancelBatch), Each()),
		Handle("keep a node's room for an item that has starved for long", reserveTask),
		Handle("ask a holder to give way to a more urgent item", preemptTask),
		Handle("let any node have an item that was meant for one", unpinTask),
		Record[announcePressure]("say that the queue got long, or short again"),
	}
}

func nameFaults(field, name string) []domain.Fault {
	if err := domain.CheckName(name); err != nil {
		var coded *domain.Error
		if errors.As(err, &coded) {
			return []domain.Fault{{Field: field, Reason: coded.Msg}}
		}
	}
	return nil
}
