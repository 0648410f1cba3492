package tournament

import (
	"slices"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/tournament"
	"github.com/ringrift/rift/projections"
)

// OneBracket is the query for the pairings of a tournament.
type OneBracket struct {
	TournamentID string `query:"tournament_id" required:"true"`
	Round        int    `query:"round" doc:"only this one, with every game"`
	Form         string `query:"form" doc:"json, text or svg; default: by the Accept header"`
}

// Bracket is the rounds of a tournament, and its standings.
type Bracket struct {
	TournamentID tournament.ID         `json:"tournament_id"`
	Format       tournament.Format     `json:"format"`
	ConfigKey    domain.ConfigKey      `json:"config_key,omitempty"`
	State        string                `json:"state" doc:"running, stalled, done, cancelled"`
	Planned      int                   `json:"rounds_planned"`
	Games        int                   `json:"games" doc:"played"`
	Reason       string                `json:"reason,omitempty"`
	Rounds       []Round               `json:"rounds"`
	Standings    []tournament.Standing `json:"standings"`
	StartedAt    time.Time             `json:"started_at"`
	UpdatedAt    time.Time             `json:"updated_at"`

	form string
}

// Round is the pairings of a round.
type Round struct {
	Round    int       `json:"round"`
	Part     string    `json:"part,omitempty" doc:"of a knock-out"`
	Pairings []Pairing `json:"pairings"`
}

// Pairing is the players of a pairing, and its result.
type Pairing struct {
	Pairing int      `json:"pairing"`
	Players []string `json:"players" doc:"in the order of the seats of game 1; in every next game each moves on one seat"`
	Games   int      `json:"games" doc:"of the pairing; 0 for a bye"`
	Played  int      `json:"played"`
	Result  *Result  `json:"result" doc:"null until it is over"`
	Bye     bool     `json:"bye"`
	Failure string   `json:"failure,omitempty" doc:"its games came to nothing; it waits for a result by hand"`
	Results []Game   `json:"results,omitempty" doc:"game by game, if one round is requested"`
}

// Result is the result of a pairing. Ranks and points are in the order of the
// players.
type Result struct {
	Ranks  []int     `json:"ranks"`
	Points []float64 `json:"points"`
	Winner string    `json:"winner,omitempty"`
	Reason string    `json:"reason,omitempty" doc:"why it was decided otherwise than by its games"`
}

// Game is the result of a game.
type Game struct {
	Game  int           `json:"game"`
	Seats []string      `json:"seats"`
	Ranks []int         `json:"ranks" doc:"in the order of the pairing's players"`
	Plies int           `json:"plies,omitempty"`
	Task  domain.TaskID `json:"task_id,omitempty"`
}

// BracketOf returns the pairings of a tournament.
func BracketOf(v projections.View, q OneBracket) (Bracket, error) {
	row, known, err := TournamentsTable.Get(v, q.TournamentID)
	if err != nil {
		return Bracket{}, err
	}
	if !known || row.Started == nil {
		return Bracket{}, domain.Errorf(domain.NotFound, "no tournament %q is known", domain.Clip(q.TournamentID, 64))
	}
	if err := checkForm(q.Form); err != nil {
		return Bracket{}, err
	}
	var tables []tournament.Table
	for entry, err := range PairingsTable.Scan(v, projections.Span{Prefix: projections.Pair(q.TournamentID, "")}) {
		if err != nil {
			return Bracket{}, err
		}
		tables = append(tables, entry.Row)
	}
	answer := Bracket{
		TournamentID: row.TournamentID, Format: row.Started.Format, ConfigKey: row.Started.ConfigKey, State: row.state(), Planned: row.Started.Rounds,
		Games: row.Games, Rounds: []Round{}, StartedAt: row.StartedAt, UpdatedAt: row.UpdatedAt, form: q.Form,
	}
	if row.Cancelled != nil {
		answer.Reason = row.Cancelled.Reason
	}
	if row.Ranked != nil {
		answer.Standings, answer.Reason = row.Ranked.Standings, row.Ranked.Reason
	} else {
		if answer.Standings, err = tournament.Standings(*row.Started, row.away(), slices.Values(tables)); err != nil {
			return Bracket{}, err
		}
	}
	for _, table := range tables {
		if q.Round != 0 && q.Round != table.Round {
			continue
		}
		last := len(answer.Rounds) - 1
		if last < 0 || answer.Rounds[last].Round != table.Round {
			answer.Rounds, last = append(answer.Rounds, Round{Round: table.Round, Part: table.Part}), last+1
		}
		answer.Rounds[last].Pairings = append(answer.Rounds[last].Pairings, pairingOf(table, q.Round != 0))
	}
	return answer, nil
}

