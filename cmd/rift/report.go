package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/outfile"
	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/cmd/internal/report"
	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/domain"
)

// formatSVG is the format of a drawing, which only reports have.
const formatSVG = "svg"

// reportFlags are the flags of every report.
type reportFlags struct {
	source   sourceFlags
	from, to string
	out      string
}

// kindOfReport is a kind of report: its help, and how its fold is printed and drawn.
type kindOfReport struct {
	name, short, long, example string
	print                      func(*output.Printer, *report.Fold) error
	draw                       func(io.Writer, *report.Fold) error

	begin func(*domain.Catalog, report.Window) (*report.Fold, error) // nil: report.New
	flags func(*cobra.Command)                                       // further flags of this kind; nil: none
}

func reportKinds() []kindOfReport {
	return []kindOfReport{
		{
			name: "queue", short: "Tell how the queue did: ages, waits, what starved, what was lost, why items wait",
			long: `Tells of the queue: how old what is pending is, how long items waited, what
starved, expired, was refused or salvaged, why items are pending, and how many
were done in an hour. -o svg draws its depth and the waits over time.

A wait runs from when an item could be claimed to the claim. -o csv is the table
of the classes, with the footer as a comment behind #.`,
			example: `  rift report queue
  rift report queue --data data --from 2026-03-06T00:00:00Z --to 2026-03-07T00:00:00Z -o md
  rift report queue recorded/*.jsonl.zst --out queue.svg`,
			print: printQueueReport,
			draw:  func(w io.Writer, f *report.Fold) error { return f.Queue().SVG(w) },
		},
		{
			name: "nodes", short: "Tell how the nodes did: busy, idle, wasted GPU hours, flaps",
			long: `Tells of each node: how long it was busy, idle, unhealthy and offline, what its
attempts came to, how many GPU hours they took and how many of those were wasted:
on attempts that failed, expired or were revoked, and on going on after the lease
until a report was refused. -o svg draws a bar for each.

An item takes the GPUs its payload names (num_gpu, gpu_milli), else one when it
requires "gpu" or its type needs one. Items that want more than the node has share it.`,
			example: `  rift report nodes
  rift report nodes --data data -o csv --out nodes.csv
  rift report nodes incident.jsonl.zst --out nodes.svg`,
			print: printNodesReport,
			draw:  func(w io.Writer, f *report.Fold) error { return f.Nodes().SVG(w) },
		},
		gauntletReport(),
		clusterReport(),
	}
}

func newReport(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "report",
		Short: "Tell how the queue, the nodes and gauntlets did, who led, and of an incident",
		Long: `Reports are made from the log alone: that of a node (--addr), of a data folder
(--data or named), or of recorded files. Each ends with the stretch of the log it is
about and a digest of what it was made of: the same digest, the same report.

-o svg, or --out with a name that ends in .svg, .md, .csv or .json, chooses the form.`,
		Example: "  rift report queue\n  rift report nodes --data data --out nodes.svg",
	}
	addClientFlags(c)
	for _, kind := range reportKinds() {
		c.AddCommand(newReportKind(a, kind))
	}
	c.AddCommand(newEloReport(a), newTournamentReport(a), newSearchReport(a), newPromotionsReport(a), newIncidentReport(a))
	return c
}

func newReportKind(a *app, kind kindOfReport) *cobra.Command {
	var flags reportFlags
	c := &cobra.Command{
		Use: kind.name + " [FILE|DIR…]", Short: kind.short, Long: kind.long, Example: kind.example,
		RunE: func(c *cobra.Command, paths []string) error { return a.report(c, kind, flags, paths) },
	}
	flags.add(c, "begin at this position (1200, or -1000 from the end) or time", "end at this position or time (default: the end; of a node: now)")
	if kind.flags != nil {
		kind.flags(c)
	}
	return c
}

