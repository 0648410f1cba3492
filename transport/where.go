package transport

import (
	"context"
	"encoding/json"
	"time"

	"github.com/expr-lang/expr"
	fastjson "github.com/goccy/go-json"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/transport/expression"
)

// whereEnv is what an expression can read of an event. Its numbers are JSON
// numbers.
type whereEnv struct {
	Position    int            `expr:"position"`
	Stream      string         `expr:"stream"`
	Category    string         `expr:"category"`
	Revision    int            `expr:"revision"`
	ID          string         `expr:"id"`
	Type        string         `expr:"type"`
	Version     int            `expr:"version"`
	Time        time.Time      `expr:"time"`
	Node        string         `expr:"node"`
	Actor       string         `expr:"actor"`
	Command     string         `expr:"command"`
	Causation   string         `expr:"causation"`
	Correlation string         `expr:"correlation"`
	Policy      string         `expr:"policy"`
	Term        int            `expr:"term"`
	Data        map[string]any `expr:"data"`
}

// where selects the events for which an expression is true. An event on
// which the expression fails, for example because it lacks a key, is not
// selected; such failures are counted and reported, so that a misspelt key
// is not mistaken for the absence of events.
type where struct {
	program  *expression.Program
	usesData bool
	errors   int
	first    string // the first error
}

// whereSteps limits the cost of one event, to about 10 ms.
const whereSteps = 1 << 20

// CompileWhere compiles an expression like GET /events?where= does, so that
// an expression means the same everywhere. The returned function reports
// whether the expression is true for an event; it returns an error if the
// expression fails, for example on a missing key, or if ctx ended.
func CompileWhere(ctx context.Context, text string) (func(domain.Envelope) (bool, error), error) {
	w, err := compileWhere(text)
	if err != nil {
		return nil, err
	}
	return func(e domain.Envelope) (bool, error) { return w.holds(ctx, &e) }, nil
}

// WhereNames lists the names that an expression can use.
func WhereNames() []string { return expression.NamesOf[whereEnv]() }

// compileWhere compiles an expression. Its error gives the place in the
// text.
func compileWhere(text string) (*where, error) {
	program, err := expression.Compile(text, whereSteps, WhereNames(), expr.Env(whereEnv{}))
	if err != nil {
		return nil, domain.Faulty("request", []domain.Fault{{Field: "where", Reason: err.Error()}})
	}
	return &where{program: program, usesData: program.Names("data") || program.Names("$env")}, nil
}

// keeps reports whether the expression is true for an event, and counts
// failures. If ctx has ended it returns false; the reader of the log checks
// ctx as well.
func (w *where) keeps(ctx context.Context, e *domain.Envelope) bool {
	kept, err := w.holds(ctx, e)
	if err != nil && ctx.Err() == nil {
		if w.errors == 0 {
			w.first = err.Error()
		}
		w.errors++
	}
	return kept
}

func (w *where) holds(ctx context.Context, e *domain.Envelope) (bool, error) {
	env := whereEnv{
		Position: int(e.Position), Stream: string(e.Stream), Category: e.Stream.Category(), Revision: int(e.Revision),
		ID: e.ID.String(), Type: e.Type, Version: e.Version, Time: e.Time,
		Node: e.Meta.Node, Actor: e.Meta.Actor, Command: e.Meta.Command, Causation: e.Meta.Causation,
		Correlation: e.Meta.Correlation, Policy: e.Meta.Policy, Term: int(e.Meta.Term),
	}
	if w.usesData {
		if err := fastjson.Unmarshal(e.Data, &env.Data); err != nil && json.Unmarshal(e.Data, &env.Data) != nil {
			return false, domain.Errorf(domain.Invalid, "position %d: the payload is no JSON object", e.Position)
		}
	}
	kept, err := w.program.Holds(ctx, env)
	if err != nil {
		return false, domain.Errorf(domain.Invalid, "position %d: %w", e.Position, err)
	}
	return kept, nil
}
