package admin

import (
	"slices"
	"strings"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/admin"
	"github.com/ringrift/rift/projections"
)

// PauseRow is the reasons that pause one kind. A kind that is not paused has no
// row.
type PauseRow struct {
	Kind   string      `json:"kind"`
	Pauses []PauseHold `json:"pauses" doc:"by reason"`
}

// PauseHold is one reason, with its actor and end.
type PauseHold struct {
	Reason   string          `json:"reason"`
	Since    time.Time       `json:"since"`
	Until    *time.Time      `json:"until" doc:"null: until it is lifted"`
	Actor    string          `json:"actor,omitempty"`
	Position domain.Position `json:"position"`
}

// Reasons returns the reasons as text: "cluster, upgrade until
// 2026-01-02T03:04:05Z".
func (r PauseRow) Reasons() string {
	reasons := make([]string, len(r.Pauses))
	for i, hold := range r.Pauses {
		reasons[i] = hold.Reason
		if hold.Until != nil {
			reasons[i] += " until " + hold.Until.Format(domain.Timestamp)
		}
	}
	return strings.Join(reasons, ", ")
}

// PauseEndRow is a time at which a reason expires.
type PauseEndRow struct {
	Kind   string    `json:"kind"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
}

// The tables of the administration.
var (
	adminPausesTable    = projections.Table[PauseRow]{Name: "admin.pauses"}
	adminPauseEndsTable = projections.Table[PauseEndRow]{Name: "admin.pause_ends"}
)

// Projection returns the read model of the administration.
func Projection() projections.Projection {
	return projections.Projection{
		Name: "admin", Version: 2, About: "which kinds are paused, why and until when; what was done about dead letters",
		Tables:   []string{adminPausesTable.Name, adminPauseEndsTable.Name, adminLettersTable.Name},
		Handlers: []projections.Handler{projections.On(kindPaused), projections.On(kindResumed), projections.On(letterRetried), projections.On(letterDiscarded)},
	}
}

func kindPaused(tx projections.Tx, e domain.Envelope, paused admin.KindPaused) error {
	row, _, err := adminPausesTable.Get(tx, paused.Kind)
	if err != nil {
		return err
	}
	hold := PauseHold{Reason: paused.Reason, Since: e.Time, Actor: e.Meta.Actor, Position: e.Position}
	at, there := row.find(paused.Reason)
	holds := slices.Clone(row.Pauses)
	if there {
		hold.Since = holds[at].Since // the pause was only changed
		if err := dropPauseEnd(tx, paused.Kind, holds[at]); err != nil {
			return err
		}
		holds[at] = hold
	} else {
		holds = slices.Insert(holds, at, hold)
	}
	if !paused.Until.IsZero() {
		holds[at].Until = &paused.Until
		end := PauseEndRow{paused.Kind, paused.Reason, paused.Until}
		if err := adminPauseEndsTable.Put(tx, pauseEndKey(paused.Kind, holds[at]), end); err != nil {
			return err
		}
	}
	return adminPausesTable.Put(tx, paused.Kind, PauseRow{paused.Kind, holds})
}

func kindResumed(tx projections.Tx, _ domain.Envelope, resumed admin.KindResumed) error {
	row, _, err := adminPausesTable.Get(tx, resumed.Kind)
	if err != nil {
		return err
	}
	at, there := row.find(resumed.Reason)
	if !there {
		return nil
	}
	if err := dropPauseEnd(tx, resumed.Kind, row.Pauses[at]); err != nil {
		return err
	}
	if len(row.Pauses) == 1 {
		return adminPausesTable.Delete(tx, resumed.Kind)
	}
	return adminPausesTable.Put(tx, resumed.Kind, PauseRow{resumed.Kind, slices.Delete(slices.Clone(row.Pauses), at, at+1)})
}

func (r PauseRow) find(reason string) (int, bool) {
	return slices.BinarySearchFunc(r.Pauses, reason, func(hold PauseHold, reason string) int { return strings.Compare(hold.Reason, reason) })
}

func pauseEndKey(kind string, hold PauseHold) string {
	return projections.TimeKey(*hold.Until) + projections.Pair(kind, hold.Reason)
}

func dropPauseEnd(tx projections.Tx, kind string, hold PauseHold) error {
	if hold.Until == nil {
		return nil
	}
	return adminPauseEndsTable.Delete(tx, pauseEndKey(kind, hold))
}

// PausedKinds lists the paused kinds by name, each with its reasons.
func PausedKinds(v projections.View) ([]PauseRow, error) {
	var rows []PauseRow
	for entry, err := range adminPausesTable.Scan(v, projections.Span{}) {
		if err != nil {
			return nil, err
		}
		rows = append(rows, entry.Row)
	}
	return rows, nil
}

// IsPaused reports whether a kind is paused, by reasons of its own or of AllKinds,
// and returns the row.
func IsPaused(v projections.View, kind string) (PauseRow, bool, error) {
	row, held, err := adminPausesTable.Get(v, kind)
	if err != nil || held {
		return row, held, err
	}
	return adminPausesTable.Get(v, admin.AllKinds)
}

// DuePauses lists at most limit expired reasons, and returns when the next one
// expires (zero for none).
func DuePauses(v projections.View, now time.Time, limit int) ([]PauseEndRow, time.Time, error) {
	var due []PauseEndRow
	for entry, err := range adminPauseEndsTable.Scan(v, projections.Span{}) {
		if err != nil {
			return nil, time.Time{}, err
		}
		if entry.Row.At.After(now) || len(due) == limit {
			return due, entry.Row.At, nil
		}
		due = append(due, entry.Row)
	}
	return due, time.Time{}, nil
}

// PausesAnswer lists the paused kinds.
type PausesAnswer struct {
	Paused []PauseRow `json:"paused"`
}

// Pauses returns the paused kinds with their reasons.
func Pauses(v projections.View, _ projections.NoQuestion) (PausesAnswer, error) {
	rows, err := PausedKinds(v)
	if rows == nil {
		rows = []PauseRow{}
	}
	return PausesAnswer{rows}, err
}
