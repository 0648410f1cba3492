package main

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/config"
	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/transport/admin"
)

// handlerLine is a handler of an event in `rift handlers`.
type handlerLine struct {
	Event      string   `json:"event"`
	Name       string   `json:"name"`
	Kind       string   `json:"kind"`                 // "projection" or "reactor"
	Number     int      `json:"number,omitempty"`     // among the nineteen documented handlers
	Documented string   `json:"documented,omitempty"` // its name in the documentation
	Reads      []string `json:"reads,omitempty"`      // tables: a projection's own; a reactor's as the golden scripts show
	Writes     []string `json:"writes,omitempty"`     // tables
	Commands   []string `json:"commands,omitempty"`   // the commands it may return
	About      string   `json:"about,omitempty"`
}

// handlerLines lists the handlers of each event, and the events without a handler.
func handlerLines() ([]handlerLine, error) {
	catalog, err := wiring.Catalog()
	if err != nil {
		return nil, err
	}
	var lines []handlerLine
	handled := map[string]bool{}
	observed := wiring.Observations()
	for _, p := range wiring.Projections() {
		seen := map[string]bool{}
		for _, h := range p.Handlers {
			if !seen[h.Type] {
				name := cmp.Or(h.Name, p.Name)
				lines = append(lines, handlerLine{Event: h.Type, Name: name, Kind: "projection", Reads: p.Tables, Writes: p.Tables, About: p.About})
			}
			seen[h.Type], handled[h.Type] = true, true
		}
	}
	for _, r := range wiring.Reactors() {
		lines = append(lines, handlerLine{Event: r.Type, Name: r.Name, Kind: "reactor", Reads: observed.Reads[r.Name], Commands: r.Issues, About: r.About})
		handled[r.Type] = true
	}
	for _, def := range catalog.Defs() {
		if !handled[def.Type] {
			lines = append(lines, handlerLine{Event: def.Type, Name: "-", Kind: "none"})
		}
	}
	for i, line := range lines {
		if documented, is := wiring.DocumentedBy(line.Event); is && line.Kind != "none" {
			lines[i].Number, lines[i].Documented = documented.Number, documented.Name
		}
	}
	slices.SortStableFunc(lines, func(a, b handlerLine) int {
		return cmp.Or(cmp.Compare(a.Event, b.Event), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
	})
	return lines, nil
}

func newHandlers(a *app) *cobra.Command {
	var q admin.HandlersQuery
	c := &cobra.Command{
		Use:   "handlers",
		Short: "List what handles which event",
		Long: `Lists the read models and reactors of this build, event by event, and the events
that nobody handles: what each reads, writes and commands. With --addr, or
RIFT_ADDR, a node tells how far each is and how it does: runs, failures, dead
letters, lag, last run; --ran leaves out what had nothing to do there yet.`,
		Example: "  rift handlers\n  rift handlers --event TASK_COMPLETED -o wide\n  rift handlers --addr http://127.0.0.1:8770 --ran",
		Args:    exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			p, err := a.printer()
			if err != nil {
				return err
			}
			if c.Flags().Changed("addr") || a.getenv("RIFT_ADDR") != "" {
				client, err := a.client(c)
				if err != nil {
					return err
				}
				answer, err := client.ask(c.Context(), "admin.handlers", url.Values{
					"event": {q.Event}, "name": {q.Name}, "ran": {strconv.FormatBool(q.Ran)},
				})
				if err != nil {
					return err
				}
				return showHandlers(p, answer, endpoint{})
			}
			if q.Ran {
				return domain.Errorf(domain.Invalid, "--ran: want a node that tells what ran, by --addr or RIFT_ADDR")
			}
			lines, err := handlerLines()
			if err != nil {
				return err
			}
			return p.Print(handlerListing(slices.DeleteFunc(lines, func(line handlerLine) bool {
				return !q.Keeps(line.Event, line.Name, line.Documented)
			})))
		},
	}
	c.Flags().StringVar(&q.Event, "event", "", "only those of this type of event")
	c.Flags().StringVar(&q.Name, "name", "", "only those of this name, their own or the documented one")
	c.Flags().BoolVar(&q.Ran, "ran", false, "only those that a node has had to run")
	config.ClientFlags(c.Flags())
	return c
}

// documentedAs returns the number and the name of a documented handler: "1 daemon_status".
func documentedAs(number int, name string) any {
	if number == 0 {
		return nil
	}
	return fmt.Sprintf("%d %s", number, name)
}

func handlerListing(lines []handlerLine) output.Listing {
	l := output.List(lines, []output.ColumnOf[handlerLine]{
		{Name: "event"},
		{Name: "handler", Key: "name"},
		{Name: "kind"},
		{Name: "documented", Value: func(line handlerLine) any { return documentedAs(line.Number, line.Documented) }},
		{Name: "commands"},
		{Name: "reads", Wide: true},
		{Name: "writes", Wide: true},
		{Name: "about", Wide: true},
	})
	l.Doc, l.Blocks = map[string]any{"handlers": lines}, handlerBlocks(lines)
	return l
}

// blockWidth is the width of a listing in blocks.
const blockWidth = 118

// handlerBlocks lists handlers event by event: what each reads, writes and
// commands, in lines that fit a screen.
func handlerBlocks(lines []handlerLine) string {
	var b strings.Builder
	for i, line := range lines {
		if i == 0 || lines[i-1].Event != line.Event {
			if i > 0 {
				b.WriteByte('\n')
			}
			b.WriteString(line.Event + "\n")
		}
		name := line.Name
		if line.Documented == line.Name {
			name = fmt.Sprintf("%s (%d of the nineteen)", line.Name, line.Number)
		}
		fmt.Fprintf(&b, "  %-34s %s\n", name, line.Kind)
		reads := "reads"
		if slices.Equal(line.Reads, line.Writes) { // the tables of a projection's own read model
			reads, line.Writes = "keeps", nil
		}
		for _, part := range []struct {
			verb  string
			names []string
		}{{reads, byModel(line.Reads)}, {"writes", byModel(line.Writes)}, {"commands", line.Commands}} {
			for at, row := range wrapped(part.names, blockWidth-14) {
				verb := part.verb
				if at > 0 {
					verb = ""
				}
				fmt.Fprintf(&b, "    %-9s %s\n", verb, row)
			}
		}
	}
	return b.String()
}

// byModel formats table names, with the name of each read model once: "work.items,
// work.counts" become "work: items counts".
func byModel(tables []string) (models []string) {
	last := ""
	for _, table := range tables {
		model, name, _ := strings.Cut(table, ".")
		if model != last {
			models = append(models, model+":")
		}
		last = model
		models = append(models, name)
	}
	return models
}

// wrapped joins words into rows of a width.
func wrapped(words []string, width int) (rows []string) {
	row := ""
	for _, word := range words {
		if row != "" && len(row)+1+len(word) > width {
			rows, row = append(rows, row), ""
		}
		if row != "" {
			row += " "
		}
		row += word
	}
	if row != "" {
		rows = append(rows, row)
	}
	return rows
}
