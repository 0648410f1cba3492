package report

import (
	"cmp"
	"slices"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/tournament"
	"github.com/ringrift/rift/projections"
	tournamentview "github.com/ringrift/rift/projections/tournament"
)

// Tournaments is the fold of a report on tournaments, from the read model of
// /tournament/bracket.
type Tournaments struct{ area }

// NewTournaments returns a fold without events. Tournaments without an event in the window
// are left out of the report.
func NewTournaments(catalog *domain.Catalog, window Window) (*Tournaments, error) {
	a, err := newArea(catalog, window, tournamentview.Projection(), tournament.Events())
	if err != nil {
		return nil, err
	}
	return &Tournaments{a}, nil
}

// TournamentReport is a report on tournaments.
type TournamentReport struct {
	Tournaments []tournamentview.Status `json:"tournaments"` // stalled ones first
	One         *OneTournament          `json:"one,omitempty"`
	Log         Footer                  `json:"log"`
}

// OneTournament is a tournament in full.
type OneTournament struct {
	Bracket  tournamentview.Bracket `json:"bracket"`
	Crosses  []Crosses              `json:"crosstable"` // by rank
	Sittings []Sitting              `json:"sittings"`   // by rank
}

// Crosses is a row of a crosstable: the points of a participant against each other one, in
// the order of the rows; nil: they did not meet.
type Crosses struct {
	Participant string     `json:"participant"`
	Against     []*float64 `json:"against"`
}

// Sitting is the seats of a participant, and its byes and walkovers.
type Sitting struct {
	Participant string `json:"participant"`
	Seats       []int  `json:"seats"` // games by seat; the first is White
	Byes        int    `json:"byes"`
	Walkovers   int    `json:"walkovers"` // pairings without a game, for or against it
}

// Report returns the report on all tournaments, with one in full: the named or the only
// one.
func (f *Tournaments) Report(id string) (report TournamentReport, err error) {
	err = f.models.View(func(v projections.View) error {
		for key := range f.touched {
			found, err := tournamentview.StatusOf(v, tournamentview.ManyTournaments{TournamentID: key})
			if err != nil {
				return err
			}
			report.Tournaments = append(report.Tournaments, found.Tournaments...)
		}
		slices.SortFunc(report.Tournaments, func(a, b tournamentview.Status) int {
			return cmp.Or(cmp.Compare(urgency(a.State), urgency(b.State)), cmp.Compare(a.TournamentID, b.TournamentID))
		})
		if id == "" && len(report.Tournaments) == 1 && report.Tournaments[0].Format != "" {
			id = string(report.Tournaments[0].TournamentID)
		}
		if id == "" {
			return nil
		}
		report.One, err = oneTournament(v, id)
		return err
	})
	report.Log = f.footer()
	return report, err
}

// urgency orders states: stalled ones first.
func urgency(state string) int {
	return slices.Index([]string{"stalled", "running", "cancelled", "done"}, state)
}

func oneTournament(v projections.View, id string) (*OneTournament, error) {
	bracket, err := tournamentview.BracketOf(v, tournamentview.OneBracket{TournamentID: id})
	if err != nil {
		return nil, err
	}
	place := map[string]int{}
	for i, s := range bracket.Standings {
		place[s.Participant] = i
	}
	n := len(bracket.Standings)
	points := make([][]*float64, n)
	one := &OneTournament{Bracket: bracket, Sittings: make([]Sitting, n)}
	for i, s := range bracket.Standings {
		points[i] = make([]*float64, n)
		one.Crosses = append(one.Crosses, Crosses{s.Participant, points[i]})
		one.Sittings[i].Participant = s.Participant
	}
	for entry, err := range tournamentview.PairingsTable.Scan(v, projections.Span{Prefix: projections.Pair(id, "")}) {
		if err != nil {
			return nil, err
		}
		cross(points, place, entry.Row)
		sit(one.Sittings, place, entry.Row)
	}
	return one, nil
}

// cross adds the games of a pairing to the crosstable, as one game between each two
// players.
func cross(points [][]*float64, place map[string]int, t tournament.Table) {
	for _, game := range t.Played {
		for i, name := range t.Players {
			for j, other := range t.Players {
				if i == j {
					continue
				}
				cell := &points[place[name]][place[other]]
				if *cell == nil {
					*cell = new(float64)
				}
				switch {
				case game.Ranks[i] < game.Ranks[j]:
					**cell++
				case game.Ranks[i] == game.Ranks[j]:
					**cell += 0.5
				}
			}
		}
	}
}

func sit(sittings []Sitting, place map[string]int, t tournament.Table) {
	for _, name := range t.Players {
		s := &sittings[place[name]]
		switch {
		case t.Bye():
			s.Byes++
		case t.Outcome != nil && t.Outcome.Unplayed:
			s.Walkovers++
		}
	}
	for _, game := range t.Played {
		for seat, name := range t.Seats(game.Number) {
			s := &sittings[place[name]]
			for len(s.Seats) <= seat {
				s.Seats = append(s.Seats, 0)
			}
			s.Seats[seat]++
		}
	}
}
