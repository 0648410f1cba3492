// Package gauntlet is the read model of gauntlets: one row per gauntlet, its parts,
// and the gauntlet of each work item.
//
// It runs no test: results are copied from events. Read Projection, then StatusOf,
// the query of /gauntlet/status, then parts.go (a row per part).
package gauntlet

import (
	"errors"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
	"github.com/ringrift/rift/domain/gauntlet"
	"github.com/ringrift/rift/projections"
)

// Row is a gauntlet, as folded from its stream.
type Row struct {
	GauntletID gauntlet.ID `json:"gauntlet_id"`
	gauntlet.Gauntlet
	StartedAt time.Time       `json:"started_at"`
	UpdatedAt time.Time       `json:"updated_at"`
	Position  domain.Position `json:"position"`
}

// Task is the gauntlet that a work item belongs to.
type Task struct {
	GauntletID gauntlet.ID    `json:"gauntlet_id"`
	ModelID    domain.ModelID `json:"model_id"`
	Part       int            `json:"part,omitempty"` // from 0
}

// The tables of the gauntlets.
var (
	GauntletsTable     = projections.Table[Row]{Name: "gauntlet.gauntlets"}
	gauntletTasksTable = projections.Table[Task]{Name: "gauntlet.tasks"}
)

// Projection returns the read model of the gauntlets.
func Projection() projections.Projection {
	return projections.Projection{
		Name: "gauntlet", Version: 3, About: "what models were measured against, and what came of it",
		Tables: []string{GauntletsTable.Name, gauntletTasksTable.Name, partsTable.Name},
		Handlers: []projections.Handler{
			projections.On(func(tx projections.Tx, e domain.Envelope, started gauntlet.Started) error {
				return errors.Join(gauntletStep(tx, e), gauntletParts(tx, e, started.First(), nil))
			}),
			projections.On(func(tx projections.Tx, e domain.Envelope, played gauntlet.Played) error {
				return errors.Join(gauntletStep(tx, e), gauntletParts(tx, e, played.Queue, func(row Row) error { return endPart(tx, row, played) }))
			}),
			projections.On(func(tx projections.Tx, e domain.Envelope, excluded gauntlet.WorkerExcluded) error {
				return errors.Join(gauntletStep(tx, e), gauntletParts(tx, e, excluded.Queue, func(row Row) error { return takeBack(tx, row, excluded.Counted) }))
			}),
			projections.On(func(tx projections.Tx, e domain.Envelope, more gauntlet.Continued) error {
				return errors.Join(gauntletStep(tx, e), gauntletParts(tx, e, []gauntlet.QueuedPart{{TaskID: more.TaskID}}, nil))
			}),
			projections.On(func(tx projections.Tx, e domain.Envelope, _ gauntlet.Finished) error { return gauntletStep(tx, e) }),
		},
	}
}

func gauntletStep(tx projections.Tx, e domain.Envelope) error {
	id := e.Stream.ID()
	return GauntletsTable.Update(tx, id, func(row *Row) {
		row.GauntletID, row.UpdatedAt, row.Position = gauntlet.ID(id), e.Time, e.Position
		if row.StartedAt.IsZero() {
			row.StartedAt = e.Time
		}
		row.Gauntlet = row.Gauntlet.Evolve(e)
	})
}

// gauntletParts applies what an event says about parts, and records which items
// play them. It ignores events of a round that is over.
func gauntletParts(tx projections.Tx, e domain.Envelope, queue []gauntlet.QueuedPart, ended func(Row) error) error {
	row, _, err := GauntletsTable.Get(tx, e.Stream.ID())
	if err != nil || row.Started == nil || row.Finished != nil {
		return err
	}
	if ended != nil {
		if err := ended(row); err != nil {
			return err
		}
	}
	for _, q := range queue {
		if err := gauntletTasksTable.Put(tx, string(q.TaskID), Task{row.GauntletID, row.Started.ModelID, q.Part}); err != nil {
			return err
		}
	}
	return queueParts(tx, row, queue)
}

// ByTask returns the gauntlet of a work item; false if it belongs to none.
func ByTask(v projections.View, task domain.TaskID) (Task, bool, error) {
	return gauntletTasksTable.Get(v, string(task))
}

// OneGauntlet is the query for a gauntlet.
type OneGauntlet struct {
	GauntletID string `query:"gauntlet_id" required:"true"`
}

// Answer is the state of a gauntlet.
type Answer struct {
	Gauntlet Status `json:"gauntlet"`
}

