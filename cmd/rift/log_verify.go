package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/cmd/internal/recorded"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog/jsonl"
)

// verified is the result of `rift log verify`. Events counts the intact ones.
type verified struct {
	Events  domain.Position `json:"events"`
	Streams int64           `json:"streams,omitempty"`
	Bytes   int64           `json:"bytes,omitempty"`
	OK      bool            `json:"ok"`
	Broken  []broken        `json:"findings"`
	More    bool            `json:"more,omitempty"` // there are more findings than listed
}

// broken is one fault of a log.
type broken struct {
	Position domain.Position   `json:"position,omitempty"`
	To       domain.Position   `json:"to,omitempty"`      // the last one, if several events are lost
	Streams  []domain.StreamID `json:"streams,omitempty"` // of the lost events, as far as known
	File     string            `json:"file,omitempty"`
	Line     int64             `json:"line,omitempty"`
	Offset   *int64            `json:"offset,omitempty"` // of the unreadable part of the file
	Bytes    int64             `json:"bytes,omitempty"`  // of the unreadable part
	Reason   string            `json:"reason"`
}

// maxBroken bounds the findings that are listed.
const maxBroken = 100

func newLogVerify(a *app) *cobra.Command {
	var from sourceFlags
	c := &cobra.Command{
		Use:   "verify [FILE…]",
		Short: "Check every record of a log",
		Long: `Reads every record of a data folder: checksums, positions without gaps, indexes
and revisions; or every line of recorded files. Of a folder that is too damaged to be
opened it says what is whole and what is lost. Exits 2 when something is wrong.`,
		Example: `  rift log verify --data data
  rift log verify recorded.jsonl.zst -o json`,
		RunE: func(c *cobra.Command, paths []string) error {
			if len(paths) == 0 && from.data == "" {
				return hinted(usagef("%s: want --data or files, found neither", c.CommandPath()), "a node checks its own log: `rift admin health`")
			}
			if from.data == "" && !(len(paths) == 1 && isDataFolder(paths[0])) {
				return a.verifyLines(paths)
			}
			err := a.withSource(c, &from, paths, func(p *output.Printer, src *source) error {
				if src.log == nil {
					return hinted(domain.Errorf(domain.Unavailable, "verify %s: a node has it open", from.data), "stop that node, or check a copy made with `rift log export`")
				}
				found, err := a.verify(c.Context(), src)
				if err != nil {
					return err
				}
				return printVerified(p, src.name, found)
			})
			if from.data != "" && domain.CodeOf(err) == domain.Corrupt {
				return a.survey(c.Context(), from.data, err)
			}
			return err
		},
	}
	from.add(c)
	return c
}

func (a *app) verify(ctx context.Context, src *source) (verified, error) {
	head, err := src.log.Head(ctx)
	if err != nil {
		return verified{}, err
	}
	progress := a.progress("checking", "events", int64(head))
	defer progress.Done()
	report, err := src.log.Verify(ctx, func(done, _ domain.Position) { progress.Set(int64(done)) })
	found := verified{Events: report.Events, Streams: report.Streams, Bytes: report.Bytes, OK: report.OK(), Broken: []broken{}, More: report.More}
	for _, problem := range report.Problems {
		found.Broken = append(found.Broken, broken{Position: problem.Position, Reason: problem.Reason})
	}
	return found, err
}

// verifyLines checks recorded files that hold events as lines.
func (a *app) verifyLines(paths []string) error {
	p, err := a.printer()
	if err != nil {
		return err
	}
	recordings, err := recorded.Detect(paths, "", false)
	if err != nil {
		return notRecorded(err)
	}
	var files []string
	for _, file := range recordings.Files {
		if file.Format != "jsonl" {
			return hinted(domain.Errorf(domain.Invalid, "verify: want a log of rift, found %s, a recording of the kind %s", file.Path, file.Format), "`rift log import` accounts for every line of it")
		}
		files = append(files, file.Path)
	}
	found, err := a.verifyFiles(files)
	if err != nil {
		return err
	}
	return printVerified(p, strings.Join(paths, ", "), found)
}

// verifyFiles reads every line. A broken one is a finding, and reading goes on.
func (a *app) verifyFiles(files []string) (verified, error) {
	found := verified{Broken: []broken{}}
	progress := a.progress("checking", "events", 0)
	defer progress.Done()
	events := jsonl.ReadFiles(files, jsonl.ReadOptions{Lenient: true, OnSkip: func(file string, line int64, fault error) {
		if len(found.Broken) == maxBroken {
			found.More = true
			return
		}
		found.Broken = append(found.Broken, broken{File: file, Line: line, Reason: fault.Error()})
	}})
	for e, err := range events {
		if err != nil {
			return found, err
		}
		found.Events++
		found.Bytes += int64(len(e.Data))
		if found.Events%1024 == 0 {
			progress.Set(int64(found.Events))
		}
	}
	found.OK = len(found.Broken) == 0
	return found, nil
}

// listing has a row for each finding.
func (v verified) listing() output.Listing {
	l := output.Listing{Doc: v, Columns: []output.Column{{Name: "position", Right: true}, {Name: "file"}, {Name: "line", Right: true}, {Name: "reason", Max: 100}}}
	for _, b := range v.Broken {
		row := []any{nil, b.File, nil, b.Reason}
		if b.Position > 0 {
			row[0] = b.Position
		}
		if b.To > b.Position {
			row[0] = b.Position.String() + "-" + b.To.String()
		}
		if b.Line > 0 {
			row[2] = b.Line
		}
		l.Rows = append(l.Rows, row)
		l.Items = append(l.Items, b)
	}
	return l
}

func printVerified(p *output.Printer, name string, found verified) error {
	l := found.listing()
	l.Empty = name + ": " + output.Plural(uint64(found.Events), "event") + ", " + output.Bytes(found.Bytes).String() + " of payload: all readable"
	if p.Format == output.JSONL && l.Items == nil {
		l.Items = []any{}
	}
	if found.More {
		l.Below = "and more"
	}
	if err := p.Print(l); err != nil {
		return err
	}
	if !found.OK {
		return &findings{len(found.Broken), "finding"}
	}
	return nil
}
