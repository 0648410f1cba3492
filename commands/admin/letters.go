package admin

import (
	"fmt"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/admin"
	"github.com/ringrift/rift/projections"
	adminview "github.com/ringrift/rift/projections/admin"
)

// RetryLetter requests that a handler run again on the event it failed on.
type RetryLetter struct {
	ID     string `json:"id" path:"id" doc:"\"<handler>@<position>\""`
	Reason string `json:"reason,omitempty"`

	parked foundLetter
}

func (RetryLetter) CommandType() string       { return "admin.retry_letter" }
func (c RetryLetter) Stream() domain.StreamID { return admin.DeadLetterStream(c.ID) }

// DiscardLetter discards a dead letter.
type DiscardLetter struct {
	ID     string `json:"id" path:"id"`
	Reason string `json:"reason,omitempty"`

	parked foundLetter
}

func (DiscardLetter) CommandType() string       { return "admin.discard_letter" }
func (c DiscardLetter) Stream() domain.StreamID { return admin.DeadLetterStream(c.ID) }

// foundLetter is the letter in the read models. Whether it exists is checked by the
// decision and not at lookup, so that a repeated command still returns its first
// answer.
type foundLetter struct {
	letter adminview.ParkedLetter
	there  bool
}

func (f foundLetter) check(id string) error {
	if !f.there {
		return domain.Errorf(domain.NotFound, "no dead letter %q is parked", id)
	}
	return nil
}

func findLetter(v projections.View, id string) (foundLetter, error) {
	letter, there, err := adminview.FindParked(v, id)
	return foundLetter{letter, there}, err
}

func retryLetter(_ admin.DeadLetter, c RetryLetter, _ domain.Facts) ([]domain.Event, error) {
	if err := c.parked.check(c.ID); err != nil {
		return nil, err
	}
	letter := c.parked.letter
	return []domain.Event{admin.DeadLetterRetried{
		ID: c.ID, Handler: letter.Handler, Position: letter.EventPosition, Name: letter.EventType, Reason: c.Reason,
	}}, nil
}

func discardLetter(_ admin.DeadLetter, c DiscardLetter, _ domain.Facts) ([]domain.Event, error) {
	if err := c.parked.check(c.ID); err != nil {
		return nil, err
	}
	letter := c.parked.letter
	return []domain.Event{admin.DeadLetterDiscarded{
		ID: c.ID, Handler: letter.Handler, Position: letter.EventPosition, Name: letter.EventType,
		Error: letter.Error, Attempts: letter.Attempts, Reason: c.Reason,
	}}, nil
}

func letterFaults(id, reason string) []domain.Fault {
	faults := commands.NameFaults("id", id)
	if len(reason) > admin.MaxPauseReason {
		faults = append(faults, domain.Fault{Field: "reason", Reason: fmt.Sprintf("want at most %d bytes, found %d", admin.MaxPauseReason, len(reason))})
	}
	return faults
}

// letterSpecs returns the specs of the commands on dead letters. The nodes that
// fold their events carry them out.
func letterSpecs() []commands.Spec {
	return []commands.Spec{
		commands.Handle("have a handler try again on an event it failed at", retryLetter,
			commands.Normalize(func(c RetryLetter, _ domain.Facts) (RetryLetter, error) {
				return c, domain.Faulty("admin.retry_letter", letterFaults(c.ID, c.Reason))
			}),
			commands.Consult(func(RetryLetter) bool { return true }, func(v projections.View, c RetryLetter, _ domain.Facts) (_ RetryLetter, err error) {
				c.parked, err = findLetter(v, c.ID)
				return c, err
			})),
		commands.Handle("give a dead letter up", discardLetter,
			commands.Normalize(func(c DiscardLetter, _ domain.Facts) (DiscardLetter, error) {
				return c, domain.Faulty("admin.discard_letter", letterFaults(c.ID, c.Reason))
			}),
			commands.Consult(func(DiscardLetter) bool { return true }, func(v projections.View, c DiscardLetter, _ domain.Facts) (_ DiscardLetter, err error) {
				c.parked, err = findLetter(v, c.ID)
				return c, err
			})),
	}
}
