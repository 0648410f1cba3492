//go:build unix

package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ringrift/rift/cmd/internal/node"
	"github.com/ringrift/rift/cmd/internal/wiring"
	policycmd "github.com/ringrift/rift/commands/policy"
	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections/store"
	workview "github.com/ringrift/rift/projections/work"
	"github.com/ringrift/rift/transport"
)

// site is a real node that can be lost and brought back on its log.
type site struct {
	t       *testing.T
	log     eventlog.Log
	address string
	config  transport.Config
	// around wraps the node's handler, to lose requests or answers.
	around func(http.Handler) http.Handler

	stop func() // nil while it is down
}

func newSite(t *testing.T) *site { return newSiteWith(t, transport.Config{}, nil) }

func newSiteWith(t *testing.T, config transport.Config, around func(http.Handler) http.Handler) *site {
	t.Helper()
	s := &site{t: t, log: eventlog.NewMemory(), address: "127.0.0.1:0", config: config, around: around}
	s.up()
	t.Cleanup(func() {
		if s.stop != nil {
			s.stop()
		}
	})
	return s
}

// up serves the log as `rift serve` does.
func (s *site) up() {
	s.t.Helper()
	n, err := node.Open(node.Config{Node: "n1", Cluster: "main", Log: s.log, StoreDir: s.t.TempDir(), Store: store.Options{Small: true}})
	if err != nil {
		s.t.Fatal(err)
	}
	config := s.config
	handler, err := transport.NewHandler(n.Backend(), config, wiring.Areas()...)
	if err != nil {
		s.t.Fatal(err)
	}
	listener, err := (&net.ListenConfig{}).Listen(s.t.Context(), "tcp", s.address)
	if err != nil {
		s.t.Fatal(err)
	}
	s.address = listener.Addr().String()
	served := http.Handler(handler)
	if s.around != nil {
		served = s.around(served)
	}
	server := httptest.NewUnstartedServer(served)
	if err := server.Listener.Close(); err != nil {
		s.t.Fatal(err)
	}
	server.Listener = listener
	server.Start()
	ctx, cancel := context.WithCancel(context.Background())
	var actors sync.WaitGroup
	for _, actor := range []func(context.Context) error{n.Follow, n.Tick, n.Drain, n.Publish} {
		actors.Go(func() {
			if err := actor(ctx); err != nil && ctx.Err() == nil {
				s.t.Error(err)
			}
		})
	}
	s.stop = func() {
		server.CloseClientConnections()
		server.Close()
		cancel()
		actors.Wait()
		if err := n.Close(); err != nil {
			s.t.Error(err)
		}
		s.stop = nil
	}
}

