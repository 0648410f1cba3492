package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/training"
	"github.com/ringrift/rift/transport"
)

// demoFlags are the settings of a demonstration.
type demoFlags struct {
	seconds    int
	promotions int
	data       string
	cluster    bool
}

// demoReport is the interval at which progress is printed.
const demoReport = 5 * time.Second

func newDemo(a *app) *cobra.Command {
	var f demoFlags
	c := &cobra.Command{
		Use:   "demo",
		Short: "Show the training loop close: a node, four workers, twelve configs",
		Long: `Runs a node and four workers on this machine and lets the training loop of twelve
configs go round under a policy that needs little: selfplay, data, training,
evaluation, promotion. The work is pretended (rift demo job), the rest is as it is
in earnest. demo itself does one thing of the cluster: it tells of data copied for
each batch of games.

With --cluster it runs three nodes instead, which replicate one log, and a worker,
and kills the leader while items are added: rift cluster init, kill -9, the election,
the killed node again, and at last a leadership handed over. It prints what happened
when, and holds what was acknowledged against what is on the log of each node; it
exits 2 when an item was lost or done twice.

After --seconds it shows what the node's handlers did, how the queue did, how the
trainings stand, and what led to a promotion. Then everything stops; the data
folder stays. Ctrl-C stops it early.`,
		Example: `  rift demo
  rift demo --cluster
  rift demo --seconds 20 --data /tmp/demo
  rift demo --promotions 1`,
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			if f.seconds < 1 || f.promotions < 0 {
				return usagef("--seconds and --promotions: want at least 1 and at least 0, found %d and %d", f.seconds, f.promotions)
			}
			if f.cluster {
				if c.Flags().Changed("promotions") {
					return usagef("--promotions: want it without --cluster, which promotes nothing")
				}
				if !c.Flags().Changed("seconds") {
					f.seconds = takeoverSeconds
				}
				return a.takeover(c.Context(), f)
			}
			return a.demo(c.Context(), f)
		},
	}
	c.Flags().IntVar(&f.seconds, "seconds", 60, "how long it runs; 20 with --cluster")
	c.Flags().BoolVar(&f.cluster, "cluster", false, "three nodes, whose leader is killed while they work")
	c.Flags().IntVar(&f.promotions, "promotions", 0, "end as soon as so many models are promoted (0: not before --seconds)")
	c.Flags().StringVar(&f.data, "data", "", "folder for the log, which must be empty (default: a new one in the system's)")
	_ = c.MarkFlagDirname("data") // it fails only for an undefined flag
	c.AddCommand(newDemoJob(a), newDemoLoop(a))
	return c
}

// demoPolicy shortens intervals from hours to minutes.
func demoPolicy() []string {
	var configs []string
	for _, config := range domain.ConfigKeys() {
		configs = append(configs, strconv.Quote(string(config)))
	}
	return []string{
		"populator.configs=[" + strings.Join(configs, ",") + "]", "populator.depth=1", "populator.games=50", "gauntlet.item_games=1000",
		"training.bootstrap_games=50", "training.min_games=100", "training.failure_wait_seconds=1", "training.fresh_seconds=5",
		`training.promotion_ladder=[{"factor":0.7,"seconds":5},{"factor":0.5,"seconds":10}]`,
		"promotion.cooldown_seconds=1",
	}
}

