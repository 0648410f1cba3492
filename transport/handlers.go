package transport

import (
	"context"
	"slices"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
)

// HandlerRoutes is what handlers do and failed at, and what has not happened for long.
func HandlerRoutes() []Route {
	admin := In("admin")
	return []Route{
		Tell("/handlers", "admin.handlers", tellHandlers, admin, About("the handlers of events and the reactors: what each reads, writes and commands; runs, failures, lag, last run")),
		Get("/handlers/failures", "handlers.failures", projections.FailedHandlers, admin, About("the failures of handlers, as nodes and tools noted them on the log")),
		Get("/alarms", "admin.alarms", projections.Alarms, admin, About("how long ago work was last given out, completed, copied, exported, trained, measured and promoted, and which silence is an alarm")),
	}
}

// HandlersQuery asks for handlers: all, or those of one type of event, or the
// one of a name: its own, or the one it is documented by.
type HandlersQuery struct {
	Event string `query:"event"`
	Name  string `query:"name"`
}

func tellHandlers(ctx context.Context, b Backend, q HandlersQuery) (Handlers, domain.Position, error) {
	handlers, err := b.Handlers(ctx)
	if err != nil {
		return handlers, 0, err
	}
	handlers.Handlers = slices.DeleteFunc(handlers.Handlers, func(row HandlerRow) bool {
		return q.Event != "" && row.Event != q.Event || q.Name != "" && row.Name != q.Name && row.Documented != q.Name
	})
	return handlers, handlers.Position, nil
}
