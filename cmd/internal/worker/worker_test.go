//go:build unix

package worker

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ringrift/rift/cmd/internal/wiring"
	nodescmd "github.com/ringrift/rift/commands/nodes"
	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
	nodesview "github.com/ringrift/rift/projections/nodes"
	"github.com/ringrift/rift/transport"
)

func once(c *Config) { c.MaxItems = 1 }

func TestSuccess(t *testing.T) {
	s := newSite(t)
	s.add("a")
	s.add("b")
	folder := ""
	h := s.hire(func(c *Config) { c.MaxItems, c.Slots, folder = 2, 2, c.Folder }, "play")
	if sum := h.end(); sum.Claimed != 2 || sum.Completed != 2 || sum.Failed+sum.Lost+sum.Released != 0 {
		t.Errorf("found %+v", sum)
	}
	for _, id := range []string{"a", "b"} {
		row := s.await(id, work.StateDone)
		var result struct {
			Task    string
			Lease   int
			Payload struct{ N int }
			Worker  account
		}
		if err := json.Unmarshal(row.Result, &result); err != nil || result.Task != id || result.Lease != 1 || result.Payload.N != 1 {
			t.Errorf("%s: found %s, %v", id, row.Result, err)
		}
		if result.Worker.NodeID != "w1" || !strings.Contains(result.Worker.Stdout, "progress: ") {
			t.Errorf("%s: found %+v, want the run's account", id, result.Worker)
		}
		if got, want := s.history(id), []string{"TASK_SPAWNED", "TASK_CLAIMED", "TASK_STARTED", "TASK_COMPLETED"}; !slices.Equal(got, want) {
			t.Errorf("%s: found %v, want %v", id, got, want)
		}
	}
	empty(t, folder)
}

func TestExitCodes(t *testing.T) {
	s := newSite(t)
	s.lease(60)
	s.add("failed", func(c *workcmd.AddTask) { c.MaxAttempts = 2 })
	h := s.hire(func(c *Config) { c.MaxItems = 2 }, "exit", "3", "out of cheese")
	if sum := h.end(); sum.Failed != 2 {
		t.Errorf("found %+v, want both attempts failed", sum)
	}
	if row := s.await("failed", work.StateDead); !strings.Contains(row.Error, "exit code 3\n--- the last of stderr ---\nout of cheese") {
		t.Errorf("found error %q", row.Error)
	}
	s.add("fatal")
	s.hire(once, "exit", "64", "no such model").end()
	if row := s.await("fatal", work.StateDead); row.Attempts != 1 {
		t.Errorf("found %d attempts, want no other after a fatal one", row.Attempts)
	}
	s.add("later")
	// The node that failed so often is given nothing for a while.
	if sum := s.hire(func(c *Config) { once(c); c.Node = "w2" }, "exit", "75", "busy").end(); sum.Released != 1 {
		t.Errorf("found %+v, want it given back", sum)
	}
	if row := s.await("later", work.StateQueued); row.Attempts != 0 || !strings.Contains(row.Reason, "another try") {
		t.Errorf("found %+v, want no attempt spent", row)
	}
}

