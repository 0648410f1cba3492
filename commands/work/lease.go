package work

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/training"
	"github.com/ringrift/rift/domain/work"
)

// Report is the common part of every report on a leased item.
type Report struct {
	TaskID domain.TaskID `json:"task_id"`
	Lease  uint64        `json:"lease"`
	NodeID domain.NodeID `json:"node_id,omitempty" doc:"checked against the holder when given"`
}

func (r Report) Stream() domain.StreamID { return r.TaskID.Stream() }

func (r Report) faults() []domain.Fault {
	faults := commands.NameFaults("task_id", string(r.TaskID))
	if r.Lease == 0 {
		faults = append(faults, domain.Fault{Field: "lease", Reason: "required: the number the claim answered"})
	}
	return faults
}

type reporter interface {
	commands.Targeted
	faults() []domain.Fault
}

func completeReport[C reporter](c C, _ domain.Facts) (C, error) {
	return c, domain.Faulty(c.CommandType(), c.faults())
}

// StartTask reports that work on an item started.
type StartTask struct{ Report }

func (StartTask) CommandType() string { return "work.start" }

// TaskStarted is the answer to StartTask: when the lease ends by the node's clock,
// and how long after the start that is; 0 if work had already started.
type TaskStarted struct {
	Deadline     time.Time      `json:"deadline"`
	LeaseSeconds domain.Seconds `json:"lease_seconds,omitempty"`
}

// HeartbeatTask extends a lease.
type HeartbeatTask struct {
	Report
	Progress       json.RawMessage `json:"progress,omitempty"`
	StalledSeconds domain.Seconds  `json:"stalled_seconds,omitempty" doc:"how long the work has given no sign of life; 0 when it does; a holder that is silent itself is another matter: its lease ends"`
}

func (HeartbeatTask) CommandType() string { return "work.heartbeat" }

func (c HeartbeatTask) faults() []domain.Fault {
	faults := c.Report.faults()
	if !(c.StalledSeconds >= 0) {
		faults = append(faults, domain.Fault{Field: "stalled_seconds", Reason: fmt.Sprintf("want at least 0, found %v", float64(c.StalledSeconds))})
	}
	return faults
}

// TaskHeartbeaten is the answer to a heartbeat: when the lease now ends, and
// whether the work should stop.
type TaskHeartbeaten struct {
	Deadline     time.Time      `json:"deadline" doc:"by the node's clock"`
	LeaseSeconds domain.Seconds `json:"lease_seconds,omitempty" doc:"from the heartbeat to the deadline, for clocks that differ from the node's"`
	Cancel       bool           `json:"cancel"`
	Release      bool           `json:"release,omitempty" doc:"give it back: a more urgent item waits for its place; no attempt is spent"`
	Reason       string         `json:"reason,omitempty"`
}

// CompleteTask reports that an item is done.
type CompleteTask struct {
	Report
	Result json.RawMessage `json:"result,omitempty"`
}

func (CompleteTask) CommandType() string { return "work.complete" }

// FailTask reports that an attempt failed.
type FailTask struct {
	Report
	Error     string `json:"error"`
	Retryable *bool  `json:"retryable,omitempty" doc:"true when absent"`
}

func (FailTask) CommandType() string { return "work.fail" }

func (c FailTask) faults() []domain.Fault {
	faults := c.Report.faults()
	if c.Error == "" {
		faults = append(faults, domain.Fault{Field: "error", Reason: "required: what went wrong, for the people who read it later"})
	}
	return faults
}

// ReleaseTask gives an item back unfinished; no attempt is used up.
type ReleaseTask struct {
	Report
	Reason string `json:"reason,omitempty"`
}

func (ReleaseTask) CommandType() string { return "work.release" }

// maxRejections limits the recorded rejections per item; further reports are
// rejected without an event.
const maxRejections = 100

// held checks that a report comes from the holder of the current lease. If not, it
// returns the rejection with the reason.
func held(t work.Task, r Report, verb string) (*work.CompletionRejected, error) {
	switch {
	case t.State == "":
		return nil, unknownTask(r.TaskID)
	case t.State.Held() && r.Lease == t.Lease && (r.NodeID == "" || r.NodeID == t.Node):
		return nil, nil
	}
	rejected := &work.CompletionRejected{TaskID: r.TaskID, Verb: verb, Lease: r.Lease, NodeID: r.NodeID, State: t.State}
	if t.State.Held() {
		rejected.LiveLease = t.Lease
	}
	switch {
	case t.Lease == 0:
		rejected.Reason = "never_leased"
	case r.Lease > t.Lease || r.Lease == t.Lease && r.NodeID != "" && r.NodeID != t.Node:
		rejected.Reason = "foreign"
	case r.Lease < t.Lease:
		rejected.Reason = "stale"
	case t.State == work.StateDone:
		rejected.Reason = "duplicate"
	case t.State == work.StateCancelled:
		rejected.Reason = "cancelled"
	default:
		rejected.Reason = "stale"
	}
	return rejected, nil
}

