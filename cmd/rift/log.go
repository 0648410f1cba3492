package main

import (
	"context"
	"errors"
	"iter"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/transport"
)

func newLog(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "log",
		Short: "Show, count, check and move the events of a log",
		Long: `The log is read from a data folder (--data), from recorded files (packed as
zstd or gzip or not), or from a node (--addr).`,
		Example: `  rift log show --from -20
  rift log stat --data data
  rift log import --data data recorded/*.log`,
	}
	addClientFlags(c)
	c.AddCommand(newLogShow(a), newLogTail(a), newLogStat(a), newLogImport(a), newLogExport(a), newLogCopy(a), newLogVerify(a), newLogSalvage(a))
	return c
}

var eventColumns = []output.Column{
	{Name: "position", Right: true, Max: 12},
	{Name: "time", Max: 19},
	{Name: "type", Max: 24},
	{Name: "stream", Max: 36},
	{Name: "data", Max: 100},
	{Name: "revision", Wide: true, Right: true},
	{Name: "version", Wide: true, Right: true},
	{Name: "id", Wide: true},
	{Name: "actor", Wide: true},
	{Name: "node", Wide: true},
	{Name: "causation", Wide: true},
	{Name: "policy", Wide: true},
}

func eventRow(e domain.Envelope) []any {
	return []any{
		e.Position, e.Time, e.Type, string(e.Stream), string(e.Data),
		e.Revision, e.Version, e.ID, e.Meta.Actor, e.Meta.Node, e.Meta.Causation, e.Meta.Policy,
	}
}

func newLogShow(a *app) *cobra.Command {
	var from sourceFlags
	var which selectionFlags
	c := &cobra.Command{
		Use:   "show [FILE…]",
		Short: "Print events",
		Example: `  rift log show --from 1200 --to +50
  rift log show --type 'TASK_*' --where 'data.node_id == "gpu-7"' --reverse --limit 20
  rift log show --data data --since 1h -o jsonl
  rift log show recorded.jsonl.zst --stream task-t1`,
		RunE: func(c *cobra.Command, paths []string) error {
			return a.withSource(c, &from, paths, func(p *output.Printer, src *source) error {
				s, err := which.resolve(c.Context(), a.now(), src.head)
				if err != nil {
					return err
				}
				defer s.keep.warn(a)
				return printEvents(p.Rows(eventColumns).Document("events"), src.events(c.Context(), s))
			})
		},
	}
	from.add(c)
	which.add(c)
	which.addWindow(c)
	return c
}

// withSource opens the log that a command reads, and closes it when the command ends.
func (a *app) withSource(c *cobra.Command, from *sourceFlags, paths []string, do func(*output.Printer, *source) error) error {
	p, err := a.printer()
	if err != nil {
		return err
	}
	src, err := from.open(a, c, paths)
	if err != nil {
		return err
	}
	return errors.Join(do(p, src), src.close())
}

func printEvents(rows *output.Rows, events iter.Seq2[domain.Envelope, error]) error {
	highest := domain.Position(0)
	for e, err := range events {
		if err == nil {
			err = rows.Write(transport.RecordOf(&e), eventRow(e)...)
		}
		if err != nil {
			return errors.Join(err, rows.Close())
		}
		highest = max(highest, e.Position)
	}
	rows.After("next", highest+1)
	return rows.Close()
}

func newLogTail(a *app) *cobra.Command {
	var from sourceFlags
	var which selectionFlags
	var count int
	var follow bool
	c := &cobra.Command{
		Use:   "tail [FILE…]",
		Short: "Print the newest events, and new ones as they come",
		Long: `Prints the last events and, with --follow, every new one. A connection that
breaks is made again, and goes on behind the last event printed.`,
		Example: `  rift log tail
  rift log tail --follow --type NODE_UNHEALTHY,HOST_OFFLINE
  rift log tail --follow --from 1200 -o jsonl`,
		RunE: func(c *cobra.Command, paths []string) error {
			return a.withSource(c, &from, paths, func(p *output.Printer, src *source) error {
				if follow && src.follow == nil {
					return hinted(usagef("--follow: nothing is appended to %s while this command reads it", src.name), "follow the node that serves it: rift log tail --follow --addr http://…")
				}
				s, err := which.resolve(c.Context(), a.now(), src.head)
				if err != nil {
					return err
				}
				defer s.keep.warn(a)
				rows := p.Rows(eventColumns)
				if follow {
					rows.Live()
				} else {
					rows.Document("events")
				}
				last, err := printTail(c.Context(), rows, src, s, count)
				if err == nil && follow {
					err = printFollowed(c.Context(), rows, src, s, last)
				}
				if c.Context().Err() != nil {
					err = nil // a follower ends by being stopped
				}
				if !follow {
					rows.After("next", last+1)
				}
				return errors.Join(err, rows.Close())
			})
		},
	}
	from.add(c)
	which.add(c)
	c.Flags().IntVarP(&count, "lines", "n", 10, "how many of the last events to print first")
	c.Flags().BoolVarP(&follow, "follow", "f", false, "go on with new events until stopped")
	return c
}

// printTail prints the events that are there: from the start of the selection if it
// names one, otherwise the last few.
func printTail(ctx context.Context, rows *output.Rows, src *source, s selection, count int) (domain.Position, error) {
	last, err := src.head(ctx)
	if err != nil {
		return 0, err
	}
	if err := eventlog.CheckAfter(max(s.from, 1)-1, last); err != nil {
		return last, err
	}
	named := s.from != 0 || !s.since.IsZero()
	if s.to == 0 || s.to > last {
		s.to = last // later events are printed by the follower
	}
	if last == 0 || !named && count <= 0 {
		return last, nil
	}
	events := src.events(ctx, s)
	if !named {
		s.reverse, s.limit = true, count
		events = backwards(src.events(ctx, s), 0)
	}
	for e, err := range events {
		if err == nil {
			err = rows.Write(transport.RecordOf(&e), eventRow(e)...)
		}
		if err != nil {
			return last, err
		}
	}
	return last, nil
}

// printFollowed prints new events until ctx ends.
func printFollowed(ctx context.Context, rows *output.Rows, src *source, s selection, last domain.Position) error {
	for e, err := range src.follow(ctx, last, s) {
		if err != nil {
			return err
		}
		if s.to != 0 && e.Position > s.to {
			return nil
		}
		if s.keeps(e) {
			if err := rows.Write(transport.RecordOf(&e), eventRow(e)...); err != nil {
				return err
			}
		}
	}
	return nil
}