// add adds the flags to the command of a report; from and to are the help of these flags.
func (f *reportFlags) add(c *cobra.Command, from, to string) {
	f.source.add(c)
	set := c.Flags()
	set.StringVar(&f.from, "from", "", from)
	set.StringVar(&f.to, "to", "", to)
	set.StringVar(&f.out, "out", "", "write to this file; its ending chooses the form unless -o does")
}

// toTheEnd is the help of --to for reports that take a log as it is.
const toTheEnd = "end at this position or time (default: the end)"

func (a *app) report(c *cobra.Command, kind kindOfReport, flags reportFlags, paths []string) error {
	return a.writeReport(flags, func(p *output.Printer, to io.Writer) error {
		begin := func(catalog *domain.Catalog, window report.Window, live bool) (*report.Fold, error) {
			if live && flags.to == "" {
				window.ToTime = a.now()
			}
			if kind.begin != nil {
				return kind.begin(catalog, window)
			}
			return report.New(catalog, window)
		}
		fold, err := foldLog(a, c, flags, paths, "nothing that a report on the "+kind.name+" tells of happened", begin)
		switch {
		case err != nil:
			return err
		case p == nil:
			return kind.draw(to, fold)
		}
		return kind.print(p, fold)
	})
}

// writeReport calls tell with a printer, or with nil for a drawing, and writes the report
// to the file that the flags name or to the terminal.
func (a *app) writeReport(flags reportFlags, tell func(p *output.Printer, to io.Writer) error) error {
	format := a.format
	if format == "" && flags.out != "" {
		format = strings.TrimPrefix(filepath.Ext(flags.out), ".")
		if format != formatSVG && !slices.Contains(output.Formats, format) {
			return usagef("--out %s: want a name that ends in .svg, .md, .csv, .json or .jsonl, or -o", flags.out)
		}
	}
	var buffer bytes.Buffer
	var to io.Writer = a.stdout
	if flags.out != "" {
		to = &buffer
	}
	var p *output.Printer
	if format != formatSVG {
		var err error
		if p, err = a.printer(); err != nil {
			return err
		}
		if flags.out != "" {
			p = &output.Printer{Out: to, Format: output.Format(format), Now: a.now()}
		}
	}
	if err := tell(p, to); err != nil || flags.out == "" {
		return err
	}
	if err := outfile.WriteFile(flags.out, buffer.Bytes()); err != nil {
		return domain.Errorf(domain.CodeOf(err), "report: %w", err)
	}
	a.note("rift: wrote %s", flags.out)
	return nil
}

// folded is a report that is being folded from events.
type folded interface {
	Types() []string // of the events that the report needs; nil: all
	Apply(e domain.Envelope) (more bool, err error)
	Covers(first, last domain.Position)
	Empty() bool
}

// foldLog folds the part of a log that the flags select. begin makes the fold; its last
// argument says whether a node serves the log. nothing is what the error says was not
// found if the fold is empty.
func foldLog[F folded](a *app, c *cobra.Command, flags reportFlags, paths []string, nothing string, begin func(*domain.Catalog, report.Window, bool) (F, error)) (fold F, err error) {
	ctx := c.Context()
	src, err := flags.source.open(a, c, paths)
	if err != nil {
		return fold, err
	}
	defer func() { err = errors.Join(err, src.close()) }()
	window := report.Window{}
	if window.From, window.FromTime, err = placeOf(ctx, "--from", flags.from, 0, src.head); err != nil {
		return fold, err
	}
	if window.To, window.ToTime, err = placeOf(ctx, "--to", flags.to, window.From, src.head); err != nil {
		return fold, err
	}
	if window.To != 0 && window.From > window.To || !window.ToTime.IsZero() && window.FromTime.After(window.ToTime) {
		return fold, usagef("--to: want it behind --from, found %s before %s", flags.to, flags.from)
	}
	catalog, err := wiring.Catalog()
	if err != nil {
		return fold, err
	}
	live := src.live
	if fold, err = begin(catalog, window, live); err != nil {
		return fold, err
	}
	which := selection{to: window.To}
	if live { // the node need not send other events
		which.filter.Types = fold.Types()
	}
	progress := a.progress("folding", "events", 0)
	defer progress.Done()
	head, err := a.headOf(ctx, src)
	if err != nil {
		return fold, err
	}
	progress.Total(int64(head))
	for e, err := range src.events(ctx, which) {
		if err != nil {
			return fold, err
		}
		more, err := fold.Apply(e)
		if err != nil {
			return fold, hinted(err, "is the log of another version? `rift replay` says what is wrong with it; --to ends a report before it")
		}
		if !more {
			break
		}
		progress.Set(int64(e.Position))
	}
	if live {
		fold.Covers(1, head)
	}
	if fold.Empty() {
		return fold, hinted(domain.Errorf(domain.NotFound, "report: %s in this stretch of %s", nothing, src.name), "`rift log stat` counts what the log holds; --from and --to choose another stretch")
	}
	return fold, nil
}

