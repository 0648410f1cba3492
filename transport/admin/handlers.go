package admin

import (
	"context"
	"slices"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/transport"
)

// HandlersQuery is the query for event handlers: all, or those of one event type,
// or the one with a name (its own or its documented name), optionally only those
// that have run or failed.
type HandlersQuery struct {
	Event string `query:"event"`
	Name  string `query:"name"`
	Ran   bool   `query:"ran"`
}

// Keeps reports whether a handler, given by its event, its name and its documented
// name, is selected.
func (q HandlersQuery) Keeps(event, name, documented string) bool {
	return (q.Event == "" || q.Event == event) && (q.Name == "" || q.Name == name || q.Name == documented)
}

func tellHandlers(ctx context.Context, b transport.Backend, q HandlersQuery) (transport.Handlers, domain.Position, error) {
	handlers, err := b.Handlers(ctx)
	if err != nil {
		return handlers, 0, err
	}
	handlers.Handlers = slices.DeleteFunc(handlers.Handlers, func(row transport.HandlerRow) bool {
		return !q.Keeps(row.Event, row.Name, row.Documented) || q.Ran && row.Runs == 0 && row.Failures == 0
	})
	return handlers, handlers.Position, nil
}
