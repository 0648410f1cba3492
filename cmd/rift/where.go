package main

import (
	"context"
	"errors"
	"strings"

	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/transport"
)

// whereFilter selects the events for which an expression is true. An event that the
// expression fails for, for example because a key is missing, is not selected but
// counted, so that a misspelt key is noticed.
type whereFilter struct {
	holds  func(domain.Envelope) (bool, error)
	failed int
	first  string
}

// compileWhere compiles --where, with the rules of GET /events?where=.
func compileWhere(ctx context.Context, text string) (*whereFilter, error) {
	if text == "" {
		return nil, nil
	}
	holds, err := transport.CompileWhere(ctx, text)
	if err != nil {
		reason := err.Error()
		var wrong *domain.Error
		if errors.As(err, &wrong) && len(wrong.Faults) > 0 {
			reason = wrong.Faults[0].Reason
		}
		return nil, hinted(usagef("--where: %s", reason), `the names are %s: data.node_id == "gpu-7"`, strings.Join(transport.WhereNames(), ", "))
	}
	return &whereFilter{holds: holds}, nil
}

func (w *whereFilter) keeps(e domain.Envelope) bool {
	if w == nil {
		return true
	}
	kept, err := w.holds(e)
	if err != nil {
		w.missed(1, firstLine(err.Error()))
	}
	return kept
}

// missed counts events that the expression failed for.
func (w *whereFilter) missed(n int, reason string) {
	if w == nil || n == 0 {
		return
	}
	if w.failed == 0 {
		w.first = reason
	}
	w.failed += n
}

// warn prints how many events the expression failed for.
func (w *whereFilter) warn(a *app) {
	if w != nil && w.failed > 0 {
		a.note("rift: --where could not be asked of %s; the first: %s", output.Plural(w.failed, "event"), w.first)
	}
}
