package tournament

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/tournament"
)

// held is a tournament that is played by deciding commands and folding their events.
type held struct {
	t     *rapid.T
	state tournament.Tournament
	times int
}

func begin(t *rapid.T, c Start) *held {
	h := &held{t: t}
	c, err := completeStart(c, h.facts())
	if err != nil {
		t.Fatalf("start: %v", err)
	}
	h.fold(start(h.state, c, h.facts()))
	return h
}

func (h *held) facts() domain.Facts {
	h.times++
	return domain.Facts{Command: fmt.Sprintf("c%d", h.times)}
}

func (h *held) fold(events []domain.Event, err error) []domain.Event {
	h.t.Helper()
	if err != nil {
		h.t.Fatalf("want it decided, found %v", err)
	}
	for _, e := range events {
		if checked, ok := e.(interface{ Validate() []domain.Fault }); ok {
			if faults := checked.Validate(); len(faults) > 0 {
				h.t.Fatalf("%s: want an event that is valid, found %v", e.EventType(), faults)
			}
		}
		h.state = h.state.Evolve(domain.Envelope{Event: e})
	}
	return events
}

// open lists the games without a result.
func (h *held) open() (games []Result) {
	for table := range h.state.Tables() {
		for number := 1; number <= table.Games && table.Outcome == nil; number++ {
			if _, played := table.Game(number); !played {
				games = append(games, Result{Round: table.Round, Pairing: table.Number, Game: number})
			}
		}
	}
	return games
}

// fated returns the fixed result of a game, independent of when it is reported.
func (h *held) fated(salt uint64, game Result) Result {
	table, _ := h.state.Table(game.Round, game.Pairing)
	ranks := make([]int, len(table.Players))
	scores := make([]int, len(ranks))
	for i, name := range table.Players {
		sum := sha256.Sum256(fmt.Appendf(nil, "%d/%d/%d/%s", salt, game.Round, game.Game, name))
		scores[i] = int(sum[0]) % 4
	}
	for i := range ranks {
		ranks[i] = 1
		for j := range ranks {
			if scores[j] > scores[i] {
				ranks[i]++
			}
		}
	}
	game.Result = tournament.Said{Ranks: ranks}
	return game
}

// play reports all games in some order.
func (h *held) play(order, salt uint64, between func()) {
	for step := 0; ; step++ {
		games := h.open()
		if len(games) == 0 || h.state.Over() {
			return
		}
		order = order*6364136223846793005 + 1442695040888963407
		told := h.fated(salt, games[int(order>>33)%len(games)])
		h.fold(tellResult(h.state, told, h.facts()))
		if events := h.fold(tellResult(h.state, told, h.facts())); len(events) > 0 {
			h.t.Fatalf("want a result that is told twice to count once, found %d events", len(events))
		}
		told.Result = tournament.Said{Ranks: slices.Clone(told.Result.Ranks)}
		told.Result.Ranks[0] = 3 - min(told.Result.Ranks[0], 2)
		told.Result.Ranks[1] = 1
		if table, _ := h.state.Table(told.Round, told.Pairing); len(table.Players) == 2 {
			if played, _ := table.Game(told.Game); !slices.Equal(played.Ranks, told.Result.Ranks) {
				if _, err := tellResult(h.state, told, h.facts()); !errors.Is(err, domain.ErrConflict) {
					h.t.Fatalf("want another result refused, found %v", err)
				}
			}
		}
		if between != nil {
			between()
		}
		h.covered()
		if step > 20_000 {
			h.t.Fatal("want an end")
		}
	}
}

// covered checks that every open game is requested by exactly one item, except
// games by hand.
func (h *held) covered() {
	for table := range h.state.Tables() {
		asked := map[int]int{}
		for _, item := range table.Out {
			for game := item.First; game < item.First+item.Games; game++ {
				asked[game]++
			}
		}
		for game := 1; game <= table.Games; game++ {
			_, played := table.Game(game)
			open := !played && table.Outcome == nil && !h.state.Started.ByHand && !h.state.Over()
			if open && asked[game] != 1 || table.Outcome != nil && len(table.Out) > 0 {
				h.t.Fatalf("game %d of %d.%d: want it asked for once while it is open, found %d items", game, table.Round, table.Number, asked[game])
			}
		}
	}
}

