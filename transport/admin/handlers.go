package admin

import (
	"context"
	"slices"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/transport"
)

// HandlersQuery asks for handlers: all, or those of one type of event, or the
// one of a name: its own, or the one it is documented by; or of these the ones
// that were at work, or failed.
type HandlersQuery struct {
	Event string `query:"event"`
	Name  string `query:"name"`
	Ran   bool   `query:"ran"`
}

// Keeps tells whether a handler is meant: its event, its name, and the name it is
// documented by.
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
