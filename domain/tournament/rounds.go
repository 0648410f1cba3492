package tournament

import (
	"fmt"
	"iter"
	"slices"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/pairing"
)

// Planned returns the number of rounds of the tournament, an upper limit where it
// depends on results; 0 if it cannot have any. asked is the requested number for a
// Swiss tournament, or one at larger tables; 0 means the usual number.
func (e Started) Planned(asked int) int {
	n := len(e.Participants)
	switch {
	case n < max(e.Seats, 2) || n > MaxParticipants:
		return 0
	case e.Seats > 2 && asked == 0:
		return (n - 2 + e.Seats - 1) / (e.Seats - 1) // enough for every player to have met every other
	case e.Seats > 2:
		return asked
	}
	all := n - 1 + n%2
	switch e.Format {
	case RoundRobin:
		return all
	case DoubleRoundRobin:
		return 2 * all
	case Gauntlet:
		return n - 1
	case Swiss:
		if asked > 0 {
			return asked
		}
		return min(halvings(n), all)
	case SingleElimination, DoubleElimination:
		return len(groupsOf(e.Bracket()))
	}
	return 0
}

// halvings returns how often n is halved until one is left.
func halvings(n int) (times int) {
	for ; n > 1; n = (n + 1) / 2 {
		times++
	}
	return times
}

// Pairings returns an upper bound of the tournament's pairings, byes included.
func (e Started) Pairings() int {
	n := len(e.Participants)
	switch {
	case e.Seats > 2:
		return e.Rounds * (n/e.Seats + n%e.Seats)
	case e.Format == Gauntlet:
		return e.Rounds
	case e.Format.KnockOut():
		return 2 * n
	}
	return e.Rounds * ((n + 1) / 2)
}

// Bracket returns the bracket of a knock-out tournament.
func (e Started) Bracket() *pairing.Bracket {
	var bracket *pairing.Bracket
	var err error
	if e.Format == SingleElimination {
		bracket, err = pairing.Single(len(e.Participants), e.ThirdPlace)
	} else {
		bracket, err = pairing.Double(len(e.Participants), e.Reset)
	}
	if err != nil {
		return &pairing.Bracket{} // participants were checked at the start
	}
	return bracket
}

// groupsOf groups the matches that are played together: those of one round of one
// part.
func groupsOf(b *pairing.Bracket) (groups [][]pairing.Match) {
	for _, m := range b.Matches {
		last := len(groups) - 1
		if last < 0 || groups[last][0].Part != m.Part || groups[last][0].Round != m.Round {
			groups, last = append(groups, nil), last+1
		}
		groups[last] = append(groups[last], m)
	}
	return groups
}

// Next is the next step of a tournament: rounds to pair, or why there are none.
// Over means that the tournament has ended; Reason is set if it ended early.
type Next struct {
	Rounds []RoundPaired
	Over   bool
	Reason string
}

// Next returns the next rounds. If pairings do not depend on results there may be
// several, until open pairings are open; otherwise there is one, once no pairing is
// open.
func (t Tournament) Next(open int) (Next, error) {
	s := t.Started
	switch {
	case s == nil || t.Over() || t.Open > 0 && (t.Open >= open || !s.Format.scheduled() || t.Paired >= s.Rounds):
		return Next{}, nil
	case s.Format.KnockOut():
		return t.nextStage()
	case t.Paired >= s.Rounds:
		return Next{Over: true}, nil
	case s.Format == Swiss:
		return t.nextSwiss()
	case s.Seats > 2:
		return t.nextTables(open)
	}
	return t.nextScheduled(open)
}

// names returns the names of the players with these numbers.
func (e Started) names(numbers ...int) []string {
	names := make([]string, len(numbers))
	for i, number := range numbers {
		names[i] = e.Participants[number-1]
	}
	return names
}

func (t Tournament) round(number int, pairings []Pairing) RoundPaired {
	for i := range pairings {
		pairings[i].Number = i + 1
	}
	return RoundPaired{TournamentID: t.Started.TournamentID, Round: number, Pairings: pairings}
}

func (t Tournament) nextScheduled(open int) (Next, error) {
	var rounds [][]pairing.Pairing
	var err error
	switch n := len(t.Started.Participants); t.Started.Format {
	case RoundRobin:
		rounds, err = pairing.RoundRobin(n)
	case DoubleRoundRobin:
		rounds, err = pairing.DoubleRoundRobin(n)
	default:
		rounds, err = pairing.Gauntlet(n)
	}
	if err != nil {
		return Next{}, domain.Errorf(domain.Internal, "tournament %s: %w", t.Started.TournamentID, err)
	}
	var next Next
	for r := t.Paired; r < min(len(rounds), t.Started.Rounds) && (open > t.Open || len(next.Rounds) == 0); r++ {
		pairings := t.pairings(rounds[r])
		next.Rounds = append(next.Rounds, t.round(r+1, pairings))
		open -= len(pairings)
	}
	return next, nil
}