// demo runs the cluster, prints what it did, and stops it.
func (a *app) demo(ctx context.Context, f demoFlags) (err error) {
	running, cluster, err := newDemoCluster(ctx, f.data)
	if err != nil {
		return err
	}
	shown := false
	defer func() {
		err = errors.Join(err, cluster.close())
		if shown && err == nil {
			err = a.demoLeft(cluster.folder, cluster.promoted)
		} else {
			a.note("the log and what the processes said are in %s", cluster.folder)
		}
	}()
	asked, err := cluster.open(running, a, demoPolicy())
	if err != nil {
		return err
	}
	for _, one := range demoWorkers {
		if err := cluster.hire(one.name, one.types); err != nil {
			return err
		}
	}
	a.note("four workers keep twelve configs at work; Ctrl-C stops them")
	round := &demoRound{progressCount: a.countOf(asked, demoEvents)}
	if err := round.follow(running, time.Duration(f.seconds)*time.Second, a, round.take, func() bool {
		return f.promotions > 0 && round.counts["MODEL_PROMOTED"] >= f.promotions
	}); err != nil {
		return err
	}
	if cluster.promoted = round.first; cluster.promoted == 0 {
		return hinted(domain.Errorf(domain.Timeout, "want a model promoted within %d s, found none: %s", f.seconds, round), "let it run longer with --seconds")
	}
	if err := a.demoShow(running, cluster); err != nil {
		return err
	}
	shown = true
	return nil
}

// demoRound follows the log, counts events, and reports data as copied to other nodes.
type demoRound struct {
	progressCount
	first domain.Position // of the first promotion
}

// demoEvents are the events that a demonstration counts, in the order of the training
// loop.
var demoEvents = []countedEvent{
	{"SELFPLAY_COMPLETE", "batches of games"},
	{"DATA_SYNC_COMPLETED", "data syncs"},
	{"TRAINING_COMPLETED", "trainings"},
	{"EVALUATION_COMPLETED", "evaluations"},
	{"MODEL_PROMOTED", "promoted"},
	{"PROMOTION_FAILED", "not promoted"},
}

// take handles one event: it reports a batch of games as copied to the node that trains
// on it.
func (r *demoRound) take(ctx context.Context, e domain.Envelope) error {
	switch e.Type {
	case "MODEL_PROMOTED":
		if r.first == 0 {
			r.first = e.Position
		}
	case "SELFPLAY_COMPLETE":
		var played training.SelfplayComplete
		if err := json.Unmarshal(e.Data, &played); err != nil {
			return domain.Errorf(domain.Corrupt, "event at %s: %w", e.Position, err)
		}
		games := int64(played.GamesPlayed)
		body, err := json.Marshal(map[string]any{"type": "DATA_SYNC_COMPLETED", "payload": training.DataSyncCompleted{
			SyncID: training.SyncID(played.TaskID), NodeID: played.NodeID, SyncType: training.SyncGames, ConfigKey: played.ConfigKey, GamesSynced: &games,
		}})
		if err != nil {
			return domain.Errorf(domain.Internal, "data sync: %w", err)
		}
		_, err = r.client.do(ctx, "events.append", body, transport.ID("demo/sync/"+e.ID.String()), transport.Answering(e.ID.String()))
		return err
	}
	return nil
}

// demoShow prints the results, each under the command line that prints it.
func (a *app) demoShow(ctx context.Context, cluster *demoCluster) error {
	return cluster.show(ctx, a, []string{"handlers", "--ran"}, []string{"report", "queue"}, []string{"training", "status"}, []string{"why", cluster.promoted.String()})
}

// demoLeft tells how to look at the data folder afterwards.
func (a *app) demoLeft(folder string, promoted domain.Position) error {
	_, err := fmt.Fprintf(a.stdout, `
The node and its workers have stopped; the log stays in %[2]s:
  %[1]s replay %[2]s
  %[1]s report queue --data %[2]s
  %[1]s why %[3]s --data %[2]s
  %[1]s serve --data %[2]s
`, calledAs(), folder, promoted)
	return err
}

// within is a copy of this run that prints to out and reads none of the settings in the
// environment.
func (a *app) within(out io.Writer) *app {
	return &app{
		stdin: strings.NewReader(""), stdout: &watched{Writer: out}, stderr: a.stderr, now: a.now, noProgress: true,
		getenv: func(name string) string {
			if strings.HasPrefix(name, "RIFT_") {
				return ""
			}
			return a.getenv(name)
		},
	}
}

func (a *app) quietly() *app { return a.within(io.Discard) }

// runs runs a command line.
func (a *app) runs(ctx context.Context, words ...string) error {
	root := newRoot(a)
	root.SetArgs(words)
	return root.ExecuteContext(ctx)
}
