// Package tournament is the read model of tournaments: a row for each, one for each
// of its pairings, and which work item plays which games.
//
// It decides nothing: rows are folded and standings computed by domain/tournament.
// Read Projection, then bracket.go (the query of /tournament/bracket) and
// drawing.go (the same as text and SVG).
package tournament

import (
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/tournament"
	"github.com/ringrift/rift/projections"
)

// Row is a tournament without its pairings. Started is nil for one that was held
// elsewhere.
type Row struct {
	TournamentID tournament.ID         `json:"tournament_id"`
	Started      *tournament.Started   `json:"started,omitempty"`
	Withdrawn    []string              `json:"withdrawn,omitempty"`
	Paired       int                   `json:"paired"`   // rounds
	Pairings     int                   `json:"pairings"` // in these rounds, including byes
	Open         int                   `json:"open"`     // of these, the undecided ones
	Failed       int                   `json:"failed"`   // of these, the ones that need an operator
	Games        int                   `json:"games"`    // played
	Wanted       int                   `json:"wanted"`   // in the rounds paired so far
	Ranked       *tournament.Ranked    `json:"ranked,omitempty"`
	Completed    *tournament.Completed `json:"completed,omitempty"` // as reported; all that is known of a tournament held elsewhere
	Cancelled    *tournament.Cancelled `json:"cancelled,omitempty"`
	StartedAt    time.Time             `json:"started_at"`
	UpdatedAt    time.Time             `json:"updated_at"`
	Position     domain.Position       `json:"position"`
}

// state is the same as domain/tournament's Tournament.State.
func (r Row) state() string {
	if r.Started == nil && r.Completed != nil {
		return "done"
	}
	return tournament.Tournament{Started: r.Started, Failed: r.Failed, Ranked: r.Ranked, Cancelled: r.Cancelled}.State()
}

// away lists the numbers of the withdrawn participants.
func (r Row) away() (numbers []int) {
	for _, name := range r.Withdrawn {
		numbers = append(numbers, r.Started.Number(name))
	}
	return numbers
}

// Task is the games that a work item plays.
type Task struct {
	TournamentID tournament.ID   `json:"tournament_id"`
	Item         tournament.Item `json:"item"`
}

// The tables of the tournaments. The key of a pairing consists of its tournament,
// round and number.
var (
	TournamentsTable = projections.Table[Row]{Name: "tournament.tournaments"}
	PairingsTable    = projections.Table[tournament.Table]{Name: "tournament.pairings"}
	tasksTable       = projections.Table[Task]{Name: "tournament.tasks"}
)

func pairingKey(id tournament.ID, round, number int) string {
	return projections.Pair(string(id), tournament.Key(round, number))
}

// Projection returns the read model of the tournaments.
func Projection() projections.Projection {
	return projections.Projection{
		Name: "tournament", Version: 1, About: "who meets whom in tournaments, and what came of it",
		Tables: []string{TournamentsTable.Name, PairingsTable.Name, tasksTable.Name},
		Handlers: []projections.Handler{
			on(func(_ projections.Tx, row *Row, e tournament.Started) error {
				row.Started = &e
				return nil
			}),
			on(roundPaired),
			on(func(tx projections.Tx, row *Row, e tournament.GamesAsked) error {
				for _, item := range e.Items {
					if err := tasksTable.Put(tx, string(item.TaskID), Task{row.TournamentID, item}); err != nil {
						return err
					}
				}
				return steps(tx, row, e.Places(), e)
			}),
			on(func(tx projections.Tx, row *Row, e tournament.ItemsDropped) error {
				return steps(tx, row, e.Places(), e)
			}),
			on(func(tx projections.Tx, row *Row, e tournament.GameRecorded) error {
				return step(tx, row, e.Round, e.Pairing, e)
			}),
			on(func(tx projections.Tx, row *Row, e tournament.PairingExtended) error {
				return step(tx, row, e.Round, e.Pairing, e)
			}),
			on(func(tx projections.Tx, row *Row, e tournament.PairingDecided) error {
				return step(tx, row, e.Round, e.Pairing, e)
			}),
			on(func(tx projections.Tx, row *Row, e tournament.GamesFailed) error {
				return step(tx, row, e.Round, e.Pairing, e)
			}),
			on(func(_ projections.Tx, row *Row, e tournament.Withdrawn) error {
				row.Withdrawn = append(row.Withdrawn[:len(row.Withdrawn):len(row.Withdrawn)], e.Participant)
				return nil
			}),
			on(func(_ projections.Tx, row *Row, e tournament.Ranked) error {
				row.Ranked = &e
				return nil
			}),
			on(func(_ projections.Tx, row *Row, e tournament.Completed) error {
				row.Completed = &e
				return nil
			}),
			on(func(_ projections.Tx, row *Row, e tournament.Cancelled) error {
				row.Cancelled = &e
				return nil
			}),
		},
	}
}

