package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/node"
	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/cmd/internal/simulate"
	"github.com/ringrift/rift/domain"
)

// simulateFlags are the flags of a simulation.
type simulateFlags struct {
	items, nodes int
	span         time.Duration
	seed         uint64
	format       string
	faults       string
	data         string
}

// simulateTold is the part of the span after which progress is printed where there is no
// terminal.
const simulateTold = 0.05

func newSimulate(a *app) *cobra.Command {
	var f simulateFlags
	c := &cobra.Command{
		Use:   "simulate [FILE…]",
		Short: "Run a queue through a day, or a recording, in virtual time",
		Long: `simulate runs a node's own commands, reactors and clocks in virtual time, with
machines and producers that are made up, or with the items and nodes of a recording
of any kind that rift log import takes. An item takes a slot for each GPU that it
wants; one that no node can ever have is refused by name. Attempts fail, machines fall silent, workers that were given up speak up
again.

At the end an audit of the log says whether the queue kept its promises: every
item ended once, in one terminal state; no item ran on a node inside a fault; no
node ever held more than it has slots; reports under leases that are not live
were refused. A promise that was broken makes it exit with code 2.

The same scenario and seed print the same report, digest and all. How long it
took stands on standard error.`,
		Example: `  rift simulate --items 20000 --nodes 40
  rift simulate --items 1000000 --nodes 400 --faults fault_trace.json.gz --data ./day
  rift simulate nodes.csv pods.csv.gz -o json
  rift simulate incident.jsonl.zst
  rift simulate --items 5000 --nodes 20 --hours 6h --seed 7 -o md`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, files []string) (err error) {
			files, done, err := a.inputs(c, files)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, done()) }()
			return a.simulate(c.Context(), f, files)
		},
	}
	flags := c.Flags()
	flags.IntVar(&f.items, "items", 20_000, "items of a made-up day")
	flags.IntVar(&f.nodes, "nodes", 0, "nodes (default: 40 of a made-up day; of a recording all, else so many with GPUs and so many without)")
	flags.DurationVar(&f.span, "hours", 24*time.Hour, "length of a made-up day: 24h, 90m")
	flags.Uint64Var(&f.seed, "seed", 1, "what everything that is made up is drawn from")
	flags.StringVar(&f.format, "format", "", "kind of recording to play: "+strings.Join(formatNames(), ", ")+" (default: by what is in each file)")
	flags.StringVar(&f.faults, "faults", "", "recorded faults to lay over it, squeezed to its length")
	flags.StringVar(&f.data, "data", "", "folder to keep the log and the read models in (default: in memory); for replay and reports")
	register(c, "format", formatNames()...)
	c.AddCommand(newSimulateCluster(a))
	return c
}

func (a *app) simulate(ctx context.Context, f simulateFlags, files []string) error {
	printer, err := a.printer()
	if err != nil {
		return err
	}
	scenario, err := f.scenario(ctx, files)
	if err != nil {
		return err
	}
	whole := int64(0)
	if len(files) == 0 {
		whole = int64(f.items)
	}
	progress := a.progress("simulating", "items", whole)
	defer progress.Done()
	began := time.Now()
	told := 0.0
	options := simulate.Options{Seed: f.seed, Progress: func(p simulate.Progress) {
		progress.Set(int64(p.Ended))
		if !a.noProgress && !output.IsTerminal(a.stderr) && p.Share >= told+simulateTold {
			told = p.Share
			a.note("%3.0f %% of the span, %d items, %d ended, %d events in %.0f s", 100*p.Share, p.Items, p.Ended, p.Events, time.Since(began).Seconds())
		}
	}}
	report, err := simulateIn(ctx, f.data, scenario, options)
	if err != nil {
		return err
	}
	progress.Done()
	if took := time.Since(began).Seconds(); !a.noProgress {
		a.note("%d events in %.1f s: %.0f events and %.0f items a second", report.Events, took, float64(report.Events)/took, float64(report.Items)/took)
	}
	return showSimulation(printer, report)
}

// simulateIn keeps the log and the read models of a simulation in a folder, which must
// be empty; without a folder they are in memory.
func simulateIn(ctx context.Context, data string, scenario simulate.Scenario, options simulate.Options) (report simulate.Report, err error) {
	if data == "" {
		return simulate.Run(ctx, scenario, options)
	}
	if left, err := os.ReadDir(data); err == nil && len(left) > 0 {
		return report, domain.Errorf(domain.Conflict, "folder %s: want an empty one for the simulation's log, found %s in it", data, output.Plural(len(left), "entry"))
	}
	log, err := simulate.OpenLog(filepath.Join(data, node.LogFolder), scenario.Start)
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	options.Log, options.Models = log, filepath.Join(data, node.ModelsFolder)
	return simulate.Run(ctx, scenario, options)
}

func (f simulateFlags) scenario(ctx context.Context, files []string) (scenario simulate.Scenario, err error) {
	switch {
	case len(files) > 0:
		if err := readableFiles(files); err != nil {
			return scenario, err
		}
		if scenario, err = simulate.Recording(ctx, f.format, files, f.nodes); err != nil {
			return scenario, hinted(notRecorded(err), "want items and the nodes that ran them; a recording of faults alone is laid over with --faults")
		}
	case f.format != "":
		return scenario, usagef("--format %s: want the files of a recording, found none", f.format)
	default:
		if f.nodes == 0 {
			f.nodes = 40
		}
		scenario, err = simulate.Day(f.items, f.nodes, f.span, f.seed)
	}
	if err != nil || f.faults == "" {
		return scenario, err
	}
	if err := readableFiles([]string{f.faults}); err != nil {
		return scenario, err
	}
	return scenario.WithFaults(ctx, f.faults, f.seed)
}

// showSimulation prints the result. A broken promise is a finding.
func showSimulation(p *output.Printer, r simulate.Report) error {
	l := output.Listing{
		Doc:     r,
		Columns: []output.Column{{Name: "figure"}, {Name: "value", Right: true}},
		Above:   r.Scenario + "\n",
		Below:   simulationFooter(r),
	}
	add := func(name string, value any) {
		l.Items = append(l.Items, map[string]any{"figure": name, "value": value})
		l.Rows = append(l.Rows, []any{name, value})
	}
	add("items", r.Items)
	for _, state := range slices.Sorted(maps.Keys(r.ByState)) {
		add(state, r.ByState[state])
	}
	for _, w := range r.Waits {
		add("wait p50 s, "+w.Class, w.P50)
		add("wait p95 s, "+w.Class, w.P95)
		add("wait p99 s, "+w.Class, w.P99)
		add("wait max s, "+w.Class, w.Max)
	}
	add("slots busy", r.Busy)
	add("faults", r.Totals.Faults)
	for _, what := range slices.Sorted(maps.Keys(r.Reports)) {
		add(what, r.Reports[what])
	}
	add("adds put off", r.Pressed)
	add("events", r.Events)
	add("broken promises", r.Violations)
	if err := p.Print(l); err != nil {
		return err
	}
	if r.Violations > 0 {
		return &findings{r.Violations, "broken promise"}
	}
	return nil
}

func simulationFooter(r simulate.Report) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s to %s in virtual time, seed %d, %s with %s\ndigest %s", r.Start.Format(time.RFC3339), r.End.Format(time.RFC3339), r.Seed,
		output.Plural(r.Totals.Machines, "node"), output.Plural(r.Totals.Slots, "slot"), r.Digest)
	for _, note := range r.Notes {
		b.WriteString("\n" + note)
	}
	for _, example := range r.Examples {
		b.WriteString("\nbroken: " + example)
	}
	return b.String()
}
