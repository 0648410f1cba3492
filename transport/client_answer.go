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

// Whatever stands between a client and a node may answer in its place: a proxy,
// a load balancer, a login page, another program on the port. Only what a node of
// rift can have said is an answer: with status 200 the JSON of a receipt or of a
// query's answer, with any other status a problem of rift. Everything else is as
// if nobody had answered, so that it decides nothing and may be tried again.

// answerCheck tells whether the body of an answer is what the route gives.
type answerCheck func(body []byte) error

// checkReceipt wants what every answer to a command has.
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

// checkView wants what every answer to a query has.
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

// problemType begins the type of every problem of rift.
const problemType = "urn:rift:problem:"

// readProblem reads a refusal. It answers false for what no node of rift says.
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

// unanswered is the error of a call to which no node of rift answered, or not
// whole. The call may have been carried out all the same.
type unanswered struct {
	err     error
	foreign bool // something else answered
}

func (e *unanswered) Error() string { return e.err.Error() }
func (e *unanswered) Unwrap() error { return e.err }

// unreachable says that no answer came. The call may have been carried out all
// the same, which is what the command id is for.
func unreachable(ctx context.Context, err error) error {
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return ctx.Err()
	case errors.Is(err, context.DeadlineExceeded):
		return &unanswered{err: domain.Errorf(domain.Timeout, "no answer in time: %w", err)}
	}
	return &unanswered{err: domain.Errorf(domain.Unavailable, "no answer: %w", err)}
}

// foreign is the error of an answer that no node of rift gives.
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

// printableText is the beginning of what a stranger said, in one line that a
// terminal can show.
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

// Unreachable tells an error of a client that got no answer from any node: nobody
// answered, or something that is not rift did.
func Unreachable(err error) bool {
	var silent *unanswered
	return errors.As(err, &silent)
}

// Foreign tells an error of a client that was answered by something that is not
// rift. It is Unreachable too.
func Foreign(err error) bool {
	var silent *unanswered
	return errors.As(err, &silent) && silent.foreign
}

// Speaks tells from the head of a response whether a node of rift may have made it.
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

// NoAnswer makes an error of an answer that lacks what its command has to answer,
// which only the caller can know. It is Unreachable, and Foreign.
func NoAnswer(format string, args ...any) error {
	return foreignError(fmt.Sprintf(format, args...))
}

// stay keeps a client where it was sent: a redirection is an answer of something
// else, and a token is for the nodes that were named.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

var defaultHTTP = &http.Client{CheckRedirect: stay}