// headOf returns the head of a log that can be asked for it; 0 for files, which would have
// to be read twice.
func (a *app) headOf(ctx context.Context, src *source) (domain.Position, error) {
	if src.files != nil {
		return 0, nil
	}
	return src.head(ctx)
}

// spanCell returns a duration as a cell, which is rounded for people and exact for
// programs.
func spanCell(s report.Seconds) time.Duration {
	return time.Duration(float64(s) * float64(time.Second))
}

// footerLines returns the text below every table of a report.
func footerLines(f report.Footer) string {
	return "log positions " + output.Count(f.First) + " to " + output.Count(f.Last) + ", " + f.From.UTC().Format(time.RFC3339) + " to " + f.To.UTC().Format(time.RFC3339) +
		"; " + output.Plural(f.Events, "event") + " folded, digest " + f.ShortDigest()
}

// reportPart is one table of a report with its heading.
type reportPart struct {
	title   string
	listing output.Listing
}

// printParts prints a report: all tables for people and as Markdown, the first table as
// CSV, and the document for programs. All of them name the part of the log that the report
// covers; CSV does in a comment at its end.
func printParts(p *output.Printer, doc any, items []any, title string, footer report.Footer, parts []reportPart) error {
	switch p.Format {
	case output.JSON, output.JSONL:
		return p.Print(output.Listing{Doc: doc, Items: items})
	case output.CSV:
		if err := p.Print(parts[0].listing); err != nil {
			return err
		}
		if _, err := io.WriteString(p.Out, "# "+footerLines(footer)+"\n"); err != nil {
			return domain.Errorf(domain.Unavailable, "report: %w", err)
		}
		return nil
	case output.Markdown:
		write := func(text string) error {
			_, err := io.WriteString(p.Out, text)
			return err
		}
		if err := write("# " + title + "\n"); err != nil {
			return domain.Errorf(domain.Unavailable, "report: %w", err)
		}
		for _, part := range parts {
			if len(part.listing.Rows) == 0 {
				continue
			}
			if err := write("\n## " + part.title + "\n\n"); err != nil {
				return domain.Errorf(domain.Unavailable, "report: %w", err)
			}
			if err := p.Print(part.listing); err != nil {
				return err
			}
		}
		if err := write("\n*" + footerLines(footer) + "*\n"); err != nil {
			return domain.Errorf(domain.Unavailable, "report: %w", err)
		}
		return nil
	case output.Table, output.Wide:
	}
	p.Now = time.Time{} // the output must not depend on the day, so times are printed with their dates
	if err := p.Line(title); err != nil {
		return err
	}
	for _, part := range parts {
		if len(part.listing.Rows) == 0 {
			continue
		}
		part.listing.Above = "\n" + part.title
		if err := p.Print(part.listing); err != nil {
			return err
		}
	}
	return p.Line("\n" + footerLines(footer))
}