// The command sees its item and what it was promised, and nothing of the worker's.
func TestEnvironment(t *testing.T) {
	t.Setenv("RIFT_TOKEN_FILE", "/the/token")
	t.Setenv("AWS_SECRET", "hush")
	s := newSite(t)
	large := `{"x":"` + strings.Repeat("x", 2000) + `"}`
	s.add("small", func(c *workcmd.AddTask) { c.ConfigKey = "hex8_2p" })
	s.add("large", func(c *workcmd.AddTask) { c.Payload = json.RawMessage(large) })
	s.hire(func(c *Config) { c.MaxItems, c.Env = 2, append(c.Env, "MODE=fast", "RIFT_ADDR=sneaky") }, "env").end()
	for _, id := range []string{"small", "large"} {
		var result struct{ Env []string }
		if err := json.Unmarshal(s.await(id, work.StateDone).Result, &result); err != nil {
			t.Fatal(err)
		}
		env := map[string]string{}
		for _, variable := range result.Env {
			name, value, _ := strings.Cut(variable, "=")
			env[name] = value
		}
		want := map[string]string{
			"RIFT_TASK_ID": id, "RIFT_LEASE": "1", "RIFT_TASK_TYPE": "selfplay", "RIFT_ATTEMPT": "1", "RIFT_NODE_ID": "w1", "MODE": "fast",
			"RIFT_CONFIG_KEY": map[string]string{"small": "hex8_2p"}[id], "RIFT_PAYLOAD": `{"n":1}`,
			"TMPDIR": env["RIFT_SCRATCH"], "RIFT_RESULT_FILE": env["RIFT_SCRATCH"] + "/result.json",
		}
		if id == "large" {
			want["RIFT_PAYLOAD"] = env["RIFT_PAYLOAD_FILE"]
		}
		for name, value := range want {
			if env[name] != value {
				t.Errorf("%s: found %s=%q, want %q", id, name, env[name], value)
			}
		}
		if _, err := time.Parse(time.RFC3339Nano, env["RIFT_DEADLINE"]); err != nil {
			t.Error(err)
		}
		for name := range env {
			if !slices.Contains([]string{"PATH", "PWD", "MODE", "TMPDIR"}, name) && !strings.HasPrefix(name, "RIFT_") || name == "RIFT_TOKEN_FILE" || name == "RIFT_ADDR" {
				t.Errorf("%s: the command is given %s", id, name)
			}
		}
	}
}

// A cancelled item's command ends, and nothing is reported of it.
func TestCancel(t *testing.T) {
	s := newSite(t)
	s.lease(2)
	s.add("a")
	file := filepath.Join(t.TempDir(), "pid")
	h := s.hire(once, "wait", file)
	pid := pidIn(t, file)
	s.await("a", work.StateRunning)
	s.do(workcmd.CancelTask{TaskID: "a", Reason: "not needed"})
	if sum := h.end(); sum.Cancelled != 1 {
		t.Errorf("found %+v", sum)
	}
	if !gone(pid) {
		t.Error("the command still runs")
	}
	if got := s.history("a"); got[len(got)-1] != "TASK_CANCELLED" {
		t.Errorf("found %v, want nothing after the cancellation", got)
	}
}

// Heartbeats keep a lease alive for longer than its length, with the last
// progress in them, and move its deadline.
func TestHeartbeats(t *testing.T) {
	s := newSite(t)
	s.lease(1.5)
	s.add("a")
	gate := filepath.Join(t.TempDir(), "gate")
	if err := unix.Mkfifo(gate, 0o600); err != nil {
		t.Fatal(err)
	}
	h := s.hire(once, "gate", gate)
	eventually(t, "some heartbeats", func() bool { return count(s.history("a"), "TASK_HEARTBEAT") >= 5 })
	open(t, gate)
	if sum := h.end(); sum.Completed != 1 {
		t.Errorf("found %+v", sum)
	}
	if row := s.await("a", work.StateDone); row.Lease != 1 {
		t.Errorf("found lease %d, want the first kept", row.Lease)
	}
}

