package transport

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// statuses maps codes to HTTP statuses.
var statuses = map[domain.Code]int{
	domain.Invalid:      http.StatusBadRequest,
	domain.Unauthorized: http.StatusUnauthorized,
	domain.Forbidden:    http.StatusForbidden,
	domain.NotFound:     http.StatusNotFound,
	domain.Conflict:     http.StatusConflict,
	domain.StaleLease:   http.StatusConflict,
	domain.KeyReused:    http.StatusConflict,
	eventlog.Gone:       http.StatusGone,
	domain.TooLarge:     http.StatusRequestEntityTooLarge,
	domain.NotLeader:    http.StatusMisdirectedRequest,
	domain.TooMany:      http.StatusTooManyRequests,
	domain.Unavailable:  http.StatusServiceUnavailable,
	domain.Timeout:      http.StatusGatewayTimeout,
	domain.Corrupt:      http.StatusInternalServerError,
	domain.Internal:     http.StatusInternalServerError,
}

// titles maps codes to the title of the class of errors.
var titles = map[domain.Code]string{
	domain.Invalid:      "The request is wrong",
	domain.Unauthorized: "No known identity was shown",
	domain.Forbidden:    "The caller may not do this",
	domain.NotFound:     "There is no such thing",
	domain.Conflict:     "The state does not allow it",
	domain.StaleLease:   "The lease is not the live one",
	domain.KeyReused:    "The key stands for another command",
	eventlog.Gone:       "The stream was deleted for ever",
	domain.TooLarge:     "The request is too large",
	domain.NotLeader:    "Another node decides",
	domain.TooMany:      "A bound was hit",
	domain.Unavailable:  "The node cannot serve this now",
	domain.Timeout:      "It took too long",
	domain.Corrupt:      "Stored bytes do not mean what they must",
	domain.Internal:     "The node is at fault",
}

// Problem is the RFC 9457 document that answers every error, with its
// stable code.
type Problem struct {
	Type      string           `json:"type"`
	Title     string           `json:"title"`
	Status    int              `json:"status"`
	Detail    string           `json:"detail"`
	Instance  string           `json:"instance,omitempty"`
	Code      domain.Code      `json:"code" enum:"invalid,unauthorized,forbidden,not_found,conflict,stale_lease,key_reused,gone,too_large,too_many,not_leader,unavailable,timeout,corrupt,internal"`
	Retryable bool             `json:"retryable"`
	Faults    []domain.Fault   `json:"faults,omitempty"`
	RequestID string           `json:"request_id,omitempty"`
	CommandID string           `json:"command_id,omitempty"`
	Position  domain.Position  `json:"position,omitempty" doc:"where a refusal that was recorded stands"`
	Events    []EventRef       `json:"events,omitempty"`
	Leader    string           `json:"leader,omitempty" doc:"the leader, if known: with not_leader, and for a request with an outdated term"`
	Term      uint64           `json:"term,omitempty"`
	Found     *domain.Revision `json:"found_revision,omitempty" doc:"revision of the stream, for a conflict over it"`
	Head      *domain.Position `json:"head,omitempty" doc:"newest position, for a request to continue after the end of the log"`
}

// LeaderHint is an error that names the leader, by address or node, and its
// term. Its code is not_leader.
type LeaderHint struct {
	Leader string
	Term   uint64
}

// Error implements error.
func (e *LeaderHint) Error() string {
	if e.Leader == "" {
		return "this node does not decide, and no leader is known"
	}
	return "this node does not decide, " + e.Leader + " does"
}

// Is reports whether target is the class not_leader.
func (e *LeaderHint) Is(target error) bool {
	t, ok := target.(*domain.Error)
	return ok && t.Code == domain.NotLeader && t.Msg == "" && t.Err == nil
}

// Later is an error with the time after which a retry makes sense.
type Later struct {
	After time.Duration
	Err   error
}

// Error implements error.
func (e *Later) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *Later) Unwrap() error { return e.Err }

