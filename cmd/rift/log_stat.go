package main

import (
	"cmp"
	"context"
	"hash/maphash"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/domain"
)

// logStat is the content of a log in numbers. Scripts rely on its JSON.
type logStat struct {
	Events     int64            `json:"events"`
	Streams    int64            `json:"streams"`
	Bytes      int64            `json:"bytes"`      // of payloads
	FirstTime  *time.Time       `json:"first_time"` // the earliest, which need not be that of the first event
	LastTime   *time.Time       `json:"last_time"`  // the latest
	ByType     map[string]int64 `json:"by_type"`
	ByCategory map[string]int64 `json:"by_category"`
	Head       domain.Position  `json:"head"`
	DiskBytes  int64            `json:"disk_bytes,omitempty"`
}

// count adds up events. It tells streams apart by a hash of 64 bits: among ten million
// streams two collide with a chance of 3 in a million.
func count(events iter.Seq2[domain.Envelope, error], progress *output.Progress) (logStat, error) {
	stat := logStat{ByType: map[string]int64{}, ByCategory: map[string]int64{}}
	seed, streams := maphash.MakeSeed(), map[uint64]struct{}{}
	for e, err := range events {
		if err != nil {
			return stat, err
		}
		stat.Events++
		stat.Bytes += int64(len(e.Data))
		stat.Head = max(stat.Head, e.Position)
		stat.ByType[e.Type]++
		stat.ByCategory[e.Stream.Category()]++
		streams[maphash.String(seed, string(e.Stream))] = struct{}{}
		if at := e.Time; stat.FirstTime == nil || at.Before(*stat.FirstTime) {
			stat.FirstTime = &at
		}
		if at := e.Time; stat.LastTime == nil || at.After(*stat.LastTime) {
			stat.LastTime = &at
		}
		if stat.Events%1024 == 0 {
			progress.Set(stat.Events)
		}
	}
	stat.Streams = int64(len(streams))
	return stat, nil
}

func newLogStat(a *app) *cobra.Command {
	var from sourceFlags
	c := &cobra.Command{
		Use:   "stat [FILE…]",
		Short: "Count the events of a log by type and kind of stream",
		Example: `  rift log stat --data data
  rift log stat recorded.jsonl.zst -o json
  rift log stat --addr http://gpu-7:8770`,
		RunE: func(c *cobra.Command, paths []string) error {
			return a.withSource(c, &from, paths, func(p *output.Printer, src *source) error {
				stat, err := a.statOf(c.Context(), src)
				if err != nil {
					return err
				}
				return printStat(p, src.name, stat)
			})
		},
	}
	from.add(c)
	return c
}

func (a *app) statOf(ctx context.Context, src *source) (logStat, error) {
	if src.log == nil {
		progress := a.progress("counting", "events", 0)
		defer progress.Done()
		return count(src.events(ctx, selection{}), progress)
	}
	found, err := src.log.Stat(ctx)
	if err != nil {
		return logStat{}, err
	}
	head, err := src.log.Head(ctx)
	if err != nil {
		return logStat{}, err
	}
	stat := logStat{Events: int64(found.Events), Streams: found.Streams, Bytes: found.Bytes, ByType: found.ByType, ByCategory: found.ByCategory, Head: head}
	if stat.Events > 0 {
		stat.FirstTime, stat.LastTime = &found.Earliest, &found.Latest
	}
	stat.DiskBytes, err = sizeOf(logFolder(src.dir))
	return stat, err
}

func printStat(p *output.Printer, name string, stat logStat) error {
	if p.Format == output.JSON || p.Format == output.JSONL {
		return p.Print(output.Listing{Doc: stat})
	}
	summary := name + ": " + output.Plural(stat.Events, "event") + " in " + output.Plural(stat.Streams, "stream") + ", " + output.Bytes(stat.Bytes).String() + " of payload"
	if stat.DiskBytes > 0 {
		summary += ", " + output.Bytes(stat.DiskBytes).String() + " on disk"
	}
	if stat.FirstTime != nil {
		summary += "\nfrom " + stat.FirstTime.UTC().Format(domain.Timestamp) + " to " + stat.LastTime.UTC().Format(domain.Timestamp) +
			" (" + output.Span(stat.LastTime.Sub(*stat.FirstTime)) + "), head at position " + stat.Head.String()
	}
	l := output.Listing{Above: summary + "\n", Empty: "no events yet", Columns: []output.Column{{Name: "kind"}, {Name: "name"}, {Name: "events", Right: true}, {Name: "share", Right: true}}}
	rows := func(kind string, counts map[string]int64) {
		names := slices.SortedFunc(maps.Keys(counts), func(x, y string) int {
			return cmp.Or(cmp.Compare(counts[y], counts[x]), cmp.Compare(x, y))
		})
		for _, name := range names {
			share := output.Significant(100*float64(counts[name])/float64(stat.Events)) + " %"
			l.Rows = append(l.Rows, []any{kind, name, counts[name], share})
		}
	}
	rows("stream", stat.ByCategory)
	rows("type", stat.ByType)
	return p.Print(l)
}
