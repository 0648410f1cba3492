//go:build unix

package worker

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
	nodesview "github.com/ringrift/rift/projections/nodes"
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

// A worker that is to stop claims no more, finishes what it has, and says that it leaves.
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
	if got, want := s.events("node-w1"), []string{"NODE_REGISTERED", "HOST_ONLINE", "NODE_RETIRED"}; !slices.Equal(got, want) {
		t.Errorf("found %v of the node, want %v", got, want)
	}
	s.hire(func(c *Config) { c.Once = true }, "play").end()
	if got := s.events("node-w1"); !slices.Equal(got[3:], []string{"HOST_ONLINE", "NODE_RETIRED"}) || s.item("b").State != work.StateDone {
		t.Errorf("found %v of the node, want it to come back and leave again, with b done", got)
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
	if got := s.events("node-w1"); slices.Contains(got, "NODE_RETIRED") {
		t.Errorf("found %v of the node, want nothing of a departure in good order", got)
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