func (s *site) client(options ...transport.ClientOption) *transport.Client {
	s.t.Helper()
	c, err := transport.NewClient(s.address, [][]transport.Route{wiring.Routes()}, options...)
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

func (s *site) do(command domain.Command) {
	s.t.Helper()
	if _, err := s.client().Do(s.t.Context(), command); err != nil {
		s.t.Fatal(err)
	}
}

// lease sets how long leases last.
func (s *site) lease(seconds float64) {
	s.t.Helper()
	s.do(policycmd.SetPolicy{Name: "default", Change: fmt.Appendf(nil, `{"work":{"lease_seconds":%v,"backoff_base_seconds":0.01,"backoff_cap_seconds":0.02}}`, seconds)})
}

func (s *site) add(id string, more ...func(*workcmd.AddTask)) {
	s.t.Helper()
	add := workcmd.AddTask{TaskID: domain.TaskID(id), TaskType: "selfplay", Payload: json.RawMessage(`{"n":1}`)}
	for _, change := range more {
		change(&add)
	}
	s.do(add)
}

// item reads an item as of everything on the log by now, the workers' reports
// among it.
func (s *site) item(id string) workview.TaskRow {
	s.t.Helper()
	head, err := s.log.Head(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	answer, err := transport.Ask[workview.TaskAnswer](s.t.Context(), s.client(), "work.item", workview.OneTask{TaskID: id}, transport.After(head))
	if err != nil {
		s.t.Fatal(err)
	}
	var row workview.TaskRow
	if err := json.Unmarshal(answer.Item, &row); err != nil {
		s.t.Fatal(err)
	}
	return row
}

// await waits until an item is in a state.
func (s *site) await(id string, state work.State) workview.TaskRow {
	s.t.Helper()
	var row workview.TaskRow
	eventually(s.t, fmt.Sprintf("item %s is %s", id, state), func() bool {
		row = s.item(id)
		return row.State == state
	})
	return row
}

// history lists the types of an item's events.
func (s *site) history(id string) []string { return s.events(domain.TaskID(id).Stream()) }

// events lists the types of a stream's events.
func (s *site) events(stream domain.StreamID) []string {
	s.t.Helper()
	var types []string
	for e, err := range s.log.Read(s.t.Context(), stream, 0, eventlog.Forward) {
		if err != nil {
			s.t.Fatal(err)
		}
		types = append(types, e.Type)
	}
	return types
}

func count(list []string, word string) int {
	n := 0
	for _, one := range list {
		if one == word {
			n++
		}
	}
	return n
}

// patience is how long anything that must happen may take on a busy machine.
const patience = 2 * time.Minute

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	look := time.NewTicker(3 * time.Millisecond)
	defer look.Stop()
	for !holds() {
		select {
		case <-look.C:
		case <-deadline.C:
			t.Fatalf("%s: want it within %v", what, patience)
		}
	}
}

// testLog collects the worker's log.
type testLog struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *testLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *testLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// hired is a worker that runs in a test.
type hired struct {
	t       *testing.T
	log     *testLog
	drain   context.CancelFunc
	kill    chan struct{}
	ended   chan struct{}
	summary Summary
	err     error
}

// configOf is a worker's configuration for a guest of the tests.
func configOf(t *testing.T, log io.Writer, addresses []string, argv ...string) Config {
	t.Helper()
	config, err := configFor(log, filepath.Join(t.TempDir(), "scratch"), addresses, argv...)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

func configFor(log io.Writer, folder string, addresses []string, argv ...string) (Config, error) {
	self, err := os.Executable()
	if err != nil {
		return Config{}, err
	}
	logger := slog.New(slog.NewTextHandler(log, nil))
	cluster, err := NewCluster(ClusterConfig{Addresses: addresses, Actor: "w1", Timeout: 5 * time.Second, Routes: wiring.Routes(), Logger: logger})
	if err != nil {
		return Config{}, err
	}
	return Config{
		Node: "w1", Slots: 1, Commands: map[string][]string{"": append([]string{self, "guest"}, argv...)}, Cluster: cluster, Logger: logger,
		Folder: folder, Env: []string{"PATH=" + os.Getenv("PATH")}, Limiter: []string{self, "limiter"}, Guard: []string{self, "guard"},
		Grace: 100 * time.Millisecond, OrphanGrace: 10 * time.Second, DrainTimeout: 20 * time.Second, ReportTimeout: 5 * time.Second,
		Poll: 10 * time.Millisecond, Beat: time.Second, ReleaseCodes: []int{75}, FatalCodes: []int{64},
		Tail: 1 << 10, MaxResult: 4 << 10, MaxOutput: 64 << 20, Inline: 1 << 10,
	}, nil
}

// hire starts a worker.
func (s *site) hire(change func(*Config), argv ...string) *hired {
	s.t.Helper()
	h := &hired{t: s.t, log: &testLog{}, kill: make(chan struct{}), ended: make(chan struct{})}
	config := configOf(s.t, h.log, []string{s.address}, argv...)
	if change != nil {
		change(&config)
	}
	h.run(config)
	return h
}

func (h *hired) run(config Config) {
	ctx, cancel := context.WithCancel(context.Background())
	h.drain = cancel
	go func() {
		defer close(h.ended)
		h.summary, h.err = Run(ctx, h.kill, config)
	}()
	h.t.Cleanup(func() {
		select {
		case <-h.ended:
		default:
			close(h.kill)
			<-h.ended
		}
		cancel()
		if h.t.Failed() {
			h.t.Log(h.log)
		}
	})
}

// end waits for the worker's own end.
func (h *hired) end() Summary {
	h.t.Helper()
	select {
	case <-h.ended:
	case <-time.After(patience):
		h.t.Fatal("the worker does not end")
	}
	if h.err != nil {
		h.t.Fatal(h.err)
	}
	return h.summary
}

// pidIn waits until a guest has written its process id.
func pidIn(t *testing.T, file string) int {
	t.Helper()
	var pid int
	eventually(t, "a guest tells its number in "+file, func() bool {
		text, err := os.ReadFile(file)
		if err != nil {
			return false
		}
		pid, err = strconv.Atoi(string(text))
		return err == nil
	})
	return pid
}

// gone reports whether no process with the id runs any more; a zombie does not
// count as running.
func gone(pid int) bool {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return true
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	return strings.HasPrefix(rest, "Z") || strings.HasPrefix(rest, "X")
}

// empty reports whether all items' folders are removed.
func empty(t *testing.T, folder string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if entry.Name() != ".lock" {
			t.Errorf("%s is left in the scratch folder", entry.Name())
		}
	}
}

// A node that stands still does not keep a worker from the next one.
func TestClusterPassesOverANodeThatStandsStill(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{})
	still := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-ended:
		}
	}))
	defer still.Close()
	defer close(ended)
	c, err := NewCluster(ClusterConfig{Addresses: []string{still.URL, newSite(t).address}, Timeout: time.Hour, Routes: wiring.Routes(), patience: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second goes to the node that answered
		if err := c.do(t.Context(), workcmd.ClaimTasks{NodeID: "gpu-1"}, "", anyReceipt); err != nil {
			t.Fatal(err)
		}
	}
	if c.first.Load() != 1 {
		t.Errorf("want the node that answers asked first, found %d", c.first.Load())
	}
}
