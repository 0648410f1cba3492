package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/domain/cmaesrun"
	cmaesview "github.com/ringrift/rift/projections/cmaes"
)

var startHelp = map[string]string{
	"run":                         "its name (default: made up)",
	"config_key":                  "the game that it is about",
	"x0":                          "where to begin, JSON: [1,0.5]",
	"sigma0":                      "first step size, about a quarter of the range in question; of a space in quarters of its ranges (default 1)",
	"space":                       "what the variables are, in place of x0, bounds and integers, JSON: [{\"name\",\"low\",\"high\",\"start\",\"integer\"}]",
	"bounds":                      "JSON: [low,high] of all variables, or a list of one for each; null is none",
	"population":                  "candidates of a generation (default 4 + 3 ln n)",
	"generations":                 "most of them, restarts included",
	"seed":                        "what candidates are drawn from (default: drawn)",
	"objective":                   "what is minimised, JSON: see above",
	"target":                      "value to stop at",
	"max_evaluations":             "most of them, restarts included",
	"restarts":                    "what follows a part that ends without the target: ipop, bipop",
	"max_restarts":                "most of them (default 9)",
	"integers":                    "variables that are whole numbers, JSON: [0,2]",
	"passive":                     "learn from the better half only",
	"reevaluate":                  "share of a generation that is evaluated twice, to measure noise",
	"lost":                        "what becomes of lost candidates: resample (default), drop",
	"generation_seconds":          "after which a generation does without candidates that are out, half of it at least being there",
	"tolerances":                  "when a part of the search ends, JSON by pycma's names; 0: pycma's bound, less: never",
	"tolerances.tolfun":           "range of the values now and lately (default 1e-11)",
	"tolerances.tolfunhist":       "range of the best values lately (default 1e-12)",
	"tolerances.tolx":             "all deviations (default 1e-11)",
	"tolerances.tolfacupx":        "a deviation over its first one (default 1e3)",
	"tolerances.tolupsigma":       "sigma over its first value and the longest axis (default 1e20)",
	"tolerances.tolconditioncov":  "condition of the covariance (default 1e14)",
	"tolerances.tolstagnation":    "generations without better values (default 100 + 100 n^1.5 / population)",
	"tolerances.tolxstagnation":   "change of the mean over many generations (default 1e-9)",
	"tolerances.tolflatfitness":   "generations with equal best values (default 1)",
	"tolerances.tolnoeffectaxis":  "part of an axis that changes no bit of the mean (default 0.1)",
	"tolerances.tolnoeffectcoord": "part of a deviation that changes no bit of the mean (default 0.2)",
	"tolerances.maxiter":          "generations between restarts (default 100 + 150 (n+3)² / √population)",
}

func newCMAES(a *app) *cobra.Command {
	return group(a, "cmaes", "Search for parameters by CMA-ES, a work item for each candidate",
		`  rift cmaes start --x0 '[1,0.5,0.3]' --sigma0 0.3 --objective '{"command":"tune"}'
  rift cmaes status run-1`, []endpoint{
			{
				name: "start", short: "Start a search", route: "cmaes.start",
				long: `start asks for the parameters with the least value of an objective. Every candidate is a
work item (type cmaes, unless the objective says another) whose payload has its values x.

An objective is a command, {"command": ANYTHING}: the worker's command for the type gets the
payload, with ANYTHING in it, and prints {"fitness": NUMBER}, less is better. Or it is games,
{"player": "heuristic:{x}", "baselines": ["random"], "games": 20}: the worker plays the games of
the payload, the candidate's values in the place of {x}, and its score counts negative.`,
				example: `  rift cmaes start --x0 '[1,0.5,0.3]' --sigma0 0.3 --bounds '[0,2]' --objective '{"command":"tune"}'
  rift cmaes start --space '[{"name":"rate","low":0,"high":1},{"name":"size","low":8,"high":64}]' --objective '{"command":"tune"}'
  rift cmaes start --x0 '[0.5,0.5]' --sigma0 0.2 --config-key hex8_2p --generations 30 --objective '{"player":"heuristic:{x}","baselines":["random"],"games":20}'`,
				help: startHelp,
				show: showStored,
			},
			{
				name: "stop", short: "End a search and cancel its items", route: "cmaes.stop", args: []string{"run"}, needs: 1,
				example: "  rift cmaes stop run-1 --reason 'seen enough'",
				help:    map[string]string{"run": "its name, as start answers", "reason": "for the people who read it"},
				missing: runsAreListed, show: showStored,
			},
			{
				name: "inject", short: "Tell a search a point from elsewhere with its value", route: "cmaes.inject", args: []string{"run"}, needs: 1,
				example: "  rift cmaes inject run-1 --x '[0.5,0.25]' --fitness 1.5",
				help:    map[string]string{"run": "its name, as start answers", "x": "the point, JSON: [0.5,0.25]", "fitness": "its value; less is better"},
				missing: runsAreListed, show: showStored,
			},
			{
				name: "status", short: "Show how a search stands: its generation, what it found, why it ended", route: "cmaes.status", args: []string{"run"}, needs: 1,
				example: "  rift cmaes status run-1\n  rift cmaes status run-1 -o json",
				help:    map[string]string{"run": "its name, as start answers"},
				missing: runsAreListed, show: showRun,
			},
			{
				name: "runs", short: "List searches by name", route: "cmaes.runs",
				example: "  rift cmaes runs\n  rift cmaes runs --state running",
				help:    map[string]string{"state": "only these: running, done, stopped, failed", "from": "begin at this run", "limit": "most to list (default 100)"},
				empty:   "no search was started yet: rift cmaes start --help", show: asTable(runsTable),
			},
			{
				name: "history", short: "List the generations of a search, the first one first", route: "cmaes.history", args: []string{"run"}, needs: 1,
				example: "  rift cmaes history run-1\n  rift cmaes history run-1 -o csv",
				help:    map[string]string{"run": "its name, as start answers", "from": "begin at this generation", "limit": "most to list (default 100)"},
				missing: runsAreListed, show: asTable(generationsTable),
			},
		})
}

