package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/cmd/internal/report"
	"github.com/ringrift/rift/cmd/internal/states"
	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/transport"
)

// turn is where a condition became true: the event after which it held, or, where it
// never did, only how far the log was read.
type turn struct {
	Expr     string                 `json:"expr"`
	Found    bool                   `json:"found"`
	From     domain.Position        `json:"from"` // the first event that was tried
	To       domain.Position        `json:"to"`   // the last one
	Held     bool                   `json:"held"` // it was true to begin with
	Event    *transport.EventRecord `json:"event,omitempty"`
	Values   []turnValue            `json:"values"`
	Chain    []causeLink            `json:"chain"`    // its causes, the nearest first
	Complete bool                   `json:"complete"` // the chain goes back to the root
}

// turnValue is a name that the condition uses, before and after the event; of a
// condition that never became true, as it begins and ends.
type turnValue struct {
	Name   string          `json:"name"`
	Before json.RawMessage `json:"before"`
	After  json.RawMessage `json:"after"`
}

// bisectFlags are the flags of bisect.
type bisectFlags struct {
	source         sourceFlags
	expr, from, to string
	limit          int
}

func newBisect(a *app) *cobra.Command {
	var flags bisectFlags
	var said []string
	for _, name := range states.Names() {
		said = append(said, fmt.Sprintf("  %-22s %s", name.Name, name.About))
	}
	c := &cobra.Command{
		Use:   "bisect --expr EXPR [FILE|DIR|-|http://…]…",
		Short: "Find the event after which a condition became true",
		Long: `Folds a log once, evaluates the expression after every event, and prints the first
event after which it is true and before which it was not, with the values that it
uses before and after, and with what led to the event. So it finds a condition too
that held for one event only. The names of an expression are those of the state:

` + strings.Join(said, "\n") + `

An expression that is true as of --from has to become false first; an empty log is
the state before position 1. Exit code 2 says that it never became true.

The state is kept in memory: about 2 kB for each item that the log ever had.`,
		Example: `  rift bisect --expr 'len(leaders) > 1' recorded/*.log
  rift bisect --expr 'nodes.down >= 3 && work.queued > 100' --data data
  rift bisect --expr 'node["gpu-7"] == "offline"' --from 4211 incident.jsonl.zst
  rift bisect --expr 'findings.critical > 0' -o json`,
		RunE: func(c *cobra.Command, paths []string) error {
			if flags.expr == "" {
				return hinted(usagef("%s: want --expr EXPR, found none", c.CommandPath()), `for example --expr 'nodes.down > 2'; rift bisect --help lists the names`)
			}
			if flags.limit < 1 || flags.limit > maxLinks {
				return usagef("--limit: want 1 to %d, found %d", maxLinks, flags.limit)
			}
			condition, err := states.Compile(flags.expr)
			if err != nil {
				return hinted(usagef("--expr: %w", err), "`rift bisect --help` lists the names of the state and says what they are")
			}
			return a.withSource(c, &flags.source, paths, func(p *output.Printer, src *source) error {
				found, err := a.bisect(c, src, condition, flags)
				if err != nil {
					return err
				}
				if err := printTurn(p, found, lookAround(paths, "")); err != nil {
					return err
				}
				if !found.Found {
					return &findings{1, "condition that never became true"}
				}
				return nil
			})
		},
	}
	addSourceFlags(c, &flags.source)
	set := c.Flags()
	set.StringVar(&flags.expr, "expr", "", `condition over the state: 'nodes.down > 2 && leader == ""'`)
	set.StringVar(&flags.from, "from", "", "look behind this position (1200, or -1000 from the end) or time")
	set.StringVar(&flags.to, "to", "", "look up to this position or time (default: the end)")
	set.IntVar(&flags.limit, "limit", 100, "most links of the chain of causes")
	return c
}

