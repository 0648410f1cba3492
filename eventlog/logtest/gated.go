package logtest

import (
	"context"
	"iter"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// Gated wraps a log so that a read that begins before a position gives what lies
// beyond it only once let is closed: whoever reads history is held up, whoever
// follows the end is not.
func Gated(log eventlog.Log, beyond domain.Position, let <-chan struct{}) eventlog.Log {
	return &gated{Log: log, beyond: beyond, let: let}
}

type gated struct {
	eventlog.Log
	beyond domain.Position
	let    <-chan struct{}
}

func (g *gated) ReadAll(ctx context.Context, from domain.Position, direction eventlog.Direction, filter eventlog.Filter) iter.Seq2[domain.Envelope, error] {
	return func(yield func(domain.Envelope, error) bool) {
		for e, err := range g.Log.ReadAll(ctx, from, direction, filter) {
			if from < g.beyond && e.Position > g.beyond {
				select {
				case <-g.let:
				case <-ctx.Done():
					return
				}
			}
			if !yield(e, err) {
				return
			}
		}
	}
}
