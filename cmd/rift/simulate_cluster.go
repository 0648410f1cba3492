package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/clustersim"
	"github.com/ringrift/rift/cmd/internal/output"
)

// clusterFlags are the flags of a simulation of clusters.
type clusterFlags struct {
	nodes, voters, items, days, seeds int
	from, seed                        uint64
}

func newSimulateCluster(a *app) *cobra.Command {
	var f clusterFlags
	c := &cobra.Command{
		Use:   "cluster",
		Short: "Play clusters through faults in virtual time, and check what has to hold",
		Long: `simulate cluster runs whole clusters: voters with a replicated log, disks that lose what
was not synced, clocks that are stepped, a network that cuts, loses, repeats and delays,
nodes that are lost and replaced, and workers that claim items, do them and report. What goes wrong and when is drawn from
the seed.

It is checked that a term has one leader, that a position holds the same event on every
node, that what was acknowledged is there and what was refused is not, that an item ends
once and is held by one worker at a time, that read models at the same position are the
same, and by porcupine that some order of all calls explains their answers.

Beside the log the same nodes elect a leader for a log that they share, tell each other
of themselves, take calls for nodes that cannot be called, and find out who is alive. Two
never hold the lease of that election, a voter keeps what it promised, everybody hears of
everybody once nothing is wrong any more, a call is delivered once and its caller told
something, and who leads the log follows from none of it.

A seed in which anything else is seen makes it exit with code 2. Its faults are left out
one after the other for as long as it still fails; what is left is printed as a golden
script. The same seed gives the same run.`,
		Example: `  rift simulate cluster
  rift simulate cluster --seeds 200
  rift simulate cluster --seed 17 -o json
  rift simulate cluster --seeds 1000 --from 5000 --nodes 12 --voters 5 --days 2`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if c.Flags().Changed("seed") {
				if c.Flags().Changed("seeds") || c.Flags().Changed("from") {
					return usagef("--seed is one seed: want it without --seeds and --from")
				}
				f.from, f.seeds = f.seed, 1
			}
			return a.simulateCluster(c.Context(), f)
		},
	}
	flags := c.Flags()
	flags.IntVar(&f.nodes, "nodes", 40, "nodes of each cluster; those that do not vote have workers")
	flags.IntVar(&f.voters, "voters", 0, "voters of each cluster (default: 3 or 5, by the seed)")
	flags.IntVar(&f.items, "items", 40, "items that arrive in each")
	flags.IntVar(&f.days, "days", 30, "days that pass in each")
	flags.IntVar(&f.seeds, "seeds", 20, "seeds to play")
	flags.Uint64Var(&f.from, "from", 1, "the first seed")
	flags.Uint64Var(&f.seed, "seed", 1, "play this seed alone")
	return c
}

func (a *app) simulateCluster(ctx context.Context, f clusterFlags) error {
	printer, err := a.printer()
	if err != nil {
		return err
	}
	progress := a.progress("simulating", "seeds", int64(max(f.seeds, 0)))
	defer progress.Done()
	plan := clustersim.Plan{Nodes: f.nodes, Voters: f.voters, Items: f.items, Span: time.Duration(f.days) * 24 * time.Hour}
	began, done, failed := time.Now(), 0, 0
	summary, err := clustersim.Seeds(ctx, plan, f.from, f.seeds, func(r clustersim.Report) {
		done++
		progress.Set(int64(done))
		if len(r.Broken) > 0 {
			failed++
			a.note("seed %d: %s", r.Seed, r.Broken[0])
		}
		if !a.noProgress && !output.IsTerminal(a.stderr) && f.seeds >= 40 && done%(f.seeds/20) == 0 {
			a.note("%d of %d seeds, %d failed, %.0f s", done, f.seeds, failed, time.Since(began).Seconds())
		}
	})
	if err != nil {
		return err
	}
	progress.Done()
	if !a.noProgress {
		a.note("%s in %.1f s", output.Plural(summary.Seeds, "seed"), time.Since(began).Seconds())
	}
	return showClusters(printer, summary)
}

// showClusters prints the result. A seed that broke a rule is a finding.
func showClusters(p *output.Printer, s clustersim.Summary) error {
	l := output.Listing{
		Doc:     s,
		Columns: []output.Column{{Name: "figure"}, {Name: "value", Right: true}},
		Above:   fmt.Sprintf("%s from %d on: %d nodes, %d items and %g days each\n", output.Plural(s.Seeds, "seed"), s.From, s.Nodes, s.Items, s.Days),
		Below:   clustersFooter(s),
	}
	add := func(name string, value any) {
		l.Items = append(l.Items, map[string]any{"figure": name, "value": value})
		l.Rows = append(l.Rows, []any{name, value})
	}
	add("seeds that failed", len(s.Failures))
	for _, kind := range clustersim.Kinds {
		add("faults, "+string(kind), s.Faults[kind])
	}
	add("crashes", s.Counts.Crashes)
	add("nodes replaced", s.Counts.Replaced)
	add("messages", s.Counts.Messages)
	add("messages lost", s.Counts.Lost)
	add("messages repeated", s.Counts.Repeated)
	add("terms with a leader", s.Counts.Elections)
	add("copies of records", s.Counts.Copies)
	add("calls", s.Calls)
	add("events", s.Events)
	add("events acknowledged", s.Counts.Acknowledged)
	add("appends refused", s.Refused)
	add("appends of unknown fate", s.Unknown)
	add("strong readings", s.Read)
	add("items done", s.Done)
	beside := s.Counts.Services
	add("elections beside the log", beside.Elected)
	add("appends of those elected", beside.Decided)
	add("gossip, exchanges", beside.Exchanges)
	add("deaths that a node believed", beside.Deaths)
	add("relayed calls", beside.Called)
	add("relayed calls, answered", beside.Answered)
	add("relayed calls, expired", beside.Expired)
	add("relayed calls, refused for want of room", beside.Refused)
	add("seeds with timed leases", s.Timed)
	if err := p.Print(l); err != nil {
		return err
	}
	if n := len(s.Failures); n > 0 {
		return &findings{n, "failing seed"}
	}
	return nil
}

func clustersFooter(s clustersim.Summary) string {
	var b strings.Builder
	for _, f := range s.Failures {
		fmt.Fprintf(&b, "\nseed %d fails with %s left: %s\n\n%s", f.Seed, output.Plural(f.Faults, "fault"), f.Broken[0], f.Script)
	}
	return b.String()
}