// Row 31: the search held the interpreter's lock, so for hours no heartbeat went
// out. A command is a process of its own: whatever it computes, its worker goes
// on telling that it lives, and the lease holds.
func TestRow31ABusyCommandSilencesNobody(t *testing.T) {
	s := newSite(t)
	s.lease(2)
	s.add("a")
	end := filepath.Join(t.TempDir(), "end")
	h := s.hire(once, "spin", end)
	eventually(t, "heartbeats beside a busy command", func() bool { return count(s.history("a"), "TASK_HEARTBEAT") >= 3 })
	if err := os.WriteFile(end, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if sum := h.end(); sum.Completed != 1 {
		t.Errorf("found %+v", sum)
	}
	s.await("a", work.StateDone)
}

// open lets a guest through its gate.
func open(t *testing.T, gate string) {
	t.Helper()
	file, err := os.OpenFile(gate, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestProgressAndStalledReachTheCluster(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.lease(2)
	s.add("a")
	h := s.hire(func(c *Config) { once(c); c.StalledAfter = time.Second }, "wait")
	eventually(t, "the progress", func() bool { return string(s.item("a").Progress) == `{"waiting":true}` })
	eventually(t, "the stall", func() bool {
		return s.item("a").StalledSeconds >= 1 && strings.Contains(string(s.item("a").Progress), `"waiting":true`)
	})
	if s.item("a").State != work.StateRunning {
		t.Error("want a stalled command left alone unless asked otherwise")
	}
	h.drain()
}

func TestStalledIsFailedWhenAsked(t *testing.T) {
	s := newSite(t)
	s.add("a", func(c *workcmd.AddTask) { c.MaxAttempts = 1 })
	h := s.hire(func(c *Config) { once(c); c.StalledAfter, c.FailStalled = 200*time.Millisecond, true }, "wait")
	if sum := h.end(); sum.Failed != 1 {
		t.Errorf("found %+v", sum)
	}
	if row := s.await("a", work.StateDead); !strings.Contains(row.Error, "stalled: no output or progress for 200ms (ended by SIGTERM)") {
		t.Errorf("found %q", row.Error)
	}
}

// An item's own time-out ends the command while the lease is still valid, so that
// the failure has the command's output.
func TestItemTimeout(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.lease(2)
	s.add("a", func(c *workcmd.AddTask) { c.TimeoutSeconds, c.MaxAttempts = 2, 1 })
	if sum := s.hire(once, "wait").end(); sum.Failed != 1 {
		t.Errorf("found %+v", sum)
	}
	if row := s.await("a", work.StateDead); !strings.Contains(row.Error, "timed out after") || !strings.Contains(row.Error, "waiting") {
		t.Errorf("found %q", row.Error)
	}
}

// The item is taken from a worker that the cluster does not hear: its command
// ends, nothing is reported, and the next holder's work is untouched.
func TestLostLease(t *testing.T) {
	s := newSite(t)
	s.lease(1)
	s.add("a")
	file := filepath.Join(t.TempDir(), "pid")
	var deaf atomic.Bool
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if deaf.Load() {
			panic(http.ErrAbortHandler)
		}
		forward(t, w, r, s.address)
	}))
	t.Cleanup(proxy.Close)
	log := &testLog{}
	config := configOf(t, log, []string{proxy.URL}, "stubborn", file)
	config.MaxItems = 1
	h := &hired{t: t, log: log, kill: make(chan struct{}), ended: make(chan struct{})}
	h.run(config)
	pid := pidIn(t, file)
	s.await("a", work.StateRunning)
	deaf.Store(true)
	s.await("a", work.StateQueued)
	s.lease(60) // the next holder's is not in question
	other := s.hire(func(c *Config) { c.Node, c.MaxItems = "w2", 1 }, "play")
	if sum := other.end(); sum.Completed != 1 {
		t.Errorf("the other: found %+v", sum)
	}
	deaf.Store(false)
	if sum := h.end(); sum.Lost != 1 || sum.Completed+sum.Failed != 0 {
		t.Errorf("found %+v, want the lease lost", sum)
	}
	if !gone(pid) {
		t.Error("a command that ignores SIGTERM still runs")
	}
	if row := s.await("a", work.StateDone); row.Lease != 2 || row.NodeID != "w2" {
		t.Errorf("found %+v", row)
	}
	if got := s.history("a"); count(got, "COMPLETION_REJECTED") != 0 {
		t.Errorf("found %v, want nothing reported by the ghost", got)
	}
}

// forward passes a request on as a proxy would.
func forward(t *testing.T, w http.ResponseWriter, r *http.Request, address string) {
	t.Helper()
	onward := r.Clone(r.Context())
	onward.URL.Scheme, onward.URL.Host, onward.RequestURI = "http", address, ""
	answer, err := http.DefaultTransport.RoundTrip(onward)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer func() { _ = answer.Body.Close() }()
	for name, values := range answer.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.StatusCode)
	if _, err := io.Copy(w, answer.Body); err != nil {
		t.Error(err)
	}
}

