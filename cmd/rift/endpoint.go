package main

import (
	"encoding/json"
	"errors"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/transport"
)

// endpoint describes a command that calls one endpoint of a node.
type endpoint struct {
	name    string // "claim"
	short   string
	long    string
	example string
	route   string            // "work.claim": its row in the table of routes
	args    []string          // the keys that may be positional, in order; each is a flag too
	needs   int               // how many of them are required
	help    map[string]string // by key
	missing string            // what to do when the answer is not_found
	empty   string            // what to print for people when a list is empty; {arg} stands for an argument
	judges  bool              // the answer decides the exit code
	of      []string          // the recordings that the query is answered from; none: a node
	many    *many             // how it takes many items; nil: it takes one
	pages   *pages            // how further pages are requested; nil: only the first is shown
	extend  func(a *app, c *cobra.Command)
	show    func(p *output.Printer, answer json.RawMessage, e endpoint) error
}

// positionalName is the name of an argument in the usage line.
func positionalName(key string) string {
	return strings.ToUpper(strings.ReplaceAll(strings.ReplaceAll(key, "_", "-"), ".", "-"))
}

// asking is an endpoint's command with its arguments.
type asking struct {
	endpoint
	arguments []argument
	said      *given
	body      bodyFlags
	key       string
	at, after string
	dry       bool
	data      []string // recordings to query instead of a node
}

// newEndpoint makes the cobra command of an endpoint.
func newEndpoint(a *app, e endpoint) *cobra.Command {
	words := e.name
	for i, key := range e.args {
		if name := positionalName(key); i < e.needs {
			words += " " + name
		} else {
			words += " [" + name + "]"
		}
	}
	asked := routes()[e.route]
	post := asked.Kind == transport.Command
	c := &cobra.Command{Use: words, Short: e.short, Long: strings.TrimSpace(e.long), Example: e.example}
	tags := []string{"query", "path"}
	if post {
		tags = []string{"json"}
	}
	x := &asking{endpoint: e, arguments: argumentsOf(asked.Request(), tags...)}
	x.said = addArguments(c, x.arguments, e.help)
	c.Args = x.positional
	if post {
		x.body.add(c, e.many)
		c.Flags().StringVar(&x.key, "idempotency-key", "", "id of this command: the same key gives the first answer again")
		if c.Flags().Lookup("dry-run") == nil { // a command may have a key of that name
			c.Flags().BoolVar(&x.dry, "dry-run", false, "store nothing; say what would be stored, or why it would be refused")
		}
	} else {
		c.Flags().StringVar(&x.at, "at", "", "ask as of a past position or time (48211, 2026-03-06T14:02:11Z)")
		c.Flags().StringArrayVar(&x.data, "data", nil, "ask a data folder, a recorded file or - for the standard input instead of a node, as of its end or of --at; may stand more than once")
		c.Flags().StringVar(&x.after, "after", "", "wait until the node has applied this position")
	}
	c.RunE = func(c *cobra.Command, words []string) error {
		p, client, err := a.printerAndClient(c)
		if err != nil {
			return err
		}
		if told, many, err := x.manyItems(a, c, client, words); many || err != nil {
			if err != nil {
				return e.advise(err, x.arguments)
			}
			return showMany(p, told, e.many, x.dry)
		}
		positional := x.named(words)
		var answer json.RawMessage
		switch {
		case post:
			answer, err = x.command(a, c, client, positional)
		case len(x.data) > 0:
			x.of = x.data
			answer, err = x.recorded(a, c, p, positional)
		default:
			answer, err = x.query(c, client, positional)
			client.past(p)
		}
		if err != nil {
			return e.advise(err, x.arguments)
		}
		return x.print(p, answer, positional)
	}
	if e.extend != nil {
		e.extend(a, c)
	}
	return c
}

// named returns the positional arguments by key.
func (x *asking) named(words []string) map[string]string {
	positional := map[string]string{}
	for i, word := range words {
		positional[x.args[i]] = word
	}
	return positional
}

// pairs reports whether the words name items as TASK:LEASE.
func (x *asking) pairs(words []string) bool { return x.many.named(words) && !x.said.has("lease") }

