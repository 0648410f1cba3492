package main

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/config"
	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/domain"
)

// handlerLine is one handler of one event as `rift handlers` lists it.
type handlerLine struct {
	Event  string   `json:"event"`
	Name   string   `json:"name"`
	Kind   string   `json:"kind"` // "projection" or "reactor"
	Tables []string `json:"tables,omitempty"`
	Issues []string `json:"issues,omitempty"` // the commands it may return
	About  string   `json:"about,omitempty"`
}

// handlerLines lists what handles which event, and the events nobody handles.
func handlerLines() ([]handlerLine, error) {
	catalog, err := wiring.Catalog()
	if err != nil {
		return nil, err
	}
	var lines []handlerLine
	handled := map[string]bool{}
	for _, p := range wiring.Projections() {
		seen := map[string]bool{}
		for _, h := range p.Handlers {
			if !seen[h.Type] {
				lines = append(lines, handlerLine{Event: h.Type, Name: p.Name, Kind: "projection", Tables: p.Tables, About: p.About})
			}
			seen[h.Type], handled[h.Type] = true, true
		}
	}
	for _, r := range wiring.Reactors() {
		lines = append(lines, handlerLine{Event: r.Type, Name: r.Name, Kind: "reactor", Issues: r.Issues, About: r.About})
		handled[r.Type] = true
	}
	for _, def := range catalog.Defs() {
		if !handled[def.Type] {
			lines = append(lines, handlerLine{Event: def.Type, Name: "-", Kind: "none"})
		}
	}
	slices.SortStableFunc(lines, func(a, b handlerLine) int {
		return cmp.Or(cmp.Compare(a.Event, b.Event), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
	})
	return lines, nil
}

func newHandlers(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "handlers",
		Short: "List what handles which event",
		Long: `Lists the read models and reactors of this build, event by event, and the events
that nobody handles. With --addr, a node tells how far each is and how it does.`,
		Example: "  rift handlers\n  rift handlers -o md\n  rift handlers --addr http://127.0.0.1:8770",
		Args:    exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			p, err := a.printer()
			if err != nil {
				return err
			}
			if c.Flags().Changed("addr") {
				client, err := a.client(c)
				if err != nil {
					return err
				}
				answer, err := client.ask(c.Context(), "admin.handlers", nil)
				if err != nil {
					return err
				}
				return showHandlers(p, answer, endpoint{})
			}
			lines, err := handlerLines()
			if err != nil {
				return err
			}
			return p.Print(handlerListing(lines))
		},
	}
	config.ClientFlags(c.Flags())
	return c
}

func handlerListing(lines []handlerLine) output.Listing {
	l := output.Listing{Doc: map[string]any{"handlers": lines}, Columns: []output.Column{
		{Name: "event"}, {Name: "handler"}, {Name: "kind"}, {Name: "issues"}, {Name: "writes", Wide: true}, {Name: "about", Wide: true},
	}}
	for _, line := range lines {
		l.Rows = append(l.Rows, []any{line.Event, line.Name, line.Kind, line.Issues, line.Tables, line.About})
		l.Items = append(l.Items, line)
	}
	return l
}

// routeLine is one endpoint as `rift routes` lists it.
type routeLine struct {
	Method string `json:"method"`
	Path   string `json:"path"`
	Name   string `json:"name,omitempty"`
	Kind   string `json:"kind"`
	Group  string `json:"group"`
	About  string `json:"about,omitempty"`
}

func routeLines() []routeLine {
	commands := map[string]string{}
	for _, area := range wiring.Specs() {
		for _, spec := range area {
			commands[spec.Type] = spec.About
		}
	}
	var lines []routeLine
	for _, r := range wiring.Routes() {
		about := r.About
		if about == "" {
			about = commands[r.Name]
		}
		lines = append(lines, routeLine{r.Method, r.Path, r.Name, string(r.Kind), r.Group, about})
	}
	slices.SortFunc(lines, func(a, b routeLine) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Method, b.Method))
	})
	return lines
}

func newRoutes(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "routes",
		Short:   "List the endpoints of a node",
		Example: "  rift routes\n  rift routes -o json",
		Args:    exactly(),
		RunE: func(*cobra.Command, []string) error {
			p, err := a.printer()
			if err != nil {
				return err
			}
			return p.Print(routeListing(routeLines()))
		},
	}
}

