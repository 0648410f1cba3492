package projections

import (
	"time"

	"github.com/ringrift/rift/domain"
)

// OrZero returns the time, or the zero time for nil.
func OrZero(at *time.Time) time.Time {
	if at == nil {
		return time.Time{}
	}
	return *at
}

// OrNull returns the time, or nil for the zero time, which is null in JSON.
func OrNull(at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	return &at
}

// TimeOf returns the time of an event, for a row to keep. The address of e.Time
// would keep the whole envelope in memory, and with it the page of the log that the
// envelope was read from.
func TimeOf(e domain.Envelope) *time.Time {
	at := e.Time
	return &at
}

// Moment returns a time that may be absent; if it did not change, the old pointer
// is kept, since rows share it.
func Moment(before *time.Time, now time.Time, there bool) *time.Time {
	switch {
	case !there:
		return nil
	case before != nil && before.Equal(now):
		return before
	}
	at := now // a copy: taking the address of now would move it to the heap on every call
	return &at
}
