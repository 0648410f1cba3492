package relay

import (
	"fmt"
	"time"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/relay"
	"github.com/ringrift/rift/projections"
	relayview "github.com/ringrift/rift/projections/relay"
)

// QueueCall puts a call into the mailbox of its target, unless it is already there
// or was answered.
type QueueCall struct {
	CallID  relay.CallID  `json:"call_id"`
	Request relay.Request `json:"request"`
	Key     string        `json:"key"`
	Shown   bool          `json:"shown,omitempty"`
	Keep    time.Duration `json:"keep"` // time until it expires
}

func (QueueCall) CommandType() string       { return "relay.queue" }
func (c QueueCall) Stream() domain.StreamID { return c.CallID.Stream() }

func queueCall(call relay.Call, c QueueCall, facts domain.Facts) ([]domain.Event, error) {
	if call.State != relay.Unknown && !call.Same(c.Request) {
		return nil, domain.Errorf(domain.KeyReused, "key %s stands for another call to %s: %s %s", c.Key, c.Request.Target, call.Queued.Request.Method, call.Queued.Request.Path)
	}
	if call.Waits() || call.State == relay.Answered {
		return nil, nil
	}
	return []domain.Event{relay.CallQueued{
		CallID: c.CallID, Hub: domain.NodeID(facts.Node), Round: call.Queued.Round + 1, Request: c.Request, Key: c.Key, Shown: c.Shown,
		Deadline: domain.Instant(facts.Now.Add(c.Keep)),
	}}, nil
}

// DeliverCall records that the target fetched a call.
type DeliverCall struct {
	CallID relay.CallID `json:"call_id"`
}

func (DeliverCall) CommandType() string       { return "relay.deliver" }
func (c DeliverCall) Stream() domain.StreamID { return c.CallID.Stream() }

func deliverCall(call relay.Call, c DeliverCall, _ domain.Facts) ([]domain.Event, error) {
	if call.State != relay.Queued {
		return nil, nil
	}
	return []domain.Event{relay.CallDelivered{CallID: c.CallID, Target: call.Queued.Request.Target}}, nil
}

// AnswerCall records the target's answer.
type AnswerCall struct {
	CallID   relay.CallID   `json:"call_id"`
	Target   domain.NodeID  `json:"target"`
	Response relay.Response `json:"response"`
}

func (AnswerCall) CommandType() string       { return "relay.answer" }
func (c AnswerCall) Stream() domain.StreamID { return c.CallID.Stream() }

func answerCall(call relay.Call, c AnswerCall, _ domain.Facts) ([]domain.Event, error) {
	answered := relay.CallAnswered{CallID: c.CallID, Target: c.Target, Response: c.Response}
	switch {
	case call.State == relay.Unknown:
		return nil, domain.Errorf(domain.NotFound, "no call %s is kept here", c.CallID)
	case call.Queued.Request.Target != c.Target:
		return nil, domain.Errorf(domain.Forbidden, "call %s is to %s, not to %s", c.CallID, call.Queued.Request.Target, c.Target)
	case call.State == relay.Answered:
		return nil, nil
	case call.State == relay.Queued: // an answered call has been delivered
		return []domain.Event{relay.CallDelivered{CallID: c.CallID, Target: c.Target}, answered}, nil
	}
	return []domain.Event{answered}, nil
}

// ExpireCall gives up a call whose deadline passed. The clock issues it.
type ExpireCall struct {
	CallID relay.CallID `json:"call_id"`
	Round  int          `json:"round"`
}

func (ExpireCall) CommandType() string       { return "relay.expire" }
func (c ExpireCall) Stream() domain.StreamID { return c.CallID.Stream() }

func expireCall(call relay.Call, c ExpireCall, facts domain.Facts) ([]domain.Event, error) {
	if !call.Waits() || call.Queued.Round != c.Round || facts.Now.Before(call.Queued.Deadline) {
		return nil, nil
	}
	return []domain.Event{relay.CallExpired{CallID: c.CallID, Target: call.Queued.Request.Target, Round: c.Round, Delivered: call.State == relay.Delivered}}, nil
}

// Known is the recorded state of a call, and its answer.
type Known struct {
	State    relay.State    `json:"state"`
	Deadline time.Time      `json:"deadline,omitzero"`
	Answer   relay.Response `json:"answer,omitzero"`
}

func known[C domain.Command](call relay.Call, _ C, _ []domain.Envelope) Known {
	return Known{call.State, call.Queued.Deadline, call.Answer}
}

// Specs returns the specs of the call commands.
func Specs() []commands.Spec {
	return []commands.Spec{
		commands.HandleAnswer("put a call into a mailbox", queueCall, known[QueueCall]),
		commands.Handle("note that a call was taken out of its mailbox", deliverCall),
		commands.HandleAnswer("note the answer to a call", answerCall, known[AnswerCall]),
		commands.Handle("give up a call whose deadline came", expireCall),
	}
}

// Clock expires the calls whose deadline passed.
func Clock(v projections.View, now time.Time, _ domain.Policy, limit int) ([]commands.Timed, time.Time, error) {
	var due []commands.Timed
	for entry, err := range relayview.DeadlinesTable.Scan(v, projections.Span{}) {
		if err != nil {
			return nil, time.Time{}, err
		}
		row := entry.Row
		if now.Before(row.At) || len(due) == limit {
			return due, row.At, nil
		}
		due = append(due, commands.Timed{
			ID: fmt.Sprintf("clock/relay/%s/%d", row.CallID, row.Round), Command: ExpireCall{CallID: row.CallID, Round: row.Round},
		})
	}
	return due, time.Time{}, nil
}