// Status is the state of a gauntlet.
type Status struct {
	GauntletID  gauntlet.ID          `json:"gauntlet_id"`
	ConfigKey   domain.ConfigKey     `json:"config_key"`
	ModelID     domain.ModelID       `json:"model_id"`
	State       string               `json:"state" doc:"running, done, failed"`
	Opponents   []string             `json:"opponents"`
	InUse       domain.ModelID       `json:"in_use,omitempty"`
	TaskID      domain.TaskID        `json:"task_id" doc:"of the item that ended last, or began the round"`
	Round       int                  `json:"round"`
	Parts       int                  `json:"parts" doc:"of this round that count, in their order"`
	Queued      int                  `json:"parts_queued" doc:"that have had a work item"`
	Games       int                  `json:"games" doc:"with a result, of the parts that count"`
	Wanted      int                  `json:"games_wanted" doc:"at most"`
	Quick       bool                 `json:"quick,omitempty"`
	Results     []elo.OpponentResult `json:"results"`
	Score       *float64             `json:"score" doc:"share of the points of all games"`
	Pentanomial []int                `json:"pentanomial" doc:"against the opponent of the test, where games were paired"`
	LLR         *float64             `json:"llr"`
	Elo         *float64             `json:"elo" doc:"over the opponent of the test"`
	Error       *float64             `json:"error" doc:"half of its 95 % interval"`
	Lower       *float64             `json:"lower" doc:"bounds of the test"`
	Upper       *float64             `json:"upper"`
	SPRT        *gauntlet.SPRT       `json:"sprt,omitempty"`
	LOS         *float64             `json:"los" doc:"likelihood of superiority over that opponent"`
	Wilson      []float64            `json:"wilson,omitempty" doc:"95 % interval of the score against that opponent"`
	Stopped     *gauntlet.Stopped    `json:"stopped,omitempty" doc:"the strength, corrected for having stopped at a bound"`
	Alike       bool                 `json:"alike,omitempty" doc:"every game or pair of the test ended alike: it may be one game, played again"`
	Excluded    []domain.NodeID      `json:"excluded,omitempty"`
	Decision    string               `json:"decision"`
	Reason      string               `json:"reason,omitempty"`
	StartedAt   time.Time            `json:"started_at"`
	UpdatedAt   time.Time            `json:"updated_at"`
}

// StatusOf returns the state of one gauntlet.
func StatusOf(v projections.View, q OneGauntlet) (Answer, error) {
	row, found, err := GauntletsTable.Get(v, q.GauntletID)
	if err != nil {
		return Answer{}, err
	}
	if !found || row.Started == nil {
		return Answer{}, domain.Errorf(domain.NotFound, "no gauntlet %q is known", q.GauntletID)
	}
	return Answer{row.status()}, nil
}

func (r Row) status() Status {
	s := r.Started
	answer := Status{
		GauntletID: r.GauntletID, ConfigKey: s.ConfigKey, ModelID: s.ModelID, State: r.State(), Opponents: s.Opponents, InUse: s.InUse,
		TaskID: r.Item, Round: s.Round, Parts: r.Counted, Queued: r.Queued, Wanted: s.Wanted(), SPRT: s.SPRT, Excluded: r.Excluded, Results: []elo.OpponentResult{}, Quick: s.Quick,
		StartedAt: r.StartedAt, UpdatedAt: r.UpdatedAt,
	}
	played := r.Played
	if look := r.Look; look != nil {
		answer.LLR = &look.LLR
		if look.Lower < look.Upper {
			answer.Lower, answer.Upper, answer.Elo, answer.Error = &look.Lower, &look.Upper, &look.Elo, &look.Error
		}
	}
	if f := r.Finished; f != nil {
		answer.Score, answer.LLR, answer.Elo, answer.Error, answer.Decision, answer.Reason = f.Score, f.LLR, f.Elo, f.Error, f.Decision, f.Reason
		answer.Lower, answer.Upper, answer.LOS, answer.Wilson, answer.Stopped, answer.Alike = f.Lower, f.Upper, f.LOS, f.Wilson, f.Stopped, f.Alike
		played = f.Results
	}
	for _, result := range played {
		answer.Games += result.Games()
		answer.Results = append(answer.Results, result)
		if result.Opponent == s.Tested() {
			answer.Pentanomial = result.Pentanomial
		}
	}
	return answer
}

// ManyGauntlets is the query for gauntlets.
type ManyGauntlets struct {
	ConfigKey string `query:"config_key"`
	State     string `query:"state"`
	From      string `query:"from"`
	Limit     int    `query:"limit"`
}

// GauntletsAnswer lists gauntlets by name.
type GauntletsAnswer struct {
	Gauntlets []Status `json:"gauntlets"`
	Next      string   `json:"next,omitempty" doc:"ask again with from=next for more"`
}

// Results returns gauntlets by game and model.
func Results(v projections.View, q ManyGauntlets) (GauntletsAnswer, error) {
	span := projections.Span{From: q.From}
	if q.ConfigKey != "" {
		span.Prefix = q.ConfigKey + ":"
	}
	found, next, err := projections.PageOf(v, GauntletsTable, span, q.Limit, func(row Row) (Status, bool) {
		if row.Started == nil || q.State != "" && row.State() != q.State {
			return Status{}, false
		}
		return row.status(), true
	})
	return GauntletsAnswer{Gauntlets: found, Next: next.Key}, err
}
