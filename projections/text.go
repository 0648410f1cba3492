package projections

import (
	"time"

	"github.com/ringrift/rift/domain"
)

// OrZero is a moment, the zero time for none.
func OrZero(at *time.Time) time.Time {
	if at == nil {
		return time.Time{}
	}
	return *at
}

// OrNull is a moment as JSON has it: null for the zero time.
func OrNull(at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	return &at
}

// TimeOf is the time of an event, for a row to keep. The address of e.Time would
// keep the whole envelope with the row, and with it the page of the log that the
// envelope was read from.
func TimeOf(e domain.Envelope) *time.Time {
	at := e.Time
	return &at
}

// Moment is a time that may be absent; one that did not change is kept as it
// stands, for rows share it.
func Moment(before *time.Time, now time.Time, there bool) *time.Time {
	switch {
	case !there:
		return nil
	case before != nil && before.Equal(now):
		return before
	}
	at := now // now itself would be kept at every call
	return &at
}
