package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/domain/elo"
	"github.com/ringrift/rift/domain/training"
	gauntletview "github.com/ringrift/rift/projections/gauntlet"
	trainingview "github.com/ringrift/rift/projections/training"
)

var blockHelp = map[string]string{"config_key": "the game: hex8_2p", "reason": "one word; each reason holds one block"}

func newTraining(a *app) *cobra.Command {
	return group(a, "training", "See and steer the training of the games",
		"  rift training status\n  rift training block hex8_2p operator --duration-seconds 2h", []endpoint{
			{
				name: "status", short: "Show how the training of each game stands", route: "training.status", args: []string{"config_key"},
				example: "  rift training status\n  rift training status hex8_2p -o json",
				help:    map[string]string{"config_key": "only this game"},
				empty:   "no game has a training yet: data, evaluations and quality readings arrive through POST /events", show: asTable(trainingTable),
			},
			{
				name: "block", short: "Keep a game from being trained, under a reason", route: "training.block", args: []string{"config_key", "reason"}, needs: 2,
				example: "  rift training block hex8_2p operator --detail 'moving disks'\n  rift training block hex8_2p operator --duration-seconds 2h",
				help: with(with(blockHelp, "duration_seconds", "how long it holds: 90m, or seconds (default: until it is lifted)"),
					"detail", "for the people who read it"), show: showStored,
			},
			{
				name: "unblock", short: "Lift one reason, and no other", route: "training.unblock", args: []string{"config_key", "reason"}, needs: 2,
				example: "  rift training unblock hex8_2p operator", help: with(blockHelp, "detail", "for the people who read it"), show: showStored,
			},
		})
}

func trainingTable(found trainingview.Status) output.Listing {
	return output.List(found.Configs, []output.ColumnOf[trainingview.ConfigTraining]{
		{Name: "config_key"},
		{Name: "rate"},
		{Name: "budget", Wide: true},
		{Name: "exploration", Wide: true},
		{Name: "priority", Wide: true},
		{Name: "causes", Value: func(row trainingview.ConfigTraining) any {
			return joinOf(row.Factors, func(f training.Factor) string { return string(f.Cause) })
		}},
		{Name: "blocked_by", Value: func(row trainingview.ConfigTraining) any {
			return joinOf(row.Blocked, func(b training.Block) string { return b.Reason })
		}},
		{Name: "training", Value: func(row trainingview.ConfigTraining) any {
			switch {
			case row.Training != nil:
				return "on " + string(row.Training.NodeID)
			case row.Requested != nil:
				return "asked for"
			}
			return nil
		}},
		{Name: "new_games", Key: "games_since_training"},
		{Name: "model", Max: 16},
		{Name: "promoted_at", Value: func(row trainingview.ConfigTraining) any {
			if row.Promotion == nil {
				return nil
			}
			return row.Promotion.At
		}},
		{Name: "training_task", Wide: true, Value: func(row trainingview.ConfigTraining) any {
			switch {
			case row.Training != nil:
				return string(row.Training.TaskID)
			case row.Requested != nil:
				return string(row.Requested.TaskID)
			}
			return nil
		}},
		{Name: "trainings", Wide: true},
		{Name: "failures", Wide: true},
		{Name: "refused", Wide: true, Key: "refused_candidates"},
		{Name: "games", Wide: true, Key: "games_in_total"},
	})
}

func newGauntlet(a *app) *cobra.Command {
	return group(a, "gauntlet", "Measure models and see what came of it",
		"  rift gauntlet execute hex8_2p 9f2c…\n  rift gauntlet results --state running", []endpoint{
			{
				name: "execute", short: "Measure a model, once", route: "gauntlet.execute", args: []string{"config_key", "model_id"}, needs: 2,
				example: "  rift gauntlet execute hex8_2p 9f2c\n  rift gauntlet execute hex8_2p 9f2c --baselines heuristic --games 400",
				help: map[string]string{
					"config_key": "the game", "model_id": "hash of the weights", "baselines": "opponents, @anchors, @in_use, @older (default: the policy's, and the model in use)",
					"games": "per opponent", "sprt": "sequential test, JSON: {\"elo0\":0,\"elo1\":10,\"alpha\":0.05,\"beta\":0.05}",
					"players": "built-in players for models, JSON: [{\"model_id\":\"9f2c\",\"player\":\"mcts:50\"}]", "sprt.model": "logistic, normalized, bayeselo, cutechess", "sprt.overshoot": "correct the bounds for overshoot",
					"sprt.elo0": "no better by this many Elo", "sprt.elo1": "better by this many", "sprt.alpha": "chance to accept elo1 wrongly", "sprt.beta": "chance to accept elo0 wrongly",
				}, show: showStored,
			},
			{
				name: "quick-eval", short: "Take a quick look at a model: a few games per seat, no promotion", route: "gauntlet.quick_eval", args: []string{"config_key", "model_id"}, needs: 2,
				example: "  rift gauntlet quick-eval hex8_2p 9f2c\n  rift gauntlet quick-eval hex8_2p 9f2c --baseline-id heuristic --games-per-side 8",
				help: map[string]string{
					"config_key": "the game", "model_id": "hash of the weights", "baseline_id": "one opponent", "baselines": "or several (default: the policy's)",
					"games_per_side": "games per seat (default: the policy's 4)", "players": "built-in players for models, JSON: [{\"model_id\":\"9f2c\",\"player\":\"mcts:50\"}]",
				}, show: showStored,
			},
			{
				name: "exclude", short: "Let the games of a worker count no more in a gauntlet that runs", route: "gauntlet.exclude", args: []string{"gauntlet_id", "node_id"}, needs: 2,
				example: "  rift gauntlet exclude hex8_2p:9f2c gpu-3 --reason \"its results are odd\"",
				help:    map[string]string{"gauntlet_id": "the game and the model", "node_id": "the worker", "reason": "why"}, show: showStored,
			},
			{
				name: "status", short: "Show how one gauntlet stands: games, test, decision", route: "gauntlet.status", args: []string{"gauntlet_id"}, needs: 1,
				example: "  rift gauntlet status hex8_2p:9f2c\n  rift gauntlet status hex8_2p:9f2c:quick -o json",
				help:    map[string]string{"gauntlet_id": "the game and the model, as execute answers: hex8_2p:9f2c"},
				missing: "gauntlets are listed by: rift gauntlet results", show: showGauntlet,
			},
			{
				name: "parts", short: "List the parts of a gauntlet: who played what, and the test after each", route: "gauntlet.parts", args: []string{"gauntlet_id"}, needs: 1,
				example: "  rift gauntlet parts hex8_2p:9f2c\n  rift gauntlet parts hex8_2p:9f2c --from 20 -o json",
				help:    map[string]string{"gauntlet_id": "the game and the model", "from": "begin at this part", "limit": "most to list (default 100)"},
				missing: "gauntlets are listed by: rift gauntlet results", show: showParts,
			},
			{
				name: "results", short: "List gauntlets by game and model", route: "gauntlet.results",
				example: "  rift gauntlet results --config-key hex8_2p\n  rift gauntlet results --state failed",
				help: map[string]string{
					"config_key": "only of this game", "state": "only these: running, done, failed", "from": "begin at this gauntlet", "limit": "most to list (default 100)",
				},
				empty: "no gauntlets yet: a training that gives a model begins one", show: asTable(gauntletsTable),
			},
		})
}

