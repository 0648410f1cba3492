package transport

import (
	"bytes"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/ringrift/rift/domain"
)

// waiter is a command that can wait for what it asks for, by its key
// "wait". The query parameter of the same name overrides it, as a number of
// seconds or as 30s.
type waiter interface {
	Waits() time.Duration
	Waiting(wait domain.Seconds) domain.Command
}

// Polls marks a route whose commands may wait for up to most. Those that
// wait are counted separately from other commands, and their time limit is
// extended by the wait.
func Polls(most time.Duration) Option {
	return func(r *Route) { r.polls = most }
}

// asksToWait reports, before the body is decoded, whether a request may
// wait.
func (x *exchange) asksToWait() bool {
	return x.route.polls > 0 && (x.request.URL.Query().Has("wait") || x.held.body != nil && bytes.Contains(*x.held.body, []byte(`"wait"`)))
}

// waits returns how long the command of the request waits.
func (x *exchange) waits() time.Duration {
	if w, ok := x.input.(waiter); ok {
		return w.Waits()
	}
	return 0
}

// takeWait removes ?wait= from the query values. It returns nil if there is
// none.
func (x *exchange) takeWait(values url.Values) (*domain.Seconds, []domain.Fault) {
	given, there := values["wait"]
	if !there || x.route.polls == 0 {
		return nil, nil
	}
	delete(values, "wait")
	wait, err := time.ParseDuration(given[0])
	if number, failed := strconv.ParseFloat(given[0], 64); failed == nil && number >= 0 && number <= float64(domain.MaxSeconds) {
		wait, err = domain.Seconds(number).Duration(), nil
	}
	if err != nil || wait < 0 || len(given) > 1 {
		return nil, []domain.Fault{{Field: "wait", Reason: fmt.Sprintf("want seconds, or a duration such as 30s, once; found %q", clip(given[0]))}}
	}
	seconds := domain.Seconds(wait.Seconds())
	return &seconds, nil
}
