package main

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/pairing"
)

// pairingFlags are the settings of calc pairing.
type pairingFlags struct {
	format  string
	players int
	round   int
	rounds  int
	results string
	absent  []int
	size    int
	reset   bool
	third   bool
}

// pairingFormat is a kind of tournament: its other names, and the flags that it reads
// besides --format, --players and --round.
type pairingFormat struct {
	name  string
	also  []string
	flags []string
	run   func(*pairingFlags, []pairing.Round) (pairingAnswer, error)
}

var pairingFormats = []pairingFormat{
	{"round_robin", []string{"round-robin", "roundrobin", "rr", "berger"}, []string{"results"}, scheduled(pairing.RoundRobin)},
	{"double_round_robin", []string{"double-round-robin"}, []string{"results"}, scheduled(pairing.DoubleRoundRobin)},
	{"gauntlet", nil, []string{"results"}, scheduled(pairing.Gauntlet)},
	{"swiss", []string{"monrad", "swiss_monrad"}, []string{"results", "rounds", "absent"}, swissBy(pairing.Swiss.Monrad)},
	{"dutch", []string{"swiss_dutch", "swiss-dutch"}, []string{"results", "rounds", "absent"}, swissBy(pairing.Swiss.Dutch)},
	{"single_elimination", []string{"single-elimination", "single", "elimination", "knockout"}, []string{"results", "absent", "third-place"}, (*pairingFlags).elimination},
	{"double_elimination", []string{"double-elimination", "double"}, []string{"results", "absent", "reset"}, (*pairingFlags).elimination},
	{"tables", []string{"table"}, []string{"rounds", "size"}, (*pairingFlags).tables},
}

func newCalcPairing(a *app) *cobra.Command {
	var f pairingFlags
	names := make([]string, len(pairingFormats))
	for i, format := range pairingFormats {
		names[i] = format.name
	}
	c := &cobra.Command{
		Use:   "pairing",
		Short: "Tell who meets whom in a tournament, and how it stands",
		Long: `pairing prints the rounds of a tournament of players 1 to N, the first being the
strongest; the first of a pairing has the first seat (White). Schedules are printed
whole, or one --round of them; swiss (Monrad: neighbours in the ranking, by the
matching with the least cost) and dutch (the basics of FIDE's system) pair the round
after --results; eliminations show the bracket as far as it is known; tables seat
three or four.

The file of results has columns round,white,black,result (or wins,draws,losses of
White): 1-0, 0-1, 1/2-1/2, or the points of White; +- and -+ were not played. No black
is a bye, which is a win unless the result is 0.5 or 0. Who is in no row of a round was
absent from it.`,
		Example: `  rift calc pairing --format round_robin --players 8 -o table
  rift calc pairing --format swiss --players 9 --results rounds.csv --absent 4
  rift calc pairing --format double_elimination --players 6 --reset
  rift calc pairing --format tables --players 10 --size 4 --rounds 6`,
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error { return a.calcPairing(c.Flags(), &f) },
	}
	flags := c.Flags()
	flags.StringVar(&f.format, "format", "round_robin", "kind of tournament: "+strings.Join(names, ", "))
	flags.IntVar(&f.players, "players", 0, "number of players")
	flags.IntVar(&f.round, "round", 0, "print only this round (default: all of them)")
	flags.IntVar(&f.rounds, "rounds", 0, "rounds that are planned (swiss, dutch), or wanted (tables, default as many as players)")
	flags.StringVar(&f.results, "results", "", "file of results so far, - for standard input")
	flags.IntSliceVar(&f.absent, "absent", nil, "players who have withdrawn or are away from the next round")
	flags.IntVar(&f.size, "size", 4, "players at a table: 3 or 4")
	flags.BoolVar(&f.reset, "reset", false, "play the grand final again when it is the first loss of its loser")
	flags.BoolVar(&f.third, "third-place", false, "play for the third place")
	register(c, "format", names...)
	return c
}

