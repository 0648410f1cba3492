package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog/pebblelog"
)

// salvaged is the result of `rift log salvage`.
type salvaged struct {
	From string `json:"from"`
	To   string `json:"to"`
	pebblelog.Survey
}

func newLogSalvage(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "salvage FROM TO",
		Short: "Copy what is whole of a damaged data folder to a new one",
		Long: `Copies every event of data folder FROM that can be read to a new data folder TO, and
lists what is lost. FROM is left as it is; no node may have it open. TO must not be
there yet, or be empty.

Every event keeps its position: where one is lost, an EVENT_LOST stands in its place,
with the stream it belonged to if that is known. Read models are not copied, a node
makes them from the log. Exits 2 when something is lost.

A salvage that is interrupted leaves nothing that could be taken for a log; the same
command begins again.`,
		Example: `  rift log verify --data data
  rift log salvage data mended
  rift serve --data mended`,
		Args: exactly("FROM", "TO"),
		RunE: func(c *cobra.Command, args []string) error {
			p, err := a.printer()
			if err != nil {
				return err
			}
			done := salvaged{From: args[0], To: args[1]}
			if err := emptyFolder("salvage to", done.To); err != nil {
				return err
			}
			progress := a.progress("salvaging", "B", 0)
			done.Survey, err = pebblelog.Salvage(c.Context(), logFolder(done.From), logFolder(done.To), pebblelog.Options{WrittenBy: thisBuild().Version}, func(at, total int64) {
				progress.Total(total)
				progress.Set(at)
			})
			progress.Done()
			if err != nil {
				if domain.CodeOf(err) == domain.Unavailable && c.Context().Err() == nil {
					return hinted(err, "is a node serving it? stop that node first: rift admin shutdown")
				}
				return err
			}
			return printSalvaged(p, done)
		},
	}
}

// emptyFolder refuses a folder that contains anything but the remains of an interrupted
// salvage or restoration.
func emptyFolder(what, dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return domain.Errorf(domain.Invalid, "%s %s: %w", what, dir, err)
	}
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), "log.") {
			return hinted(domain.Errorf(domain.Conflict, "%s %s: want a folder that is not there yet, or is empty, found %s in it", what, dir, entry.Name()), "name another folder")
		}
	}
	return nil
}

func printSalvaged(p *output.Printer, done salvaged) error {
	l := surveyed(done.Survey, nil).listing()
	l.Doc = done
	said := done.To + ": " + output.Plural(uint64(done.Events), "event") + ", " + output.Bytes(done.Bytes).String() + " of payload, copied from " + done.From
	if done.LostEvents == 0 {
		said += "; none is lost"
	} else {
		said += "; " + output.Plural(uint64(done.LostEvents), "event") + " lost"
	}
	l.Above, l.Empty = said+"\n", "nothing is damaged"
	if len(l.Rows) == 0 {
		l.Above, l.Empty = "", said
	}
	l.Below = "next: rift log verify --data " + done.To + ", rift serve --data " + done.To
	if err := p.Print(l); err != nil {
		return err
	}
	if done.LostEvents > 0 || done.LostLimits {
		return &findings{int(max(done.LostEvents, 1)), "lost event"}
	}
	return nil
}

// survey reports which events are intact in a log that cannot be opened, or not read to
// its end.
func (a *app) survey(ctx context.Context, dir string, fault error) error {
	p, err := a.printer()
	if err != nil {
		return err
	}
	progress := a.progress("looking at every file", "B", 0)
	found, err := pebblelog.TakeSurvey(ctx, logFolder(dir), pebblelog.Options{}, func(at, total int64) {
		progress.Total(total)
		progress.Set(at)
	})
	progress.Done()
	if err != nil {
		return errors.Join(fault, err)
	}
	v := surveyed(found, fault)
	l := surveyed(found, nil).listing()
	l.Doc = v
	l.Items = append([]any{v.Broken[0]}, l.Items...)
	l.Above = fault.Error() + "\n" + dir + ": " + output.Plural(uint64(found.Events), "event") + ", " + output.Bytes(found.Bytes).String() + " of payload, can be read; " + output.Plural(uint64(found.LostEvents), "event") + " lost\n"
	l.Below = "next: `rift log salvage " + dir + " NEW` copies what can be read to a new folder"
	if err := p.Print(l); err != nil {
		return err
	}
	return &findings{len(v.Broken), "finding"}
}

// maxStreams bounds the streams that the text of a finding lists.
const maxStreams = 3

// surveyed lists the findings of a survey, and the fault that made it necessary.
func surveyed(found pebblelog.Survey, fault error) verified {
	v := verified{Events: domain.Position(found.Events), Bytes: found.Bytes, Broken: []broken{}}
	if fault != nil {
		v.Broken = append(v.Broken, broken{Reason: fault.Error()})
	}
	for _, lost := range found.Lost {
		reason := output.Plural(uint64(lost.Last-lost.First+1), "event") + " lost"
		if n := len(lost.Streams); n > 0 {
			var names []string
			for _, stream := range lost.Streams[:min(n, maxStreams)] {
				names = append(names, string(stream))
			}
			reason += " of " + strings.Join(names, ", ")
			if n > maxStreams {
				reason += " and " + output.Plural(uint64(n-maxStreams), "other stream")
			}
		}
		v.Broken = append(v.Broken, broken{Position: lost.First, To: lost.Last, Streams: slices.Clone(lost.Streams), Reason: reason})
	}
	if found.LostLimits {
		v.Broken = append(v.Broken, broken{Reason: "limits of streams that were set are lost"})
	}
	for _, d := range found.Damage {
		v.Broken = append(v.Broken, broken{File: d.File, Offset: &d.Offset, Bytes: d.Bytes, Reason: d.Words()})
	}
	v.OK = len(v.Broken) == 0
	return v
}