const runsAreListed = "searches are listed by: rift cmaes runs"

// showRun prints one search.
func showRun(p *output.Printer, answer json.RawMessage, _ endpoint) error {
	found, err := decode[cmaesview.Answer](answer)
	if err != nil {
		return err
	}
	r := found.Run
	best := "none yet"
	if r.Best != nil {
		best = fmt.Sprintf("%.6g in generation %d, at %s", r.Best.Fitness, r.Best.Generation, vector(r.Best.X))
	}
	fields := []output.Field{
		{Name: "run", Value: fmt.Sprintf("%s is %s", r.Run, r.State)},
		{Name: "generation", Value: fmt.Sprintf("%d, %d of %d candidates are back", r.Generation, r.Ready, r.Population)},
		{Name: "evaluations", Value: output.Plural(r.Evaluations, "evaluation") + lostWords(r)},
		{Name: "best", Value: best},
		{Name: "mean", Value: vector(r.Favourite)},
		{Name: "sigma", Value: fmt.Sprintf("%.4g, axis ratio %.4g", r.Sigma, r.AxisRatio)},
		{Name: "restarts", Value: len(r.Restarts)},
	}
	if r.State != cmaesrun.Running {
		fields = append(fields, output.Field{Name: "stopped by", Value: stopWords(r)})
	}
	return p.Fields(answer, fields...)
}

func lostWords(r cmaesview.Status) string {
	if r.Lost+r.Late == 0 {
		return ""
	}
	return fmt.Sprintf("; %d lost, %d drawn again, %d late", r.Lost, r.Resampled, r.Late)
}

func stopWords(r cmaesview.Status) string {
	words := make([]string, 0, len(r.Stop)+1)
	words = append(words, slices.Sorted(maps.Keys(r.Stop))...)
	if r.Reason != "" {
		words = append(words, r.Reason)
	}
	return strings.Join(words, ", ")
}

func vector(x []float64) string {
	words := make([]string, 0, 12)
	for i, v := range x {
		if i == 12 {
			words = append(words, fmt.Sprintf("… (%d)", len(x)))
			break
		}
		words = append(words, fmt.Sprintf("%.4g", v))
	}
	return "[" + strings.Join(words, " ") + "]"
}

func runsTable(found cmaesview.RunsAnswer) output.Listing {
	return more(runsListing(found.Runs), "rift cmaes runs --from ", found.Next)
}

func runsListing(runs []cmaesview.Status) output.Listing {
	l := output.List(runs, []output.ColumnOf[cmaesview.Status]{
		{Name: "run", Max: 30},
		{Name: "state"},
		{Name: "gen", Key: "generation"},
		{Name: "evals", Key: "evaluations"},
		{Name: "best", Right: true, Value: func(r cmaesview.Status) any {
			if r.Best == nil {
				return nil
			}
			return fmt.Sprintf("%.4g", r.Best.Fitness)
		}},
		{Name: "sigma", Format: "%.3g"},
		{Name: "restarts", Right: true, Wide: true, Value: func(r cmaesview.Status) any { return len(r.Restarts) }},
		{Name: "lost"},
		{Name: "stop", Max: 30, Value: func(r cmaesview.Status) any { return stopWords(r) }},
	})
	return l
}

func generationsTable(found cmaesview.GenerationsAnswer) output.Listing {
	l := generationsListing(found.Generations)
	if found.Next != nil {
		l.Below = fmt.Sprintf("more: --from %d", *found.Next)
	}
	return l
}

func generationsListing(generations []cmaesview.Generation) output.Listing {
	l := output.List(generations, []output.ColumnOf[cmaesview.Generation]{
		{Name: "generation"},
		{Name: "restart", Key: "restarts"},
		{Name: "population"},
		{Name: "least", Format: "%.4g"},
		{Name: "median", Format: "%.4g"},
		{Name: "sigma", Format: "%.3g"},
		{Name: "axis_ratio", Format: "%.3g"},
		{Name: "evaluations"},
		{Name: "lost"},
		{Name: "late"},
	})
	return l
}