// manyItems runs the command for many items. It returns false, having done nothing, if
// the command is about one item.
func (x *asking) manyItems(a *app, c *cobra.Command, client *client, words []string) (told batched, many bool, err error) {
	if x.many == nil {
		return told, false, nil
	}
	var positional map[string]string
	paired := x.pairs(words)
	if !paired {
		positional = x.named(words)
		words = nil
	}
	items, closeItems, err := x.many.items(&x.body, words, a.stdin)
	if err != nil || items == nil {
		return told, false, errors.Join(err, closeItems())
	}
	defer func() { _ = closeItems() }() // only read from
	overlay := func(item json.RawMessage) ([]byte, error) { return x.said.body(item, x.arguments, positional) }
	told, err = a.runMany(c, x.endpoint, client, items, overlay, x.key, x.dry)
	return told, true, err
}

// command calls the endpoint of a command.
func (x *asking) command(a *app, c *cobra.Command, client *client, positional map[string]string) (json.RawMessage, error) {
	base, err := x.body.read(a.stdin)
	if err != nil {
		return nil, err
	}
	typed, err := x.said.body(base, x.arguments, positional)
	if err != nil {
		return nil, err
	}
	var options []transport.CallOption
	if x.dry {
		options = append(options, transport.Dry())
	}
	return client.do(c.Context(), x.route, typed, append(options, transport.ID(x.key))...)
}

// values returns the parameters of a query, given as words and flags.
func (x *asking) values(positional map[string]string) (url.Values, error) {
	for argument, text := range x.said.each() {
		if _, err := argument.encode(text); err != nil {
			return nil, err
		}
		positional[argument.path[0]] = text
	}
	values := url.Values{}
	for key, word := range positional {
		values.Set(key, word)
	}
	return values, nil
}

// recorded answers the query from the state that recordings lead to.
func (x *asking) recorded(a *app, c *cobra.Command, p *output.Printer, positional map[string]string) (json.RawMessage, error) {
	values, err := x.values(positional)
	if err != nil {
		return nil, err
	}
	path := routes()[x.route].Path
	for key := range values {
		if place := "{" + key + "}"; strings.Contains(path, place) {
			path = strings.ReplaceAll(path, place, url.PathEscape(values.Get(key)))
			values.Del(key)
		}
	}
	if len(values) > 0 {
		path += "?" + values.Encode()
	}
	account, err := a.replay(c, x.data, replayFlags{to: x.at, queries: []string{path}})
	if account.Time != nil {
		p.Now = *account.Time
	}
	if err == nil && x.pages != nil {
		return x.pages.replayed(account, values, account.Queries[path])
	}
	return account.Queries[path], err
}

// query calls the endpoint of a query.
func (x *asking) query(c *cobra.Command, client *client, positional map[string]string) (json.RawMessage, error) {
	values, err := x.values(positional)
	if err != nil {
		return nil, err
	}
	set(values, "at", x.at)
	set(values, "after", x.after)
	ask := func(values url.Values) (json.RawMessage, error) { return client.ask(c.Context(), x.route, values) }
	if x.pages != nil {
		return x.pages.asked(ask, values)
	}
	return ask(values)
}

func (x *asking) print(p *output.Printer, answer json.RawMessage, positional map[string]string) error {
	filled := x.endpoint
	for key, word := range positional {
		filled.empty = strings.ReplaceAll(filled.empty, "{"+key+"}", word)
	}
	switch {
	case p.Format == output.JSON && !x.judges:
		return p.Print(output.Listing{Doc: answer}) // unchanged, so that keys unknown to this build are printed too
	case x.dry:
		return showDry(p, answer)
	}
	return x.show(p, answer, filled)
}

// positional checks that the required arguments are given: as words, as flags, or in a
// body.
func (x *asking) positional(c *cobra.Command, words []string) error {
	if x.pairs(words) {
		return nil
	}
	if len(words) > len(x.args) {
		return usagef("%s: want at most %d arguments, found %q too", c.CommandPath(), len(x.args), words[len(x.args)])
	}
	if x.body.text != "" || x.body.file != "" {
		return nil
	}
	var missing []string
	for i := len(words); i < x.needs; i++ {
		if !x.said.has(x.args[i]) {
			missing = append(missing, positionalName(x.args[i]))
		}
	}
	if len(missing) > 0 {
		return usagef("%s: want %s", c.CommandPath(), strings.Join(missing, " and "))
	}
	return nil
}

