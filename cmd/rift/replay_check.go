package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/cmd/internal/script"
	"github.com/ringrift/rift/domain"
)

// check replays recordings and compares the commands of reactors with those in the
// recordings.
func (a *app) check(c *cobra.Command, paths []string, flags replayFlags) (checked script.Checked, err error) {
	ctx := c.Context()
	paths, done, err := a.inputs(c, paths)
	if err != nil {
		return checked, err
	}
	defer func() { err = errors.Join(err, done()) }()
	options := script.ReplayOptions{Strict: flags.strict}
	if flags.to != "" {
		if options.To, options.ToTime, err = parsePlace(flags.to); err != nil {
			return checked, err
		}
	}
	folder, err := os.MkdirTemp("", "rift-check-")
	if err != nil {
		return checked, domain.Errorf(domain.Unavailable, "folder of the check: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	log, err := a.logToReplay(c, folder, paths, flags)
	if err != nil {
		return checked, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	progress := a.progress("checking", "events", 0)
	defer progress.Done()
	options.Progress = func(done, total domain.Position) {
		progress.Total(int64(total))
		progress.Set(int64(done))
	}
	return script.Check(ctx, log, filepath.Join(folder, "models"), options)
}

// printChecked prints the result of a check: the counts, then the differences between
// recorded and replayed commands.
func printChecked(p *output.Printer, checked script.Checked) error {
	l := output.Listing{Doc: checked, Columns: []output.Column{
		{Name: "position", Right: true}, {Name: "event"}, {Name: "reactor"}, {Name: "command"}, {Name: "difference"}, {Name: "recorded", Max: 100}, {Name: "replayed", Max: 100}, {Name: "command_id", Wide: true},
	}, Empty: "no differences"}
	for _, d := range checked.Differences {
		l.Rows = append(l.Rows, []any{d.Position, d.Event, d.Reactor, d.Command, d.Kind, outcomesText(d.Recorded), replayedText(d), d.ID})
		l.Items = append(l.Items, d)
	}
	l.Above = "checked to " + output.Count(checked.Position) + ": reactors give " + output.Plural(checked.Commands, "command") + "\n" +
		"  " + output.Count(checked.Same) + " come to the very events that are recorded\n" +
		"  " + output.Count(checked.ByID) + " are recorded, and are not decided again\n" +
		"  " + output.Count(checked.Nothing) + " left nothing, and could have come to nothing\n" +
		"  " + output.Count(checked.Pending) + " were not run yet when the log ends\n" +
		"  " + output.Count(checked.Unproven) + " left nothing; whether they came to nothing cannot be told\n" +
		"  " + output.Plural(checked.Differing, "difference") + "\n"
	if more := checked.Differing - len(checked.Differences); more > 0 {
		l.Below = "and " + output.Count(more) + " more"
	}
	if checked.Differing > 0 && (p.Format == output.Table || p.Format == output.Wide) {
		first := checked.Differences[0]
		l.Below += "\nthe first: " + first.Reactor + " for " + first.Event + " at " + first.Position.String() +
			"\n  recorded: " + outcomesText(first.Recorded) + "\n  replayed: " + replayedText(first) +
			"\nrift effects " + first.Position.String() + " shows what followed; rift why what led there"
	}
	return p.Print(l)
}

func replayedText(d script.Difference) string {
	if d.Refused != "" {
		return "refused: " + d.Refused
	}
	return outcomesText(d.Replayed)
}

func outcomesText(outcomes []script.Outcome) string {
	if len(outcomes) == 0 {
		return "nothing"
	}
	var lines []string
	for _, o := range outcomes {
		at := ""
		if o.Position > 0 {
			at = " at " + o.Position.String()
		}
		lines = append(lines, o.Type+at+" "+string(o.Data))
	}
	return strings.Join(lines, "; ")
}
