package main

import (
	"context"
	"iter"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/config"
	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/transport"
)

// selectionFlags are the flags by which a log command selects events.
type selectionFlags struct {
	from, to, since, where, actor string
	types, streams                []string
	limit                         int
	reverse                       bool
}

// add adds the flags that select by place and kind.
func (f *selectionFlags) add(c *cobra.Command) {
	flags := c.Flags()
	flags.StringVar(&f.from, "from", "", "first position (1200, or -100 from the end), or a time (2026-03-06T14:02:11Z)")
	flags.StringVar(&f.to, "to", "", "last position (1250, or +50 from the first), or a time")
	flags.StringVar(&f.since, "since", "", "only events of this last while: 10m, 24h")
	flags.StringSliceVar(&f.types, "type", nil, "only these event types; * stands for any letters (TASK_*)")
	flags.StringSliceVar(&f.streams, "stream", nil, "only these streams; one that ends in - or * means all that begin so (task-, node-gpu*)")
	flags.StringVar(&f.where, "where", "", `only events for which this holds: data.node_id == "gpu-7"`)
	flags.StringVar(&f.actor, "actor", "", "only events that this caller asked for")
	c.MarkFlagsMutuallyExclusive("from", "since")
}

// addWindow adds the flags for number and order.
func (f *selectionFlags) addWindow(c *cobra.Command) {
	c.Flags().IntVar(&f.limit, "limit", 0, "most events; 0 is no bound")
	c.Flags().BoolVar(&f.reverse, "reverse", false, "newest first")
}

// resolve returns the selection by the flags. It calls head only for positions relative to
// the end.
func (f *selectionFlags) resolve(ctx context.Context, now time.Time, head func(context.Context) (domain.Position, error)) (selection, error) {
	s := selection{where: f.condition(), limit: f.limit, reverse: f.reverse, streams: f.streams}
	for _, name := range f.streams {
		s.filter.Streams = append(s.filter.Streams, strings.TrimSuffix(name, "*"))
	}
	if f.limit < 0 {
		return s, usagef("--limit: want 0 or more, found %d", f.limit)
	}
	var err error
	if s.filter.Types, err = eventTypes(f.types); err != nil {
		return s, err
	}
	if s.from, s.since, err = placeOf(ctx, "--from", f.from, 0, head); err != nil {
		return s, err
	}
	if s.to, s.until, err = placeOf(ctx, "--to", f.to, s.from, head); err != nil {
		return s, err
	}
	if s.from != 0 && s.to != 0 && s.from > s.to {
		return s, usagef("--to: want at least --from %d, found %d", s.from, s.to)
	}
	if f.since != "" {
		while, err := time.ParseDuration(f.since)
		if err != nil || while <= 0 {
			return s, usagef("--since: want a duration such as 10m, found %q", f.since)
		}
		s.since = now.Add(-while)
	}
	if s.keep, err = compileWhere(ctx, s.where); err != nil {
		return s, err
	}
	return s, nil
}

// condition is the expression that --where and --actor combine to.
func (f *selectionFlags) condition() string {
	switch asked := "actor == " + strconv.Quote(f.actor); {
	case f.actor == "":
		return f.where
	case f.where == "":
		return asked
	default:
		return asked + " && (" + f.where + ")"
	}
}

// placeOf decodes a position, absolute or relative, or a time.
func placeOf(ctx context.Context, flag, text string, first domain.Position, head func(context.Context) (domain.Position, error)) (domain.Position, time.Time, error) {
	if text == "" {
		return 0, time.Time{}, nil
	}
	if at, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return 0, at, nil
	}
	sign, digits := text[:1], strings.TrimLeft(text, "+-")
	n, err := domain.ParsePosition(digits)
	if err != nil || len(text)-len(digits) > 1 {
		return 0, time.Time{}, usagef("%s: want a position such as 1200, +50 or -100, or a time such as 2026-03-06T14:02:11Z, found %q", flag, text)
	}
	switch sign {
	case "+":
		return max(first, 1) + n, time.Time{}, nil
	case "-":
		last, err := head(ctx)
		if err != nil {
			return 0, time.Time{}, err
		}
		return max(1, last-min(n, last)+1), time.Time{}, nil
	}
	return n, time.Time{}, nil
}

// eventTypes resolves names and patterns by the catalogue. An unknown name is kept,
// because a log of another build may have events of that type.
func eventTypes(names []string) ([]string, error) {
	if len(names) == 0 {
		return nil, nil
	}
	catalog, err := wiring.Catalog()
	if err != nil {
		return nil, err
	}
	var known, found []string
	for _, def := range catalog.Defs() {
		known = append(known, def.Type)
	}
	for _, name := range names {
		if !strings.ContainsAny(name, "*?[") {
			if resolved, ok := catalog.Resolve(name); ok {
				name = resolved
			} else if near := config.Nearest(strings.ToUpper(name), known); near != "" && !slices.Contains(known, name) {
				return nil, hinted(usagef("--type: no event type %q", name), "did you mean %s? `rift catalog` lists them", near)
			}
			found = append(found, name)
			continue
		}
		matched := false
		for _, candidate := range known {
			hit, err := path.Match(strings.ToUpper(name), candidate)
			if err != nil {
				return nil, usagef("--type: want a pattern such as TASK_*, found %q", name)
			}
			if hit {
				matched = true
				found = append(found, candidate)
			}
		}
		if !matched {
			return nil, hinted(usagef("--type: no event type matches %q", name), "`rift catalog` lists them")
		}
	}
	slices.Sort(found)
	return slices.Compact(found), nil
}

// selection selects events of a log.
type selection struct {
	from, to     domain.Position // 0: from the first, to the last; both inclusive
	since, until time.Time       // zero: no bound
	filter       eventlog.Filter
	streams      []string // whole ids, or prefixes that end in - or *
	where        string   // the expression as the user wrote it
	keep         *whereFilter
	limit        int // 0: no bound
	reverse      bool
}

// sift yields the selected events of those in log order, and stops when no later event can
// be selected.
func (s selection) sift(events iter.Seq2[domain.Envelope, error]) iter.Seq2[domain.Envelope, error] {
	return func(yield func(domain.Envelope, error) bool) {
		found := 0
		for e, err := range events {
			if err != nil {
				yield(e, err)
				return
			}
			if past := s.to != 0 && e.Position > s.to; past || e.Position < s.from {
				if past != s.reverse {
					return
				}
				continue
			}
			if !s.keeps(e) {
				continue
			}
			found++
			if !yield(e, nil) || found == s.limit {
				return
			}
		}
	}
}

// keeps reports whether an event is selected, regardless of its position.
func (s selection) keeps(e domain.Envelope) bool {
	return s.filter.Keeps(e.Stream, e.Type) && s.ofStreams(e.Stream) &&
		(s.since.IsZero() || !e.Time.Before(s.since)) && (s.until.IsZero() || !e.Time.After(s.until)) && s.keep.keeps(e)
}

// ofStreams reports whether a stream is selected, by its id or a prefix.
func (s selection) ofStreams(stream domain.StreamID) bool {
	return len(s.streams) == 0 || slices.ContainsFunc(s.streams, func(name string) bool {
		prefix, open := strings.CutSuffix(name, "*")
		return string(stream) == name || (open || strings.HasSuffix(name, "-")) && strings.HasPrefix(string(stream), prefix)
	})
}

// asked returns the part of the selection that a node applies; sift applies all of it.
func (s selection) asked() transport.Selection {
	return transport.Selection{Streams: s.streams, Types: s.filter.Types, Where: s.where}
}
