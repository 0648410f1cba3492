package main

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/transport"
)

// maxEffects bounds the causes that are remembered while effects are looked for.
const maxEffects = 100_000

// effects are the events that followed from an event, in the order of the log. Next is
// where the search stopped; 0 if it reached the end.
type effects struct {
	Event   transport.EventRecord   `json:"event"`
	Effects []transport.EventRecord `json:"effects"`
	Next    domain.Position         `json:"next"`
}

func newEffects(a *app) *cobra.Command {
	var from sourceFlags
	var limit int
	c := &cobra.Command{
		Use:   "effects EVENT|POSITION [FILE|DIR|-|http://…]…",
		Short: "Print what an event brought about",
		Long: `Prints the events that an event led to, each under the one that it answers. An
event is named by its position or its id. The log is that of a node (--addr), a
data folder, or recorded files.`,
		Example: `  rift effects 4211
  rift effects 9 incident.jsonl.zst
  rift effects 4211 --data data -o json`,
		Args: oneEvent,
		RunE: func(c *cobra.Command, words []string) error {
			if limit < 1 || limit > maxEffects {
				return usagef("--limit: want 1 to %d, found %d", maxEffects, limit)
			}
			return a.withSource(c, &from, words[1:], func(p *output.Printer, src *source) error {
				progress := a.progress("looking for effects", "events", 0)
				found, err := effectsOf(c, &tracer{src, progress}, words[0], limit)
				progress.Done()
				if err != nil {
					return err
				}
				return printEffects(p, found)
			})
		},
	}
	addSourceFlags(c, &from)
	c.Flags().IntVar(&limit, "limit", 1000, "most events to print")
	return c
}

func effectsOf(c *cobra.Command, t *tracer, name string, limit int) (effects, error) {
	if t.src.node == nil {
		return t.effects(c.Context(), name, limit)
	}
	found := effects{Effects: []transport.EventRecord{}}
	asked := url.Values{"id": {name}}
	for {
		asked.Set("limit", strconv.Itoa(min(limit-len(found.Effects), maxLinks)))
		raw, err := t.src.node.ask(c.Context(), "events.effects", asked)
		if err != nil {
			return found, noEvent(err)
		}
		page, err := decode[effects](raw)
		if err != nil {
			return found, err
		}
		found.Event, found.Next = page.Event, page.Next
		found.Effects = append(found.Effects, page.Effects...)
		if page.Next == 0 || len(found.Effects) >= limit {
			return found, nil
		}
		if went, _ := domain.ParsePosition(asked.Get("from")); page.Next <= went {
			return found, nil // the node did not get further within its time for one query
		}
		t.progress.Set(int64(page.Next))
		asked.Set("from", page.Next.String())
	}
}

// effects reads on from the event and keeps events that followed from it, directly or
// through others.
func (t *tracer) effects(ctx context.Context, name string, limit int) (effects, error) {
	e, err := t.find(ctx, name, 0)
	if err != nil {
		return effects{}, noEvent(err)
	}
	found := effects{Event: transport.RecordOf(&e), Effects: []transport.EventRecord{}}
	answers := map[string]bool{e.ID.String(): true}
	items := itemsOf{}
	items.note(found.Event)
	for other, err := range t.src.events(ctx, selection{from: e.Position + 1}) {
		if err != nil {
			return found, err
		}
		if other.Position%1024 == 0 {
			t.progress.Set(int64(other.Position))
		}
		if cause := items.cause(transport.RecordOf(&other)); cause == "" || !answers[cause] {
			continue
		}
		if len(found.Effects) == limit {
			found.Next = other.Position
			break
		}
		answers[other.ID.String()] = true
		found.Effects = append(found.Effects, transport.RecordOf(&other))
		items.note(transport.RecordOf(&other))
	}
	return found, nil
}

// itemsOf finds the event that created each work item. A worker's report names no
// cause; its cause is the creation of the item.
type itemsOf map[domain.StreamID]string

func (i itemsOf) note(e transport.EventRecord) {
	if e.Stream.Category() == domain.TaskID("").Stream().Category() && e.Revision == 0 {
		i[e.Stream] = e.ID.String()
	}
}

// cause returns the event that caused another: the one that it names, or the creation
// of its item.
func (i itemsOf) cause(e transport.EventRecord) string {
	if e.Meta.Causation != "" || e.Revision == 0 {
		return e.Meta.Causation
	}
	return i[e.Stream]
}

// printEffects draws the effects as a tree.
func printEffects(p *output.Printer, found effects) error {
	if p.Format != output.Table && p.Format != output.Wide {
		l := output.Listing{Doc: found, Columns: []output.Column{
			{Name: "position", Right: true}, {Name: "type"}, {Name: "stream"}, {Name: "time"}, {Name: "actor"}, {Name: "policy"}, {Name: "causation"}, {Name: "data"},
		}}
		for _, e := range found.Effects {
			l.Rows = append(l.Rows, []any{e.Position, e.Type, string(e.Stream), e.Time, e.Meta.Actor, e.Meta.Policy, e.Meta.Causation, string(e.Data)})
			l.Items = append(l.Items, e)
		}
		return p.Print(l)
	}
	under, items := map[string][]transport.EventRecord{}, itemsOf{}
	items.note(found.Event)
	for _, e := range found.Effects {
		cause := items.cause(e)
		under[cause] = append(under[cause], e)
		items.note(e)
	}
	var b strings.Builder
	width := pageWidth(p)
	b.WriteString(text.Snip(eventLineOf(found.Event), width, "…") + "\n")
	var draw func(cause, indent string)
	draw = func(cause, indent string) {
		for i, e := range under[cause] {
			mark, deeper := "├─ ", "│  "
			if i == len(under[cause])-1 {
				mark, deeper = "└─ ", "   "
			}
			by := ""
			if reactor, ok := strings.CutPrefix(e.Meta.Actor, "reactor:"); ok {
				by = " by reactor " + reactor
			}
			b.WriteString(text.Snip(indent+mark+eventLineOf(e)+by, width, "…") + "\n")
			draw(e.ID.String(), indent+deeper)
		}
	}
	draw(found.Event.ID.String(), "")
	switch {
	case found.Next > 0:
		fmt.Fprintf(&b, "there are more from position %s on: ask for more with --limit", found.Next)
	case len(found.Effects) == 0:
		b.WriteString("it led to nothing")
	default:
		b.WriteString(output.Plural(len(found.Effects), "event") + " in all")
	}
	return p.Line(b.String())
}
