package projections

import (
	"fmt"
	"strings"
	"time"

	"github.com/ringrift/rift/domain"
)

// ExplainTask asks why an item is not running, or why a node gets nothing.
// Exactly one of the two is given.
type ExplainTask struct {
	Task string    `query:"task"`
	Node string    `query:"node"`
	Now  time.Time `query:"-"` // the moment asked about
}

// At fills in the moment asked about.
func (q ExplainTask) At(now time.Time) ExplainTask {
	q.Now = now
	return q
}

// ExplainAnswer says it gate by gate.
type ExplainAnswer struct {
	Verdict string `json:"verdict"`
	Gates   []Gate `json:"gates"`
}

// ExplainWork answers gate by gate why an item is where it is, or what a node
// would get.
func ExplainWork(v View, q ExplainTask) (ExplainAnswer, error) {
	switch {
	case (q.Task == "") == (q.Node == ""):
		return ExplainAnswer{}, domain.Faulty("query", []domain.Fault{{Field: "task", Reason: "want exactly one of task and node"}})
	case q.Task != "":
		return explainTask(v, q)
	}
	return explainNode(v, q)
}

func explainTask(v View, q ExplainTask) (ExplainAnswer, error) {
	row, found, err := WorkItemsTable.Get(v, q.Task)
	if err != nil {
		return ExplainAnswer{}, err
	}
	if !found {
		return ExplainAnswer{}, domain.Errorf(domain.NotFound, "no item %q is known", q.Task)
	}
	answer := ExplainAnswer{Verdict: string(row.State), Gates: []Gate{}}
	gate := func(name string, ok bool, reason string) {
		answer.Gates = append(answer.Gates, Gate{name, ok, reason})
	}
	gate("not_final", !row.State.Final(), "item is "+string(row.State))
	if row.State.Final() {
		answer.Verdict = fmt.Sprintf("%s: nothing will run it again", row.State)
		if row.Error != "" {
			answer.Verdict += " (" + row.Error + ")"
		}
		return answer, nil
	}
	var open []string
	for _, dependency := range row.BlockedOn {
		other, known, err := WorkItemsTable.Get(v, string(dependency))
		if err != nil {
			return ExplainAnswer{}, err
		}
		state := "not known yet"
		if known {
			state = string(other.State)
		}
		open = append(open, fmt.Sprintf("%s is %s", dependency, state))
	}
	gate("dependencies", len(open) == 0, or(strings.Join(open, "; "), "all done"))
	backoff := "none"
	if row.NotBefore != nil {
		backoff = "next attempt not before " + row.NotBefore.Format(domain.Timestamp)
	}
	gate("back_off", row.State != domain.WorkWaiting, backoff)
	gate("attempts", row.Attempts < row.MaxAttempts, fmt.Sprintf("%d of %d spent", row.Attempts, row.MaxAttempts))
	lease := "nobody holds it"
	if row.State.Held() && row.Deadline != nil {
		lease = fmt.Sprintf("node %s holds lease %d until %s", row.NodeID, row.Lease, row.Deadline.Format(domain.Timestamp))
	}
	gate("free", !row.State.Held(), lease)
	switch {
	case row.State.Held():
		answer.Verdict = fmt.Sprintf("%s on node %s", row.State, row.NodeID)
		return answer, nil
	case row.State != domain.WorkQueued:
		return answer, nil
	}
	able, asked, err := countAble(v, row, q.Now)
	if err != nil {
		return ExplainAnswer{}, err
	}
	gate("capable_node", asked == 0 || able > 0, fmt.Sprintf("%d of %d known nodes may run it now", able, asked))
	ahead, err := aheadOf(v, row)
	if err != nil {
		return ExplainAnswer{}, err
	}
	gate("order", ahead == 0, fmt.Sprintf("%d items of its class come first", ahead))
	answer.Verdict = "queued: the next claim that it fits may take it"
	if ahead > 0 {
		answer.Verdict = fmt.Sprintf("queued: %d items of its class come first", ahead)
	}
	if asked > 0 && able == 0 {
		answer.Verdict = "queued: no known node may run it now"
	}
	return answer, nil
}

// countAble counts the known nodes that may run an item now.
func countAble(v View, row TaskRow, now time.Time) (able, known int, err error) {
	policy, _, err := PolicyInForce(v)
	if err != nil {
		return 0, 0, err
	}
	for entry, err := range NodesTable.Scan(v, Span{}) {
		if err != nil {
			return 0, 0, err
		}
		known++
		can, err := abilities(v, Claimant{Node: entry.Row.NodeID})
		if err != nil {
			return 0, 0, err
		}
		gates, err := NodeGates(v, entry.Row.NodeID, now, policy.Nodes)
		if err != nil {
			return 0, 0, err
		}
		if len(can.gates(row.TaskType, row.Requires)) == 0 && closedGate(gates) == nil {
			able++
		}
	}
	return able, known, nil
}

// aheadOf counts queued items of the class that come before one, up to a page.
func aheadOf(v View, row TaskRow) (int, error) {
	ahead := 0
	for entry, err := range workQueueTable.Scan(v, Span{Prefix: row.class() + "\x00"}) {
		if err != nil {
			return 0, err
		}
		if entry.Row.TaskID == row.TaskID || ahead == maxPage {
			break
		}
		ahead++
	}
	return ahead, nil
}

func explainNode(v View, q ExplainTask) (ExplainAnswer, error) {
	policy, _, err := PolicyInForce(v)
	if err != nil {
		return ExplainAnswer{}, err
	}
	gates, err := NodeGates(v, domain.NodeID(q.Node), q.Now, policy.Nodes)
	if err != nil {
		return ExplainAnswer{}, err
	}
	answer := ExplainAnswer{Gates: gates}
	can, err := abilities(v, Claimant{Node: domain.NodeID(q.Node)})
	if err != nil {
		return ExplainAnswer{}, err
	}
	fitting, queued := 0, 0
	var unfit []string
	for entry, err := range workClassesTable.Scan(v, Span{}) {
		if err != nil {
			return ExplainAnswer{}, err
		}
		if entry.Row.Queued == 0 {
			continue
		}
		queued += entry.Row.Queued
		closed := can.gates(entry.Row.TaskType, entry.Row.Requires)
		if len(closed) == 0 {
			fitting += entry.Row.Queued
			continue
		}
		unfit = append(unfit, fmt.Sprintf("%d %s: %s", entry.Row.Queued, entry.Row.TaskType, strings.Join(closed, ", ")))
	}
	answer.Gates = append(answer.Gates,
		Gate{"queue", queued > 0, fmt.Sprintf("%d items are queued", queued)},
		Gate{"fitting", fitting > 0, or(strings.Join(unfit, "; "), fmt.Sprintf("%d items fit", fitting))})
	switch closed := closedGate(gates); {
	case closed != nil:
		answer.Verdict = "gets nothing: " + closed.Reason
	case queued == 0:
		answer.Verdict = "gets nothing: the queue is empty"
	case fitting == 0:
		answer.Verdict = "gets nothing: no queued item fits it"
	default:
		answer.Verdict = fmt.Sprintf("may claim: %d of %d queued items fit", fitting, queued)
	}
	return answer, nil
}

// closedGate is the first gate that does not let through.
func closedGate(gates []Gate) *Gate {
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
