package main

import (
	"cmp"
	"encoding/json"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/config"
	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/transport"
)

// routeLine is an endpoint in `rift routes`.
type routeLine struct {
	Method string `json:"method"`
	Path   string `json:"path"`
	Name   string `json:"name,omitempty"`
	Kind   string `json:"kind"`
	Group  string `json:"group"`
	About  string `json:"about,omitempty"`
	// Roles are the lowest roles of a token that may call the endpoint; none: no token is
	// required.
	Roles []transport.Role `json:"roles"`
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
		lines = append(lines, routeLine{r.Method, r.Path, r.Name, string(r.Kind), r.Group, about, append([]transport.Role{}, r.Roles()...)})
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
	l := output.List(lines, []output.ColumnOf[routeLine]{
		{Name: "method"},
		{Name: "path"},
		{Name: "kind"},
		{Name: "role", Value: func(line routeLine) any { return rolesOf(line.Roles) }},
		{Name: "name"},
		{Name: "about", Max: 90},
	})
	l.Doc = map[string]any{"routes": lines}
	return l
}

func rolesOf(roles []transport.Role) string {
	if len(roles) == 0 {
		return "-"
	}
	var words []string
	for _, role := range roles {
		words = append(words, string(role))
	}
	return strings.Join(words, ",")
}

// eventLine is a type of event in `rift catalog`.
type eventLine struct {
	Type    string            `json:"type"`
	Version int               `json:"version"`
	Stream  string            `json:"stream"`
	Origin  string            `json:"origin"`
	Keys    []string          `json:"keys"` // a ? at the end: optional
	Names   []string          `json:"names,omitempty"`
	Aliases map[string]string `json:"aliases,omitempty"`
	// Emitters are the commands that led to the event while the golden scripts ran, the
	// event bridge, or the node itself. None: only recordings have it.
	Emitters []string `json:"emitters,omitempty"`
	Handlers []string `json:"handlers,omitempty"` // projections and reactors
	About    string   `json:"about"`
	Example  string   `json:"example"` // a line that `rift log import` accepts
}

func eventLines() ([]eventLine, error) {
	catalog, err := wiring.Catalog()
	if err != nil {
		return nil, err
	}
	var lines []eventLine
	observed := wiring.Observations()
	handlers, err := handlerLines()
	if err != nil {
		return nil, err
	}
	handledBy := map[string][]string{}
	for _, line := range handlers {
		if line.Kind != "none" {
			handledBy[line.Event] = append(handledBy[line.Event], line.Name)
		}
	}
	for _, def := range catalog.Defs() {
		line := eventLine{
			Type: def.Type, Version: def.Version, Stream: def.Stream, Origin: string(def.Origin), Keys: []string{}, Names: def.Names, Aliases: def.Aliases, About: def.About,
			Emitters: observed.Emitters(def.Type, def.Origin == domain.External), Handlers: handledBy[def.Type], Example: exampleLine(catalog, def),
		}
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
	var retired bool
	c := &cobra.Command{
		Use:     "catalog [EVENT-TYPE]",
		Short:   "List the events this build knows, with their keys",
		Example: "  rift catalog\n  rift catalog TASK_COMPLETED\n  rift catalog TASK_COMPLETED -o schema\n  rift catalog --retired\n  rift catalog -o json",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if a.format == "schema" {
				if len(args) != 1 || retired {
					return usagef("rift catalog -o schema: want one event type")
				}
				return printSchema(a.stdout, args[0])
			}
			p, err := a.printer()
			if err != nil {
				return err
			}
			lines, err := eventLines()
			if err != nil {
				return err
			}
			if retired {
				if len(args) > 0 {
					return usagef("rift catalog: want a name, or --retired for the list, not both")
				}
				return p.Print(retiredListing(lines))
			}
			if len(args) == 0 {
				return p.Print(catalogListing(lines))
			}
			return showEventType(p, lines, args[0])
		},
	}
	c.Flags().BoolVar(&retired, "retired", false, "list the names of the original cluster that rift does not keep, and what to send instead")
	c.ValidArgsFunction = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		lines, err := eventLines()
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		return typeNames(lines), cobra.ShellCompDirectiveNoFileComp
	}
	return c
}