// anyStart draws a tournament.
func anyStart(t *rapid.T) Start {
	format := rapid.SampledFrom(tournament.Formats).Draw(t, "format")
	c := Start{TournamentID: "cup", Format: format, GamesPerPairing: rapid.IntRange(1, 3).Draw(t, "games"), ByHand: rapid.Bool().Draw(t, "by hand")}
	if format == tournament.RoundRobin {
		c.ConfigKey = rapid.SampledFrom([]domain.ConfigKey{"", "hex8_2p", "hex8_3p", "hex8_4p"}).Draw(t, "config")
	}
	n := rapid.IntRange(max(c.seats(), 2), 11).Draw(t, "participants")
	for i := range n {
		c.Participants = append(c.Participants, fmt.Sprintf("m%d", i+1))
	}
	switch format {
	case tournament.Swiss:
		c.System = rapid.SampledFrom(tournament.Systems).Draw(t, "system")
		c.Rounds = rapid.IntRange(0, n-1+n%2).Draw(t, "rounds")
	case tournament.SingleElimination:
		c.ThirdPlace = rapid.Bool().Draw(t, "third")
	case tournament.DoubleElimination:
		reset := rapid.Bool().Draw(t, "reset")
		c.Reset = &reset
	case tournament.RoundRobin, tournament.DoubleRoundRobin, tournament.Gauntlet:
	}
	return c
}

// Whatever the order of the results, the bracket is the same, every tournament
// ends, and the properties of its format hold.
func TestAnyOrderGivesTheSameBracket(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, salt := anyStart(t), rapid.Uint64().Draw(t, "salt")
		one, other := begin(t, c), begin(t, c)
		one.play(rapid.Uint64().Draw(t, "order"), salt, nil)
		other.play(rapid.Uint64().Draw(t, "another order"), salt, nil)
		if one.state.State() != "done" {
			t.Fatalf("want it done, found it %s", one.state.State())
		}
		a, b := bracketOf(one), bracketOf(other)
		if a != b {
			t.Fatalf("want one bracket whatever the order, found\n%s\nand\n%s", a, b)
		}
		one.promises()
	})
}

// bracketOf formats the complete bracket.
func bracketOf(h *held) (text string) {
	for table := range h.state.Tables() {
		text += fmt.Sprintf("%d.%d %v %v %+v\n", table.Round, table.Number, table.Players, table.Played, table.Outcome)
	}
	for _, s := range h.state.Ranked.Standings {
		text += fmt.Sprintf("%d %s %v %v %d\n", s.Rank, s.Participant, s.Points, s.TieBreaks.Values(), s.Games)
	}
	return text
}

// promises are those of the formats.
func (h *held) promises() {
	s := h.state.Started
	met, byes, pairings := map[string]int{}, map[string]int{}, 0
	for table := range h.state.Tables() {
		players := slices.Clone(table.Players)
		slices.Sort(players)
		if table.Bye() {
			byes[players[0]]++
			continue
		}
		pairings++
		met[fmt.Sprint(players)]++
	}
	n := len(s.Participants)
	times := 0
	switch {
	case s.Seats > 2:
	case s.Format == tournament.RoundRobin, s.Format == tournament.Swiss, s.Format == tournament.Gauntlet:
		times = 1
	case s.Format == tournament.DoubleRoundRobin:
		times = 2
	case s.Format == tournament.SingleElimination:
		if want := n - 1; pairings != want && !(s.ThirdPlace && n > 3 && pairings == want+1) {
			h.t.Fatalf("want %d pairings of %d, found %d", want, n, pairings)
		}
	default:
		if pairings != 2*n-2 && !(s.Reset && pairings == 2*n-1) {
			h.t.Fatalf("want %d or %d pairings of %d, found %d", 2*n-2, 2*n-1, n, pairings)
		}
	}
	for pair, found := range met {
		if times > 0 && found > times || times == 2 && found != 2 {
			h.t.Fatalf("%s: want %d meetings, found %d", pair, times, found)
		}
	}
	if s.Seats == 2 && s.Format == tournament.RoundRobin && len(met) != n*(n-1)/2 || s.Format == tournament.Gauntlet && len(met) != n-1 {
		h.t.Fatalf("want every pair of %d once, found %d", n, len(met))
	}
	for name, found := range byes {
		if s.Format == tournament.Swiss && found > 1 {
			h.t.Fatalf("%s: want one bye at most, found %d", name, found)
		}
	}
	var ranked []string
	for i, standing := range h.state.Ranked.Standings {
		ranked = append(ranked, standing.Participant)
		if i == 0 && standing.Rank != 1 || i > 0 && standing.Rank != i+1 && standing.Rank != h.state.Ranked.Standings[i-1].Rank {
			h.t.Fatalf("want ranks without gaps, found %d at place %d", standing.Rank, i+1)
		}
	}
	slices.Sort(ranked)
	if wanted := slices.Sorted(slices.Values(s.Participants)); !slices.Equal(ranked, wanted) {
		h.t.Fatalf("want everybody ranked once, found %v", ranked)
	}
	if s.Format.KnockOut() && h.state.Ranked.Standings[1].Rank == 1 {
		h.t.Fatal("want one winner of a knock-out")
	}
}

