package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/domain/elo"
	eloview "github.com/ringrift/rift/projections/elo"
)

// rankingHelp describes the settings of a ranking.
var rankingHelp = map[string]string{
	"config_key": "the game", "method": "how they are rated: elo, mle, glicko2, whr, pl, or published, what promotion went by (default: the policy's, elo)",
	"mode": "all settings as a program has them: bayeselo, ordo", "k": "elo: most points a game moves, 32, or 40:30,20 for 40 below 30 games, then 20",
	"initial": "elo: rating before the first game", "period": "elo: game, or day: all games of a day move ratings at once",
	"anchors": "elo, mle, pl: ratings that are given, NAME=RATING,…, or none",
	"draws":   "mle: what a draw is: half, win_loss, davidson, bayeselo", "scale": "mle, pl: what a point is: logistic, ordo, bayeselo",
	"prior": "mle, pl: virtual draws of each player; whr: games won and lost on its first day", "mean": "mle, pl: mean rating where nothing is given; whr: of a player nobody knows",
	"advantage": "mle, whr: Elo of the first seat; mle, pl: fit", "draw_elo": "mle: draw constant of draws bayeselo (default: fitted)",
	"tau": "glicko2: how fast volatility changes", "drift": "whr: Elo² that a day adds to what is not known",
	"from": "begin at this row", "limit": "most to list (default 100)",
}

func newElo(a *app) *cobra.Command {
	limit := "most to list (default 100)"
	excluded := map[string]string{"config_key": "the game", "worker": "all that this worker told and will tell", "match_id": "or this match, or evaluation's fact", "reason": "why"}
	c := group(a, "elo", "See the ratings of a game and the facts behind them",
		"  rift elo rankings hex8_2p\n  rift elo rankings hex8_2p --method mle --draws davidson\n  rift elo export hex8_2p --format csv", []endpoint{
			{
				name: "rankings", short: "Rate the players of a game by all facts that count", route: "elo.rankings", args: []string{"config_key"}, needs: 1,
				long: `Everybody is rated from the facts, in one order: that of the games' times. Nodes with
the same facts show the same digits. error is a standard error, los the likelihood to be
better than the next. Players that no games or given ratings connect are in different
components, and their ratings share no scale.`,
				example: "  rift elo rankings hex8_2p\n  rift elo rankings hex8_2p --method mle --anchors random=0 -o csv\n  rift elo rankings hex8_2p --mode ordo",
				help:    rankingHelp,
				empty:   "no game of {config_key} counts yet", show: asTable(rankingsTable),
			},
			{
				name: "history", short: "List how published ratings moved, oldest first", route: "elo.history", args: []string{"config_key"}, needs: 1,
				example: "  rift elo history hex8_2p --limit 20",
				help:    map[string]string{"config_key": "the game", "model_id": "only this model", "from": "begin at this position", "limit": limit},
				empty:   "no rating of {config_key} has moved", show: asTable(ratingMovesTable),
			},
			{
				name: "matches", short: "List the facts behind the ratings of a game, oldest first", route: "elo.matches", args: []string{"config_key"}, needs: 1,
				example: "  rift elo matches hex8_2p --limit 20\n  rift elo matches hex8_2p --player 9f2c -o jsonl",
				help:    map[string]string{"config_key": "the game", "player": "only facts of this player", "worker": "only what this worker told", "from": "begin at this position", "limit": limit},
				empty:   "no game of {config_key} counts yet", show: showMatches,
			},
			{
				name: "exclude", short: "Let games of a worker, or one, no longer count", route: "elo.exclude", args: []string{"config_key"}, needs: 1,
				example: "  rift elo exclude hex8_2p --worker gpu-7 --reason 'wrong rules'\n  rift elo exclude hex8_2p --match-id f489f2712b36442fdb82b8fb9ea77a94 --reason 'the board was set up wrong'",
				help:    excluded, missing: "`rift elo matches` lists the matches", show: showStored,
			},
			{
				name: "include", short: "Let games that were excluded count again", route: "elo.include", args: []string{"config_key"}, needs: 1,
				example: "  rift elo include hex8_2p --worker gpu-7 --reason 'our mistake'",
				help:    excluded, missing: "`rift elo exclusions` lists what is excluded", show: showStored,
			},
			{
				name: "exclusions", short: "List what does not count for the ratings of a game, and why", route: "elo.exclusions", args: []string{"config_key"}, needs: 1,
				example: "  rift elo exclusions hex8_2p",
				help:    map[string]string{"config_key": "the game", "from": "the next of the page before", "limit": limit},
				empty:   "all games of {config_key} count", show: asTable(exclusionsTable),
			},
		})
	c.AddCommand(newEloSync(a), newEloImport(a), newEloExport(a))
	return c
}

