package admin

import (
	"slices"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/admin"
	"github.com/ringrift/rift/projections"
)

// HandlerFailures is the recorded failures of one handler: of a node's read models
// and reactors, or of an external tool.
type HandlerFailures struct {
	Handler  string           `json:"handler"`
	Failures int64            `json:"failures"`
	Recent   []HandlerFailure `json:"recent" doc:"the last ones, oldest first"`
}

// HandlerFailure is one failure at one event.
type HandlerFailure struct {
	EventPosition domain.Position `json:"event_position"`
	EventID       domain.EventID  `json:"event_id"`
	Error         string          `json:"error"`
	At            time.Time       `json:"at"`
	Position      domain.Position `json:"position" doc:"of the note"`
}

// Limits of what is kept.
const (
	keptHandlerFailures = 10
	keptHandlers        = 1000
)

// otherHandlers stands for the handlers above the limit.
const otherHandlers = "(others)"

// The tables of the handlers' failures.
var (
	handlerFailuresTable = projections.Table[HandlerFailures]{Name: "handlers.failures"}
	handlersKeptTable    = projections.Table[projections.KeptRow]{Name: "handlers.kept"}
)

// HandlersProjection returns the read model of HANDLER_FAILED, which has the
// failures recorded in the log. The dead letters of this node are kept by the
// store.
func HandlersProjection() projections.Projection {
	return projections.Projection{
		Name: "handlers", Version: 1, About: "the failures of handlers, as nodes and tools noted them",
		Tables:   []string{handlerFailuresTable.Name, handlersKeptTable.Name},
		Handlers: []projections.Handler{projections.On(handlerFailed).Named("handler_failed")},
	}
}

func handlerFailed(tx projections.Tx, e domain.Envelope, failed admin.HandlerFailed) error {
	key := failed.Handler
	row, known, err := handlerFailuresTable.Get(tx, key)
	if err != nil {
		return err
	}
	if !known {
		kept, _, err := handlersKeptTable.Get(tx, "")
		if err != nil {
			return err
		}
		if kept.Count >= keptHandlers {
			key = otherHandlers
			if row, _, err = handlerFailuresTable.Get(tx, key); err != nil {
				return err
			}
		} else if err := handlersKeptTable.Put(tx, "", projections.KeptRow{Count: kept.Count + 1}); err != nil {
			return err
		}
	}
	row.Handler = key
	row.Failures++
	row.Recent = append(slices.Clip(row.Recent), HandlerFailure{failed.Position, failed.EventID, failed.Error, e.Time, e.Position})
	if excess := len(row.Recent) - keptHandlerFailures; excess > 0 {
		row.Recent = row.Recent[excess:]
	}
	return handlerFailuresTable.Put(tx, key, row)
}

// FailuresAnswer lists the recorded failures by handler.
type FailuresAnswer struct {
	Handlers []HandlerFailures `json:"handlers"`
}

// FailedHandlers returns the recorded failures of handlers.
func FailedHandlers(v projections.View, _ projections.NoQuestion) (FailuresAnswer, error) {
	answer := FailuresAnswer{Handlers: []HandlerFailures{}}
	for entry, err := range handlerFailuresTable.Scan(v, projections.Span{}) {
		if err != nil {
			return answer, err
		}
		answer.Handlers = append(answer.Handlers, entry.Row)
	}
	return answer, nil
}
