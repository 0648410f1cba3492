package tournament

import (
	"fmt"
	"slices"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/tournament"
)

// progress is a decision in progress: the events so far, and the state after them.
type progress struct {
	t      tournament.Tournament
	policy tournament.Policy
	events []domain.Event
}

func (p *progress) say(event domain.Event) {
	p.events = append(p.events, event)
	p.t = p.t.Evolve(domain.Envelope{Event: event})
}

// maxItemsPerPairing and maxItemsAsked limit the items of a pairing, and those
// requested in one event.
const (
	maxItemsPerPairing = 10
	maxItemsAsked      = 50
)

// gamesPerItem returns how many games of a pairing one item plays.
func (p *progress) gamesPerItem(games int) int {
	return max(p.policy.GamesPerItem, (games+maxItemsPerPairing-1)/maxItemsPerPairing)
}

// onward decides pairings that need no more games, pairs what can be paired, and
// ends the tournament when nothing is left. It returns all events of the decision.
func (p *progress) onward() ([]domain.Event, error) {
	games := p.t.Started.GamesPerPairing
	items := (games + p.gamesPerItem(games) - 1) / p.gamesPerItem(games)
	for {
		next, err := p.t.Next(max(p.policy.OpenPairings/items, 1))
		if err != nil {
			return nil, err
		}
		if next.Over {
			err := p.end(next.Reason)
			return p.events, err
		}
		if len(next.Rounds) == 0 {
			return p.events, nil
		}
		for _, round := range next.Rounds {
			p.pair(round)
		}
	}
}

// pair announces a round, decides the pairings without games, and requests the
// games of the others.
func (p *progress) pair(round tournament.RoundPaired) {
	p.say(round)
	var items []tournament.Item
	for _, paired := range round.Tables(*p.t.Started) {
		switch {
		case paired.Bye():
			p.decide(paired, tournament.Outcome{Points: []float64{p.byePoints()}, Winner: paired.Players[0], Unplayed: true, Reason: "bye"})
		case slices.ContainsFunc(paired.Players, p.t.Withdrawn):
			p.walkover(paired)
		default:
			items = append(items, p.items(paired, 1, paired.Games)...)
		}
	}
	p.ask(items)
}

// byePoints returns the points of a bye: see tournament.Standing.
func (p *progress) byePoints() float64 {
	s := p.t.Started
	switch {
	case s.Seats > 2:
		return tournament.Points([]int{(s.Seats - 1) * s.GamesPerPairing})[0]
	case s.Format == tournament.Swiss:
		return float64(s.GamesPerPairing)
	}
	return 0
}

func (p *progress) decide(table tournament.Table, outcome tournament.Outcome) {
	p.say(tournament.PairingDecided{TournamentID: p.t.Started.TournamentID, Round: table.Round, Pairing: table.Number, Outcome: outcome})
}

// walkover ends a pairing from which somebody withdrew: the remaining games go to
// the opponent. If both withdrew, the better seed advances in a knock-out.
func (p *progress) walkover(table tournament.Table) {
	sum := table.HalfPoints()
	for i, owed := range table.Owed(p.t.Withdrawn) {
		sum[i] += owed
	}
	outcome := tournament.Outcome{Points: tournament.Points(sum), Unplayed: len(table.Played) == 0}
	for _, name := range table.Players {
		if p.t.Withdrawn(name) {
			outcome.Away = append(outcome.Away, name)
		}
	}
	stayed := slices.DeleteFunc(slices.Clone(table.Players), p.t.Withdrawn)
	switch {
	case len(stayed) == 1:
		outcome.Winner = stayed[0]
	case p.t.Started.Format.KnockOut():
		outcome.Winner = p.betterSeed(table)
	}
	outcome.Reason = fmt.Sprintf("%s withdrew", outcome.Away[0])
	if len(outcome.Away) > 1 {
		outcome.Reason = fmt.Sprintf("%s and %d more withdrew", outcome.Away[0], len(outcome.Away)-1)
	}
	p.drop(table.Out, outcome.Reason)
	p.decide(table, outcome)
}

func (p *progress) betterSeed(table tournament.Table) string {
	return slices.MinFunc(table.Players, func(a, b string) int { return p.t.Started.Number(a) - p.t.Started.Number(b) })
}

// settle decides a pairing once all its games are played. A tied knock-out pairing
// gets more games first, while it may have more.
func (p *progress) settle(round, number int) {
	table, known := p.t.Table(round, number)
	if !known || table.Outcome != nil || len(table.Played) < table.Games {
		return
	}
	s := p.t.Started
	points := table.HalfPoints()
	outcome := tournament.Outcome{Points: tournament.Points(points)}
	if best := slices.Max(points); slices.Index(points, best) == len(points)-1-slices.Index(reversed(points), best) {
		outcome.Winner = table.Players[slices.Index(points, best)]
	}
	if outcome.Winner == "" && s.Format.KnockOut() {
		if more := min(s.Seats, s.GamesPerPairing+s.TieGames-table.Games); more > 0 {
			first := table.Games + 1
			p.say(tournament.PairingExtended{TournamentID: s.TournamentID, Round: round, Pairing: number, Games: table.Games + more})
			p.ask(p.items(table, first, more))
			return
		}
		outcome.Winner = p.betterSeed(table)
		outcome.Reason = fmt.Sprintf("level after %d games: the better seed goes on", len(table.Played))
	}
	p.drop(table.Out, "the pairing is decided")
	p.decide(table, outcome)
}

func reversed(list []int) []int {
	out := slices.Clone(list)
	slices.Reverse(out)
	return out
}

// items returns the items that play games of a pairing.
func (p *progress) items(table tournament.Table, first, games int) (items []tournament.Item) {
	if p.t.Started.ByHand {
		return nil
	}
	most := p.gamesPerItem(games)
	for games > 0 {
		n := min(games, most)
		items = append(items, tournament.ItemOf(p.t.Started.TournamentID, tournament.Item{Round: table.Round, Pairing: table.Number, First: first, Games: n, Attempt: 1}))
		first, games = first+n, games-n
	}
	return items
}

func (p *progress) ask(items []tournament.Item) {
	for chunk := range slices.Chunk(items, maxItemsAsked) {
		p.say(tournament.GamesAsked{TournamentID: p.t.Started.TournamentID, Items: chunk})
	}
}

func (p *progress) drop(items []tournament.Item, reason string) {
	for chunk := range slices.Chunk(items, maxItemsAsked) {
		p.say(tournament.ItemsDropped{TournamentID: p.t.Started.TournamentID, Items: chunk, Reason: reason})
	}
}

// end ranks the participants. A tournament without a game has no ranking.
func (p *progress) end(reason string) error {
	s := p.t.Started
	if p.t.Games == 0 {
		p.say(tournament.Cancelled{TournamentID: s.TournamentID, Reason: "no game was played"})
		return nil
	}
	standings, err := p.t.Standings()
	if err != nil {
		return err
	}
	p.say(tournament.Ranked{TournamentID: s.TournamentID, Standings: standings, Games: p.t.Games, Reason: reason})
	done := tournament.Completed{TournamentID: s.TournamentID, GamesPlayed: p.t.Games, ConfigKey: s.ConfigKey}
	for _, standing := range standings {
		done.Ranking = append(done.Ranking, standing.Participant)
	}
	if len(standings) == 1 || standings[1].Rank > 1 {
		done.WinnerID = standings[0].Participant
	}
	p.say(done)
	return nil
}
