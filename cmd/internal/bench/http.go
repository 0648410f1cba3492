package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
)

// The clients of a cell, and the items a server starts with.
const (
	commandClients = 64
	queryClients   = 32
	seededItems    = 10_000
)

// httpFigure compares the endpoints of a node with requests that do nothing: a command
// with a POST that net/http alone answers once it has read the body, a query with a
// server of the same middleware, binding and request log that has no node behind it.
//
// One client asks all of them in turn. It makes its requests beforehand and does not
// look at answers, because it shares the machine with the server: the more time the
// client takes, the closer to 1 the ratio would be.
func httpFigure(ctx context.Context, s *suite) (rows []Row, err error) {
	both, err := s.serve(ctx, "http.server", seededItems)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, both.stop()) }()
	node, noop := both.node, both.noop
	body := fmt.Sprintf(`{"task_type":"selfplay","config_key":"hex8_2p","payload":{"text":%q}}`, text(1024-73))
	var item [][]byte
	for n := range seededItems {
		item = append(item, get(node.address, fmt.Sprintf("/work/items/%s", seededTask(n))))
	}
	one := func(request []byte) [][]byte { return [][]byte{request} }
	cell := func(server *server, name string, clients int, requests [][]byte) peer {
		return peer{name, func(ctx context.Context, _ int) (float64, error) {
			if err := node.caughtUp(ctx); err != nil {
				return 0, err
			}
			return s.requests(ctx, server.address, clients, requests)
		}}
	}
	command, oneRow, rows100 := s.wanted("http.command"), s.wanted("http.item"), s.wanted("http.items")
	values, err := s.rounds(ctx, "http", onlyIf(
		choice{command, cell(noop, "bare", commandClients, one(post(noop.address, barePath, body)))},
		choice{command, cell(node, "command", commandClients, one(post(node.address, "/work/add", body)))},
		choice{oneRow, cell(node, "item", queryClients, item)},
		choice{oneRow || rows100, cell(noop, "noop.get", queryClients, one(get(noop.address, "/noop")))},
		choice{rows100, cell(node, "items", queryClients, one(get(node.address, "/work/items?limit=100")))})...)
	if err != nil {
		return nil, err
	}
	return []Row{
		row("http.command", fmt.Sprintf("durable commands over HTTP: POST /work/add of 1 KiB, %d clients", commandClients), "requests/s", values["command"], "no-op POST of it, net/http alone", values["bare"], ratioAtLeast(0.5)),
		row("http.item", fmt.Sprintf("a query of one row: GET /work/items/{id}, %d clients", queryClients), "requests/s", values["item"], "no-op GET", values["noop.get"], ratioAtLeast(0.8)),
		row("http.items", fmt.Sprintf("a query of 100 rows: GET /work/items?limit=100, %d clients", queryClients), "requests/s", values["items"], "no-op GET", values["noop.get"], ratioAtLeast(0.3)),
	}, nil
}

// served is a node with queued items and a server that does nothing.
type served struct {
	node, noop *server
	stop       func() error
}

// serve starts both. The node has a queue of items and has caught up; its profiles get
// the given name.
func (s *suite) serve(ctx context.Context, profile string, items int) (both served, err error) {
	data, done, err := s.fresh("serve")
	if err != nil {
		return served{}, err
	}
	stops := []func() error{done}
	both.stop = func() error {
		var failed error
		for _, stop := range slices.Backward(stops) {
			failed = errors.Join(failed, stop())
		}
		return failed
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, both.stop())
		}
	}()
	if err := fill(ctx, filepath.Join(data, "log"), s.telling(items, queue(items))); err != nil {
		return both, err
	}
	args := []string{"serve", "--data", data, "--listen", "127.0.0.1:0"}
	if s.options.Profile != "" {
		args = append(args, "--profile", s.profileName(profile, 0))
	}
	if both.node, err = s.start(ctx, data, args...); err != nil {
		return both, err
	}
	stops = append(stops, both.node.stop)
	if err = both.node.caughtUp(ctx); err != nil {
		return both, err
	}
	if both.noop, err = s.start(ctx, data, "noop"); err != nil {
		return both, err
	}
	stops = append(stops, both.noop.stop)
	return both, nil
}

func seededTask(n int) domain.TaskID { return domain.TaskID(fmt.Sprintf("t-%07d", n)) }