func (t Tournament) pairings(round []pairing.Pairing) []Pairing {
	pairings := make([]Pairing, len(round))
	for i, p := range round {
		if p.Bye() {
			pairings[i].Players = t.Started.names(p.White)
		} else {
			pairings[i].Players = t.Started.names(p.White, p.Black)
		}
	}
	return pairings
}

func (t Tournament) nextTables(open int) (Next, error) {
	rounds, err := pairing.Tables(len(t.Started.Participants), t.Started.Seats, t.Started.Rounds)
	if err != nil {
		return Next{}, domain.Errorf(domain.Internal, "tournament %s: %w", t.Started.TournamentID, err)
	}
	var next Next
	for r := t.Paired; r < len(rounds) && (open > t.Open || len(next.Rounds) == 0); r++ {
		var pairings []Pairing
		for _, table := range rounds[r].Tables {
			pairings = append(pairings, Pairing{Players: t.Started.names(table...)})
		}
		for _, bye := range rounds[r].Byes {
			pairings = append(pairings, Pairing{Players: t.Started.names(bye)})
		}
		next.Rounds = append(next.Rounds, t.round(r+1, pairings))
		open -= len(pairings)
	}
	return next, nil
}

// nextSwiss pairs a round in which nobody meets the same opponent twice or has a
// second bye. If there is no such round, the tournament is over.
func (t Tournament) nextSwiss() (Next, error) {
	s := t.Started
	away := t.Away()
	if left := len(s.Participants) - len(away); left < 2 {
		return Next{Over: true, Reason: fmt.Sprintf("%d participants are left", left)}, nil
	}
	swiss := pairing.Swiss{Players: len(s.Participants), Rounds: s.Rounds, History: t.history(), Absent: away}
	var round []pairing.Pairing
	var err error
	if s.System == Dutch {
		if round, err = swiss.Dutch(); err != nil {
			return Next{Over: true, Reason: err.Error()}, nil //nolint:nilerr // no further round is possible, so the tournament ends
		}
	} else if round, err = swiss.Monrad(); err != nil {
		return Next{}, domain.Errorf(domain.Internal, "tournament %s: %w", s.TournamentID, err)
	}
	for _, p := range round {
		if t.met(p) {
			return Next{Over: true, Reason: "no round is left in which nobody meets twice or has a second bye"}, nil
		}
	}
	return Next{Rounds: []RoundPaired{t.round(t.Paired+1, t.pairings(round))}}, nil
}

// met reports whether two players have met, or one has had a bye.
func (t Tournament) met(p pairing.Pairing) bool {
	players := t.pairings([]pairing.Pairing{p})[0].Players
	for table := range t.Tables() {
		if len(table.Players) == len(players) && !slices.ContainsFunc(players, func(name string) bool { return !slices.Contains(table.Players, name) }) {
			return true
		}
	}
	return false
}

// history returns the rounds so far in the form of package pairing.
func (t Tournament) history() []pairing.Round {
	rounds := make([]pairing.Round, t.Paired)
	for table := range t.Tables() {
		if m, counts := t.Started.meeting(table); counts {
			rounds[table.Round-1] = append(rounds[table.Round-1], m)
		}
	}
	return rounds
}

// stages returns the state of each match of a knock-out.
func (t Tournament) stages() (*pairing.Bracket, []pairing.MatchState, error) {
	return stagesOf(*t.Started, t.Away(), t.Tables())
}

func stagesOf(s Started, away []int, tables iter.Seq[Table]) (*pairing.Bracket, []pairing.MatchState, error) {
	winners := map[int]int{}
	for table := range tables {
		if table.Outcome != nil && !table.Bye() {
			winners[table.Match] = s.Number(table.Outcome.Winner)
		}
	}
	bracket := s.Bracket()
	states, err := bracket.State(winners, away)
	if err != nil {
		return nil, nil, domain.Errorf(domain.Internal, "tournament %s: %w", s.TournamentID, err)
	}
	return bracket, states, nil
}

// nextStage pairs the first unpaired round of the bracket, including byes and
// matches against withdrawn players. A round that has only such matches is paired
// too, so that a later withdrawal does not change anything already decided.
func (t Tournament) nextStage() (Next, error) {
	bracket, states, err := t.stages()
	if err != nil {
		return Next{}, err
	}
	paired := map[int]bool{}
	for table := range t.Tables() {
		paired[table.Match] = true
	}
	for _, group := range groupsOf(bracket) {
		var pairings []Pairing
		open := false
		for _, m := range group {
			state := states[m.Number-1]
			a, b := state.Players[0], state.Players[1]
			switch {
			case m.Part == pairing.Reset && state.Void:
			case a > 0 && b > 0:
				open = open || !paired[m.Number]
				pairings = append(pairings, Pairing{Players: t.Started.names(a, b), Match: m.Number})
			case a > 0 || b > 0:
				pairings = append(pairings, Pairing{Players: t.Started.names(max(a, b)), Match: m.Number})
			}
		}
		if !open {
			continue
		}
		round := t.round(t.Paired+1, pairings)
		round.Part = string(group[0].Part)
		return Next{Rounds: []RoundPaired{round}}, nil
	}
	return Next{Over: true}, nil
}
