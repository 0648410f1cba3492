package work

import (
	"fmt"
	"time"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/projections"
	workview "github.com/ringrift/rift/projections/work"
)

// PinTask reserves an item for a node, or excludes nodes from it, until a time; by
// default for the policy's pin duration.
type PinTask struct {
	NodeID domain.NodeID `json:"node_id"`
	Until  time.Time     `json:"until,omitzero"`
}

// maxExcluded limits the nodes excluded from an item.
const maxExcluded = 32

func (p PinTask) until(facts domain.Facts) PinTask {
	if p.Until.IsZero() {
		p.Until = facts.Now.Add(work.PolicyOf(facts.Policy).PinSeconds.Duration())
	}
	p.Until = domain.Instant(p.Until)
	return p
}

func (p PinTask) faults(field string, facts domain.Facts) []domain.Fault {
	faults := commands.NameFaults(field+".node_id", string(p.NodeID))
	if !p.Until.After(facts.Now) {
		faults = append(faults, domain.Fault{Field: field + ".until", Reason: fmt.Sprintf("want a moment to come, found %s", p.Until.Format(domain.Timestamp))})
	}
	return faults
}

// ExpressionFaults checks an expression, if there is one.
func ExpressionFaults(field, text string, facts domain.Facts, check func(work.Expressions, string) error) []domain.Fault {
	if text == "" {
		return nil
	}
	expressions := domain.FactOf[work.Expressions](facts)
	if expressions == nil {
		return []domain.Fault{{Field: field, Reason: "nothing here evaluates expressions"}}
	}
	if err := check(expressions, text); err != nil {
		return []domain.Fault{{Field: field, Reason: err.Error()}}
	}
	return nil
}

// unpin lets any node claim an item. Reactors and the clock issue it.
type unpin struct {
	TaskID domain.TaskID `json:"task_id"`
	Reason string        `json:"reason"`
}

func (unpin) CommandType() string       { return "work.unpin" }
func (c unpin) Stream() domain.StreamID { return c.TaskID.Stream() }

func unpinTask(t work.Task, c unpin, _ domain.Facts) ([]domain.Event, error) {
	if t.Pin == nil || t.State.Final() {
		return nil, nil
	}
	return []domain.Event{work.Unpinned{TaskID: c.TaskID, NodeID: t.Pin.NodeID, Reason: c.Reason}}, nil
}

// maxUnpinned limits the items changed by one change of a node; the pins of the
// others expire.
const maxUnpinned = 1000

func unpinAll(v projections.View, node domain.NodeID, reason string) ([]domain.Command, error) {
	pinned, err := workview.PinnedTo(v, node, maxUnpinned)
	var commands []domain.Command
	for _, id := range pinned {
		commands = append(commands, unpin{TaskID: id, Reason: reason})
	}
	return commands, err
}
