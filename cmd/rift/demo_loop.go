package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/training"
)

// loopFlags are the settings of the loop.
type loopFlags struct {
	seconds    int
	promotions int
	data       string
}

// The game of the loop is Hex on a small board.
const (
	loopConfig = domain.ConfigKey("hex8_2p")
	loopSize   = 5
)

func newDemoLoop(a *app) *cobra.Command {
	var f loopFlags
	c := &cobra.Command{
		Use:   "loop",
		Short: "Show the training loop with real games: Hex, weights, CMA-ES, gauntlets, promotion",
		Long: `Runs a node and two workers on this machine and lets a model of Hex get better. A model
is eight weights. Selfplay plays games; enough of them ask for a training, which is a
search by CMA-ES for weights that beat the model in use, a work item for each candidate;
the weights that it finds are measured by a gauntlet with a sequential test, and promoted
when they pass the gates. Nothing is pretended, and nothing is kept but in the log: the
weights of a model are those that its search ended with.

It ends with --promotions over the weights that it began with, or after --seconds. Then it
shows what was promoted, the last search, what led to the promotion, and draws the Elo of
the promoted models. Ctrl-C stops it early.`,
		Example: `  rift demo loop
  rift demo loop --promotions 3 --data /tmp/loop`,
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			if f.seconds < 1 || f.promotions < 1 {
				return usagef("--seconds and --promotions: want at least 1, found %d and %d", f.seconds, f.promotions)
			}
			return a.loop(c.Context(), f)
		},
	}
	c.Flags().IntVar(&f.seconds, "seconds", 180, "how long it runs at most")
	c.Flags().IntVar(&f.promotions, "promotions", 3, "end as soon as so many models are promoted over another")
	c.Flags().StringVar(&f.data, "data", "", "folder for the log, which must be empty (default: a new one in the system's)")
	_ = c.MarkFlagDirname("data") // it fails only for an undefined flag
	c.AddCommand(newLoopJob(a))
	return c
}

// loopPolicy shortens intervals from hours to minutes. The gates are the default ones
// with fewer games, and without the stronger of the two baselines.
func loopPolicy() []string {
	return []string{
		`populator.configs=["` + string(loopConfig) + `"]`, "populator.depth=2", "populator.games=20",
		"work.preempt_after_seconds=2", // a training takes two slots, and selfplay takes each that is free
		"training.games_counted_by=selfplay", "training.bootstrap_games=20", "training.min_games=40", "training.failure_wait_seconds=1", "training.fresh_seconds=1",
		`training.promotion_ladder=[{"factor":0.9,"seconds":1}]`,
		`gauntlet.baselines=["random"]`, "gauntlet.games=40", "gauntlet.in_use_games=600", "gauntlet.test_games=40", "gauntlet.item_games=20",
		"promotion.games=40", "promotion.production_games=40", "promotion.cooldown_seconds=1", "promotion.gates.win_rate_heuristic.mode=off", "promotion.gates.velocity.mode=advisory",
	}
}

// loopWorkers take all types of items: a training occupies a slot while the other slots
// evaluate its candidates.
var loopWorkers = []string{"box-1", "box-2"}

const loopTypes = "selfplay,training,gauntlet,cmaes"

// loop runs the cluster, prints what it did, and stops it.
func (a *app) loop(ctx context.Context, f loopFlags) (err error) {
	running, cluster, err := newDemoCluster(ctx, f.data)
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, cluster.close()); err != nil {
			a.note("the log and what the processes said are in %s", cluster.folder)
			return
		}
		err = a.loopLeft(cluster.folder, cluster.promoted)
	}()
	asked, err := cluster.open(running, a, loopPolicy())
	if err != nil {
		return err
	}
	for _, name := range loopWorkers {
		if err := cluster.employ(name, loopTypes, "4", "demo", "loop", "job", "--addr", cluster.address); err != nil {
			return err
		}
	}
	a.note("two workers play Hex and search for weights; Ctrl-C stops them")
	round := &loopRound{progressCount: a.countOf(asked, loopEvents)}
	if err := round.follow(running, time.Duration(f.seconds)*time.Second, a, round.take, func() bool { return round.over >= f.promotions }); err != nil {
		return err
	}
	if round.promoted == 0 {
		return hinted(domain.Errorf(domain.Timeout, "want a model promoted over another within %d s, found none: %s", f.seconds, round), "let it run longer with --seconds")
	}
	cluster.promoted = round.promoted
	return a.loopShow(running, cluster)
}

// loopRound follows the log and counts.
type loopRound struct {
	progressCount
	over     int             // promotions that replaced a model
	promoted domain.Position // position of the last of them
}

// loopEvents are the events that the loop counts, in its order.
var loopEvents = []countedEvent{
	{"SELFPLAY_COMPLETE", "batches of games"},
	{"CMAES_CANDIDATE_EVALUATED", "candidates"},
	{"CMAES_FINISHED", "searches"},
	{"TRAINING_COMPLETED", "trainings"},
	{"GAUNTLET_FINISHED", "gauntlets"},
	{"MODEL_PROMOTED", "promoted"},
	{"PROMOTION_FAILED", "not promoted"},
}

func (r *loopRound) take(_ context.Context, e domain.Envelope) error {
	if e.Type != "MODEL_PROMOTED" {
		return nil
	}
	var promoted training.ModelPromoted
	if err := json.Unmarshal(e.Data, &promoted); err != nil {
		return domain.Errorf(domain.Corrupt, "event at %s: %w", e.Position, err)
	}
	if promoted.Previous != "" {
		r.over, r.promoted = r.over+1, e.Position
	}
	return nil
}

// loopShow prints the results, each under the command line that prints it.
func (a *app) loopShow(ctx context.Context, cluster *demoCluster) error {
	if err := cluster.show(ctx, a, []string{"cmaes", "runs"}, []string{"report", "promotions"}, []string{"why", cluster.promoted.String()}); err != nil {
		return err
	}
	return a.quietly().runs(ctx, "report", "promotions", "--addr", cluster.address, "--out", filepath.Join(cluster.folder, "elo.svg"))
}

// loopLeft tells how to look at the data folder afterwards.
func (a *app) loopLeft(folder string, promoted domain.Position) error {
	_, err := fmt.Fprintf(a.stdout, `
The node and its workers have stopped; the log stays in %[2]s, with the curve in elo.svg:
  %[1]s report promotions --data %[2]s --out elo.svg
  %[1]s report cmaes --data %[2]s
  %[1]s why %[3]s --data %[2]s
  %[1]s serve --data %[2]s
`, calledAs(), folder, promoted)
	return err
}