func (a *app) calcPairing(flags *pflag.FlagSet, f *pairingFlags) error {
	p, err := a.printer()
	if err != nil {
		return err
	}
	at := slices.IndexFunc(pairingFormats, func(format pairingFormat) bool {
		return format.name == f.format || slices.Contains(format.also, f.format)
	})
	if at < 0 {
		err := usagef("--format %s: no such format", f.format)
		return hinted(err, "there are: %s", strings.TrimPrefix(flags.Lookup("format").Usage, "kind of tournament: "))
	}
	format := pairingFormats[at]
	f.format = format.name
	var faults []domain.Fault
	for _, flag := range []string{"results", "rounds", "absent", "size", "reset", "third-place"} {
		if flags.Changed(flag) && !slices.Contains(format.flags, flag) {
			faults = append(faults, domain.Fault{Field: "--" + flag, Reason: "format " + f.format + " does not read it"})
		}
	}
	if f.players < 1 {
		faults = append(faults, domain.Fault{Field: "--players", Reason: fmt.Sprintf("want how many there are, found %d", f.players)})
	}
	if f.round < 0 || f.rounds < 0 {
		faults = append(faults, domain.Fault{Field: "--round", Reason: "want rounds from 1"})
	}
	if err := domain.Faulty("pairing", faults); err != nil {
		return err
	}
	history, err := a.history(f)
	if err != nil {
		return err
	}
	answer, err := format.run(f, history)
	if err != nil {
		return calcError(err)
	}
	if len(history) > 0 && answer.Standings == nil {
		if answer.Standings, err = standingsOf(f.players, history); err != nil {
			return calcError(err)
		}
	}
	if f.round > 0 {
		answer.Rounds = slices.DeleteFunc(answer.Rounds, func(r roundAnswer) bool { return r.Round != f.round })
		if len(answer.Rounds) == 0 {
			return domain.Errorf(domain.NotFound, "round %d: there is none", f.round)
		}
	}
	answer.Format, answer.Players = f.format, f.players
	return p.Print(answer.listing())
}

// history decodes --results into rounds.
func (a *app) history(f *pairingFlags) ([]pairing.Round, error) {
	if f.results == "" {
		return nil, nil
	}
	rows, err := a.openRounds(f.results)
	if err != nil {
		return nil, err
	}
	var faults []domain.Fault
	var history []pairing.Round
	for _, r := range rows {
		if r.round < 1 || r.round > pairing.MaxSwissRounds {
			faults = append(faults, domain.Fault{Field: "line " + strconv.Itoa(r.line), Reason: fmt.Sprintf("want a round from 1 to %d, found %d", pairing.MaxSwissRounds, r.round)})
			continue
		}
		for len(history) < r.round {
			history = append(history, nil)
		}
		history[r.round-1] = append(history[r.round-1], r.meeting)
	}
	return history, domain.Faulty("results", faults)
}

// scheduled makes a format whose rounds do not depend on results.
func scheduled(schedule func(int) ([][]pairing.Pairing, error)) func(*pairingFlags, []pairing.Round) (pairingAnswer, error) {
	return func(f *pairingFlags, history []pairing.Round) (pairingAnswer, error) {
		rounds, err := schedule(f.players)
		if err != nil {
			return pairingAnswer{}, err
		}
		var answer pairingAnswer
		for r, round := range rounds {
			var over pairing.Round
			if r < len(history) {
				over = history[r]
			}
			answer.Rounds = append(answer.Rounds, roundOf(r+1, round, over))
		}
		return answer, nil
	}
}

// swissBy makes a format that pairs the next round by the results so far.
func swissBy(next func(pairing.Swiss) ([]pairing.Pairing, error)) func(*pairingFlags, []pairing.Round) (pairingAnswer, error) {
	return func(f *pairingFlags, history []pairing.Round) (pairingAnswer, error) {
		var answer pairingAnswer
		for r, round := range history {
			pairs := make([]pairing.Pairing, len(round))
			for i, m := range round {
				pairs[i] = m.Pairing
			}
			answer.Rounds = append(answer.Rounds, roundOf(r+1, pairs, round))
		}
		if f.round > 0 && f.round <= len(history) || f.rounds > 0 && f.rounds == len(history) {
			return answer, nil
		}
		round, err := next(pairing.Swiss{Players: f.players, Rounds: f.rounds, History: history, Absent: f.absent})
		if err != nil {
			return pairingAnswer{}, err
		}
		answer.Rounds = append(answer.Rounds, roundOf(len(history)+1, round, nil))
		return answer, nil
	}
}

func roundOf(number int, round []pairing.Pairing, over pairing.Round) roundAnswer {
	out := roundAnswer{Round: number}
	for i, p := range round {
		entry := pairingsEntry{Pairing: i + 1, Players: []int{p.White, p.Black}, Bye: p.Bye()}
		if p.Bye() {
			entry.Players = entry.Players[:1]
		}
		for _, m := range over {
			if m.Pairing == p || (m.White == p.Black && m.Black == p.White) {
				entry.Played = true
			}
		}
		out.Pairings = append(out.Pairings, entry)
	}
	return out
}