func rankingsTable(found eloview.Rankings) output.Listing {
	l := rankingListing(found.Rankings, len(found.Components) > 1)
	l.Below = rankingFooter(found.Ranking)
	if found.Next > 0 {
		l.Below += "\nmore: rift elo rankings " + string(found.ConfigKey) + " --from " + strconv.Itoa(found.Next)
	}
	return l
}

// rankingListing is a ranking as a table of at most 80 columns.
func rankingListing(rows []elo.Ranked, several bool) output.Listing {
	widest := 20
	if several {
		widest = 18
	}
	l := output.List(rows, []output.ColumnOf[elo.Ranked]{
		{Name: "component", Wide: !several},
		{Name: "rank"},
		{Name: "model_id", Max: widest},
		{Name: "kind", Wide: true},
		{Name: "rating", Right: true, Value: func(row elo.Ranked) any { return signed(row.Rating) }},
		{Name: "error", Right: true, Value: func(row elo.Ranked) any {
			if row.Error == nil {
				return "given"
			}
			return signed(*row.Error)
		}},
		{Name: "games"},
		{Name: "wins"},
		{Name: "losses"},
		{Name: "draws", Wide: several},
		{Name: "los", Format: "%.3f"},
		{Name: "volatility", Wide: true, Format: "%.6f"},
	})
	return l
}

// rankingFooter says how a ranking was computed, and what concerns no single player.
func rankingFooter(r elo.Ranking) string {
	lines := []string{output.Plural(r.Games, "game") + " by"}
	for _, word := range settingsWords(r.Options) {
		if last := &lines[len(lines)-1]; len(*last)+len(word) < 76 {
			*last += " " + word
		} else {
			lines = append(lines, word)
		}
	}
	if r.Advantage != nil {
		lines = append(lines, fmt.Sprintf("first seat %+.1f ± %.1f Elo", r.Advantage.Elo, r.Advantage.Error))
	}
	for i, s := range r.Seats {
		lines = append(lines, fmt.Sprintf("seat %d %+.1f ± %.1f Elo over the last", i+1, s.Elo, s.Error))
	}
	if r.DrawRate != nil {
		lines = append(lines, fmt.Sprintf("draws between equals %.1f %%", 100**r.DrawRate))
	}
	if n := len(r.Components); n > 1 {
		lines = append(lines, strconv.Itoa(n)+" sets of players that nothing connects: their ratings share no scale")
	}
	return "\n" + strings.Join(lines, "\n")
}

