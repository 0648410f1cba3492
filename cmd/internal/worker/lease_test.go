//go:build unix

package worker

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain/work"
)

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
