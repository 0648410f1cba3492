package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/bench"
	"github.com/ringrift/rift/cmd/internal/config"
	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/domain"
)

func newBench(a *app) *cobra.Command {
	options := bench.Options{}
	c := &cobra.Command{
		Use:   "bench",
		Short: "Measure this build against bounds of the same run",
		Long: `bench measures appends, reads, replay, rebuilds, questions about the past and the
endpoints, each beside a bound measured seconds apart in the same run, and prints one
table of ratios: medians of the rounds with the smallest and the largest, the row that
is farthest from its target first. It exits with 2 when a target is missed. Nothing it
writes stays behind, but for --profile.

Absolute numbers depend on the machine and on what else it does; the ratios are
what to compare.`,
		Example: `  rift bench
  rift bench --quick --only append,read
  rift bench --only http.command --rounds 9 --profile ./profiles
  rift bench --long -o json`,
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error { return a.bench(c.Context(), options) },
	}
	flags := c.Flags()
	flags.IntVar(&options.Rounds, "rounds", 0, "rounds of every figure (default: 5, with --quick 2)")
	flags.IntVar(&options.Events, "events", 0, "events of the log that is read and rebuilt, and items of the longest queue (default: 1,000,000, with --quick 100,000)")
	flags.BoolVar(&options.Quick, "quick", false, "short cells: a look, not a verdict")
	flags.BoolVar(&options.Long, "long", false, "also appends after ten million events, which takes minutes")
	flags.StringSliceVar(&options.Only, "only", nil, "figures or rows to measure: "+strings.Join(bench.Names(), ", "))
	flags.StringVar(&options.Dir, "dir", "", "folder on the disk to measure (default: the folder for temporary files)")
	flags.StringVar(&options.Profile, "profile", "", "folder to write a CPU and a heap profile of every cell to")
	register(c, "only", bench.Names()...)
	c.AddCommand(newBenchChild(a), newSearchBench(a), newBenchSPRT(a))
	return c
}

func (a *app) bench(ctx context.Context, options bench.Options) error {
	printer, err := a.printer()
	if err != nil {
		return err
	}
	options.Child = benchChild
	if !a.noProgress {
		options.Say = a.note
	}
	report, err := bench.Run(ctx, options)
	if len(report.Rows) == 0 && err != nil {
		return err
	}
	if err := errors.Join(printer.Print(benchListing(report)), err); err != nil {
		return err
	}
	if report.Missed > 0 {
		return &findings{report.Missed, "missed target"}
	}
	return nil
}

// benchListing is the table of the figures.
func benchListing(report bench.Report) output.Listing {
	l := output.Listing{
		Doc: report,
		Columns: []output.Column{
			{Name: "figure"},
			{Name: "value", Right: true},
			{Name: "min", Right: true, Wide: true},
			{Name: "max", Right: true, Wide: true},
			{Name: "unit"},
			{Name: "bound", Right: true},
			{Name: "of", Max: 32},
			{Name: "ratio", Right: true},
			{Name: "spread"},
			{Name: "target"},
			{Name: "met"},
			{Name: "about", Wide: true},
		},
		Below: benchFooter(report),
	}
	for _, r := range report.Rows {
		l.Items = append(l.Items, r)
		row := []any{r.Name, r.Value.Median, r.Value.Min, r.Value.Max, r.Unit, nil, r.Bound, nil, fmt.Sprintf("%s to %s", output.Significant(r.Value.Min), output.Significant(r.Value.Max)), nil, nil, r.About}
		if r.Limit != nil {
			row[5] = r.Limit.Median
		}
		if r.Ratio != nil {
			row[7] = r.Ratio.Median
			row[8] = fmt.Sprintf("%.2f to %.2f", r.Ratio.Min, r.Ratio.Max)
		}
		if r.Target != nil {
			row[9] = r.Target.String()
		}
		if r.Met != nil {
			row[10] = *r.Met
		}
		l.Rows = append(l.Rows, row)
	}
	return l
}