// queue yields a policy without a limit that matters and n queued items.
func queue(n int) iter.Seq2[domain.Envelope, error] {
	return func(yield func(domain.Envelope, error) bool) {
		now := time.Now().UTC().Truncate(time.Microsecond)
		limits := work.DefaultPolicy()
		limits.SoftLimit, limits.HardLimit = 1_000_000_000, 2_000_000_000
		policy := domain.Policy{}.With(limits)
		event := func(id string, stream domain.StreamID, event domain.Event) domain.Envelope {
			return domain.Envelope{Stream: stream, ID: domain.DeriveID(id, 0), Time: now, Meta: domain.Meta{Command: id, Actor: "bench", Node: "node-1"}, Event: event}
		}
		if !yield(event("seed-policy", domain.PolicyStream(domain.PolicyDefaultName), domain.PolicyChanged{Name: domain.PolicyDefaultName, Policy: policy}), nil) {
			return
		}
		for i := range n {
			id := seededTask(i)
			spawned := work.Spawned{
				TaskID: id, TaskType: "selfplay", ConfigKey: "hex8_2p", Priority: 50, TimeoutSeconds: 5400, MaxAttempts: 3,
				Payload: json.RawMessage(fmt.Sprintf(`{"games":200,"seed":%d,"model":"hex8_2p-v0142","search":{"simulations":400,"temperature":0.75}}`, i)),
			}
			if !yield(event("seed-"+string(id), id.Stream(), spawned), nil) {
				return
			}
		}
	}
}

// server is a child process that serves HTTP.
type server struct {
	address string
	command *exec.Cmd
	ended   chan error
}

// start starts a child process that serves and waits until it has written its address.
func (s *suite) start(ctx context.Context, dir string, args ...string) (*server, error) {
	file := filepath.Join(dir, args[0]+".addr")
	command, err := s.child(ctx, append(args, "--addr-file", file)...)
	if err != nil {
		return nil, err
	}
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = 10 * time.Second
	if err := command.Start(); err != nil {
		return nil, domain.Errorf(domain.Unavailable, "bench child %s: %w", args[0], err)
	}
	child := &server{command: command, ended: make(chan error, 1)}
	go func() { child.ended <- command.Wait() }()
	for range 3000 {
		if address, err := os.ReadFile(file); err == nil {
			child.address = strings.TrimSpace(string(address))
			return child, nil
		}
		select {
		case err := <-child.ended:
			return nil, domain.Errorf(domain.Unavailable, "bench child %s: want it to serve, found it ended: %w", args[0], err)
		default:
		}
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return nil, errors.Join(err, child.stop())
		}
	}
	return nil, errors.Join(domain.Errorf(domain.Timeout, "bench child %s: want its address within 30 s, found none", args[0]), child.stop())
}

// stop asks the child to end and waits until it has.
func (c *server) stop() error {
	if err := c.command.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return <-c.ended
}

// caughtUp waits until the node's read models have applied its log and the commands of
// its reactors are done, so that none of that runs beside the next cell.
func (c *server) caughtUp(ctx context.Context) error {
	for {
		numbers, err := c.numbers(ctx)
		if err != nil {
			return err
		}
		head := numbers["log"]["head"]
		if head == 0 {
			return domain.Errorf(domain.Internal, "bench: want the head of the log in the health of the node, found %v", numbers)
		}
		if err := c.applied(ctx, head); err != nil {
			return err
		}
		after, err := c.numbers(ctx)
		if err != nil {
			return err
		}
		if after["outbox"]["depth"] == 0 && after["log"]["head"] == head {
			return nil
		}
	}
}

// numbers returns the numbers of the health of a node, by check.
func (c *server) numbers(ctx context.Context) (map[string]map[string]int64, error) {
	_, answer, err := c.call(ctx, http.MethodGet, "/admin/health", "")
	if err != nil {
		return nil, err
	}
	var health struct {
		Checks []struct {
			Name    string           `json:"name"`
			Numbers map[string]int64 `json:"numbers"`
		} `json:"checks"`
	}
	if err := json.Unmarshal(answer, &health); err != nil {
		return nil, domain.Errorf(domain.Internal, "bench: health of the node: %w", err)
	}
	numbers := map[string]map[string]int64{}
	for _, check := range health.Checks {
		numbers[check.Name] = check.Numbers
	}
	return numbers, nil
}

// applied waits until the read models have applied the log up to a position.
func (c *server) applied(ctx context.Context, position int64) error {
	for {
		status, answer, err := c.call(ctx, http.MethodGet, fmt.Sprintf("/work/items?limit=1&after=%d", position), "")
		switch {
		case err != nil || status == http.StatusOK:
			return err
		case status == http.StatusServiceUnavailable: // the node has just been started
			if err := pause(ctx, 10*time.Millisecond); err != nil {
				return err
			}
		case status != http.StatusGatewayTimeout:
			return domain.Errorf(domain.Internal, "bench: wait for the read models: %d %s", status, answer)
		}
	}
}

func (c *server) call(ctx context.Context, method, path, body string) (int, []byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://"+c.address+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, nil, err
	}
	answer, err := io.ReadAll(response.Body)
	return response.StatusCode, answer, errors.Join(err, response.Body.Close())
}
