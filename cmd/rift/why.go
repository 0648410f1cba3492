package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/transport"
)

// maxLinks is the longest chain of causes that is followed, as on a node.
const maxLinks = 1000

// causeLink is a link of a chain of causes: the command that decided an event, or the
// event that the command reacted to.
type causeLink struct {
	Kind    string                  `json:"kind"` // "command", "event" or "item"
	Command string                  `json:"command,omitempty"`
	Actor   string                  `json:"actor,omitempty"`
	Node    string                  `json:"node,omitempty"`
	Policy  string                  `json:"policy,omitempty"`
	Events  []transport.EventRecord `json:"events,omitempty"` // what the command decided in one stream, or the event
	Missing string                  `json:"missing,omitempty"`
}

// causes are the causes of an event, the nearest first, as a node answers.
type causes struct {
	Event    transport.EventRecord `json:"event"`
	Chain    []causeLink           `json:"chain"`
	Complete bool                  `json:"complete"`
}

func newWhy(a *app) *cobra.Command {
	var from sourceFlags
	var limit int
	var payload bool
	c := &cobra.Command{
		Use:   "why EVENT|POSITION [FILE|DIR|-|http://…]…",
		Short: "Print what led to an event, back to the root",
		Long: `Prints the chain of causes of an event: the command that decided it, who gave it
and under which policy, the event which that answered, and so on back to a command
that somebody gave or a fact from outside. An event is named by its position or its
id. The log is that of a node (--addr), a data folder, or recorded files.`,
		Example: `  rift why 4211
  rift why 0c6a1f9e-8d1b-8c55-b0a4-4b7c7f0f2a11 --data data
  rift why 9 incident.jsonl.zst -o json`,
		Args: oneEvent,
		RunE: func(c *cobra.Command, words []string) error {
			if limit < 1 || limit > maxLinks {
				return usagef("--limit: want 1 to %d, found %d", maxLinks, limit)
			}
			return a.withSource(c, &from, words[1:], func(p *output.Printer, src *source) error {
				progress := a.progress("looking for causes", "events", 0)
				found, raw, err := causesOf(c, &tracer{src, progress}, words[0], limit)
				progress.Done()
				if err != nil {
					return err
				}
				if p.Format == output.JSON && raw != nil {
					return p.Print(output.Listing{Doc: raw})
				}
				return printCauses(p, found, payload)
			})
		},
	}
	addSourceFlags(c, &from)
	c.Flags().IntVar(&limit, "limit", 100, "most links of the chain")
	c.Flags().BoolVar(&payload, "payload", false, "print the payloads of the events too, as -o wide does")
	return c
}

// addSourceFlags lets a command outside `rift log` name the log that it reads.
func addSourceFlags(c *cobra.Command, from *sourceFlags) {
	addClientFlags(c)
	from.add(c)
}

func oneEvent(c *cobra.Command, words []string) error {
	if len(words) == 0 {
		return usagef("%s: want the position or the id of an event, found no arguments", c.CommandPath())
	}
	if _, err := domain.ParsePosition(words[0]); err == nil {
		return nil
	}
	if _, err := domain.ParseEventID(words[0]); err != nil {
		return hinted(usagef("%s: want a position such as 4211 or the id of an event, found %q", c.CommandPath(), words[0]), "`rift log show -o wide` prints both")
	}
	return nil
}

// causesOf asks the node whose log it is, or searches the log itself. raw is the
// unchanged answer of the node.
func causesOf(c *cobra.Command, t *tracer, name string, limit int) (causes, json.RawMessage, error) {
	if t.src.node == nil {
		found, err := t.why(c.Context(), name, limit)
		return found, nil, err
	}
	raw, err := t.src.node.ask(c.Context(), "events.why", url.Values{"id": {name}, "limit": {strconv.Itoa(limit)}})
	if err != nil {
		return causes{}, nil, noEvent(err)
	}
	found, err := decode[causes](raw)
	return found, raw, err
}

func noEvent(err error) error {
	if domain.CodeOf(err) == domain.NotFound {
		return hinted(err, "`rift log tail` shows the newest events with their positions")
	}
	return err
}

// tracer searches a log without a node.
type tracer struct {
	src      *source
	progress *output.Progress
}

