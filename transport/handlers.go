package transport

import "github.com/ringrift/rift/projections"

// HandlerRoutes is what handlers failed at, and what has not happened for long.
func HandlerRoutes() []Route {
	return []Route{
		Get("/handlers/failures", "handlers.failures", projections.FailedHandlers, In("admin"), About("the failures of handlers, as nodes and tools noted them on the log")),
		Get("/alarms", "admin.alarms", projections.Alarms, In("admin"), About("how long ago work was last given out, completed, copied, exported, trained, measured and promoted, and which silence is an alarm")),
	}
}