// showParts lists the parts of a gauntlet.
func showParts(p *output.Printer, answer json.RawMessage, _ endpoint) error {
	found, err := decode[gauntletview.PartsAnswer](answer)
	if err != nil {
		return err
	}
	l := output.Listing{Doc: answer, Empty: "no parts: the gauntlet is of an older log", Columns: []output.Column{
		{Name: "part", Right: true}, {Name: "worker", Max: 20}, {Name: "opponent", Max: 16}, {Name: "wins", Right: true}, {Name: "draws", Right: true}, {Name: "losses", Right: true}, {Name: "llr", Right: true}, {Name: "task_id", Wide: true}, {Name: "failure", Max: 20},
	}}
	for _, part := range found.Parts {
		row := []any{part.Part, string(part.NodeID), "", nil, nil, nil, nil, string(part.TaskID), part.Failure}
		if len(part.Results) > 0 {
			r := part.Results[0]
			row[2], row[3], row[4], row[5] = r.Opponent, r.Wins, r.Draws, r.Losses
		}
		if part.Look != nil {
			row[6] = fmt.Sprintf("%.3f", part.Look.LLR)
		}
		l.Rows = append(l.Rows, row)
		l.Items = append(l.Items, part)
	}
	if found.Next != nil {
		l.Below = fmt.Sprintf("\nthere are more: --from %d", *found.Next)
	}
	return p.Print(l)
}

// showGauntlet prints one gauntlet, one row an opponent.
func showGauntlet(p *output.Printer, answer json.RawMessage, _ endpoint) error {
	found, err := decode[gauntletview.Answer](answer)
	if err != nil {
		return err
	}
	g := found.Gauntlet
	l := output.List(g.Results, []output.ColumnOf[elo.OpponentResult]{
		{Name: "opponent", Max: 40},
		{Name: "games", Right: true, Value: func(r elo.OpponentResult) any { return r.Games() }},
		{Name: "wins"},
		{Name: "losses"},
		{Name: "draws"},
		{Name: "errors"},
		{Name: "pairs", Value: func(r elo.OpponentResult) any { return strings.Trim(fmt.Sprint(r.Pentanomial), "[]") }},
	})
	l.Doc, l.Empty = answer, "no game has ended yet"
	l.Above = fmt.Sprintf("%s is %s: %d of at most %d games", g.GauntletID, g.State, g.Games, g.Wanted)
	if g.Decision != "" {
		l.Above += ", decision " + g.Decision
	}
	if g.Elo != nil && g.Error != nil {
		l.Above += fmt.Sprintf(", %+.1f ± %.1f Elo", *g.Elo, *g.Error)
	}
	if g.LLR != nil {
		l.Above += fmt.Sprintf(", log likelihood ratio %.2f", *g.LLR)
	}
	if g.Reason != "" {
		l.Above += "\n" + g.Reason
	}
	return p.Print(l)
}

func gauntletsTable(found gauntletview.GauntletsAnswer) output.Listing {
	l := output.List(found.Gauntlets, []output.ColumnOf[gauntletview.Status]{
		{Name: "gauntlet_id"},
		{Name: "state"},
		{Name: "games"},
		{Name: "wanted", Key: "games_wanted"},
		{Name: "decision"},
		{Name: "llr"},
		{Name: "elo"},
		{Name: "task_id"},
		{Name: "round", Wide: true},
		{Name: "reason", Wide: true, Max: 60},
	})
	return more(l, "rift gauntlet results --from ", found.Next)
}

// joinOf joins what f returns for each row.
func joinOf[T any](rows []T, f func(T) string) string {
	words := make([]string, len(rows))
	for i, row := range rows {
		words[i] = f(row)
	}
	return strings.Join(words, ", ")
}