func routeListing(lines []routeLine) output.Listing {
	l := output.Listing{Doc: map[string]any{"routes": lines}, Columns: []output.Column{
		{Name: "method"}, {Name: "path"}, {Name: "kind"}, {Name: "name"}, {Name: "about", Max: 90},
	}}
	for _, line := range lines {
		l.Rows = append(l.Rows, []any{line.Method, line.Path, line.Kind, line.Name, line.About})
		l.Items = append(l.Items, line)
	}
	return l
}

// eventLine is one type of event as `rift catalog` lists it.
type eventLine struct {
	Type    string            `json:"type"`
	Version int               `json:"version"`
	Stream  string            `json:"stream"`
	Origin  string            `json:"origin"`
	Keys    []string          `json:"keys"` // optional ones end in ?
	Names   []string          `json:"names,omitempty"`
	Aliases map[string]string `json:"aliases,omitempty"`
	About   string            `json:"about"`
}

func eventLines() ([]eventLine, error) {
	catalog, err := wiring.Catalog()
	if err != nil {
		return nil, err
	}
	var lines []eventLine
	for _, def := range catalog.Defs() {
		line := eventLine{Type: def.Type, Version: def.Version, Stream: def.Stream, Origin: string(def.Origin), Keys: []string{}, Names: def.Names, Aliases: def.Aliases, About: def.About}
		for _, key := range def.Keys {
			name := key.Name
			if key.Optional {
				name += "?"
			}
			line.Keys = append(line.Keys, name)
		}
		lines = append(lines, line)
	}
	return lines, nil
}

func newCatalog(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:     "catalog [EVENT-TYPE]",
		Short:   "List the events this build knows, with their keys",
		Example: "  rift catalog\n  rift catalog TASK_COMPLETED\n  rift catalog -o json",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			p, err := a.printer()
			if err != nil {
				return err
			}
			lines, err := eventLines()
			if err != nil {
				return err
			}
			if len(args) == 0 {
				return p.Print(catalogListing(lines))
			}
			return showEventType(p, lines, args[0])
		},
	}
	c.ValidArgsFunction = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		lines, err := eventLines()
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		return typeNames(lines), cobra.ShellCompDirectiveNoFileComp
	}
	return c
}

func typeNames(lines []eventLine) []string {
	names := make([]string, len(lines))
	for i, line := range lines {
		names[i] = line.Type
	}
	return names
}

func catalogListing(lines []eventLine) output.Listing {
	l := output.Listing{Doc: map[string]any{"events": lines}, Columns: []output.Column{
		{Name: "type"},
		{Name: "version", Right: true},
		{Name: "stream"},
		{Name: "origin"},
		{Name: "keys", Max: 80},
		{Name: "names", Wide: true},
		{Name: "about", Wide: true},
	}}
	for _, line := range lines {
		l.Rows = append(l.Rows, []any{line.Type, line.Version, line.Stream, line.Origin, strings.Join(line.Keys, " "), line.Names, line.About})
		l.Items = append(l.Items, line)
	}
	return l
}

func showEventType(p *output.Printer, lines []eventLine, name string) error {
	catalog, err := wiring.Catalog()
	if err != nil {
		return err
	}
	resolved, known := catalog.Resolve(name)
	at := slices.IndexFunc(lines, func(line eventLine) bool { return line.Type == resolved })
	if !known || at < 0 {
		err := domain.Errorf(domain.NotFound, "no event type %q", name)
		if near := config.Nearest(strings.ToUpper(name), typeNames(lines)); near != "" {
			return hinted(err, "did you mean %s?", near)
		}
		return hinted(err, "`rift catalog` lists them")
	}
	line := lines[at]
	aliases, err := json.Marshal(line.Aliases)
	if err != nil || len(line.Aliases) == 0 {
		aliases = nil
	}
	return p.Fields(line,
		output.Field{Name: "type", Value: line.Type}, output.Field{Name: "about", Value: line.About},
		output.Field{Name: "version", Value: line.Version}, output.Field{Name: "stream", Value: line.Stream + "-…"},
		output.Field{Name: "origin", Value: line.Origin}, output.Field{Name: "keys", Value: strings.Join(line.Keys, "\n")},
		output.Field{Name: "also named", Value: line.Names}, output.Field{Name: "old keys", Value: string(aliases)},
	)
}