// find returns an event by position or id. It searches before a position, since a cause
// precedes its effect. Files are read from the beginning, other logs backwards.
func (t *tracer) find(ctx context.Context, name string, before domain.Position) (domain.Envelope, error) {
	position, err := domain.ParsePosition(name)
	if err == nil {
		for e, err := range t.src.events(ctx, selection{from: max(position, 1), to: position}) {
			return e, err
		}
		return domain.Envelope{}, domain.Errorf(domain.NotFound, "no event stands at position %s of %s", name, t.src.name)
	}
	id, err := domain.ParseEventID(name)
	if err != nil {
		return domain.Envelope{}, err
	}
	seen := int64(0)
	for e, err := range t.src.events(ctx, selection{to: before, reverse: t.src.files == nil}) {
		if err != nil || e.ID == id {
			return e, err
		}
		if seen++; seen%1024 == 0 {
			t.progress.Set(seen)
		}
	}
	return domain.Envelope{}, domain.Errorf(domain.NotFound, "no event of %s has the id %s", t.src.name, name)
}

// why follows the causes of an event back to the first.
func (t *tracer) why(ctx context.Context, name string, limit int) (causes, error) {
	e, err := t.find(ctx, name, 0)
	if err != nil {
		return causes{}, noEvent(err)
	}
	found := causes{Event: transport.RecordOf(&e), Chain: []causeLink{}, Complete: true}
	for len(found.Chain) < limit {
		if e.Meta.Command != "" {
			siblings, err := t.siblings(ctx, e)
			if err != nil {
				return found, err
			}
			found.Chain = append(found.Chain, causeLink{Kind: "command", Command: e.Meta.Command, Actor: e.Meta.Actor, Node: e.Meta.Node, Policy: e.Meta.Policy, Events: siblings})
		}
		if e.Meta.Causation == "" {
			spawned, there, err := t.origin(ctx, e)
			if err != nil || !there {
				return found, err
			}
			found.Chain = append(found.Chain, causeLink{Kind: "item", Events: []transport.EventRecord{transport.RecordOf(&spawned)}})
			e = spawned
			continue
		}
		cause, err := t.find(ctx, e.Meta.Causation, e.Position-1)
		switch code := domain.CodeOf(err); {
		case err == nil:
		case code == domain.NotFound || code == domain.Invalid:
			found.Chain = append(found.Chain, causeLink{Kind: "event", Missing: err.Error()})
			found.Complete = false
			return found, nil
		default:
			return found, err
		}
		found.Chain = append(found.Chain, causeLink{Kind: "event", Events: []transport.EventRecord{transport.RecordOf(&cause)}})
		e = cause
	}
	found.Complete = false
	return found, nil
}

// origin is the first event of the work item that an event belongs to. A worker's
// report names no cause; its cause is the creation of the item.
func (t *tracer) origin(ctx context.Context, of domain.Envelope) (domain.Envelope, bool, error) {
	if of.Stream.Category() != domain.TaskID("").Stream().Category() || of.Revision == 0 {
		return domain.Envelope{}, false, nil
	}
	which := selection{streams: []string{string(of.Stream)}, to: of.Position - 1}
	which.filter.Streams = which.streams
	for e, err := range t.src.events(ctx, which) {
		if err != nil || e.Stream == of.Stream {
			return e, err == nil, err
		}
	}
	return domain.Envelope{}, false, nil
}

// siblings are the events that one command decided in one stream. They are adjacent.
func (t *tracer) siblings(ctx context.Context, of domain.Envelope) ([]transport.EventRecord, error) {
	var found []transport.EventRecord
	which := selection{streams: []string{string(of.Stream)}}
	which.filter.Streams = which.streams
	which.from = of.Position - min(of.Position-1, maxLinks)
	for e, err := range t.src.events(ctx, which) {
		if err != nil {
			return found, err
		}
		if e.Stream == of.Stream && e.Meta.Command == of.Meta.Command {
			found = append(found, transport.RecordOf(&e))
		} else if e.Position > of.Position+maxLinks || e.Stream == of.Stream && e.Position > of.Position {
			break
		}
	}
	return found, nil
}

