package admin

import (
	"strings"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/admin"
	"github.com/ringrift/rift/projections"
)

// ParkedLetter is a dead letter in the form in which the store keeps it.
type ParkedLetter struct {
	ID            string          `json:"id"`
	Handler       string          `json:"handler"`
	EventPosition domain.Position `json:"event_position"`
	EventType     string          `json:"event_type"`
	Error         string          `json:"error"`
	Attempts      int             `json:"attempts"`
}

// adminParkedTable is a table of the store, which writes it together with the rows.
var adminParkedTable = projections.Table[ParkedLetter]{Name: "admin.dead_letters"}

// FindParked returns a dead letter by its id, "<handler>@<position>".
func FindParked(v projections.View, id string) (ParkedLetter, bool, error) {
	cut := strings.LastIndexByte(id, '@')
	if cut < 1 {
		return ParkedLetter{}, false, nil
	}
	position, err := domain.ParsePosition(id[cut+1:])
	if err != nil {
		return ParkedLetter{}, false, nil //nolint:nilerr // an invalid id names no letter
	}
	key := id[:cut] + "@" + projections.PositionKey(position)
	cell, found, err := v.Get(adminParkedTable.Name, key)
	if err != nil || !found {
		return ParkedLetter{}, false, err
	}
	raw := cell.JSON
	if raw == nil { // the typed form, as the store has put it
		if raw, err = v.Codec().Marshal(cell.Typed); err != nil {
			return ParkedLetter{}, false, domain.Errorf(domain.Internal, "dead letter %s: %w", id, err)
		}
	}
	var letter ParkedLetter
	if err := v.Codec().Unmarshal(raw, &letter); err != nil {
		return ParkedLetter{}, false, domain.Errorf(domain.Corrupt, "dead letter %s: %w", id, err)
	}
	return letter, true, nil
}

// LetterActRow is a command that was given about a dead letter.
type LetterActRow struct {
	ID            string          `json:"id"`
	Act           string          `json:"act" doc:"retried, discarded"`
	Handler       string          `json:"handler"`
	EventPosition domain.Position `json:"event_position"`
	EventType     string          `json:"event_type"`
	Error         string          `json:"error,omitempty" doc:"of a discarded one"`
	Reason        string          `json:"reason,omitempty"`
	Actor         string          `json:"actor,omitempty"`
	At            time.Time       `json:"at"`
	Position      domain.Position `json:"position"`
}

var adminLettersTable = projections.Table[LetterActRow]{Name: "admin.letters"}

func letterRetried(tx projections.Tx, e domain.Envelope, retried admin.DeadLetterRetried) error {
	return adminLettersTable.Put(tx, projections.PositionKey(e.Position), LetterActRow{
		ID: retried.ID, Act: "retried", Handler: retried.Handler, EventPosition: retried.Position, EventType: retried.Name,
		Reason: retried.Reason, Actor: e.Meta.Actor, At: e.Time, Position: e.Position,
	})
}

func letterDiscarded(tx projections.Tx, e domain.Envelope, gone admin.DeadLetterDiscarded) error {
	return adminLettersTable.Put(tx, projections.PositionKey(e.Position), LetterActRow{
		ID: gone.ID, Act: "discarded", Handler: gone.Handler, EventPosition: gone.Position, EventType: gone.Name,
		Error: gone.Error, Reason: gone.Reason, Actor: e.Meta.Actor, At: e.Time, Position: e.Position,
	})
}

// LettersQuery is the query for the commands about dead letters.
type LettersQuery struct {
	Before string `query:"before"`
	Limit  int    `query:"limit"`
}

// LettersAnswer lists the commands about dead letters, newest first.
type LettersAnswer struct {
	Acts []LetterActRow `json:"acts"`
	Next string         `json:"next,omitempty" doc:"ask again with before=next for more"`
}

// LetterActs returns the commands about dead letters, newest first.
func LetterActs(v projections.View, q LettersQuery) (LettersAnswer, error) {
	acts, next, err := projections.PageOf(v, adminLettersTable, projections.Span{From: q.Before, Reverse: true}, q.Limit, projections.Every)
	answer := LettersAnswer{Acts: acts}
	if next.Key != "" {
		answer.Next = projections.PositionKey(acts[len(acts)-1].Position)
	}
	return answer, err
}
