package commands

import (
	"fmt"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
)

// preemptLease asks a holder to give its item back. The clock issues it.
type preemptLease struct {
	TaskID domain.TaskID `json:"task_id"`
	Lease  uint64        `json:"lease"`
	For    domain.TaskID `json:"for"`
	Reason string        `json:"reason"`
}

func (preemptLease) CommandType() string       { return "work.preempt" }
func (c preemptLease) Stream() domain.StreamID { return c.TaskID.Stream() }

func preemptTask(t domain.Task, c preemptLease, facts domain.Facts) ([]domain.Event, error) {
	if !t.State.Held() || t.Lease != c.Lease || t.Asked != nil {
		return nil, nil // it moved on, or was asked
	}
	return []domain.Event{domain.TaskPreempted{
		TaskID: c.TaskID, Lease: c.Lease, NodeID: t.Node, For: c.For, Reason: c.Reason,
		Until: domain.Instant(facts.Now.Add(facts.Policy.Work.PreemptGraceSeconds.Duration())),
	}}, nil
}

// duePreemptions are the exchanges that waiting items are owed.
func duePreemptions(v projections.View, now time.Time, policy domain.Policy) ([]Timed, error) {
	rules, err := policy.Work.Rules()
	if err != nil {
		return nil, err
	}
	market := projections.Market{Rules: rules, Now: now}
	if around, ok := v.(projections.Surroundings); ok {
		market.Matcher = around.Matcher()
	}
	exchanges, err := projections.FindExchanges(v, market, policy)
	if err != nil {
		return nil, err
	}
	var due []Timed
	for _, exchange := range exchanges {
		victim := exchange.Victim
		due = append(due, Timed{
			fmt.Sprintf("clock/preempt/%s/%d", victim.TaskID, victim.Lease),
			preemptLease{TaskID: victim.TaskID, Lease: victim.Lease, For: exchange.For, Reason: exchange.Reason},
		})
	}
	return due, nil
}