func set(query url.Values, name, value string) {
	if value != "" {
		query.Set(name, value)
	}
}

// advise adds to an error of this endpoint what to do about it.
func (e endpoint) advise(err error, arguments []argument) error {
	if domain.CodeOf(err) == domain.NotFound && e.missing != "" {
		return hinted(err, "%s", e.missing)
	}
	if coded := describe(err); coded.Code == domain.Invalid {
		for _, fault := range coded.Faults {
			if near := nearestKey(fault.Field, arguments); near != "" && near != "did you mean "+fault.Field+"?" {
				return hinted(err, "%s", near)
			}
		}
	}
	return err
}

// stored is the part that the answers to all commands share.
type stored struct {
	Position domain.Position `json:"position"`
	Events   []struct {
		Type     string          `json:"type"`
		Stream   string          `json:"stream"`
		Revision int64           `json:"revision"`
		Position domain.Position `json:"position"`
	} `json:"events"`
}

// showStored prints the events that a command stored, then the other keys of its
// answer.
func showStored(p *output.Printer, answer json.RawMessage, _ endpoint) error {
	var s stored
	if err := json.Unmarshal(answer, &s); err != nil {
		return unreadable(err)
	}
	fields, err := topLevel(answer, "position", "events")
	if err != nil {
		return err
	}
	var lines []string
	for _, event := range s.Events {
		lines = append(lines, event.Type+" in "+event.Stream+" at "+event.Position.String())
	}
	if len(lines) == 0 {
		lines = []string{"none: nothing had to change"}
	}
	fields = append(fields, output.Field{Name: "stored", Value: strings.Join(lines, "\n")})
	return p.Fields(answer, fields...)
}

func showDry(p *output.Printer, answer json.RawMessage) error {
	var s stored
	if err := json.Unmarshal(answer, &s); err != nil {
		return unreadable(err)
	}
	if err := p.Line("dry run: nothing was stored. It would store:"); err != nil {
		return err
	}
	fields, err := topLevel(answer, "position", "events")
	if err != nil {
		return err
	}
	var lines []string
	for _, event := range s.Events {
		lines = append(lines, event.Type+" in "+event.Stream)
	}
	if len(lines) == 0 {
		lines = []string{"nothing: nothing has to change"}
	}
	return p.Fields(answer, append([]output.Field{{Name: "events", Value: strings.Join(lines, "\n")}}, fields...)...)
}

// topLevel lists the keys of an object in their order, except for some.
func topLevel(object json.RawMessage, without ...string) ([]output.Field, error) {
	decoder := json.NewDecoder(strings.NewReader(string(object)))
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		return nil, domain.Errorf(domain.Corrupt, "answer: want a JSON object, found %.60q", object)
	}
	skip := map[string]bool{}
	for _, name := range without {
		skip[name] = true
	}
	var fields []output.Field
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return nil, unreadable(err)
		}
		name, _ := token.(string)
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, unreadable(err)
		}
		if !skip[name] {
			fields = append(fields, output.Field{Name: strings.ReplaceAll(name, "_", " "), Value: readable(value)})
		}
	}
	return fields, nil
}

// readable formats a JSON value for people.
func readable(value json.RawMessage) any {
	var decoded any
	if err := json.Unmarshal(value, &decoded); err != nil {
		return string(value)
	}
	switch v := decoded.(type) {
	case nil:
		return nil
	case string:
		return v
	case bool:
		return v
	}
	return string(value)
}

func unreadable(err error) error {
	return hinted(domain.Errorf(domain.Corrupt, "answer: %w", err), otherVersion)
}

const otherVersion = "is the node of another version? `rift admin health` and `rift version` tell"

// group makes a command whose subcommands are endpoints.
func group(a *app, use, short, example string, endpoints []endpoint) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Example: example}
	addClientFlags(c)
	for _, e := range endpoints {
		c.AddCommand(newEndpoint(a, e))
	}
	return c
}
