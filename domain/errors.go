package domain

import (
	"errors"
	"fmt"
	"strings"
)

// Code is the class of an error, for people, programs and HTTP. The string is the
// wire form and never changes.
type Code string

// The codes, with the meaning a caller may rely on.
const (
	Invalid      Code = "invalid"      // the request itself is wrong; sending it again will not help
	Unauthorized Code = "unauthorized" // no identity, or an unknown one
	Forbidden    Code = "forbidden"    // the identity may not do this
	NotFound     Code = "not_found"
	Conflict     Code = "conflict"    // the state has changed, or does not allow it
	StaleLease   Code = "stale_lease" // the named lease is not the current one
	KeyReused    Code = "key_reused"  // the command id belongs to another command
	TooLarge     Code = "too_large"
	TooMany      Code = "too_many"    // a limit was reached; later may work
	NotLeader    Code = "not_leader"  // another node decides
	Unavailable  Code = "unavailable" // the log or a part of the node cannot serve now
	Timeout      Code = "timeout"
	Corrupt      Code = "corrupt" // stored bytes are invalid
	Internal     Code = "internal"
)

// Retryable reports whether the same request may succeed later.
func (c Code) Retryable() bool {
	switch c {
	case TooMany, NotLeader, Unavailable, Timeout:
		return true
	default:
		return false
	}
}

// Fault is one thing wrong with an input: the key path and the reason.
type Fault struct {
	Field  string `json:"field"`
	Reason string `json:"reason"`
}

// Error is an error with a code, and all faults if there were several.
type Error struct {
	Code   Code
	Msg    string
	Faults []Fault
	Err    error
}

// Error returns the message, the faults and the cause.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Msg)
	for i, fault := range e.Faults {
		switch {
		case i > 0:
			b.WriteString("; ")
		case e.Msg != "":
			b.WriteString(": ")
		}
		b.WriteString(fault.Field + ": " + fault.Reason)
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is matches an *Error target with only a Code, so that errors.Is(err,
// domain.ErrConflict) tests for the class.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Msg == "" && t.Err == nil && t.Code == e.Code
}

// Sentinel errors of the classes, for errors.Is.
var (
	ErrInvalid     error = &Error{Code: Invalid}
	ErrNotFound    error = &Error{Code: NotFound}
	ErrConflict    error = &Error{Code: Conflict}
	ErrStaleLease  error = &Error{Code: StaleLease}
	ErrTooMany     error = &Error{Code: TooMany}
	ErrUnavailable error = &Error{Code: Unavailable}
	ErrCorrupt     error = &Error{Code: Corrupt}
	ErrTimeout     error = &Error{Code: Timeout}
)

// Errorf returns a coded error; %w wraps the cause.
func Errorf(code Code, format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Msg: err.Error(), Err: errors.Unwrap(err)}
}

// Faulty returns one Invalid error for all faults, or nil if there are none.
func Faulty(what string, faults []Fault) error {
	if len(faults) == 0 {
		return nil
	}
	return &Error{Code: Invalid, Msg: what, Faults: faults}
}

// CodeOf returns the code of an error, Internal if it has none.
func CodeOf(err error) Code {
	var coded *Error
	if errors.As(err, &coded) {
		return coded.Code
	}
	return Internal
}