// bisect looks for the event after which the condition became true.
func (a *app) bisect(c *cobra.Command, src *source, condition *states.Condition, flags bisectFlags) (turn, error) {
	ctx := c.Context()
	found := turn{Expr: flags.expr, Chain: []causeLink{}}
	window, err := flags.window(ctx, src)
	if err != nil {
		return found, err
	}
	catalog, err := wiring.Catalog()
	if err != nil {
		return found, err
	}
	search, err := states.NewSearch(catalog, condition)
	if err != nil {
		return found, err
	}
	progress := a.progress("folding", "events", 0)
	defer progress.Done()
	head, err := a.headOf(ctx, src)
	if err != nil {
		return found, err
	}
	progress.Total(int64(head))
	for e, err := range src.events(ctx, selection{to: window.To}) {
		if err != nil {
			return found, err
		}
		progress.Set(int64(e.Position))
		switch {
		case !window.ToTime.IsZero() && e.Time.After(window.ToTime):
			continue // recorded clocks run backwards
		case found.From == 0 && (e.Position <= window.From || !window.FromTime.IsZero() && !e.Time.After(window.FromTime)):
			err = search.Skip(e)
		default:
			found.From, found.To = cmp.Or(found.From, e.Position), e.Position
			found.Found, err = search.Apply(ctx, e)
		}
		if err != nil {
			return found, err
		}
		if found.Found {
			event := transport.RecordOf(&e)
			found.Event = &event
			break
		}
	}
	if found.To == 0 {
		return found, hinted(domain.Errorf(domain.NotFound, "no event stands between --from and --to in %s", src.name), "`rift log stat` counts what the log holds")
	}
	found.take(search)
	if !found.Found {
		return found, nil
	}
	why, _, err := causesOf(c, &tracer{src, progress}, found.Event.Position.String(), flags.limit)
	found.Chain, found.Complete = why.Chain, why.Complete
	return found, err
}

// window is the stretch that is searched: behind its From, up to its To.
func (f *bisectFlags) window(ctx context.Context, src *source) (w report.Window, err error) {
	if w.From, w.FromTime, err = placeOf(ctx, "--from", f.from, 0, src.head); err != nil {
		return w, err
	}
	if w.To, w.ToTime, err = placeOf(ctx, "--to", f.to, w.From, src.head); err != nil {
		return w, err
	}
	if w.To != 0 && w.From >= w.To || !w.ToTime.IsZero() && !w.FromTime.Before(w.ToTime) {
		return w, usagef("--to: want it behind --from, found %s and %s", f.to, f.from)
	}
	return w, nil
}

// take takes what the search knows of the condition.
func (t *turn) take(search *states.Search) {
	if !t.Found {
		search.End()
	}
	t.Held, t.Values = search.Held, []turnValue{}
	for i, value := range search.After {
		t.Values = append(t.Values, turnValue{value.Name, search.Before[i].Value, value.Value})
	}
}

// printTurn prints the event, the values before and after it, and its causes.
func printTurn(p *output.Printer, found turn, next string) error {
	columns := []output.Column{{Name: "name"}, {Name: "before", Right: true}, {Name: "after", Right: true}}
	listing := output.Listing{Doc: found, Columns: columns}
	for _, value := range found.Values {
		listing.Rows = append(listing.Rows, []any{value.Name, plainValue(value.Before), plainValue(value.After)})
	}
	if p.Format != output.Table && p.Format != output.Wide {
		listing.Columns = append(columns, output.Column{Name: "position"}, output.Column{Name: "type"}, output.Column{Name: "stream"})
		for i := range listing.Rows {
			if found.Found {
				listing.Rows[i] = append(listing.Rows[i], found.Event.Position, found.Event.Type, string(found.Event.Stream))
			} else {
				listing.Rows[i] = append(listing.Rows[i], nil, nil, nil)
			}
		}
		return p.Print(listing)
	}
	width := pageWidth(p)
	say := func(text string) error { return p.Line(wrapLines(text, width)) }
	if !found.Found {
		if err := say(fmt.Sprintf("never true from %s to %s: %s", output.Count(found.From), output.Count(found.To), found.Expr)); err != nil {
			return err
		}
		if found.Held {
			if err := say("It was true as of where the search began, and did not become true again."); err != nil {
				return err
			}
		}
		columns[1].Title, columns[2].Title = "AT FIRST", "AT THE END"
		return errors.Join(p.Line(""), p.Print(listing))
	}
	if err := say(fmt.Sprintf("true from %s on: %s", found.Event.Position, found.Expr)); err != nil {
		return err
	}
	if err := errors.Join(p.Line(""), p.Print(listing), p.Line("")); err != nil {
		return err
	}
	if err := printCauses(p, causes{Event: *found.Event, Chain: found.Chain, Complete: found.Complete}, true); err != nil {
		return err
	}
	return p.Line("\n" + wrapLines(next+fmt.Sprintf("; --from %s looks for the next time.", found.Event.Position), width))
}

// plainValue is a value as people write it.
func plainValue(encoded json.RawMessage) string {
	var words []string
	if json.Unmarshal(encoded, &words) == nil && words != nil {
		return cmp.Or(strings.Join(words, ", "), "nobody")
	}
	return string(encoded)
}