func (f *pairingFlags) tables([]pairing.Round) (pairingAnswer, error) {
	if f.rounds == 0 {
		f.rounds = max(f.players, f.round)
	}
	rounds, err := pairing.Tables(f.players, f.size, f.rounds)
	if err != nil {
		return pairingAnswer{}, err
	}
	var answer pairingAnswer
	for r, round := range rounds {
		out := roundAnswer{Round: r + 1}
		for i, table := range round.Tables {
			out.Pairings = append(out.Pairings, pairingsEntry{Pairing: i + 1, Players: table})
		}
		for _, p := range round.Byes {
			out.Pairings = append(out.Pairings, pairingsEntry{Pairing: len(out.Pairings) + 1, Players: []int{p}, Bye: true})
		}
		answer.Rounds = append(answer.Rounds, out)
	}
	return answer, nil
}

// elimination shows a bracket. The winner of a match is the player with more points in
// the rows of the two players, which are assigned to matches in the order of the
// matches.
func (f *pairingFlags) elimination(history []pairing.Round) (pairingAnswer, error) {
	bracket, err := pairing.Single(f.players, f.third)
	if f.format == "double_elimination" {
		bracket, err = pairing.Double(f.players, f.reset)
	}
	if err != nil {
		return pairingAnswer{}, err
	}
	states, err := decided(bracket, history, f.absent)
	if err != nil {
		return pairingAnswer{}, err
	}
	var answer pairingAnswer
	for _, m := range states {
		n := len(answer.Rounds)
		if n == 0 || answer.Rounds[n-1].Part != m.Part || answer.Rounds[n-1].Round != m.Round {
			answer.Rounds = append(answer.Rounds, roundAnswer{Round: m.Round, Part: m.Part})
			n++
		}
		entry := pairingsEntry{Pairing: m.Number, Winner: max(m.Winner, 0), Played: m.Winner > 0 && !m.Void, Skipped: m.Void}
		for side, p := range m.Players {
			if p < 0 {
				entry.Bye = true
				continue
			}
			entry.Players = append(entry.Players, p)
			if p == 0 {
				from := m.Sides[side]
				word := fmt.Sprintf("winner of %d", from.WinnerOf)
				if from.LoserOf > 0 {
					word = fmt.Sprintf("loser of %d", from.LoserOf)
				}
				entry.From = append(entry.From, word)
			}
		}
		answer.Rounds[n-1].Pairings = append(answer.Rounds[n-1].Pairings, entry)
	}
	if len(history) > 0 {
		answer.Standings, err = placesOf(f.players, history, states)
	}
	return answer, err
}

// placesOf ranks the players of a bracket by the round that they reached.
func placesOf(players int, history []pairing.Round, states []pairing.MatchState) ([]standingAnswer, error) {
	standings, err := standingsOf(players, history)
	if err != nil {
		return nil, err
	}
	places := pairing.Places(players, states)
	for i := range standings {
		standings[i].Rank, standings[i].TieBreaks = places[standings[i].Participant-1], nil
	}
	slices.SortStableFunc(standings, func(a, b standingAnswer) int {
		return cmp.Or(cmp.Compare(a.Rank, b.Rank), cmp.Compare(a.Participant, b.Participant))
	})
	return standings, nil
}

// decided returns the winners of a bracket's matches according to the rows.
func decided(bracket *pairing.Bracket, history []pairing.Round, absent []int) ([]pairing.MatchState, error) {
	var rows []pairing.Meeting
	for _, round := range history {
		for _, m := range round {
			if m.Black != 0 {
				rows = append(rows, m)
			}
		}
	}
	winners := map[int]int{}
	for {
		states, err := bracket.State(winners, absent)
		if err != nil {
			return nil, err
		}
		found := false
		for _, m := range states {
			if !m.Ready() || found {
				continue
			}
			at := slices.IndexFunc(rows, func(r pairing.Meeting) bool {
				return r.White == m.Players[0] && r.Black == m.Players[1] || r.White == m.Players[1] && r.Black == m.Players[0]
			})
			if at < 0 {
				continue
			}
			r := rows[at]
			rows = slices.Delete(rows, at, at+1)
			switch {
			case r.Points[0] > r.Points[1]:
				winners[m.Number], found = r.White, true
			case r.Points[1] > r.Points[0]:
				winners[m.Number], found = r.Black, true
			default:
				return nil, domain.Errorf(domain.Invalid, "match %d: want a winner of %d and %d, found a draw", m.Number, r.White, r.Black)
			}
		}
		if found {
			continue
		}
		if len(rows) > 0 {
			return nil, domain.Errorf(domain.Invalid, "results: %d against %d is no match of the bracket, or not yet", rows[0].White, rows[0].Black)
		}
		return states, nil
	}
}
