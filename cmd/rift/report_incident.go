package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/config"
	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/cmd/internal/report"
	"github.com/ringrift/rift/cmd/internal/states"
	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
	findingsview "github.com/ringrift/rift/projections/findings"
)

// incidentFlags are the flags of the report on an incident.
type incidentFlags struct {
	reportFlags
	at, around string
	window     time.Duration
	limit      int
}

func newIncidentReport(a *app) *cobra.Command {
	var flags incidentFlags
	c := &cobra.Command{
		Use:   "incident [FILE|DIR…]",
		Short: "Tell an incident on one page: what was found, what happened, who led, how work stood",
		Long: `Tells what happened around a moment: the findings of that time, the worst first, each
with the event that showed it; how counts of the state went, by the names of rift
bisect; who led; the events that matter in their order; and commands to look further.

The moment is that of the worst finding of the log, of --at, or of the event that
--around names. Findings are judged as of the end of the time around it.

The state is kept in memory: about 2 kB for each item that the log ever had.`,
		Example: `  rift report incident recorded/*.log
  rift report incident --data data --at 2026-03-06T14:02:11Z --window 10m
  rift report incident incident.jsonl.zst --around 4211 --out incident.md`,
		RunE: func(c *cobra.Command, paths []string) error {
			if flags.window <= 0 {
				return usagef("--window: want a time such as 30m, found %s", flags.window)
			}
			if flags.limit < 1 {
				return usagef("--limit: want 1 or more, found %d", flags.limit)
			}
			return a.writeReport(flags.reportFlags, func(p *output.Printer, _ io.Writer) error {
				if p == nil {
					return usagef("-o svg: want table, md, json, jsonl or csv for an incident")
				}
				told, err := a.incident(c, flags, paths)
				if err != nil {
					return err
				}
				return printIncident(p, told, flags.limit)
			})
		},
	}
	flags.source.add(c)
	set := c.Flags()
	set.StringVar(&flags.at, "at", "", "tell of this position (1200, or -1000 from the end) or time")
	set.StringVar(&flags.around, "around", "", "tell of this event, by its position or id")
	set.DurationVar(&flags.window, "window", 30*time.Minute, "how long before and after the moment")
	set.StringVar(&flags.out, "out", "", "write to this file; its ending chooses the form unless -o does")
	set.IntVar(&flags.limit, "limit", 25, "most events of the timeline; of findings and leaders a third of it; -o json has more")
	c.MarkFlagsMutuallyExclusive("at", "around")
	return c
}

// incident finds the moment, and folds the log into what happened around it.
func (a *app) incident(c *cobra.Command, flags incidentFlags, paths []string) (told report.IncidentReport, err error) {
	ctx := c.Context()
	src, err := flags.source.open(a, c, paths)
	if err != nil {
		return told, err
	}
	defer func() { err = errors.Join(err, src.close()) }()
	catalog, err := wiring.Catalog()
	if err != nil {
		return told, err
	}
	progress := a.progress("folding", "events", 0)
	defer progress.Done()
	head, err := a.headOf(ctx, src)
	if err != nil {
		return told, err
	}
	progress.Total(int64(head))
	about, err := a.momentOf(ctx, src, catalog, flags, progress)
	if err != nil {
		return told, err
	}
	fold, err := report.NewIncident(catalog, about.at, flags.window)
	if err != nil {
		return told, err
	}
	if err := foldEvents(ctx, src, progress, fold.Apply); err != nil {
		return told, err
	}
	if fold.Empty() {
		return told, hinted(domain.Errorf(domain.NotFound, "report: nothing happened within %s of %s in %s", flags.window, about.at.Format(domain.Timestamp), src.name), "`rift log stat` says which times the log is of; --window widens the time")
	}
	if told, err = fold.Report(); err != nil {
		return told, err
	}
	told.Position, told.Finding = about.position, about.finding
	told.Look = lookFurther(told, logWords(flags.source, c, paths))
	return told, nil
}

// incidentMoment is what a report on an incident is about.
type incidentMoment struct {
	at       time.Time
	position domain.Position
	finding  *findingsview.FindingRow
}

func (a *app) momentOf(ctx context.Context, src *source, catalog *domain.Catalog, flags incidentFlags, progress *output.Progress) (incidentMoment, error) {
	name := flags.around
	if flags.at != "" {
		position, at, err := placeOf(ctx, "--at", flags.at, 0, src.head)
		if err != nil || !at.IsZero() {
			return incidentMoment{at: at}, err
		}
		name = position.String()
	}
	if name != "" {
		e, err := (&tracer{src, progress}).find(ctx, name, 0)
		return incidentMoment{at: e.Time, position: e.Position}, noEvent(err)
	}
	models, err := states.New(catalog, []string{"work", "findings"})
	if err != nil {
		return incidentMoment{}, err
	}
	if err := foldEvents(ctx, src, progress, func(e domain.Envelope) (bool, error) { return true, models.Apply(e) }); err != nil {
		return incidentMoment{}, err
	}
	var m incidentMoment
	if err := models.View(func(v projections.View) error {
		m.finding, err = report.WorstFinding(v)
		return err
	}); err != nil {
		return m, err
	}
	if m.finding == nil {
		return m, hinted(domain.Errorf(domain.NotFound, "report: nothing is found to be wrong in %s", src.name), "--at names a moment to tell of")
	}
	m.at, m.position = m.finding.At, m.finding.Position
	return m, nil
}

// foldEvents reads a log from its beginning, as far as apply wants it.
func foldEvents(ctx context.Context, src *source, progress *output.Progress, apply func(domain.Envelope) (bool, error)) error {
	for e, err := range src.events(ctx, selection{}) {
		if err != nil {
			return err
		}
		more, err := apply(e)
		if err != nil || !more {
			return err
		}
		progress.Set(int64(e.Position))
	}
	return nil
}

// logWords are the words by which a command names the log; empty: the node that is asked
// anyway.
func logWords(from sourceFlags, c *cobra.Command, paths []string) string {
	words := make([]string, len(paths))
	for i, path := range paths {
		words[i] = path
		if isConnection(path) {
			words[i] = "'" + config.Redact(path) + "'"
		}
	}
	switch {
	case from.data != "" && len(paths) == 0:
		return " --data " + from.data
	case len(paths) == 0 && c.Flags().Changed("addr"):
		return " --addr " + c.Flag("addr").Value.String()
	case len(words) == 0:
		return ""
	}
	return " " + strings.Join(words, " ")
}

// lookFurther are the commands that tell more of an incident.
func lookFurther(told report.IncidentReport, log string) []string {
	at := cmp.Or(told.Position, told.Log.First)
	look := []string{
		fmt.Sprintf("rift why %s%s", at, log),
		fmt.Sprintf("rift log show --from %s --to +50%s", max(at, 11)-10, log),
		fmt.Sprintf("rift diff --from %s --to %s%s", max(at, 2)-1, at, log),
	}
	if log == "" || strings.HasPrefix(log, " --") {
		look = append(look, fmt.Sprintf("rift at %s work status%s", at, log))
	} else {
		look = append(look, fmt.Sprintf("rift replay --to %s%s", at, log))
	}
	for _, one := range told.Counts {
		if one.Name == "len(leaders)" && one.Most > 1 {
			look = append(look, fmt.Sprintf("rift bisect --expr 'len(leaders) > 1' --from %s%s", max(at, 2)-1, log))
		}
	}
	return append(look, fmt.Sprintf("rift report cluster --from %s --to %s%s", told.Log.From.Format(time.RFC3339), told.Log.To.Format(time.RFC3339), log))
}