// settingsWords lists the settings of a ranking, with a comma after all but the last.
func settingsWords(o elo.Options) []string {
	words := []string{string(o.Method)}
	add := func(name string, value *float64) {
		if value != nil {
			words = append(words, name+" "+strconv.FormatFloat(*value, 'g', -1, 64))
		}
	}
	for _, step := range o.K {
		k := "K " + strconv.FormatFloat(step.K, 'g', -1, 64)
		if step.BelowGames > 0 {
			k += fmt.Sprintf(" below %d games", step.BelowGames)
		}
		words = append(words, k)
	}
	add("from", o.Initial)
	if o.Period != "" {
		words = append(words, "games of a "+o.Period+" at once")
	}
	if o.Draws != "" {
		words = append(words, "draws "+o.Draws)
	}
	if o.Scale != "" && o.Scale != "logistic" {
		words = append(words, "scale "+o.Scale)
	}
	add("prior", o.Prior)
	add("mean", o.Mean)
	if o.Advantage != nil && *o.Advantage != 0 {
		add("advantage", o.Advantage)
	}
	add("tau", o.Tau)
	add("drift", o.Drift)
	for i := range words[:len(words)-1] {
		words[i] += ","
	}
	return words
}

func ratingMovesTable(found eloview.HistoryAnswer) output.Listing {
	return output.List(found.History, []output.ColumnOf[eloview.RatingMove]{
		{Name: "position"},
		{Name: "time"},
		{Name: "model_id"},
		{Name: "old"},
		{Name: "new"},
		{Name: "error"},
		{Name: "games"},
	})
}

func exclusionsTable(found eloview.ExclusionsAnswer) output.Listing {
	l := output.List(found.Exclusions, []output.ColumnOf[eloview.ExclusionRow]{
		{Name: "what", Value: func(row eloview.ExclusionRow) any {
			return elo.Excluded{Worker: row.Worker, MatchID: row.MatchID}.String()
		}},
		{Name: "facts"},
		{Name: "since", Key: "at"},
		{Name: "reason", Max: 60},
	})
	return more(l, "rift elo exclusions … --from ", found.Next)
}

// showMatches lists the match facts behind the ratings.
func showMatches(p *output.Printer, answer json.RawMessage, e endpoint) error {
	found, err := decode[eloview.MatchesAnswer](answer)
	if err != nil {
		return err
	}
	l := output.Listing{Doc: answer, Empty: e.empty, Columns: []output.Column{
		{Name: "position", Right: true},
		{Name: "time"},
		{Name: "fact", Max: 16},
		{Name: "player"},
		{Name: "outcome"},
		{Name: "against"},
	}}
	for _, row := range found.Matches {
		match, err := matchRow(row)
		if err != nil {
			return err
		}
		l.Rows = append(l.Rows, append([]any{row.Position, row.Time}, match...))
		l.Items = append(l.Items, row)
	}
	return p.Print(l)
}

// matchRow is a match fact for people: its name, who did best or whom it is about, how
// that ended, and against whom.
func matchRow(row eloview.MatchFact) ([]any, error) {
	if row.Type == (elo.MatchRecorded{}).EventType() {
		match, err := decode[elo.MatchRecorded](row.Fact)
		if err != nil {
			return nil, err
		}
		order := make([]int, min(len(match.Participants), len(match.Ranks)))
		for i := range order {
			order[i] = i
		}
		slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(match.Ranks[a], match.Ranks[b]) })
		if len(order) == 0 {
			return []any{match.MatchID}, nil
		}
		outcome := "won"
		var others []string
		for _, i := range order[1:] {
			if match.Ranks[i] == match.Ranks[order[0]] {
				outcome = "drew"
			}
			name := match.Participants[i].Name()
			if len(order) > 2 {
				name = fmt.Sprintf("%d. %s", match.Ranks[i], name)
			}
			others = append(others, name)
		}
		return []any{match.MatchID, match.Participants[order[0]].Name(), outcome, strings.Join(others, ", ")}, nil
	}
	results, err := decode[elo.ResultsRecorded](row.Fact)
	if err != nil {
		return nil, err
	}
	var outcomes, opponents []string
	for _, r := range results.Results {
		outcomes, opponents = append(outcomes, fmt.Sprintf("+%d−%d=%d", r.Wins, r.Losses, r.Draws)), append(opponents, r.Opponent)
	}
	return []any{results.FactID, string(results.ModelID), strings.Join(outcomes, ", "), strings.Join(opponents, ", ")}, nil
}
