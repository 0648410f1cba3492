package main

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/config"
	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/transport"
)

// client calls the endpoints of one node. Answers are kept as JSON, so that keys a
// newer node adds are printed too. Only broken streams are retried; other failures are
// reported to the user.
type client struct {
	node     *transport.Client
	settings config.Client
	moment   *moments
}

// moments remembers the point in the past that the last answer describes, if it
// describes one.
type moments struct {
	next http.RoundTripper
	last atomic.Pointer[time.Time]
}

// RoundTrip sends a request and remembers the moment that its answer describes.
func (m *moments) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := m.next.RoundTrip(r)
	if err == nil {
		if at, err := time.Parse(time.RFC3339Nano, answer.Header.Get(transport.HeaderMoment)); err == nil {
			m.last.Store(&at)
		}
	}
	return answer, err
}

// past makes a printer compute ages relative to the moment in the past that a query
// named.
func (c *client) past(p *output.Printer) {
	if at := c.moment.last.Load(); at != nil {
		p.Now = *at
	}
}

// firstWait is the pause before a broken stream is requested again; it doubles with
// each failure.
const firstWait = 200 * time.Millisecond

// routes are the endpoints of this build by name.
var routes = sync.OnceValue(func() map[string]transport.Route {
	byName := map[string]transport.Route{}
	for _, route := range wiring.Routes() {
		byName[route.Name] = route
	}
	return byName
})

// addClientFlags adds to a command and its subcommands the flags that name a node.
func addClientFlags(c *cobra.Command) { config.ClientFlags(c.PersistentFlags()) }

// client makes a client from the flags of a command and the environment.
func (a *app) client(c *cobra.Command) (*client, error) {
	settings, err := config.LoadClient(c.Flags(), a.getenv)
	if err != nil {
		return nil, err
	}
	return a.newClient(settings)
}

// printerAndClient makes the printer of the command's output and the client of its node.
func (a *app) printerAndClient(c *cobra.Command) (*output.Printer, *client, error) {
	p, err := a.printer()
	if err != nil {
		return nil, nil, err
	}
	asked, err := a.client(c)
	return p, asked, err
}

func (a *app) newClient(settings config.Client) (*client, error) {
	token, err := readToken(settings.TokenFile)
	if err != nil {
		return nil, err
	}
	calls, err := trusting(settings.CA, settings.Cert, settings.Key)
	if err != nil {
		return nil, err
	}
	asks := failover(settings.Addresses(), calls)
	made := &client{settings: settings, moment: &moments{next: asks.Transport}}
	if made.moment.next == nil {
		made.moment.next = http.DefaultTransport
	}
	asks.Transport = made.moment
	made.node, err = transport.NewClient(settings.Addresses()[0], [][]transport.Route{wiring.Routes()},
		transport.WithToken(token), transport.WithActor(a.actor(settings)), transport.WithRetries(0, firstWait), transport.WithHTTP(asks),
		transport.WithBroken(func(err error, after domain.Position, wait time.Duration) {
			a.note("rift: %v; trying again from position %d in %s", made.explain(err), after, wait)
		}))
	return made, err
}

// actor returns who sends a command: the name given by flag or environment, otherwise
// the user of the shell if that name can stand in a header.
func (a *app) actor(settings config.Client) string {
	for _, name := range []string{settings.Actor, a.getenv("USER"), a.getenv("LOGNAME")} {
		if name == "" {
			continue
		}
		if name == settings.Actor || domain.CheckName(name) == nil {
			return name
		}
	}
	return ""
}

func readToken(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	content, err := config.ReadFile(path)
	if err != nil {
		return "", domain.Errorf(domain.NotFound, "token file: %w", err)
	}
	tokens, err := transport.ReadTokens(string(content))
	if err != nil {
		return "", err
	}
	return tokens[0].Secret, nil
}

// do calls a command endpoint with a body given as JSON.
func (c *client) do(ctx context.Context, route string, body []byte, options ...transport.CallOption) (json.RawMessage, error) {
	patient := *c
	patient.settings.Timeout += waitOf(body)
	receipt, err := within(ctx, &patient, func(ctx context.Context) (transport.Receipt, error) {
		return c.node.DoJSON(ctx, route, body, options...)
	})
	return receipt.Body, err
}

// waitOf returns how long the body of a command asks the node to wait before it
// answers.
func waitOf(body []byte) time.Duration {
	var asked struct {
		Wait domain.Seconds `json:"wait"`
	}
	if json.Unmarshal(body, &asked) != nil {
		return 0 // the node reports the invalid value
	}
	return min(max(asked.Wait.Duration(), 0), time.Minute)
}

// ask calls a query endpoint with parameters given as text.
func (c *client) ask(ctx context.Context, route string, values url.Values) (json.RawMessage, error) {
	return within(ctx, c, func(ctx context.Context) (json.RawMessage, error) { return c.node.AskValues(ctx, route, values) })
}

// within bounds the time of a call and explains its error.
func within[R any](ctx context.Context, c *client, call func(context.Context) (R, error)) (R, error) {
	ctx, cancel := context.WithTimeout(ctx, c.settings.Timeout)
	defer cancel()
	answer, err := call(ctx)
	return answer, c.explain(err)
}

// explain adds to the error of a call what to do about it.
func (c *client) explain(err error) error {
	var refused *transport.Refused
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled):
		return domain.Errorf(domain.Unavailable, "ask %s: %w", c.settings.Addr, err)
	case transport.Foreign(err):
		return hinted(domain.Errorf(domain.Unavailable, "%s: %w", c.settings.Addr, err), "is this a rift node of this version, and nothing between that answers for it? `rift admin health` asks it")
	case transport.Unreachable(err):
		return c.unreachable(err)
	case errors.As(err, &refused):
		return c.refused(refused)
	}
	return err
}

func (c *client) refused(refused *transport.Refused) error {
	problem := refused.Problem
	switch {
	case problem.Code == domain.TooMany && refused.After > 0:
		return hinted(refused, "try again in %.0f s", refused.After.Seconds())
	case problem.Code == domain.NotLeader && problem.Leader != "":
		return hinted(refused, "the leader is %s: name it with --addr", problem.Leader)
	}
	return refused
}

// unreachable makes the error for a node that does not answer, with what to do about
// it.
func (c *client) unreachable(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return domain.Errorf(domain.Timeout, "no answer from %s within %s", c.settings.Addr, c.settings.Timeout)
	}
	// Only the cause: the outer messages describe what the client was doing.
	var told *domain.Error
	if errors.As(err, &told) && told.Err != nil {
		err = told.Err
	}
	var asked *url.Error
	if errors.As(err, &asked) {
		err = asked.Err
	}
	var dial *net.OpError
	if errors.As(err, &dial) && dial.Op == "dial" {
		err = dial.Err
	}
	var called *os.SyscallError
	if errors.As(err, &called) {
		err = called.Err
	}
	return hinted(domain.Errorf(domain.Unavailable, "nothing answers at %s: %w", config.Redact(c.settings.Addr), err),
		"start a node with `rift serve`, or name another with --addr or RIFT_ADDR")
}
