package transport

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ringrift/rift/domain"
)

// Client calls a node using the same route table that the node serves. It
// is safe for use by multiple goroutines.
type Client struct {
	base    *url.URL
	http    *http.Client
	token   string
	actor   string
	retries int
	backoff time.Duration
	broken  func(err error, after domain.Position, wait time.Duration)
	byName  map[string]Route
}

// ClientOption configures a client.
type ClientOption func(*Client)

// WithToken sets the bearer token.
func WithToken(token string) ClientOption { return func(c *Client) { c.token = token } }

// WithActor sets the actor that commands are recorded for.
func WithActor(actor string) ClientOption { return func(c *Client) { c.actor = actor } }

// WithHTTP sets the HTTP client, for its transport and timeout. Redirects
// are not followed unless that client has its own CheckRedirect.
func WithHTTP(h *http.Client) ClientOption {
	return func(c *Client) {
		made := *h
		if made.CheckRedirect == nil {
			made.CheckRedirect = noRedirect
		}
		c.http = &made
	}
}

// WithRetries sets how often a call that may still succeed is retried
// (default 4) and the wait before the first retry (default 100 ms), which
// doubles each time.
func WithRetries(times int, first time.Duration) ClientOption {
	return func(c *Client) { c.retries, c.backoff = times, first }
}

// WithBroken sets a function that is called when the stream of Follow
// breaks, with the cause, the position after which it will resume, and the
// wait before that.
func WithBroken(tell func(err error, after domain.Position, wait time.Duration)) ClientOption {
	return func(c *Client) { c.broken = tell }
}

// NewClient returns a client of the node at address, a URL or host:port. It
// can call the endpoints of the given tables.
func NewClient(address string, tables [][]Route, options ...ClientOption) (*Client, error) {
	if !strings.Contains(address, "://") {
		address = "http://" + address
	}
	base, err := url.Parse(address)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, domain.Errorf(domain.Invalid, "address %q: want host:port or an http URL", address)
	}
	base.Path = strings.TrimSuffix(base.Path, "/")
	c := &Client{base: base, http: defaultHTTP, retries: 4, backoff: firstBackoff, byName: map[string]Route{}}
	for _, table := range tables {
		for _, route := range table {
			if route.Name != "" {
				c.byName[route.Name] = route
			}
		}
	}
	for _, option := range options {
		option(c)
	}
	return c, nil
}

const firstBackoff = 100 * time.Millisecond

// Receipt is the answer to a command.
type Receipt struct {
	ID        string          `json:"-"` // of the command
	Position  domain.Position `json:"position"`
	Events    []TriedEvent    `json:"events"`
	Duplicate bool            `json:"duplicate,omitempty"`
	DryRun    bool            `json:"dry_run,omitempty"`
	Refused   *Problem        `json:"refused,omitempty"`
	Body      json.RawMessage `json:"-"` // the whole answer
}

// TriedEvent is an event of a receipt; Data only on a dry run.
type TriedEvent struct {
	EventRef
	Data json.RawMessage `json:"data,omitempty"`
}

// Into decodes the result's own fields of the answer.
func (r Receipt) Into(result any) error { return json.Unmarshal(r.Body, result) }

// CallOption configures one call.
type CallOption func(*call)

type call struct {
	id     string
	cause  string
	dry    bool
	values url.Values
}

// ID sets the command id, so that a caller can repeat the call itself.
func ID(id string) CallOption { return func(c *call) { c.id = id } }

// Answering sets the causation of the command to the event with the given
// id.
func Answering(event string) CallOption { return func(c *call) { c.cause = event } }

// Dry makes the call a dry run.
func Dry() CallOption { return func(c *call) { c.dry = true } }

// AsOf asks for the state at a position or a time.
func AsOf(at At) CallOption {
	return func(c *call) {
		if at.Set {
			c.values.Set("at", at.String())
		}
	}
}

// After asks for a state in which the position is applied.
func After(position domain.Position) CallOption {
	return func(c *call) {
		if position > 0 {
			c.values.Set("after", position.String())
		}
	}
}

// Strong asks for a state that includes every write acknowledged before the
// call, by any node.
func Strong() CallOption {
	return func(c *call) { c.values.Set("consistency", consistencyStrong) }
}

// Do runs a command. It is retried, under the same id, while the failure is
// temporary.
func (c *Client) Do(ctx context.Context, command domain.Command, options ...CallOption) (Receipt, error) {
	route, err := c.routeOf(command.CommandType())
	if err != nil {
		return Receipt{}, err
	}
	body, err := json.Marshal(command)
	if err != nil {
		return Receipt{}, domain.Errorf(domain.Invalid, "command %s: %w", route.Name, err)
	}
	return c.run(ctx, route, reflect.ValueOf(command), body, options)
}