// benchFooter describes the machine and the conditions of the run.
func benchFooter(report bench.Report) string {
	m := report.Machine
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s in %.0f s, medians [min..max] of rounds; %s, %s, %s", output.Plural(report.Rounds, "round"), report.Seconds, output.Plural(m.Cores, "core"), m.Go, m.OS)
	if m.CPU != "" {
		fmt.Fprintf(&b, ", %s", m.CPU)
	}
	if m.Filesystem != "" {
		fmt.Fprintf(&b, ", %s", m.Filesystem)
	}
	fmt.Fprintf(&b, "; load %.2f before, %.2f after", m.LoadBefore, m.LoadAfter)
	if !m.OnDisk() {
		b.WriteString("\nThe folder is in memory, where a sync costs nothing: name one on a disk with --dir.")
	}
	if report.Quick {
		b.WriteString("\nA quick run is a look, not a verdict.")
	}
	return b.String()
}

// benchChild makes the command line of a measurement that runs in a process of its own.
func benchChild(ctx context.Context, args ...string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, domain.Errorf(domain.Internal, "bench: this program: %w", err)
	}
	return exec.CommandContext(ctx, self, append([]string{"bench", "child"}, args...)...), nil
}

// newBenchChild makes the hidden command under which measurements run in processes of
// their own.
func newBenchChild(a *app) *cobra.Command {
	child := &cobra.Command{Use: "child", Short: "Run one part of a bench", Hidden: true}
	var profile, logDir, modelsDir, addrFile string
	part := func(use, short string, run func(*cobra.Command) error) *cobra.Command {
		c := &cobra.Command{Use: use, Short: short, Args: exactly(), RunE: func(c *cobra.Command, _ []string) (err error) {
			if profile == "" {
				return run(c)
			}
			stop, err := bench.StartProfile(profile)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, stop()) }()
			return run(c)
		}}
		c.Flags().StringVar(&profile, "profile", "", "start of the names of the profiles to write")
		child.AddCommand(c)
		return c
	}
	fold := func(use, short string, run func(context.Context) (bench.Folded, error)) *cobra.Command {
		c := part(use, short, func(c *cobra.Command) error {
			folded, err := run(c.Context())
			if err != nil {
				return err
			}
			return json.NewEncoder(a.stdout).Encode(folded)
		})
		c.Flags().StringVar(&logDir, "log", "", "folder of the log")
		return c
	}
	rebuild := fold("rebuild", "Rebuild all read models of a log", func(ctx context.Context) (bench.Folded, error) {
		return bench.Rebuild(ctx, logDir, modelsDir)
	})
	rebuild.Flags().StringVar(&modelsDir, "models", "", "folder of the read models")
	var how string
	var cell time.Duration
	read := fold("read", "Go through a log for a while", func(ctx context.Context) (bench.Folded, error) {
		return bench.Read(ctx, how, logDir, cell)
	})
	read.Flags().StringVar(&how, "how", "", "way to go through it")
	read.Flags().DurationVar(&cell, "cell", time.Second, "how long, in whole passes")
	noop := part("noop", "Serve requests that do nothing", func(c *cobra.Command) error {
		listener, err := (&net.ListenConfig{}).Listen(c.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		if err := writeAddress(addrFile, listener.Addr().String()); err != nil {
			return errors.Join(err, listener.Close())
		}
		logger, flush, err := a.logger(config.Serve{LogLevel: "info", LogFormat: "auto"})
		if err != nil {
			return errors.Join(err, listener.Close())
		}
		defer flush()
		return bench.Noop(c.Context(), listener, logger)
	})
	noop.Flags().StringVar(&addrFile, "addr-file", "", "file to write the address to")
	serve := part("serve", "Serve a node, as serve does", func(c *cobra.Command) error {
		settings, err := config.LoadServe(c.Flags(), a.getenv)
		if err != nil {
			return err
		}
		return a.serve(c.Context(), settings)
	})
	config.ServeFlags(serve.Flags())
	return child
}
