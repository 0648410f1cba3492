package work_test

import (
	"context"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections"
)

// blank is read models without a row.
type blank struct{ projections.View }

func (blank) Position() domain.Position                        { return 0 }
func (blank) Get(_, _ string) (*projections.Cell, bool, error) { return nil, false, nil }

// foldedQueue decides each command on a queue that it folds from the log.
type foldedQueue struct{ bus *commands.Bus }

func (f foldedQueue) fold(ctx context.Context) (*commands.Queue, error) {
	queue, err := work.New(nil, nil)
	if err != nil {
		return nil, err
	}
	for e, err := range f.bus.Log.ReadAll(ctx, 1, eventlog.Forward, eventlog.Filter{}) {
		if err != nil {
			return nil, err
		}
		if err := f.bus.Catalog.Fill(&e); err != nil {
			return nil, err
		}
		if err := queue.Apply(e); err != nil {
			return nil, err
		}
	}
	return &commands.Queue{Queue: queue, Models: blank{}, Before: func(string) ([]domain.TaskID, error) { return nil, nil }}, nil
}

func (f foldedQueue) Write(ctx context.Context, call *commands.Call) (commands.Result, error) {
	for again := true; again; {
		queue, err := f.fold(ctx)
		if err != nil {
			return commands.Result{}, err
		}
		group := commands.NewGroup(ctx, f.bus, queue)
		group.Decide(call)
		again = !group.Append() && call.Again()
	}
	return call.Result, call.Err
}