// printCauses prints the chain as a numbered list, the event first.
func printCauses(p *output.Printer, found causes, payload bool) error {
	if p.Format != output.Table && p.Format != output.Wide {
		return p.Print(causesListing(found))
	}
	list := numbered{width: pageWidth(p), payload: payload || p.Format == output.Wide}
	list.event("", found.Event)
	for _, link := range found.Chain {
		switch {
		case link.Missing != "":
			list.add("because of an event that is not there: " + link.Missing)
		case link.Kind == "command":
			list.add(commandLineOf(link))
			list.siblings(link.Events)
		case len(link.Events) > 0:
			list.event("because of ", link.Events[0])
		}
	}
	switch {
	case !found.Complete:
		list.last("The chain goes on: ask for more with --limit, or look into the log that has the rest.")
	case len(found.Chain) == 0:
		list.last("It names no command and no cause: a recorded fact, or one from outside.")
	default:
		list.last("That is the root: it answers no event.")
	}
	return p.Line(strings.TrimSuffix(list.b.String(), "\n"))
}

// pageWidth is the width of printed text: that of the terminal, otherwise one that fits
// every terminal.
func pageWidth(p *output.Printer) int {
	if p.Width > 0 {
		return max(min(p.Width, 120), 40)
	}
	return 80
}

// numbered is a list of numbered paragraphs that fit the page width.
type numbered struct {
	b       strings.Builder
	width   int
	payload bool
	n       int
}

const indent = "    "

func (l *numbered) add(line string) {
	l.n++
	for i, part := range strings.Split(wrapLines(line, l.width-len(indent)), "\n") {
		if i == 0 {
			fmt.Fprintf(&l.b, "%2d. %s\n", l.n, part)
			continue
		}
		l.b.WriteString(indent + part + "\n")
	}
}

func (l *numbered) more(line string) {
	for part := range strings.SplitSeq(wrapLines(line, l.width-len(indent)), "\n") {
		l.b.WriteString(indent + part + "\n")
	}
}

// maxSiblings bounds the events of one command that people are shown.
const maxSiblings = 12

// siblings lists the events of a command that decided more than one.
func (l *numbered) siblings(events []transport.EventRecord) {
	for i, event := range events {
		switch {
		case len(events) == 1:
		case i == maxSiblings-1 && len(events) > maxSiblings:
			l.more(fmt.Sprintf("with %s more, to position %s; -o json lists them", output.Count(len(events)-i), events[len(events)-1].Position))
			return
		default:
			l.more("with " + eventLineOf(event))
		}
	}
}

func (l *numbered) event(before string, e transport.EventRecord) {
	l.add(before + eventLineOf(e))
	if l.payload {
		l.more(string(e.Data))
	}
}

func (l *numbered) last(line string) { l.b.WriteString(wrapLines(line, l.width) + "\n") }

// eventLineOf is an event in one line, without its payload.
func eventLineOf(e transport.EventRecord) string {
	return fmt.Sprintf("%s at %s in %s, %s", e.Type, e.Position, e.Stream, e.Time.UTC().Format(domain.Timestamp))
}

func commandLineOf(link causeLink) string {
	by := link.Actor
	if reactor, ok := strings.CutPrefix(by, "reactor:"); ok {
		by = "reactor " + reactor
	}
	text := "decided for " + orSomebody(by)
	if link.Node != "" {
		text += " on " + link.Node
	}
	if link.Policy != "" {
		text += " under " + link.Policy
	}
	return text + ", command " + link.Command
}

// causesListing is the chain as rows.
func causesListing(found causes) output.Listing {
	l := output.Listing{Doc: found, Columns: []output.Column{
		{Name: "link", Right: true},
		{Name: "kind"},
		{Name: "position", Right: true},
		{Name: "type"},
		{Name: "stream"},
		{Name: "time"},
		{Name: "command"},
		{Name: "actor"},
		{Name: "node"},
		{Name: "policy"},
		{Name: "data"},
	}}
	add := func(link int, kind string, e transport.EventRecord) {
		l.Rows = append(l.Rows, []any{link, kind, e.Position, e.Type, string(e.Stream), e.Time, e.Meta.Command, e.Meta.Actor, e.Meta.Node, e.Meta.Policy, string(e.Data)})
	}
	add(0, "event", found.Event)
	l.Items = append(l.Items, found.Event)
	for i, link := range found.Chain {
		l.Items = append(l.Items, link)
		if link.Kind == "command" {
			l.Rows = append(l.Rows, []any{i + 1, "command", nil, "", "", nil, link.Command, link.Actor, link.Node, link.Policy, ""})
			continue
		}
		if len(link.Events) == 0 {
			l.Rows = append(l.Rows, []any{i + 1, "missing", nil, "", "", nil, "", "", "", "", link.Missing})
			continue
		}
		add(i+1, "event", link.Events[0])
	}
	return l
}
