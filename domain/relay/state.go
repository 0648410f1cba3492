package relay

import (
	"bytes"

	"github.com/ringrift/rift/domain"
)

// State is how far a call is.
type State string

// The states, in their order.
const (
	Unknown   State = ""
	Queued    State = "queued"
	Delivered State = "delivered"
	Answered  State = "answered"
	Expired   State = "expired"
)

// Call is the state of a call, folded from its stream.
type Call struct {
	State  State
	Queued CallQueued
	Answer Response
}

// Evolve applies a fact. An answer counts whenever it comes: what the target did
// is done, though the call was given up.
func (c Call) Evolve(fact domain.Envelope) Call {
	switch e := fact.Event.(type) {
	case CallQueued:
		if c.State != Answered {
			c.State, c.Queued = Queued, e
		}
	case CallDelivered:
		if c.State == Queued {
			c.State = Delivered
		}
	case CallAnswered:
		if c.State != Answered {
			c.State, c.Answer = Answered, e.Response
		}
	case CallExpired:
		if c.Waits() && e.Round == c.Queued.Round {
			c.State = Expired
		}
	}
	return c
}

// Waits tells a call that may still be answered in time.
func (c Call) Waits() bool { return c.State == Queued || c.State == Delivered }

// Same tells whether a request is the one that the call is known for.
func (c Call) Same(r Request) bool {
	mine := c.Queued.Request
	return mine.Target == r.Target && mine.Method == r.Method && mine.Path == r.Path && mine.ContentType == r.ContentType &&
		bytes.Equal(mine.Body, r.Body) && bytes.Equal(mine.Base64, r.Base64)
}