// on returns a handler that changes the row of the event's tournament.
func on[E domain.Event](change func(projections.Tx, *Row, E) error) projections.Handler {
	return projections.On(func(tx projections.Tx, e domain.Envelope, event E) error {
		id := e.Stream.ID()
		row, _, err := TournamentsTable.Get(tx, id)
		if err != nil {
			return err
		}
		row.TournamentID, row.UpdatedAt, row.Position = tournament.ID(id), e.Time, e.Position
		if row.StartedAt.IsZero() {
			row.StartedAt = e.Time
		}
		if err := change(tx, &row, event); err != nil {
			return err
		}
		return TournamentsTable.Put(tx, id, row)
	})
}

func roundPaired(tx projections.Tx, row *Row, e tournament.RoundPaired) error {
	if row.Started == nil {
		return nil // appended without a decision
	}
	row.Paired = max(row.Paired, e.Round)
	for _, table := range e.Tables(*row.Started) {
		row.Pairings++
		row.Open++
		row.Wanted += table.Games
		if err := PairingsTable.Put(tx, pairingKey(row.TournamentID, table.Round, table.Number), table); err != nil {
			return err
		}
	}
	return nil
}

// steps applies a fact to several pairings.
func steps(tx projections.Tx, row *Row, places [][2]int, event domain.Event) error {
	for _, at := range places {
		if err := step(tx, row, at[0], at[1], event); err != nil {
			return err
		}
	}
	return nil
}

// step applies a fact to a pairing and keeps the counts of its tournament.
func step(tx projections.Tx, row *Row, round, number int, event domain.Event) error {
	key := pairingKey(row.TournamentID, round, number)
	before, known, err := PairingsTable.Get(tx, key)
	if err != nil || !known {
		return err
	}
	after := before.Evolve(event)
	row.Games += len(after.Played) - len(before.Played)
	row.Wanted += after.Games - before.Games
	if before.Outcome == nil && after.Outcome != nil {
		row.Open--
		row.Wanted -= after.Games - len(after.Played) // games that will not be played
	}
	switch {
	case before.Failure == "" && after.Failure != "":
		row.Failed++
	case before.Failure != "" && after.Failure == "":
		row.Failed--
	}
	return PairingsTable.Put(tx, key, after)
}

// ByTask returns the games that a work item plays; false if it belongs to no
// tournament.
func ByTask(v projections.View, task domain.TaskID) (tournament.ID, tournament.Item, bool, error) {
	found, known, err := tasksTable.Get(v, string(task))
	return found.TournamentID, found.Item, known, err
}

// StartedOf returns the start of a tournament.
func StartedOf(v projections.View, id tournament.ID) (tournament.Started, bool, error) {
	row, _, err := TournamentsTable.Get(v, string(id))
	if err != nil || row.Started == nil {
		return tournament.Started{}, false, err
	}
	return *row.Started, true, nil
}

// TableOf returns a pairing.
func TableOf(v projections.View, id tournament.ID, round, number int) (tournament.Table, bool, error) {
	return PairingsTable.Get(v, pairingKey(id, round, number))
}