// The node is away while an item runs and when it is done, and comes back with its
// log: the item is completed once, under its first lease.
func TestTheNodeComesBack(t *testing.T) {
	s := newSite(t)
	s.lease(20)
	s.add("a")
	gate := filepath.Join(t.TempDir(), "gate")
	file := filepath.Join(t.TempDir(), "pid")
	if err := unix.Mkfifo(gate, 0o600); err != nil {
		t.Fatal(err)
	}
	h := s.hire(once, "gate", gate, file)
	pid := pidIn(t, file)
	s.await("a", work.StateRunning)
	s.stop()
	open(t, gate)
	eventually(t, "the command's end", func() bool { return gone(pid) })
	eventually(t, "a report that nobody takes", func() bool { return strings.Contains(h.log.String(), "no node takes a report") })
	s.up()
	if sum := h.end(); sum.Completed != 1 {
		t.Errorf("found %+v", sum)
	}
	if row := s.await("a", work.StateDone); row.Lease != 1 {
		t.Errorf("found lease %d", row.Lease)
	}
}

// The first three answers to every command are lost, of which net/http itself
// repeats some for the sake of their Idempotency-Key. The repetitions are harmless:
// each event is on the log once, and nothing is refused.
func TestLostAnswersAreHarmless(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	seen := map[string]int{}
	s := newSiteWith(t, transport.Config{}, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			key := r.Header.Get("Idempotency-Key")
			mu.Lock()
			lose := strings.HasPrefix(key, "worker/") && !strings.Contains(key, "register") && !strings.Contains(key, "beat") && seen[key] < 3
			seen[key]++
			mu.Unlock()
			if lose {
				next.ServeHTTP(httptest.NewRecorder(), r)
				panic(http.ErrAbortHandler)
			}
			next.ServeHTTP(w, r)
		})
	})
	const items = 10
	for i := range items {
		s.add(fmt.Sprintf("t%d", i))
	}
	h := s.hire(func(c *Config) { c.MaxItems, c.Slots = items, 5 }, "play")
	if sum := h.end(); sum.Completed != items {
		t.Errorf("found %+v", sum)
	}
	for i := range items {
		if got, want := s.history(fmt.Sprintf("t%d", i)), []string{"TASK_SPAWNED", "TASK_CLAIMED", "TASK_STARTED", "TASK_COMPLETED"}; !slices.Equal(got, want) {
			t.Errorf("found %v, want %v", got, want)
		}
	}
}

// Of several addresses the first that serves is used, and strangers get no token.
func TestAnotherNodeIsAsked(t *testing.T) {
	token := transport.Token{Secret: "a secret of the tests"}
	s := newSiteWith(t, transport.Config{Tokens: []transport.Token{token}}, nil)
	follower := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusMisdirectedRequest)
		fmt.Fprintf(w, `{"type":"urn:rift:problem:not_leader","code":"not_leader","leader":%q,"detail":"not me"}`, s.address)
	}))
	t.Cleanup(follower.Close)
	stranger := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("a stranger is asked %s", r.URL) }))
	t.Cleanup(stranger.Close)
	redirecting := httptest.NewServer(http.RedirectHandler(stranger.URL, http.StatusTemporaryRedirect))
	t.Cleanup(redirecting.Close)
	if _, err := s.client(transport.WithToken(token.Secret)).Do(t.Context(), workcmd.AddTask{TaskID: "a", TaskType: "selfplay", Payload: json.RawMessage("1")}); err != nil {
		t.Fatal(err)
	}
	log := &testLog{}
	config := configOf(t, log, []string{"127.0.0.1:1"}, "play")
	cluster, err := NewCluster(ClusterConfig{
		Addresses: []string{"127.0.0.1:1", follower.URL, "127.0.0.1:2", s.address}, Token: token.Secret, Timeout: 5 * time.Second, Routes: wiring.Routes(),
	})
	if err != nil {
		t.Fatal(err)
	}
	config.Cluster, config.MaxItems = cluster, 1
	h := &hired{t: t, log: log, kill: make(chan struct{}), ended: make(chan struct{})}
	h.run(config)
	if sum := h.end(); sum.Completed != 1 {
		t.Errorf("found %+v", sum)
	}
	lone, err := NewCluster(ClusterConfig{Addresses: []string{redirecting.URL}, Token: token.Secret, Timeout: time.Second, Routes: wiring.Routes()})
	if err != nil {
		t.Fatal(err)
	}
	if err := lone.do(t.Context(), nodescmd.NodeHeartbeat{NodeID: "w1"}, "k", anyReceipt); !transport.Foreign(err) {
		t.Errorf("found %v, want a redirect not followed", err)
	}
	wrong, err := NewCluster(ClusterConfig{Addresses: []string{s.address}, Token: "wrong", Timeout: time.Second, Routes: wiring.Routes()})
	if err != nil {
		t.Fatal(err)
	}
	config.Cluster = wrong
	if _, err := Run(t.Context(), nil, config); domain.CodeOf(err) != domain.Unauthorized {
		t.Errorf("found %v, want a wrong token told at once", err)
	}
}

