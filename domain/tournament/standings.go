package tournament

import (
	"cmp"
	"iter"
	"slices"

	"github.com/ringrift/rift/domain/pairing"
)

// Standing is the standing of a participant. Points are those of its games: 1 for a
// win, 1/2 for a draw; at tables of more than two, 1 for every player ranked below
// and 1/2 for every player ranked equal. Games, wins, draws and losses count played
// games; a win at a larger table is an unshared first rank. A bye counts in a Swiss
// tournament as a won pairing, at larger tables as one where all are equal,
// elsewhere as nothing.
type Standing struct {
	Rank        int       `json:"rank" doc:"shared by those whom nothing tells apart"`
	Participant string    `json:"participant"`
	Points      float64   `json:"points"`
	Games       int       `json:"games"`
	Wins        int       `json:"wins"`
	Draws       int       `json:"draws"`
	Losses      int       `json:"losses"`
	TieBreaks   TieBreaks `json:"tiebreaks"`
	Withdrawn   bool      `json:"withdrawn,omitempty"`
}

// TieBreaks order participants with equal points; the first difference decides. A
// knock-out has none: its ranks follow from the round in which a participant was
// eliminated.
type TieBreaks struct {
	DirectEncounter *float64 `json:"direct_encounter,omitempty" doc:"points among the tied participants, if all of them met"`
	BuchholzCut1    *float64 `json:"buchholz_cut_1,omitempty"`
	Buchholz        *float64 `json:"buchholz,omitempty"`
	SonnebornBerger *float64 `json:"sonneborn_berger,omitempty"`
	Wins            *float64 `json:"wins,omitempty" doc:"pairings won by play"`
}

// Values lists the tie-breaks that are set, in order.
func (b TieBreaks) Values() (values []float64) {
	for _, v := range []*float64{b.DirectEncounter, b.BuchholzCut1, b.Buchholz, b.SonnebornBerger, b.Wins} {
		if v != nil {
			values = append(values, *v)
		}
	}
	return values
}

// meeting converts a pairing of two for the standings: the games played so far, or
// a bye. It returns false if nothing of it counts yet.
func (e Started) meeting(t Table) (pairing.Meeting, bool) {
	first := e.Number(t.Players[0])
	if t.Bye() {
		m := pairing.Meeting{Pairing: pairing.Pairing{White: first}, Points: [2]int{2 * e.GamesPerPairing}, Unplayed: true}
		return m, e.Format == Swiss && first > 0
	}
	m := pairing.Meeting{Pairing: pairing.Pairing{White: first, Black: e.Number(t.Players[1])}}
	if m.White == 0 || m.Black == 0 || t.Outcome == nil && len(t.Played) == 0 {
		return m, false
	}
	points := t.HalfPoints()
	if t.Outcome != nil {
		points, m.Unplayed = halves(t.Outcome.Points), t.Outcome.Unplayed
	}
	m.Points = [2]int{points[0], points[1]}
	return m, true
}

// HalfPoints returns the half points of the played games, in the order of the
// players.
func (t Table) HalfPoints() []int {
	sum := make([]int, len(t.Players))
	for _, game := range t.Played {
		for i, points := range pairing.TablePoints(game.Ranks) {
			sum[i] += points
		}
	}
	return sum
}

func halves(points []float64) []int {
	out := make([]int, len(points))
	for i, p := range points {
		out[i] = int(2 * p)
	}
	return out
}

// Points converts half points to points.
func Points(halves []int) []float64 {
	out := make([]float64, len(halves))
	for i, h := range halves {
		out[i] = float64(h) / 2
	}
	return out
}

// Standings ranks the participants by the games played so far.
func Standings(s Started, away []int, tables iter.Seq[Table]) ([]Standing, error) {
	found, err := s.ranked(tables)
	if err != nil {
		return nil, err
	}
	standings := make([]Standing, len(found))
	played := s.played(tables)
	for i, f := range found {
		standings[i] = played[f.Player-1]
		standings[i].Rank, standings[i].Participant, standings[i].Points = f.Rank, s.Participants[f.Player-1], f.Points
		standings[i].Withdrawn = slices.Contains(away, f.Player)
		if !s.Format.KnockOut() {
			v := f.TieBreaks
			standings[i].TieBreaks = TieBreaks{&v[0], &v[1], &v[2], &v[3], &v[4]}
		}
	}
	if s.Format.KnockOut() {
		return s.placed(standings, away, tables)
	}
	return standings, nil
}

