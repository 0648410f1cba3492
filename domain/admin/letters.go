package admin

import (
	"github.com/ringrift/rift/domain"
)

// DeadLetterStream returns the stream with the requests about one dead letter.
func DeadLetterStream(id string) domain.StreamID {
	return domain.Stream("admin", DefaultCluster+":letter:"+id)
}

// DeadLetterRetried: a retry of a handler on the event it failed on was requested.
// If it fails again, another HANDLER_FAILED follows.
type DeadLetterRetried struct {
	ID       string          `json:"id"` // "work.TASK_FAILED@42"
	Handler  string          `json:"handler"`
	Position domain.Position `json:"position"` // of the event that was not handled
	Name     string          `json:"event_type"`
	Reason   string          `json:"reason,omitempty"`
}

func (DeadLetterRetried) EventType() string       { return "DEAD_LETTER_RETRIED" }
func (e DeadLetterRetried) Home() domain.StreamID { return DeadLetterStream(e.ID) }

func (e DeadLetterRetried) Validate() []domain.Fault {
	return letterChecks(e.ID, e.Handler, e.Position)
}

// DeadLetterDiscarded: a dead letter was given up; its event stays unhandled by
// that handler. The failure is kept here.
type DeadLetterDiscarded struct {
	ID       string          `json:"id"`
	Handler  string          `json:"handler"`
	Position domain.Position `json:"position"`
	Name     string          `json:"event_type"`
	Error    string          `json:"error"`
	Attempts int             `json:"attempts"`
	Reason   string          `json:"reason,omitempty"`
}

func (DeadLetterDiscarded) EventType() string       { return "DEAD_LETTER_DISCARDED" }
func (e DeadLetterDiscarded) Home() domain.StreamID { return DeadLetterStream(e.ID) }

func (e DeadLetterDiscarded) Validate() []domain.Fault {
	return letterChecks(e.ID, e.Handler, e.Position)
}

func letterChecks(id, handler string, position domain.Position) domain.Checks {
	var c domain.Checks
	c.Name("id", id)
	c.Name("handler", handler)
	if position == 0 {
		c.Fault("position", "want at least 1, found 0")
	}
	return c
}

// DeadLetter is the requests about one dead letter, folded from its stream.
type DeadLetter struct {
	Retries   int
	Discarded bool
}

// Evolve applies a fact of the letter's stream.
func (d DeadLetter) Evolve(fact domain.Envelope) DeadLetter {
	switch fact.Event.(type) {
	case DeadLetterRetried:
		d.Retries++
	case DeadLetterDiscarded:
		d.Discarded = true
	}
	return d
}