// Whoever withdraws whenever, a tournament ends.
func TestEveryTournamentEndsWhoeverWithdraws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := begin(t, anyStart(t))
		leaving := rapid.SliceOfN(rapid.IntRange(0, 40), 0, 12).Draw(t, "who leaves after how many games")
		step := 0
		h.play(rapid.Uint64().Draw(t, "order"), rapid.Uint64().Draw(t, "salt"), func() {
			step++
			for who, after := range leaving {
				if after == step && who < len(h.state.Started.Participants) && !h.state.Over() {
					c := Withdraw{TournamentID: "cup", Participant: h.state.Started.Participants[who]}
					h.fold(withdraw(h.state, c, h.facts()))
					if events := h.fold(withdraw(h.state, c, h.facts())); len(events) > 0 {
						t.Fatalf("want a withdrawal to count once, found %d events", len(events))
					}
				}
			}
		})
		if !h.state.Over() || h.state.Open > 0 {
			t.Fatalf("want an end, found it %s with %d pairings open", h.state.State(), h.state.Open)
		}
		if h.state.Ranked != nil {
			for _, standing := range h.state.Ranked.Standings {
				if standing.Withdrawn != h.state.Withdrawn(standing.Participant) {
					t.Fatalf("%s: want it told that it withdrew", standing.Participant)
				}
			}
			if first := h.state.Ranked.Standings[0]; h.state.Started.Format.KnockOut() && first.Withdrawn && len(h.state.Away()) < len(h.state.Started.Participants)-1 {
				// A finalist may withdraw after winning, but no other player
				// before.
				var final tournament.Table
				for table := range h.state.Tables() {
					if table.Part != "third_place" {
						final = table
					}
				}
				if final.Outcome == nil || final.Outcome.Winner != first.Participant {
					t.Fatalf("want a winner who stayed, found %s", first.Participant)
				}
			}
		}
	})
}

// Items play the games; some fail, some are late or repeated. The result is the
// same as if every game had been reported once.
func TestItemsThatFailAreNoDraws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, salt := anyStart(t), rapid.Uint64().Draw(t, "salt")
		c.ByHand = false
		h, told := begin(t, c), begin(t, c)
		told.play(1, salt, nil)
		failures := rapid.SliceOfN(rapid.IntRange(0, 3), 64, 64).Draw(t, "failures")
		failed := map[string]int{}
		for step := 0; !h.state.Over(); step++ {
			items := h.state.Items()
			if len(items) == 0 || step > 20_000 {
				t.Fatalf("want items until the end, found %d after %d steps of a tournament that is %s", len(items), step, h.state.State())
			}
			item := items[(salt%1000+uint64(step)*7)%uint64(len(items))]
			take := takeGames{TournamentID: "cup", Round: item.Round, Pairing: item.Pairing, TaskID: item.TaskID}
			games := fmt.Sprint(item.Round, item.Pairing, item.First)
			if failures[step%len(failures)] == 0 && failed[games] < 2 {
				failed[games]++
				take.Failure = "it broke off"
				h.fold(takeItem(h.state, take, h.facts()))
				continue
			}
			table, _ := h.state.Table(item.Round, item.Pairing)
			for number := item.First; number < item.First+item.Games; number++ {
				ranks := h.fated(salt, Result{Round: item.Round, Pairing: item.Pairing, Game: number}).Result.Ranks
				seats := table.Seats(number)
				answer := tournament.Answer{Participants: seats, Ranks: make([]int, len(seats))}
				for seat, name := range seats {
					at, _ := table.Seat(name)
					answer.Ranks[seat] = ranks[at]
				}
				take.Games = append(take.Games, answer)
			}
			h.fold(takeItem(h.state, take, h.facts()))
			if events := h.fold(takeItem(h.state, take, h.facts())); len(events) > 0 {
				t.Fatalf("want an item to count once, found %d events", len(events))
			}
			h.covered()
		}
		for i, s := range h.state.Ranked.Standings {
			if want := told.state.Ranked.Standings[i]; s.Participant != want.Participant || s.Points != want.Points || s.Games != want.Games {
				t.Fatalf("place %d: want %+v, found %+v", i+1, want, s)
			}
		}
	})
}
