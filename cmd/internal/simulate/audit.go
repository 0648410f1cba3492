package simulate

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/domain/sched"
	"github.com/ringrift/rift/domain/work"
)

// Audit follows a log and reports where the queue broke a promise. It knows the
// machines and their faults from the scenario, and everything else from events.
//
// The promises: an item exists once and ends once, in one terminal state, and
// nothing happens to it afterwards; it is held by one node at a time, under a lease
// number that increases by one; only its holder reports on it; no node holds more
// than it has slots; no item starts, continues or ends on a node during a fault,
// and leases on such a node end in time.
type Audit struct {
	rules       *sched.Rules // of the scenario's policy
	machines    map[domain.NodeID]*watched
	faultChecks []faultCheck // by time
	position    domain.Position
	now         time.Time
	live        map[domain.TaskID]*item
	ended       map[domain.TaskID]ending // kept small: one entry per ended item
	endings     map[work.State]int
	events      map[string]int64
	waits       map[string][]time.Duration // by class, of first claims
	busy        time.Duration              // slots × time

	queued int // items that can be claimed

	violations int
	examples   []string
	shown      map[string]int // by kind of violation
}

// ending is the index of a state in work.TaskStates.
type ending uint8

// watched is a machine as the audit sees it.
type watched struct {
	slots, used int
	most        int
	held        map[domain.TaskID]time.Time // with the time of the claim
	faults      []Fault                     // current and later ones
}

// item is an item that has not ended.
type item struct {
	task   work.Task
	slots  int       // of the current lease
	queued time.Time // first time it could be claimed
	begun  bool      // it was claimed before
}

// NewAudit returns an audit of a scenario, starting at its first event.
func NewAudit(s Scenario) (*Audit, error) {
	rules, err := work.PolicyOf(s.Policy).Rules()
	if err != nil {
		return nil, err
	}
	a := &Audit{
		rules:    rules,
		machines: map[domain.NodeID]*watched{}, live: map[domain.TaskID]*item{}, ended: map[domain.TaskID]ending{},
		endings: map[work.State]int{}, events: map[string]int64{}, waits: map[string][]time.Duration{}, shown: map[string]int{},
	}
	for _, m := range s.Machines {
		a.machines[m.ID] = &watched{slots: m.Slots, held: map[domain.TaskID]time.Time{}}
	}
	grace := nodes.PolicyOf(s.Policy).ReassignGraceSeconds.Duration() + 2*s.Tick
	patience := nodes.PolicyOf(s.Policy).Patience
	// Silent nodes are declared offline a few per cycle, so the last of them all
	// waits for the others.
	cycles := time.Duration(len(s.Machines)/patience.MaxDeathsPerCycle+1) * patience.CycleSeconds.Duration()
	for _, fault := range s.Faults {
		id := s.Machines[fault.Machine].ID
		a.machines[id].faults = append(a.machines[id].faults, fault)
		bound := grace
		if fault.Silent {
			_, offline := nodes.PolicyOf(s.Policy).Stretched(patience.Factor(id, nil) * patience.FullFactor)
			bound = offline + cycles + 2*s.Tick
		}
		if at := fault.Start.Add(bound); at.Before(fault.End) {
			a.faultChecks = append(a.faultChecks, faultCheck{at, id, fault})
		}
	}
	slices.SortStableFunc(a.faultChecks, func(x, y faultCheck) int { return x.at.Compare(y.at) })
	return a, nil
}

// Position returns the position of the last event seen.
func (a *Audit) Position() domain.Position { return a.position }

// Items returns the number of items so far.
func (a *Audit) Items() int { return len(a.live) + len(a.ended) }

// Live returns the number of items that have not ended.
func (a *Audit) Live() int { return len(a.live) }

// Ended returns the state in which an item ended.
func (a *Audit) Ended(id domain.TaskID) (work.State, bool) {
	state, ended := a.ended[id]
	if !ended {
		return "", false
	}
	return work.TaskStates[state], true
}

