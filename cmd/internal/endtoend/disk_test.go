//go:build linux

package endtoend

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ringrift/rift/domain"
)

// shortage is a way to take the disk space away from a node, and to give it back.
type shortage struct {
	data string // where the node's folder lies
	take func(*testing.T, *process)
	give func(*testing.T, *process)
}

// limited takes space away by the limit of the system on the size of a process's
// files: every write to a file fails, as it does on a full disk.
func limited(t *testing.T) shortage {
	limit := func(t *testing.T, node *process, bytes uint64) {
		t.Helper()
		err := unix.Prlimit(node.command.Process.Pid, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: bytes, Max: unix.RLIM_INFINITY}, nil)
		if err != nil && !errors.Is(err, unix.ESRCH) { // a process that is gone has no limits
			t.Fatal(err)
		}
	}
	return shortage{
		data: filepath.Join(t.TempDir(), "data"),
		take: func(t *testing.T, node *process) { limit(t, node, 0) },
		give: func(t *testing.T, node *process) { limit(t, node, unix.RLIM_INFINITY) },
	}
}

// filled takes space away by filling a small file system, where the test may
// mount one.
func filled(t *testing.T, bytes int) (shortage, error) {
	disk := t.TempDir()
	if err := unix.Mount("none", disk, "tmpfs", 0, fmt.Sprintf("size=%d", bytes)); err != nil {
		return shortage{}, err
	}
	t.Cleanup(func() {
		if err := unix.Unmount(disk, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	filler := filepath.Join(disk, "filler")
	return shortage{
		data: filepath.Join(disk, "data"),
		take: func(t *testing.T, _ *process) {
			t.Helper()
			file, err := os.Create(filler)
			if err != nil {
				t.Fatal(err)
			}
			_, err = io.CopyN(file, zeros{}, int64(bytes))
			if err = errors.Join(err, file.Close()); !errors.Is(err, unix.ENOSPC) {
				t.Fatalf("fill the disk: found %v, want it full", err)
			}
		},
		give: func(t *testing.T, _ *process) {
			t.Helper()
			if err := os.Remove(filler); err != nil {
				t.Fatal(err)
			}
		},
	}, nil
}

// smallDisk has room for a node that does little. With less than 64 MiB left a
// node calls its disk full, whatever it holds.
const smallDisk = 160 << 20

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// shortages runs a test under each way that this machine allows.
func shortages(t *testing.T, test func(*testing.T, shortage)) {
	t.Run("limit", func(t *testing.T) { test(t, limited(t)) })
	t.Run("disk", func(t *testing.T) {
		s, err := filled(t, smallDisk)
		if err != nil {
			t.Logf("this process may not mount a disk to fill: %v", err)
			return
		}
		test(t, s)
	})
}

// starve takes the space and sends commands until one is refused for it. A file
// may have room in its blocks for a while. It gives how many were refused.
func starve(t *testing.T, s shortage, node *process, l *ledger, c *caller, name string) int {
	t.Helper()
	s.take(t, node)
	refused := 0
	for n := 0; refused < 20 && n < 400; n++ {
		a, err := l.do(t.Context(), c, order{
			fmt.Sprintf("%s-%d", name, n), "/work/add",
			fmt.Sprintf(`{"task_id":"%s-%d","task_type":"selfplay","payload":{"games":%q}}`, name, n, strings.Repeat("x", 100<<10)),
		})
		switch {
		case err != nil:
			t.Fatalf("without space: %v", err)
		case a.ok():
		case a.Status == http.StatusServiceUnavailable && a.Code == domain.Unavailable && a.Retryable:
			refused++
		default:
			t.Errorf("without space: found %v, want unavailable", a)
		}
	}
	if refused == 0 {
		t.Fatal("the node never ran out of space")
	}
	return refused
}

// relieve gives the space back, waits until the node takes commands again, and
// asks again about all that was refused.
func (s shortage) relieve(t *testing.T, node *process, l *ledger, c *caller, name string) {
	t.Helper()
	s.give(t, node)
	n := 0
	eventually(t, "the node takes commands again", func() bool {
		n++
		a, err := l.do(t.Context(), c, order{fmt.Sprintf("%s-again-%d", name, n), "/work/add", `{"task_type":"selfplay"}`})
		return err == nil && a.ok()
	})
	settle(t, l, c)
}

// A node without disk space refuses what it cannot keep, answers questions, and
// goes on by itself once there is space again.
func TestFullDisk(t *testing.T) {
	shortages(t, func(t *testing.T, s shortage) {
		node, ledger := serve(t, s.data), newLedger()
		c := node.caller()
		ledger.must(t, c, quickly(0.3))
		for round := range 3 {
			name := fmt.Sprintf("full%d", round)
			load := begin(t.Context(), ledger, c, name+"-load", 4, uint64(round))
			eventually(t, "the clients are at work", func() bool { return load.settled.Load() > 50 })
			if round < 2 {
				load.stop() // in the last round the space goes under load
			}
			refused := starve(t, s, node, ledger, c, name)
			for _, path := range []string{"/work/status", "/work/items?limit=5", "/admin/health", "/events?limit=5", "/healthz"} {
				c.get(t, path)
			}
			load.stop()
			s.relieve(t, node, ledger, c, name)
			t.Logf("round %d: %d commands refused", round, refused)
		}
		c.get(t, "/readyz")
		node.stop(syscall.SIGTERM)
		audit(t, ledger, s.data, "after the node had no space")
	})
}

// A node that is killed, or told to stop, while it has no disk space leaves a
// folder that holds all it acknowledged.
func TestEndOnFullDisk(t *testing.T) {
	for name, end := range map[string]syscall.Signal{"killed": syscall.SIGKILL, "stopped": syscall.SIGTERM} {
		t.Run(name, func(t *testing.T) {
			shortages(t, func(t *testing.T, s shortage) {
				node, ledger := serve(t, s.data), newLedger()
				c := node.caller()
				ledger.must(t, c, quickly(0.3))
				load := begin(t.Context(), ledger, c, "load", 4, 1)
				eventually(t, "the clients are at work", func() bool { return load.settled.Load() > 50 })
				load.stop()
				starve(t, s, node, ledger, c, "full")
				node.signal(end)
				code := node.wait()
				s.give(t, node)
				if said := node.stderr.String(); strings.Contains(said, "goroutine ") || end == syscall.SIGTERM && code != 0 && (code != 4 || !strings.Contains(said, "rift: ")) {
					t.Errorf("found exit code %d, %s, want an end in order, or an error that says what could not be written", code, said)
				}
				audit(t, ledger, s.data, "after the end")
				again := serve(t, s.data)
				settle(t, ledger, again.caller())
				again.stop(syscall.SIGTERM)
				audit(t, ledger, s.data, "after the next start")
			})
		})
	}
}

// A node does not start on a full disk, says so, and starts once there is space.
// One that only shows the log needs none of it.
func TestStartOnFullDisk(t *testing.T) {
	s, err := filled(t, smallDisk)
	if err != nil {
		t.Logf("this process may not mount a disk to fill: %v", err)
		return
	}
	node, ledger := serve(t, s.data), newLedger()
	ledger.must(t, node.caller(), order{"add", "/work/add", `{"task_type":"selfplay"}`})
	node.kill()
	s.take(t, nil)
	refused := rift(t, "serve", "--data", s.data, "--listen", "127.0.0.1:0")
	if refused.code == 0 || !strings.Contains(refused.stderr, "no space left") || strings.Contains(refused.stderr, "goroutine ") {
		t.Errorf("found exit code %d, %q, want an error that says what is wrong", refused.code, refused.stderr)
	}
	shown := serve(t, s.data, "--read-only")
	shown.caller().get(t, "/work/status")
	shown.stop(syscall.SIGTERM)
	s.give(t, nil)
	node = serve(t, s.data)
	node.stop(syscall.SIGTERM)
	audit(t, ledger, s.data, "after the start")
}
