package node

import (
	"context"
	"iter"

	"github.com/ringrift/rift/projections"
)

// lookEvery is how many rows are read between two looks at whether a question is
// still wanted: about a millisecond of reading.
const lookEvery = 256

// boundedView is a view that is read no more once its context is over.
type boundedView struct {
	projections.View
	ctx  context.Context
	rows int // read so far
}

func bounded(ctx context.Context, v projections.View) *boundedView {
	return &boundedView{View: v, ctx: ctx}
}

// read counts a row that is read, and says why reading has to end.
func (b *boundedView) read() error {
	if b.rows++; b.rows%lookEvery != 0 {
		return nil
	}
	return b.ctx.Err()
}

// Get finds a row.
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

// Cells gives rows decoded, where the view has them: few, so that nobody waits long.
func (b *boundedView) Cells(table string, span projections.Span) (iter.Seq2[string, projections.Cell], bool) {
	if typed, ok := b.View.(projections.Typed); ok {
		return typed.Cells(table, span)
	}
	return nil, false
}
