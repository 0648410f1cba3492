package transport

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strings"
	"unicode"

	"github.com/ringrift/rift/domain"
)

// Something between a client and a node may answer instead of the node: a
// proxy, a load balancer, a login page, another program on the port. The
// client accepts only what a node can have sent: with status 200 the JSON
// of a receipt or of a query's answer, with any other status a problem
// document with a rift type. Anything else counts as no answer, so it is
// not final and the call may be retried.

// answerCheck returns an error unless the body is an answer that the route
// gives.
type answerCheck func(body []byte) error

// checkReceipt checks for the keys that every answer to a command has.
func checkReceipt(body []byte) error {
	var answer struct {
		Position *domain.Position `json:"position"`
		Events   *[]TriedEvent    `json:"events"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return err
	}
	if answer.Position == nil || answer.Events == nil {
		return errors.New("want position and events")
	}
	return nil
}

// checkView checks for the keys that every answer to a query has.
func checkView(body []byte) error {
	var answer struct {
		Position *domain.Position `json:"position"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return err
	}
	if answer.Position == nil {
		return errors.New("want a position")
	}
	return nil
}

// problemType is the prefix of the type of every rift problem.
const problemType = "urn:rift:problem:"

// readProblem parses a refusal. It returns false for a body that no node
// sends.
func readProblem(contentType string, body []byte) (*Refused, bool) {
	if media, _, err := mime.ParseMediaType(contentType); err != nil || media != problemContent[0] {
		return nil, false
	}
	var p Problem
	if err := json.Unmarshal(body, &p); err != nil || p.Type != problemType+string(p.Code) {
		return nil, false
	}
	if _, known := statuses[p.Code]; !known {
		return nil, false
	}
	return p.refused(), true
}

// unanswered is the error of a call to which no node sent a complete
// answer. The call may have been carried out all the same.
type unanswered struct {
	err     error
	foreign bool // something other than a node answered
}

func (e *unanswered) Error() string { return e.err.Error() }
func (e *unanswered) Unwrap() error { return e.err }

// unreachable returns the error of a call without an answer. The call may
// have been carried out all the same, which is why commands have ids.
func unreachable(ctx context.Context, err error) error {
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return ctx.Err()
	case errors.Is(err, context.DeadlineExceeded):
		return &unanswered{err: domain.Errorf(domain.Timeout, "no answer in time: %w", err)}
	}
	return &unanswered{err: domain.Errorf(domain.Unavailable, "no answer: %w", err)}
}

// foreign returns the error for a response that no node sends.
func foreign(response *http.Response, body []byte) error {
	detail := fmt.Sprintf("want an answer of rift, found status %d", response.StatusCode)
	if to := response.Header.Get("Location"); to != "" {
		detail += " to " + printableText([]byte(to))
	}
	if text := bytes.TrimSpace(body); len(text) > 0 {
		detail += ": " + printableText(text[:min(len(text), 800)])
	}
	return foreignError(detail)
}

// printableText returns the beginning of an unrecognised answer as one line
// that is safe to print on a terminal.
func printableText(text []byte) string {
	return fmt.Sprintf("%.200s", strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) && r != unicode.ReplacementChar {
			return r
		}
		return ' '
	}, string(text)))
}

func foreignError(detail string) error {
	return &unanswered{err: domain.Errorf(domain.Unavailable, "%s", detail), foreign: true}
}

// Unreachable reports whether err means that no node answered: there was no
// answer, or it came from something that is not rift.
func Unreachable(err error) bool {
	var silent *unanswered
	return errors.As(err, &silent)
}

// Foreign reports whether err means that something that is not rift
// answered. Such an error is Unreachable too.
func Foreign(err error) bool {
	var silent *unanswered
	return errors.As(err, &silent) && silent.foreign
}

// Speaks reports whether, judging by its header, a response may come from a
// node.
func Speaks(response *http.Response) bool {
	media, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type"))
	switch media {
	case problemContent[0]:
		return response.StatusCode != http.StatusOK
	case jsonContent[0], streamContent:
		return response.StatusCode == http.StatusOK
	}
	return false
}

// NoAnswer returns an error for an answer that lacks something its command
// must return, which only the caller can check. It is both Unreachable and
// Foreign.
func NoAnswer(format string, args ...any) error {
	return foreignError(fmt.Sprintf(format, args...))
}

// noRedirect makes the HTTP client not follow redirects: a redirect does not come
// from a node, and the token must not be sent to another host.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

var defaultHTTP = &http.Client{CheckRedirect: noRedirect}