// Broken returns how many promises were broken, with examples.
func (a *Audit) Broken() (int, []string) { return a.violations, a.examples }

// Cost returns how many slots an item of a type takes.
func (a *Audit) Cost(taskType string) int { return a.rules.Type(taskType).Slots }

// Queued returns how many items can be claimed.
func (a *Audit) Queued() int { return a.queued }

// Limits of the violations kept as text, in total and of one kind.
const (
	maxExamples = 20
	maxAlike    = 4
)

func (a *Audit) violate(e domain.Envelope, format string, args ...any) {
	a.violations++
	if a.shown[format]++; a.shown[format] <= maxAlike && len(a.examples) < maxExamples {
		a.examples = append(a.examples, fmt.Sprintf("%d %s %s at %s: %s", e.Position, e.Type, e.Stream, e.Time.Format(domain.Timestamp), fmt.Sprintf(format, args...)))
	}
}

// Seen is what an event means for sleeping machines and for items that wait for others.
type Seen struct {
	ended  domain.TaskID // an item ended
	queued []string      // requirements of an item that can be claimed again; nil: none
}

// Observe processes the next event of the log.
func (a *Audit) Observe(e domain.Envelope) (s Seen) {
	if e.Position != a.position+1 {
		a.violate(e, "position %d follows %d", e.Position, a.position)
	}
	a.position = e.Position
	a.events[e.Type]++
	if e.Time.After(a.now) {
		a.pass(e)
	}
	if e.Stream.Category() != "task" {
		return s
	}
	id := domain.TaskID(e.Stream.ID())
	if _, refused := e.Event.(work.CompletionRejected); refused {
		return s
	}
	if state, ended := a.Ended(id); ended {
		a.violate(e, "the item is %s already", state)
		return s
	}
	one := a.live[id]
	if spawned, ok := e.Event.(work.Spawned); ok {
		if one != nil {
			a.violate(e, "the item exists")
			return s
		}
		one = &item{task: work.Task{}.Evolve(e)}
		if one.task.State == work.StateQueued {
			one.queued = e.Time
			a.queued++
		}
		// Copy the strings that are kept: they share the memory of the page of the
		// log that they were read with.
		a.live[domain.TaskID(strings.Clone(string(spawned.TaskID)))] = one
		return s
	}
	if one == nil {
		a.violate(e, "nobody added the item")
		return s
	}
	before := one.task
	a.check(e, one)
	one.task = before.Evolve(e)
	a.countSlots(e, one, before)
	after := one.task
	if before.State == work.StateQueued && after.State != work.StateQueued {
		a.queued--
	}
	if after.State == work.StateQueued && before.State != work.StateQueued {
		a.queued++
		s.queued = append([]string{}, after.Requires...)
		if one.queued.IsZero() {
			one.queued = e.Time
		}
	}
	if after.State.Final() {
		delete(a.live, id)
		a.ended[domain.TaskID(strings.Clone(string(id)))] = ending(slices.Index(work.TaskStates, after.State))
		a.endings[after.State]++
		s.ended = id
	}
	return s
}