// A worker that is to stop claims no more and finishes what it has.
func TestDrainFinishes(t *testing.T) {
	s := newSite(t)
	s.add("a")
	gate, file := filepath.Join(t.TempDir(), "gate"), filepath.Join(t.TempDir(), "pid")
	if err := unix.Mkfifo(gate, 0o600); err != nil {
		t.Fatal(err)
	}
	h := s.hire(nil, "gate", gate, file)
	pidIn(t, file)
	h.drain()
	eventually(t, "the drain", func() bool { return strings.Contains(h.log.String(), "draining") })
	s.add("b")
	open(t, gate)
	if sum := h.end(); sum.Completed != 1 || sum.Claimed != 1 {
		t.Errorf("found %+v", sum)
	}
	if row := s.item("b"); row.State != work.StateQueued {
		t.Errorf("found %s, want b left alone", row.State)
	}
}

// Items that are not done after the drain are released, and no attempt is used up;
// one that exits with a result on SIGTERM is done.
func TestDrainGivesBack(t *testing.T) {
	for guest, state := range map[string]work.State{"wait": work.StateQueued, "stubborn": work.StateQueued, "polite": work.StateDone} {
		t.Run(guest, func(t *testing.T) {
			s := newSite(t)
			s.add("a")
			file := filepath.Join(t.TempDir(), "pid")
			h := s.hire(func(c *Config) {
				c.DrainTimeout = 10 * time.Millisecond
				if guest == "polite" {
					c.Grace = patience
				}
			}, guest, file)
			pid := pidIn(t, file)
			s.await("a", work.StateRunning)
			h.drain()
			h.end()
			if row := s.await("a", state); row.Attempts != 0 || !gone(pid) {
				t.Errorf("found %+v, process gone: %v", row, gone(pid))
			}
		})
	}
}

// A second signal ends everything at once and reports nothing.
func TestKill(t *testing.T) {
	s := newSite(t)
	s.add("a")
	file := filepath.Join(t.TempDir(), "pid")
	h := s.hire(func(c *Config) { c.Grace = time.Hour }, "stubborn", file)
	pid := pidIn(t, file)
	s.await("a", work.StateRunning)
	h.drain()
	close(h.kill)
	h.kill = make(chan struct{}) // for the cleanup
	if sum := h.end(); sum.Killed != 1 {
		t.Errorf("found %+v", sum)
	}
	if row := s.item("a"); !gone(pid) || row.State != work.StateRunning {
		t.Errorf("found %s, process gone: %v; want the lease left to end by itself", row.State, gone(pid))
	}
}