// httpError is an error whose status differs from that of its code: 405,
// 415.
type httpError struct {
	status int
	allow  string
	err    error
}

func (e *httpError) Error() string { return e.err.Error() }
func (e *httpError) Unwrap() error { return e.err }

// CodeOf returns the code of an error: its own, or the one that stands for
// a standard error such as context.DeadlineExceeded.
func CodeOf(err error) domain.Code {
	var hint *LeaderHint
	if errors.As(err, &hint) {
		return domain.NotLeader
	}
	var coded *domain.Error
	if errors.As(err, &coded) {
		return coded.Code
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return domain.Timeout
	case errors.Is(err, context.Canceled):
		return domain.Unavailable
	}
	return domain.Internal
}

// problemOf returns the problem of an error.
func problemOf(err error) Problem {
	code := CodeOf(err)
	status, known := statuses[code]
	if !known {
		code, status = domain.Internal, http.StatusInternalServerError
	}
	p := Problem{
		Type: problemType + string(code), Title: titles[code], Status: status,
		Detail: err.Error(), Code: code, Retryable: code.Retryable(),
	}
	var coded *domain.Error
	if errors.As(err, &coded) {
		p.Faults = coded.Faults
	} else if code == domain.Internal {
		p.Detail = "the node failed at this request; its log has the reason under the request id"
	}
	var special *httpError
	if errors.As(err, &special) {
		p.Status = special.status
	}
	var hint *LeaderHint
	if errors.As(err, &hint) {
		p.Leader, p.Term = hint.Leader, hint.Term
	}
	var newer interface{ Leads() (string, uint64) }
	if errors.As(err, &newer) {
		p.Leader, p.Term = newer.Leads()
	}
	var elsewhere *eventlog.NotLeader
	if errors.As(err, &elsewhere) {
		p.Leader, p.Term = cmp.Or(elsewhere.Leader.Address, string(elsewhere.Leader.NodeID)), elsewhere.Leader.Term
	}
	var ahead *eventlog.Ahead
	if errors.As(err, &ahead) {
		p.Status, p.Title, p.Head = http.StatusConflict, "The log does not go so far", &ahead.Head
	}
	var conflict *eventlog.Conflict
	if errors.As(err, &conflict) && conflict.Reason == "" {
		p.Detail = conflict.Error()
		p.Found = &conflict.Found
	}
	return p
}

// retryAfter returns how many whole seconds a caller is asked to wait, 0
// for none.
func retryAfter(err error, code domain.Code) int {
	var later *Later
	if errors.As(err, &later) {
		return max(1, int((later.After+time.Second-1)/time.Second))
	}
	if code == domain.TooMany || code == domain.Unavailable {
		return 1
	}
	return 0
}

// Err returns a coded error for a problem that was received.
func (p Problem) Err() error { return p.refused() }

func (p Problem) refused() *Refused {
	err := &domain.Error{Code: p.Code, Msg: p.Detail, Faults: p.Faults}
	if len(p.Faults) > 0 {
		// The error text lists the faults itself, so cut them from the
		// detail.
		err.Msg, _, _ = strings.Cut(p.Detail, ": "+p.Faults[0].Field+": ")
	}
	if err.Msg == "" {
		err.Msg = p.Title
	}
	if p.Code == domain.NotLeader {
		err.Err = &LeaderHint{Leader: p.Leader, Term: p.Term}
	}
	return &Refused{Problem: p, err: err}
}

// Refused is the error of a call that a node answered with a problem. It
// matches the problem's class: errors.Is(err, domain.ErrConflict).
type Refused struct {
	Problem Problem
	After   time.Duration // how long the node asks to wait; 0: it did not say
	err     *domain.Error
}

// Error implements error.
func (e *Refused) Error() string { return e.err.Error() }

// Unwrap returns the coded error.
func (e *Refused) Unwrap() error { return e.err }

// ProblemOf returns the problem of an error, for servers that answer in
// place of a node.
func ProblemOf(err error) Problem { return problemOf(err) }
