package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections/store"
	"github.com/ringrift/rift/transport"
)

// The exit codes that scripts rely on.
const (
	exitDone        = 0
	exitError       = 1
	exitFindings    = 2
	exitConflict    = 3
	exitUnreachable = 4
)

// findings is the error of a command that did its work and found trouble. The output
// names the trouble, so only the count goes to the error stream.
type findings struct {
	count int
	what  string // "finding", "broken record"
}

func (f *findings) Error() string { return output.Plural(f.count, f.what) }

// hint is an error with advice on what to do next.
type hint struct {
	err  error
	next string
}

func (h *hint) Error() string { return h.err.Error() }
func (h *hint) Unwrap() error { return h.err }

func hinted(err error, format string, args ...any) error {
	return &hint{err, fmt.Sprintf(format, args...)}
}

// finish prints the error, if there is one, and returns the exit code.
func (a *app) finish(ran *cobra.Command, err error) int {
	if err == nil {
		return exitDone
	}
	var found *findings
	if errors.As(err, &found) {
		a.note("rift: %s", found)
		return exitFindings
	}
	if errors.Is(err, syscall.EPIPE) {
		return exitDone // the reader closed the pipe
	}
	coded := describe(err)
	a.note("rift: %s", headline(err, coded))
	for _, fault := range coded.Faults {
		a.note("  %s: %s", fault.Field, fault.Reason)
	}
	next := nextStep(ran, err, coded)
	if next != "" {
		a.note("  %s", next)
	}
	if (a.format == string(output.JSON) || a.format == string(output.JSONL)) && !a.stdout.written {
		a.printProblem(coded, next)
	}
	if errors.Is(err, context.Canceled) {
		return exitError
	}
	return exitCode(coded.Code)
}

// problem is an error as -o json prints it, with the keys that a node uses for its
// errors.
type problem struct {
	Code      domain.Code    `json:"code"`
	Detail    string         `json:"detail"`
	Retryable bool           `json:"retryable"`
	Faults    []domain.Fault `json:"faults,omitempty"`
	Hint      string         `json:"hint,omitempty"`
}

func (a *app) printProblem(coded *domain.Error, next string) {
	encoded, err := json.MarshalIndent(map[string]problem{"error": {coded.Code, coded.Msg, coded.Code.Retryable(), coded.Faults, next}}, "", "  ")
	if err == nil {
		fmt.Fprintf(a.stdout, "%s\n", encoded)
	}
}

// describe returns any error as a coded one; errors of the system get the nearest code.
func describe(err error) *domain.Error {
	coded := &domain.Error{Code: domain.CodeOf(err), Msg: err.Error(), Err: err}
	var own *domain.Error
	var conflict *eventlog.Conflict
	var dial *net.OpError
	var asked *url.Error
	switch {
	case errors.As(err, &conflict):
		coded.Code = domain.Conflict
	case errors.As(err, &own):
		coded.Faults = own.Faults
	case errors.Is(err, context.DeadlineExceeded):
		coded.Code = domain.Timeout
	case errors.As(err, &dial), errors.As(err, &asked):
		coded.Code = domain.Unavailable
	case errors.Is(err, context.Canceled):
	default:
		coded.Code = domain.Invalid // an error of cobra about flags or arguments
	}
	return coded
}

// headline is the message without the faults, which are printed one a line.
func headline(err error, coded *domain.Error) string {
	message := coded.Msg
	if len(coded.Faults) > 0 {
		var own *domain.Error
		if errors.As(err, &own) && own.Msg != "" {
			message = strings.Replace(message, own.Error(), own.Msg, 1)
		}
		message += ": " + output.Plural(len(coded.Faults), "fault")
	}
	if errors.Is(err, context.Canceled) {
		return "interrupted"
	}
	message = strings.TrimPrefix(strings.TrimPrefix(message, "rift: "), "rift ") // the program's name stands before it anyway
	return strings.ReplaceAll(message, "\n", "; ")
}

// nextStep is the advice on what to do about an error.
func nextStep(ran *cobra.Command, err error, coded *domain.Error) string {
	var own *hint
	if errors.As(err, &own) {
		return own.next
	}
	var rows *store.Broken
	if errors.As(err, &rows) && rows.Damaged {
		return "nothing is lost with them: the log has every event"
	}
	if coded.Code == domain.Invalid || coded.Code == domain.NotFound || errors.Is(err, fs.ErrNotExist) {
		return "see `" + ran.CommandPath() + " --help`"
	}
	var refused *transport.Refused
	if errors.As(err, &refused) {
		switch coded.Code {
		case domain.Forbidden:
			return "name the file of a token that may do this with --token-file or RIFT_TOKEN_FILE"
		case domain.TooLarge:
			return "send it in several calls, or have the node started with higher --limits-…"
		case domain.Unavailable:
			return "try again; `rift admin health` says how the node is"
		case domain.Internal:
			return "the log of the node says more; `rift admin health` says how it is"
		default:
		}
	}
	switch coded.Code {
	case domain.Unauthorized:
		return "name the file that holds your token with --token-file or RIFT_TOKEN_FILE"
	case domain.StaleLease:
		return "the item moved on without you: drop this attempt and claim again"
	case domain.KeyReused:
		return "leave --idempotency-key out, or name one that was not used yet"
	case domain.Conflict:
		return "look at the state again, then decide anew"
	case domain.TooMany:
		return "wait a little, then try again"
	case domain.NotLeader:
		return "ask the leader: name it with --addr"
	case domain.Timeout:
		return "try again, or wait longer with --timeout"
	case domain.Corrupt:
		return "`rift log verify` says what of the log can be read, `rift log salvage` copies that to a new folder"
	default:
		return ""
	}
}

func exitCode(code domain.Code) int {
	switch code {
	case domain.Conflict, domain.StaleLease, domain.KeyReused, eventlog.Gone:
		return exitConflict
	case domain.Unavailable, domain.Timeout, domain.NotLeader:
		return exitUnreachable
	default:
		return exitError
	}
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