func TestNodeIsKnown(t *testing.T) {
	s := newSite(t)
	s.hire(func(c *Config) {
		c.Capabilities, c.Types, c.Facts = []string{"gpu"}, []string{"selfplay"}, json.RawMessage(`{"gpu":"H100"}`)
	}, "play")
	eventually(t, "the node", func() bool {
		answer, err := s.client().AskJSON(t.Context(), "nodes.list", nodesview.ManyNodes{})
		return err == nil && strings.Contains(string(answer), `"H100"`) && strings.Contains(string(answer), `"gpu","selfplay"`)
	})
	w := &worker{Config: Config{Folder: t.TempDir(), Env: []string{"PATH=" + os.Getenv("PATH")}}}
	level := w.level(3)
	if level.Jobs == nil || *level.Jobs != 3 || level.DiskPercent == nil || level.MemoryPercent == nil || level.CPUPercent == nil || level.GPUPercent != nil {
		t.Errorf("found %+v, want everything but the GPU", level)
	}
	if faults := level.Validate(); faults != nil {
		t.Error(faults)
	}
}

func TestTypesAndOnce(t *testing.T) {
	s := newSite(t)
	s.add("a")
	s.add("b", func(c *workcmd.AddTask) { c.TaskType = "export" })
	s.add("c", func(c *workcmd.AddTask) { c.TaskType = "export" })
	one := func(c *Config) {
		c.Once, c.Types, c.Commands = true, []string{"export"}, map[string][]string{"export": c.Commands[""]}
	}
	if sum := s.hire(one, "play").end(); sum.Completed != 1 {
		t.Errorf("found %+v, want one slot's worth", sum)
	}
	if sum := s.hire(one, "play").end(); sum.Completed != 1 {
		t.Errorf("found %+v", sum)
	}
	if sum := s.hire(one, "play").end(); sum.Claimed != 0 {
		t.Errorf("found %+v, want nothing to do", sum)
	}
	if row := s.item("a"); row.State != work.StateQueued {
		t.Errorf("found %s, want another type left alone", row.State)
	}
	config := configOf(t, &testLog{}, []string{s.address}, "play")
	planned, err := Plan(t.Context(), config)
	if err != nil || len(planned) != 1 || planned[0].TaskID != "a" || planned[0].Command[2] != "play" {
		t.Errorf("found %+v, %v", planned, err)
	}
	if row := s.item("a"); row.State != work.StateQueued || row.Lease != 0 {
		t.Errorf("found %+v, want a plan to change nothing", row)
	}
}

func TestConfigFaults(t *testing.T) {
	config := configOf(t, &testLog{}, []string{"127.0.0.1:1"}, "play")
	config.Node, config.Slots, config.Poll, config.Tail, config.Types = "a b", 0, 0, -1, []string{"x y"}
	config.Commands, config.FailStalled = nil, true
	_, err := Run(t.Context(), nil, config)
	var coded *domain.Error
	if !errors.As(err, &coded) || len(coded.Faults) != 8 {
		t.Errorf("found %v, want eight faults", err)
	}
	config = configOf(t, &testLog{}, []string{"127.0.0.1:1"}, "play")
	config.Commands = map[string][]string{"": {"/no/such/program"}}
	if _, err := Run(t.Context(), nil, config); domain.CodeOf(err) != domain.NotFound {
		t.Errorf("found %v, want the program named before anything is claimed", err)
	}
}

// An item sized for the node passes the size to its command; other commands get
// none.
func TestSizeReachesTheCommand(t *testing.T) {
	for size, want := range map[int]string{0: "", 720: "RIFT_SIZE=720"} {
		env := Config{Inline: 100}.environment(claimed{TaskID: "t", Size: size}, t.TempDir(), time.Time{})
		at := slices.IndexFunc(env, func(variable string) bool { return strings.HasPrefix(variable, "RIFT_SIZE=") })
		if found := at >= 0; found != (size > 0) || found && env[at] != want {
			t.Errorf("size %d: found %q", size, env)
		}
	}
	data, err := json.Marshal(workcmd.ClaimedTask{TaskID: "t", Size: 12})
	if err != nil {
		t.Fatal(err)
	}
	var item claimed
	if err := json.Unmarshal(data, &item); err != nil || item.Size != 12 {
		t.Errorf("found %+v, %v, want the claim's size", item, err)
	}
}