// DoJSON runs the command of a name with the given body unchanged, so that
// fields this client does not know can be sent too.
func (c *Client) DoJSON(ctx context.Context, name string, body json.RawMessage, options ...CallOption) (Receipt, error) {
	route, err := c.routeOf(name)
	if err != nil {
		return Receipt{}, err
	}
	known := reflect.ValueOf(route.newInput())
	if route.params != nil { // some of its fields belong in the path
		if err := json.Unmarshal(body, known.Interface()); err != nil {
			return Receipt{}, domain.Errorf(domain.Invalid, "command %s: %w", name, err)
		}
	}
	return c.run(ctx, route, known.Elem(), body, options)
}

func (c *Client) routeOf(command string) (Route, error) {
	route, known := c.byName[command]
	if !known || route.Kind != Command {
		return Route{}, domain.Errorf(domain.Invalid, "command %s: no route takes it", command)
	}
	return route, nil
}

func (c *Client) run(ctx context.Context, route Route, known reflect.Value, body []byte, options []CallOption) (Receipt, error) {
	one := call{values: url.Values{}}
	for _, option := range options {
		option(&one)
	}
	if one.id == "" {
		id, err := uuid.NewV7()
		if err != nil {
			return Receipt{}, domain.Errorf(domain.Unavailable, "command id: %w", err)
		}
		one.id = id.String()
	}
	if one.dry {
		one.values.Set("dry_run", "1")
	}
	path := route.Path
	if route.params != nil {
		var err error
		if path, _, err = route.params.fill(path, known); err != nil {
			return Receipt{}, err
		}
	}
	header := http.Header{"Content-Type": jsonContent, headerCommandID: {one.id}}
	if one.cause != "" {
		header.Set(headerCausation, one.cause)
	}
	answer, err := c.send(ctx, route.Method, path, one.values, header, body, checkReceipt)
	receipt := Receipt{ID: one.id, Body: answer}
	if err != nil {
		return receipt, err
	}
	if err := json.Unmarshal(answer, &receipt); err != nil {
		return receipt, NoAnswer("command %s: want the JSON of a receipt, found %.60q: %v", route.Name, answer, err)
	}
	return receipt, nil
}

// Ask runs the query of a name: transport.Ask[workview.TaskAnswer](ctx, c,
// "work.item", workview.OneTask{TaskID: "t1"}).
func Ask[R, Q any](ctx context.Context, c *Client, name string, question Q, options ...CallOption) (R, error) {
	var answer R
	body, err := c.AskJSON(ctx, name, question, options...)
	if err != nil {
		return answer, err
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return answer, NoAnswer("query %s: want the JSON of its answer: %v", name, err)
	}
	return answer, nil
}

// AskJSON runs the query of a name and returns its answer undecoded.
func (c *Client) AskJSON(ctx context.Context, name string, question any, options ...CallOption) (json.RawMessage, error) {
	path, values, err := c.address(name, question, options)
	if err != nil {
		return nil, err
	}
	return c.send(ctx, http.MethodGet, path, values, http.Header{}, nil, checkView)
}

// AskValues runs the query of a name with its parameters, path parameters
// included, as text, so that parameters this client does not know can be
// sent too.
func (c *Client) AskValues(ctx context.Context, name string, values url.Values, options ...CallOption) (json.RawMessage, error) {
	route, err := c.queryOf(name)
	if err != nil {
		return nil, err
	}
	path, values, err := route.params.place(route.Path, values)
	if err != nil {
		return nil, err
	}
	one := call{values: values}
	for _, option := range options {
		option(&one)
	}
	return c.send(ctx, http.MethodGet, path, values, http.Header{}, nil, checkView)
}

func (c *Client) queryOf(name string) (Route, error) {
	route, known := c.byName[name]
	if !known || route.params == nil || route.Method != http.MethodGet {
		return Route{}, domain.Errorf(domain.Invalid, "query %s: no route takes it", name)
	}
	return route, nil
}

func (c *Client) address(name string, question any, options []CallOption) (string, url.Values, error) {
	route, err := c.queryOf(name)
	if err != nil {
		return "", nil, err
	}
	if found := reflect.TypeOf(question); found != route.request {
		return "", nil, domain.Errorf(domain.Invalid, "query %s: want %s, found %s", name, route.request, found)
	}
	path, values, err := route.params.fill(route.Path, reflect.ValueOf(question))
	if err != nil {
		return "", nil, err
	}
	one := call{values: values}
	for _, option := range options {
		option(&one)
	}
	return path, values, nil
}
