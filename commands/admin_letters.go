package commands

import (
	"fmt"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
)

// RetryLetter has a handler try again on the event it failed at.
type RetryLetter struct {
	ID     string `json:"id" path:"id"` // "<handler>@<position>"
	Reason string `json:"reason,omitempty"`

	parked foundLetter
}

// CommandType is admin.retry_letter.
func (RetryLetter) CommandType() string { return "admin.retry_letter" }

// Stream is the letter's.
func (c RetryLetter) Stream() domain.StreamID { return domain.DeadLetterStream(c.ID) }

// DiscardLetter gives a dead letter up.
type DiscardLetter struct {
	ID     string `json:"id" path:"id"`
	Reason string `json:"reason,omitempty"`

	parked foundLetter
}

// CommandType is admin.discard_letter.
func (DiscardLetter) CommandType() string { return "admin.discard_letter" }

// Stream is the letter's.
func (c DiscardLetter) Stream() domain.StreamID { return domain.DeadLetterStream(c.ID) }

// foundLetter is the letter as the read models have it. That there is none is for
// the decision to say: a command that is repeated finds its first answer.
type foundLetter struct {
	letter projections.ParkedLetter
	there  bool
}

func (f foundLetter) check(id string) error {
	if !f.there {
		return domain.Errorf(domain.NotFound, "no dead letter %q is parked", id)
	}
	return nil
}

func findLetter(v projections.View, id string) (foundLetter, error) {
	letter, there, err := projections.FindParked(v, id)
	return foundLetter{letter, there}, err
}

func retryLetter(_ domain.DeadLetter, c RetryLetter, _ domain.Facts) ([]domain.Event, error) {
	if err := c.parked.check(c.ID); err != nil {
		return nil, err
	}
	letter := c.parked.letter
	return []domain.Event{domain.DeadLetterRetried{
		ID: c.ID, Handler: letter.Handler, Position: letter.EventPosition, Name: letter.EventType, Reason: c.Reason,
	}}, nil
}

func discardLetter(_ domain.DeadLetter, c DiscardLetter, _ domain.Facts) ([]domain.Event, error) {
	if err := c.parked.check(c.ID); err != nil {
		return nil, err
	}
	letter := c.parked.letter
	return []domain.Event{domain.DeadLetterDiscarded{
		ID: c.ID, Handler: letter.Handler, Position: letter.EventPosition, Name: letter.EventType,
		Error: letter.Error, Attempts: letter.Attempts, Reason: c.Reason,
	}}, nil
}

func letterFaults(id, reason string) []domain.Fault {
	faults := nameFaults("id", id)
	if len(reason) > domain.MaxPauseReason {
		faults = append(faults, domain.Fault{Field: "reason", Reason: fmt.Sprintf("want at most %d bytes, found %d", domain.MaxPauseReason, len(reason))})
	}
	return faults
}

// letterSpecs is how dead letters are dealt with. Whoever folds the events does
// what they say.
func letterSpecs() []Spec {
	return []Spec{
		Handle("have a handler try again on an event it failed at", retryLetter,
			Normalize(func(c RetryLetter, _ domain.Facts) (RetryLetter, error) {
				return c, domain.Faulty("admin.retry_letter", letterFaults(c.ID, c.Reason))
			}),
			Consult(func(RetryLetter) bool { return true }, func(v projections.View, c RetryLetter, _ domain.Facts) (_ RetryLetter, err error) {
				c.parked, err = findLetter(v, c.ID)
				return c, err
			})),
		Handle("give a dead letter up", discardLetter,
			Normalize(func(c DiscardLetter, _ domain.Facts) (DiscardLetter, error) {
				return c, domain.Faulty("admin.discard_letter", letterFaults(c.ID, c.Reason))
			}),
			Consult(func(DiscardLetter) bool { return true }, func(v projections.View, c DiscardLetter, _ domain.Facts) (_ DiscardLetter, err error) {
				c.parked, err = findLetter(v, c.ID)
				return c, err
			})),
	}
}