// refuse returns the error for a rejected report, and the event if record is true.
func refuse(t work.Task, rejected *work.CompletionRejected, record bool) ([]domain.Event, error) {
	if !record || t.Rejected >= maxRejections {
		return nil, rejected.Refusal()
	}
	return []domain.Event{*rejected}, rejected.Refusal()
}

func startTask(t work.Task, c StartTask, _ domain.Facts) ([]domain.Event, error) {
	if rejected, err := held(t, c.Report, "start"); err != nil || rejected != nil {
		if err != nil {
			return nil, err
		}
		return refuse(t, rejected, false)
	}
	if t.State == work.StateRunning {
		return nil, nil
	}
	return []domain.Event{work.Started{TaskID: c.TaskID, Lease: c.Lease, NodeID: t.Node}}, nil
}

func started(t work.Task, _ StartTask, events []domain.Envelope) TaskStarted {
	answer := TaskStarted{Deadline: t.Deadline}
	if len(events) > 0 {
		answer.LeaseSeconds = training.SecondsOf(t.Deadline.Sub(events[0].Time))
	}
	return answer
}

func heartbeatTask(t work.Task, c HeartbeatTask, facts domain.Facts) ([]domain.Event, error) {
	if t.State == work.StateCancelled && c.Lease == t.Lease && (c.NodeID == "" || c.NodeID == t.Node) {
		return nil, nil // the answer says that the work should stop
	}
	if rejected, err := held(t, c.Report, "heartbeat"); err != nil || rejected != nil {
		if err != nil {
			return nil, err
		}
		return refuse(t, rejected, false)
	}
	return []domain.Event{work.Heartbeat{
		TaskID: c.TaskID, Lease: c.Lease, NodeID: t.Node, Progress: c.Progress, StalledSeconds: c.StalledSeconds,
		Deadline: leaseEnd(t, facts.Heard(t.ClaimedAt), facts.Now, work.PolicyOf(facts.Policy)),
	}}, nil
}

func heartbeaten(t work.Task, _ HeartbeatTask, events []domain.Envelope) TaskHeartbeaten {
	answer := TaskHeartbeaten{Deadline: t.Deadline, Cancel: t.State == work.StateCancelled}
	if t.Asked != nil && t.State.Held() {
		answer.Release, answer.Reason = true, t.Asked.Reason
	}
	for _, e := range events {
		if beat, ok := e.Event.(work.Heartbeat); ok {
			answer.Deadline, answer.LeaseSeconds = beat.Deadline, training.SecondsOf(beat.Deadline.Sub(e.Time))
		}
	}
	return answer
}

func completeTask(t work.Task, c CompleteTask, facts domain.Facts) ([]domain.Event, error) {
	if rejected, err := held(t, c.Report, "complete"); err != nil || rejected != nil {
		if err != nil {
			return nil, err
		}
		rejected.Result = c.Result
		return refuse(t, rejected, true)
	}
	done := work.Completed{TaskID: c.TaskID, Lease: c.Lease, NodeID: t.Node, Result: c.Result}
	if !facts.There.After(t.ClaimedAt) { // otherwise the duration is unknown
		done.Measured = t.MeasuredOf(c.Result, facts.Now, work.PolicyOf(facts.Policy))
	}
	return []domain.Event{done}, nil
}

func failTask(t work.Task, c FailTask, _ domain.Facts) ([]domain.Event, error) {
	if rejected, err := held(t, c.Report, "fail"); err != nil || rejected != nil {
		if err != nil {
			return nil, err
		}
		rejected.Error = c.Error
		return refuse(t, rejected, true)
	}
	return []domain.Event{work.Failed{
		TaskID: c.TaskID, Lease: c.Lease, NodeID: t.Node, Error: c.Error,
		Retryable: c.Retryable == nil || *c.Retryable, Attempts: t.Attempts + 1,
	}}, nil
}

func releaseTask(t work.Task, c ReleaseTask, _ domain.Facts) ([]domain.Event, error) {
	if rejected, err := held(t, c.Report, "release"); err != nil || rejected != nil {
		if err != nil {
			return nil, err
		}
		return refuse(t, rejected, true)
	}
	return []domain.Event{work.Released{TaskID: c.TaskID, Lease: c.Lease, NodeID: t.Node, Reason: c.Reason}}, nil
}
