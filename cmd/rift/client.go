package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/config"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/transport"
)

// client asks one node. Answers stay JSON: what a newer node adds is printed,
// not lost.
type client struct {
	addr   string
	token  string
	config config.Client
	http   *http.Client
}

// maxAnswer bounds an answer that is held as a whole.
const maxAnswer = 64 << 20

// addClientFlags lets the commands below c be pointed at a node.
func addClientFlags(c *cobra.Command) { config.ClientFlags(c.PersistentFlags()) }

// client makes the client that a command's flags and the environment ask for.
func (a *app) client(c *cobra.Command) (*client, error) {
	settings, err := config.LoadClient(c.Flags(), a.getenv)
	if err != nil {
		return nil, err
	}
	return newClient(settings)
}

func newClient(settings config.Client) (*client, error) {
	token, err := readToken(settings.TokenFile)
	if err != nil {
		return nil, err
	}
	return &client{addr: settings.Addr, token: token, config: settings, http: &http.Client{Transport: http.DefaultTransport}}, nil
}

func readToken(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return "", domain.Errorf(domain.NotFound, "token file: %w", err)
	}
	tokens, err := transport.ReadTokens(string(content))
	if err != nil {
		return "", err
	}
	return tokens[0].Secret, nil
}

// request is one call of an endpoint.
type request struct {
	method string
	path   string
	query  url.Values
	body   []byte
	key    string // Idempotency-Key
	header map[string]string
}

// do calls an endpoint and gives its answer, or the node's problem as an error.
func (c *client) do(ctx context.Context, r request) (json.RawMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	response, err := c.send(ctx, r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, c.unreachable(ctx, err)
	case len(content) > maxAnswer:
		return nil, domain.Errorf(domain.TooLarge, "%s %s: want an answer of at most %d bytes", r.method, r.path, maxAnswer)
	case response.StatusCode >= 400:
		return nil, problemIn(response, content)
	case !json.Valid(content):
		return nil, domain.Errorf(domain.Corrupt, "%s %s%s: want JSON, found %.60q", r.method, c.addr, r.path, content)
	}
	return content, nil
}

func (c *client) send(ctx context.Context, r request) (*http.Response, error) {
	address := c.addr + r.path
	if len(r.query) > 0 {
		address += "?" + r.query.Encode()
	}
	message, err := http.NewRequestWithContext(ctx, r.method, address, bytes.NewReader(r.body))
	if err != nil {
		return nil, domain.Errorf(domain.Invalid, "%s %s: %w", r.method, address, err)
	}
	message.Header.Set("Accept", "application/json, application/problem+json")
	if r.body != nil {
		message.Header.Set("Content-Type", "application/json")
	}
	if r.key != "" {
		message.Header.Set("Idempotency-Key", r.key)
	}
	if c.token != "" {
		message.Header.Set("Authorization", "Bearer "+c.token)
	}
	for name, value := range r.header {
		message.Header.Set(name, value)
	}
	response, err := c.http.Do(message)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	return response, nil
}

// unreachable says what to do about a node that does not answer.
func (c *client) unreachable(ctx context.Context, err error) error {
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return domain.Errorf(domain.Unavailable, "ask %s: %w", c.addr, context.Canceled)
	case errors.Is(err, context.DeadlineExceeded):
		return domain.Errorf(domain.Timeout, "no answer from %s within %s", c.addr, c.config.Timeout)
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
	return hinted(domain.Errorf(domain.Unavailable, "nothing answers at %s: %w", c.addr, err),
		"start a node with `rift serve`, or name another with --addr or RIFT_ADDR")
}

// problemIn reads a node's problem document from its answer.
func problemIn(response *http.Response, content []byte) error {
	return problemOf(response.StatusCode, response.Request.URL.Redacted(), response.Header.Get("Retry-After"), content)
}

// problemOf reads a node's problem document.
func problemOf(status int, address, later string, content []byte) error {
	var document transport.Problem
	if err := json.Unmarshal(content, &document); err != nil || document.Code == "" {
		err := domain.Errorf(codeOfStatus(status), "%s: status %d: %.200s", address, status, bytes.TrimSpace(content))
		return hinted(err, "is this a rift node? `rift admin health` asks it")
	}
	message := document.Detail
	if len(document.Faults) > 0 {
		// The detail spells the faults out; here they get a line each.
		message, _, _ = strings.Cut(message, ": "+document.Faults[0].Field+": ")
	}
	if message == "" {
		message = document.Title
	}
	err := error(&domain.Error{Code: document.Code, Msg: message, Faults: document.Faults})
	switch {
	case document.Code == domain.TooMany && later != "":
		return hinted(err, "try again in %s s", later)
	case document.Code == domain.NotLeader && document.Leader != "":
		return hinted(err, "the leader is %s: name it with --addr", document.Leader)
	}
	return err
}

func codeOfStatus(status int) domain.Code {
	switch status {
	case http.StatusUnauthorized:
		return domain.Unauthorized
	case http.StatusForbidden:
		return domain.Forbidden
	case http.StatusNotFound:
		return domain.NotFound
	case http.StatusConflict:
		return domain.Conflict
	case http.StatusTooManyRequests:
		return domain.TooMany
	case http.StatusBadGateway, http.StatusServiceUnavailable:
		return domain.Unavailable
	case http.StatusGatewayTimeout:
		return domain.Timeout
	}
	if status < 500 {
		return domain.Invalid
	}
	return domain.Internal
}

// message is one server-sent event.
type message struct {
	id, event string
	data      []byte
}

// stream yields the server-sent events of an endpoint until it ends.
func (c *client) stream(ctx context.Context, r request) iter.Seq2[message, error] {
	return func(yield func(message, error) bool) {
		if r.header == nil {
			r.header = map[string]string{}
		}
		r.header["Accept"] = "text/event-stream"
		response, err := c.send(ctx, r)
		if err != nil {
			yield(message{}, err)
			return
		}
		defer response.Body.Close()
		if response.StatusCode >= 400 {
			content, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
			if err == nil {
				err = problemIn(response, content)
			}
			yield(message{}, err)
			return
		}
		lines := bufio.NewReaderSize(response.Body, 64<<10)
		var m message
		for {
			line, err := lines.ReadBytes('\n')
			if err != nil {
				if !errors.Is(err, io.EOF) {
					yield(message{}, c.unreachable(ctx, err))
				}
				return
			}
			line = bytes.TrimRight(line, "\r\n")
			name, value, _ := bytes.Cut(line, []byte(":"))
			value = bytes.TrimPrefix(value, []byte(" "))
			switch string(name) {
			case "id":
				m.id = string(value)
			case "event":
				m.event = string(value)
			case "data":
				if len(m.data)+len(value) > maxInput {
					yield(message{}, domain.Errorf(domain.TooLarge, "event stream: want at most %d bytes in an event", maxInput))
					return
				}
				if m.data != nil {
					m.data = append(m.data, '\n')
				}
				m.data = append(m.data, value...)
			case "":
				if len(line) > 0 {
					continue // a comment
				}
				if m.data == nil {
					m.event = ""
					continue
				}
				if !yield(m, nil) {
					return
				}
				m = message{id: m.id}
			}
		}
	}
}