// check checks an event of an item against its known state.
func (a *Audit) check(e domain.Envelope, one *item) {
	t := one.task
	holder := func(lease uint64, node domain.NodeID) {
		switch {
		case !t.State.Held():
			a.violate(e, "nobody holds the item; it is %s", t.State)
		case lease != t.Lease || node != t.Node:
			a.violate(e, "lease %d of %s is not the live one, %d of %s", lease, node, t.Lease, t.Node)
		}
	}
	works := func(node domain.NodeID) {
		m := a.machines[node]
		if m == nil {
			a.violate(e, "nobody knows node %s", node)
			return
		}
		if fault, inside := m.inside(e.Time); inside {
			a.violate(e, "node %s has a fault from %s to %s: %s", node, fault.Start.Format(domain.Timestamp), fault.End.Format(domain.Timestamp), fault.Reason)
		}
	}
	switch fact := e.Event.(type) {
	case work.Claimed:
		if t.State != work.StateQueued {
			a.violate(e, "the item is %s, not queued", t.State)
		}
		if fact.Lease != t.Lease+1 {
			a.violate(e, "lease %d follows %d", fact.Lease, t.Lease)
		}
		works(fact.NodeID)
	case work.Started:
		holder(fact.Lease, fact.NodeID)
		works(fact.NodeID)
	case work.Heartbeat:
		holder(fact.Lease, fact.NodeID)
		works(fact.NodeID)
	case work.Completed:
		holder(fact.Lease, fact.NodeID)
		works(fact.NodeID)
	case work.Failed:
		holder(fact.Lease, fact.NodeID)
		works(fact.NodeID)
	case work.Released:
		holder(fact.Lease, fact.NodeID)
		works(fact.NodeID)
	case work.Revoked:
		holder(fact.Lease, fact.NodeID)
	case work.LeaseExpired:
		holder(fact.Lease, fact.NodeID)
		if e.Time.Before(t.Deadline) {
			a.violate(e, "the lease holds until %s", t.Deadline.Format(domain.Timestamp))
		}
	}
}

// countSlots updates the slots in use, and records how long the item waited for its first
// claim.
func (a *Audit) countSlots(e domain.Envelope, one *item, before work.Task) {
	after := one.task
	if before.State.Held() && (!after.State.Held() || after.Lease != before.Lease) {
		if m := a.machines[before.Node]; m != nil {
			m.used -= one.slots
			a.busy += time.Duration(one.slots) * e.Time.Sub(before.ClaimedAt)
			delete(m.held, before.ID)
		}
	}
	claimed, ok := e.Event.(work.Claimed)
	if !ok {
		return
	}
	if !one.begun {
		one.begun = true
		class := a.rules.Type(after.Type).Class
		a.waits[class] = append(a.waits[class], e.Time.Sub(one.queued))
	}
	m := a.machines[claimed.NodeID]
	if m == nil {
		return
	}
	one.slots = a.Cost(after.Type)
	m.used += one.slots
	m.most = max(m.most, m.used)
	m.held[after.ID] = e.Time
	if m.used > m.slots {
		a.violate(e, "node %s has %d slots and holds leases for %d", claimed.NodeID, m.slots, m.used)
	}
}

// faultCheck is a time by which the leases on a faulty node must have ended.
type faultCheck struct {
	at    time.Time
	node  domain.NodeID
	fault Fault
}

// pass advances the time and runs the faultChecks that are due.
func (a *Audit) pass(e domain.Envelope) {
	a.now = e.Time
	for len(a.faultChecks) > 0 && e.Time.After(a.faultChecks[0].at) {
		due := a.faultChecks[0]
		a.faultChecks = a.faultChecks[1:]
		if held := len(a.machines[due.node].held); held > 0 && e.Time.Before(due.fault.End) {
			a.violate(e, "node %s has had a fault since %s and still holds %d items", due.node, due.fault.Start.Format(domain.Timestamp), held)
		}
	}
}

// inside returns the fault at a time. Its first and last instants are excluded, because
// an event of the same microsecond may have happened outside the fault.
func (m *watched) inside(at time.Time) (Fault, bool) {
	for len(m.faults) > 0 && !at.Before(m.faults[0].End) {
		m.faults = m.faults[1:]
	}
	if len(m.faults) > 0 && at.After(m.faults[0].Start) {
		return m.faults[0], true
	}
	return Fault{}, false
}

// Finish reports every item that has not ended as stuck.
func (a *Audit) Finish() {
	var stuck []domain.TaskID
	for id := range a.live {
		stuck = append(stuck, id)
	}
	slices.Sort(stuck)
	for _, id := range stuck {
		t := a.live[id].task
		a.violate(domain.Envelope{Position: a.position, Type: "END", Stream: id.Stream(), Time: a.now}, "the item never ended: it is %s, attempt %d of %d", t.State, t.Attempts, t.MaxAttempts)
	}
}