// printSchema prints the JSON schema of the payload of an event.
func printSchema(w io.Writer, name string) error {
	catalog, err := wiring.Catalog()
	if err != nil {
		return err
	}
	resolved, known := catalog.Resolve(name)
	if !known {
		return hinted(domain.Errorf(domain.NotFound, "no event type %q", name), "`rift catalog` lists them")
	}
	def, _ := catalog.Lookup(resolved)
	schema, err := transport.EventSchema(def)
	if err != nil {
		return err
	}
	_, err = w.Write(schema)
	return err
}

// exampleLine returns the example of an event as a line for `rift log import`.
func exampleLine(catalog *domain.Catalog, def domain.Def) string {
	event, err := catalog.Decode(def.Type, def.Version, []byte(def.Example))
	if err != nil {
		return ""
	}
	stream := domain.Stream(def.Stream, "1")
	if homed, is := event.(domain.Homed); is {
		stream = homed.Home()
	} else if named := firstText(def); named != "" {
		stream = domain.Stream(def.Stream, named)
	}
	line, err := json.Marshal(struct {
		Type   string          `json:"type"`
		Stream string          `json:"stream"`
		Time   string          `json:"time"`
		Data   json.RawMessage `json:"data"`
	}{def.Type, string(stream), "2026-01-02T03:04:05Z", json.RawMessage(def.Example)})
	if err != nil {
		return ""
	}
	return string(line)
}

// firstText returns the first value of an entry's example if it is text: the id of the
// thing that the event is about.
func firstText(def domain.Def) string {
	var payload map[string]any
	if err := json.Unmarshal([]byte(def.Example), &payload); err != nil || len(def.Keys) == 0 {
		return ""
	}
	text, _ := payload[def.Keys[0].Name].(string)
	return text
}

func typeNames(lines []eventLine) []string {
	names := make([]string, len(lines))
	for i, line := range lines {
		names[i] = line.Type
	}
	return names
}

func catalogListing(lines []eventLine) output.Listing {
	l := output.List(lines, []output.ColumnOf[eventLine]{
		{Name: "type"},
		{Name: "version"},
		{Name: "stream"},
		{Name: "origin"},
		{Name: "keys", Max: 80, Value: func(line eventLine) any { return strings.Join(line.Keys, " ") }},
		{Name: "emitters", Wide: true},
		{Name: "handlers", Wide: true},
		{Name: "names", Wide: true},
		{Name: "about", Wide: true},
	})
	l.Doc = map[string]any{"events": lines}
	return l
}

// retiredListing lists the retired names that no current type uses.
func retiredListing(lines []eventLine) output.Listing {
	names := slices.DeleteFunc(domain.RetiredNames(), func(retired domain.RetiredName) bool {
		return slices.ContainsFunc(lines, func(line eventLine) bool {
			return line.Type == retired.Name || slices.Contains(line.Names, retired.Name)
		})
	})
	slices.SortFunc(names, func(a, b domain.RetiredName) int { return cmp.Compare(a.Name, b.Name) })
	l := output.List(names, []output.ColumnOf[domain.RetiredName]{
		{Name: "name"},
		{Name: "instead", Key: "successor"},
		{Name: "because", Key: "reason"},
	})
	l.Doc = map[string]any{"retired": names}
	return l
}

func showEventType(p *output.Printer, lines []eventLine, name string) error {
	catalog, err := wiring.Catalog()
	if err != nil {
		return err
	}
	if retired, is := domain.Retired(name); is {
		if _, known := catalog.Resolve(name); !known {
			return p.Fields(retired,
				output.Field{Name: "retired", Value: retired.Name}, output.Field{Name: "because", Value: retired.Reason}, output.Field{Name: "instead", Value: retired.Successor})
		}
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
		output.Field{Name: "emitters", Value: line.Emitters}, output.Field{Name: "handlers", Value: line.Handlers},
		output.Field{Name: "also named", Value: line.Names}, output.Field{Name: "old keys", Value: string(aliases)},
		output.Field{Name: "example", Value: line.Example},
	)
}
