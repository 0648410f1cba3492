package node

import (
	"context"
	"iter"

	"github.com/ringrift/rift/projections"
)

// lookEvery is the number of rows, about a millisecond of reading, after which a question
// is checked for having been given up.
const lookEvery = 256

// boundedView is a view whose reads fail once its context has ended.
type boundedView struct {
	projections.View
	ctx  context.Context
	rows int // read so far
}

func bounded(ctx context.Context, v projections.View) *boundedView {
	return &boundedView{View: v, ctx: ctx}
}

// read counts a row. It returns an error once the context has ended.
func (b *boundedView) read() error {
	if b.rows++; b.rows%lookEvery != 0 {
		return nil
	}
	return b.ctx.Err()
}

// Get returns a row.
func (b *boundedView) Get(table, key string) (*projections.Cell, bool, error) {
	if err := b.read(); err != nil {
		return nil, false, err
	}
	return b.View.Get(table, key)
}

// Scan yields rows in key order.
func (b *boundedView) Scan(table string, span projections.Span) iter.Seq2[projections.Row, error] {
	return func(yield func(projections.Row, error) bool) {
		for row, err := range b.View.Scan(table, span) {
			if over := b.read(); err == nil && over != nil {
				row, err = projections.Row{}, over
			}
			if !yield(row, err) || err != nil {
				return
			}
		}
	}
}

// Cells yields decoded rows, if the view has them. They are few, so it does not check.
func (b *boundedView) Cells(table string, span projections.Span) (iter.Seq2[string, projections.Cell], bool) {
	if typed, ok := b.View.(projections.Typed); ok {
		return typed.Cells(table, span)
	}
	return nil, false
}