// played counts the games of the participants.
func (e Started) played(tables iter.Seq[Table]) []Standing {
	counts := make([]Standing, len(e.Participants))
	for t := range tables {
		for i, name := range t.Players {
			number := e.Number(name)
			if number == 0 {
				continue
			}
			of := &counts[number-1]
			for _, game := range t.Played {
				of.Games++
				first := 0
				for _, rank := range game.Ranks {
					if rank == 1 {
						first++
					}
				}
				switch {
				case game.Ranks[i] > 1:
					of.Losses++
				case first > 1:
					of.Draws++
				default:
					of.Wins++
				}
			}
		}
	}
	return counts
}

// ranked computes points and tie-breaks.
func (e Started) ranked(tables iter.Seq[Table]) ([]pairing.Standing, error) {
	if e.Seats > 2 {
		var games []pairing.TableGame
		for t := range tables {
			games = append(games, e.tableGames(t)...)
		}
		return pairing.TableStandings(len(e.Participants), games, pairing.TieBreaks)
	}
	var rounds []pairing.Round
	for t := range tables {
		m, counts := e.meeting(t)
		if !counts {
			continue
		}
		for len(rounds) < t.Round {
			rounds = append(rounds, nil)
		}
		rounds[t.Round-1] = append(rounds[t.Round-1], m)
	}
	rounds = slices.DeleteFunc(rounds, func(r pairing.Round) bool { return len(r) == 0 })
	return pairing.Standings(len(e.Participants), rounds, pairing.TieBreaks)
}

// tableGames returns the games of a larger table.
func (e Started) tableGames(t Table) (games []pairing.TableGame) {
	numbers := make([]int, len(t.Players))
	for i, name := range t.Players {
		if numbers[i] = e.Number(name); numbers[i] == 0 {
			return nil
		}
	}
	if t.Bye() {
		for range e.GamesPerPairing {
			games = append(games, pairing.TableGame{Players: numbers, Bye: e.Seats - 1})
		}
		return games
	}
	for _, game := range t.Played {
		games = append(games, pairing.TableGame{Players: numbers, Ranks: game.Ranks})
	}
	if t.Outcome == nil {
		return games
	}
	owed := t.owed(func(name string) bool { return slices.Contains(t.Outcome.Away, name) })
	for range t.Games - len(t.Played) {
		games = append(games, pairing.TableGame{Players: numbers, Ranks: owed, Unplayed: true})
	}
	return games
}

// owed returns the ranks of games that are not played because of withdrawals: the
// remaining players are equal, before the withdrawn ones.
func (t Table) owed(away func(name string) bool) []int {
	ranks := make([]int, len(t.Players))
	stayed := 0
	for i, name := range t.Players {
		if ranks[i] = 1; !away(name) {
			stayed++
		}
	}
	for i, name := range t.Players {
		if away(name) && stayed > 0 {
			ranks[i] = 1 + stayed
		}
	}
	return ranks
}

// Owed returns the half points for the unplayed games of a pairing after a
// withdrawal. If both players withdrew, neither gets any.
func (t Table) Owed(away func(name string) bool) []int {
	sum := make([]int, len(t.Players))
	if !slices.ContainsFunc(t.Players, func(name string) bool { return !away(name) }) {
		return sum
	}
	for i, points := range pairing.TablePoints(t.owed(away)) {
		sum[i] = points * (t.Games - len(t.Played))
	}
	return sum
}

// placed replaces ranks by points with the places of a bracket.
func (e Started) placed(standings []Standing, away []int, tables iter.Seq[Table]) ([]Standing, error) {
	_, states, err := stagesOf(e, away, tables)
	if err != nil {
		return nil, err
	}
	places := pairing.Places(len(e.Participants), states)
	for i := range standings {
		standings[i].Rank = places[e.Number(standings[i].Participant)-1]
	}
	slices.SortStableFunc(standings, func(a, b Standing) int {
		return cmp.Or(cmp.Compare(a.Rank, b.Rank), cmp.Compare(e.Number(a.Participant), e.Number(b.Participant)))
	})
	return standings, nil
}

// Standings ranks the participants of a tournament.
func (t Tournament) Standings() ([]Standing, error) {
	return Standings(*t.Started, t.Away(), t.Tables())
}
