package work

import (
	"fmt"
	"strings"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/sched"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/projections"
	nodesview "github.com/ringrift/rift/projections/nodes"
)

// ExplainTask asks why an item is not running, or why a node gets nothing.
// Exactly one of the two is given.
type ExplainTask struct {
	Task string    `query:"task"`
	Node string    `query:"node"`
	Now  time.Time `query:"-" doc:"the moment asked about"`
}

// At fills in the moment asked about.
func (q ExplainTask) At(now time.Time) ExplainTask {
	q.Now = now
	return q
}

// ExplainAnswer has the gates of the item or node that was asked about, and counts the
// nodes or items that each gate is closed for.
type ExplainAnswer struct {
	Verdict string           `json:"verdict"`
	Gates   []nodesview.Gate `json:"gates"`
	Nodes   *int             `json:"nodes,omitempty" doc:"of an item: how many are known"`
	Queued  *int             `json:"queued,omitempty" doc:"of a node: how many items are"`
	Able    *int             `json:"able,omitempty" doc:"of these, that every gate lets through"`
	Closed  []GateCount      `json:"closed,omitempty" doc:"of these, that a gate keeps out; one may count for several"`
	Place   *Place           `json:"place,omitempty" doc:"of a queued item"`
	Next    *NextItem        `json:"next,omitempty" doc:"of a node: what a claim would get"`
	Decided []string         `json:"decided,omitempty"`
}

// GateCount counts the nodes or items that a gate is closed for.
type GateCount struct {
	Gate    string `json:"gate"`
	Count   int    `json:"count"`
	Unknown int    `json:"unknown,omitempty" doc:"let through for want of a fact"`
	Example string `json:"example,omitempty" doc:"who is kept out, and why"`
}

func closedBy(counts *sched.GateCounts) []GateCount {
	var list []GateCount
	for _, count := range counts.List() {
		list = append(list, GateCount(count))
	}
	return list
}

// Place is the place of a queued item in the order.
type Place struct {
	Class        string  `json:"class"`
	Starving     bool    `json:"starving"`
	AheadInGroup int     `json:"ahead_in_group" doc:"items of its type, config and requirements that come first, up to a page"`
	Config       string  `json:"config_key"`
	Weight       int     `json:"weight"`
	Flows        int     `json:"flows" doc:"configs of its class that have items queued"`
	FlowsAhead   int     `json:"flows_ahead" doc:"of these, that are owed more"`
	BoundTurns   int     `json:"bound_turns" doc:"turns of its class, by nodes that may have it, within which it starts once it starves"`
	StarvesAt    *string `json:"starves_at" doc:"null: it does already"`
	Promised     string  `json:"promised,omitempty" doc:"a node that makes room for it"`

	Room     *work.Room `json:"room,omitempty" doc:"that a node keeps for it"`
	Overdue  bool       `json:"overdue,omitempty" doc:"it has starved for so long that a node may keep room for it"`
	RoomFrom string     `json:"room_from,omitempty" doc:"when it will have"`
}

// NextItem is the item that a claim would get.
type NextItem struct {
	TaskID  domain.TaskID `json:"task_id"`
	Reasons []string      `json:"reasons"`
}

// ExplainWork explains, gate by gate, why an item is not running or what a node would get.
func ExplainWork(v projections.View, q ExplainTask) (ExplainAnswer, error) {
	switch {
	case (q.Task == "") == (q.Node == ""):
		return ExplainAnswer{}, domain.Faulty("query", []domain.Fault{{Field: "task", Reason: "want exactly one of task and node"}})
	case q.Task != "":
		return explainTask(v, q)
	}
	return explainNode(v, q)
}

func explainTask(v projections.View, q ExplainTask) (ExplainAnswer, error) {
	row, found, err := ItemsTable.Get(v, q.Task)
	if err != nil {
		return ExplainAnswer{}, err
	}
	if !found {
		return ExplainAnswer{}, domain.Errorf(domain.NotFound, "no item %q is known", q.Task)
	}
	answer := ExplainAnswer{Verdict: string(row.State), Gates: []nodesview.Gate{{Gate: "not_final", OK: !row.State.Final(), Reason: "item is " + string(row.State)}}}
	if row.State.Final() {
		answer.Verdict = fmt.Sprintf("%s: nothing will run it again", row.State)
		if row.Error != "" {
			answer.Verdict += " (" + row.Error + ")"
		} else if row.State == work.StateCancelled && row.Reason != "" {
			answer.Verdict += " (" + row.Reason + ")"
		}
		return answer, nil
	}
	if answer.Gates, err = itemGates(v, row, answer.Gates); err != nil {
		return ExplainAnswer{}, err
	}
	switch {
	case row.State.Held():
		answer.Verdict = fmt.Sprintf("%s on node %s", row.State, row.NodeID)
		if row.Decision != nil {
			answer.Decided = row.Decision.Reasons(row.NodeID, row.ConfigKey, row.Priority)
		}
		return answer, nil
	case row.State == work.StateBlocked:
		answer.Verdict, err = blockedVerdict(v, row)
		return answer, err
	case row.State != work.StateQueued:
		return answer, nil
	}
	return answer, explainQueued(v, q, row, &answer)
}

// blockedVerdict says whether the dependencies of an item can still be done.
func blockedVerdict(v projections.View, row TaskRow) (string, error) {
	for _, dependency := range row.BlockedOn {
		other, known, err := ItemsTable.Get(v, string(dependency))
		if err != nil {
			return "", err
		}
		if known && other.State.Failed() {
			return fmt.Sprintf("blocked: %s is %s and will not be done; an item that replaces it unblocks this one, or cancel it", dependency, other.State), nil
		}
	}
	return string(row.State), nil
}

// itemGates returns the gates that depend on the item alone.
func itemGates(v projections.View, row TaskRow, gates []nodesview.Gate) ([]nodesview.Gate, error) {
	var open []string
	for _, dependency := range row.BlockedOn {
		other, known, err := ItemsTable.Get(v, string(dependency))
		if err != nil {
			return nil, err
		}
		state := "not known yet"
		if known {
			state = string(other.State)
		}
		open = append(open, fmt.Sprintf("%s is %s", dependency, state))
	}
	backoff := "none"
	if row.NotBefore != nil {
		backoff = "next attempt not before " + row.NotBefore.Format(domain.Timestamp)
	}
	lease := "nobody holds it"
	if row.State.Held() && row.Deadline != nil {
		lease = fmt.Sprintf("node %s holds lease %d until %s", row.NodeID, row.Lease, row.Deadline.Format(domain.Timestamp))
	}
	return append(gates,
		nodesview.Gate{Gate: "dependencies", OK: len(open) == 0, Reason: or(strings.Join(open, "; "), "all done")},
		nodesview.Gate{Gate: "back_off", OK: row.State != work.StateWaiting, Reason: backoff},
		nodesview.Gate{Gate: "attempts", OK: row.Attempts < row.MaxAttempts, Reason: fmt.Sprintf("%d of %d spent", row.Attempts, row.MaxAttempts)},
		nodesview.Gate{Gate: "free", OK: !row.State.Held(), Reason: lease},
	), nil
}

// ClosedGate returns the first closed gate, nil if all are open.
func ClosedGate(gates []nodesview.Gate) *nodesview.Gate {
	for _, gate := range gates {
		if !gate.OK {
			return &gate
		}
	}
	return nil
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
