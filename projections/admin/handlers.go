package admin

import (
	"slices"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/admin"
	"github.com/ringrift/rift/projections"
)

// HandlerFailures is what anybody has noted of the failures of one handler: a
// node of its read models and reactors, a tool of its own.
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

// The bounds of what is remembered.
const (
	keptHandlerFailures = 10
	keptHandlers        = 1000
)

// otherHandlers stands for the handlers past the bound.
const otherHandlers = "(others)"

// The tables of the handlers' failures.
var (
	handlerFailuresTable = projections.Table[HandlerFailures]{Name: "handlers.failures"}
	handlersKeptTable    = projections.Table[projections.KeptRow]{Name: "handlers.kept"}
)

// HandlersProjection is the read model of HANDLER_FAILED. The dead letters
// themselves are the store's: they say what this node could not do, this says
// what was noted on the log.
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

// FailuresAnswer is what was noted of the failures of handlers, by handler.
type FailuresAnswer struct {
	Handlers []HandlerFailures `json:"handlers"`
}

// FailedHandlers answers what was noted of the failures of handlers.
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