func pairingOf(t tournament.Table, games bool) Pairing {
	p := Pairing{Pairing: t.Number, Players: t.Players, Games: t.Games, Played: len(t.Played), Bye: t.Bye(), Failure: t.Failure}
	if o := t.Outcome; o != nil {
		p.Result = &Result{Ranks: ranksOf(o.Points, o.Winner, t.Players), Points: o.Points, Winner: o.Winner, Reason: o.Reason}
	}
	if games {
		for _, g := range t.Played {
			p.Results = append(p.Results, Game{g.Number, t.Seats(g.Number), g.Ranks, g.Plies, g.TaskID})
		}
	}
	return p
}

// ranksOf converts points to ranks; the winner is first even if others have equal
// points.
func ranksOf(points []float64, winner string, players []string) []int {
	before := func(i, j int) bool {
		return points[i] > points[j] || points[i] == points[j] && players[i] == winner && players[j] != winner
	}
	ranks := make([]int, len(points))
	for i := range points {
		ranks[i] = 1
		for j := range points {
			if j != i && before(j, i) {
				ranks[i]++
			}
		}
	}
	return ranks
}

// ManyTournaments is the query for tournaments.
type ManyTournaments struct {
	TournamentID string `query:"tournament_id"`
	State        string `query:"state"`
	From         string `query:"from"`
	Limit        int    `query:"limit"`
}

// Tournaments lists tournaments by name.
type Tournaments struct {
	Tournaments []Status `json:"tournaments"`
	Next        string   `json:"next,omitempty" doc:"ask again with from=next for more"`
}

// Status is the progress of a tournament.
type Status struct {
	TournamentID tournament.ID     `json:"tournament_id"`
	Format       tournament.Format `json:"format,omitempty" doc:"absent: it was held elsewhere"`
	ConfigKey    domain.ConfigKey  `json:"config_key,omitempty"`
	State        string            `json:"state"`
	Participants int               `json:"participants"`
	Withdrawn    []string          `json:"withdrawn"`
	Round        int               `json:"round" doc:"paired last"`
	Rounds       int               `json:"rounds_planned"`
	Pairings     int               `json:"pairings" doc:"of the rounds that are paired"`
	Open         int               `json:"open"`
	Failed       int               `json:"failed"`
	Games        int               `json:"games"`
	Wanted       int               `json:"games_wanted" doc:"of the rounds that are paired"`
	Winner       string            `json:"winner,omitempty"`
	Reason       string            `json:"reason,omitempty"`
	StartedAt    time.Time         `json:"started_at"`
	UpdatedAt    time.Time         `json:"updated_at"`
}

// StatusOf returns the progress of tournaments: of one, or of all by name.
func StatusOf(v projections.View, q ManyTournaments) (Tournaments, error) {
	if q.TournamentID != "" {
		row, known, err := TournamentsTable.Get(v, q.TournamentID)
		if err == nil && !known {
			err = domain.Errorf(domain.NotFound, "no tournament %q is known", domain.Clip(q.TournamentID, 64))
		}
		return Tournaments{Tournaments: []Status{row.status()}}, err
	}
	found, next, err := projections.PageOf(v, TournamentsTable, projections.Span{From: q.From}, q.Limit, func(row Row) (Status, bool) {
		return row.status(), q.State == "" || row.state() == q.State
	})
	return Tournaments{Tournaments: found, Next: next.Key}, err
}

func (r Row) status() Status {
	s := Status{
		TournamentID: r.TournamentID, State: r.state(), Withdrawn: r.Withdrawn, Round: r.Paired, Pairings: r.Pairings, Open: r.Open, Failed: r.Failed,
		Games: r.Games, Wanted: r.Wanted, StartedAt: r.StartedAt, UpdatedAt: r.UpdatedAt,
	}
	if s.Withdrawn == nil {
		s.Withdrawn = []string{}
	}
	if r.Started != nil {
		s.Format, s.ConfigKey, s.Participants, s.Rounds = r.Started.Format, r.Started.ConfigKey, len(r.Started.Participants), r.Started.Rounds
	}
	if c := r.Completed; c != nil && r.Started == nil {
		s.Winner, s.ConfigKey, s.Games, s.Participants = c.WinnerID, c.ConfigKey, c.GamesPlayed, len(c.Ranking)
	}
	if r.Ranked != nil {
		s.Reason = r.Ranked.Reason
		if first := r.Ranked.Standings; first[1].Rank > 1 {
			s.Winner = first[0].Participant
		}
	}
	if r.Cancelled != nil {
		s.Reason = r.Cancelled.Reason
	}
	return s
}
