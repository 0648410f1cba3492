package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// serveNamed runs `rift serve` until the test ends, and returns its address once it is ready.
func serveNamed(t *testing.T, name string, args ...string) string {
	t.Helper()
	folder := t.TempDir()
	file := filepath.Join(folder, "address")
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan ran, 1)
	go func() {
		ended <- riftContext(ctx, "", nil, append([]string{"serve", "--node-id", name, "--data", filepath.Join(folder, "data"), "--listen", "127.0.0.1:0", "--addr-file", file, "--memory-limit", "256MiB"}, args...)...)
	}()
	t.Cleanup(func() {
		cancel()
		if r := <-ended; r.code != exitDone {
			t.Errorf("serve %s ended with %d\n%s", name, r.code, r.stderr)
		}
	})
	for {
		if text, err := os.ReadFile(file); err == nil && len(text) > 0 {
			return "http://" + strings.TrimSpace(string(text))
		}
		select {
		case r := <-ended:
			ended <- r
			t.Fatalf("serve %s ended with %d\n%s", name, r.code, r.stderr)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// until repeats a command until its output has a text.
func until(t *testing.T, text string, args ...string) string {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; <-time.After(20 * time.Millisecond) {
		r := riftWith(t, "", map[string]string{"USER": "ann"}, args...)
		if strings.Contains(r.stdout, text) {
			return r.stdout
		}
		if time.Now().After(deadline) {
			t.Fatalf("rift %v: want %q, found exit %d\n%s%s", args, text, r.code, r.stdout, r.stderr)
		}
	}
}

// fits80 checks that no line of a table has more than 80 columns.
func fits80(t *testing.T, table string) {
	t.Helper()
	for line := range strings.Lines(table) {
		if n := len([]rune(strings.TrimRight(line, "\n"))); n > 80 {
			t.Errorf("want at most 80 columns, found %d: %s", n, line)
		}
	}
}

// Three nodes find each other; one that leaves is shown to have left.
func TestNodesThatFindOutWhoIsAlive(t *testing.T) {
	first := serveNamed(t, "node-1", "--swim-address", "http://127.0.0.1:1")
	rift(t, "nodes", "members", "--addr", first, "-o", "table").want(t, exitDone, "this node", "")
	seed := serveNamed(t, "node-2", "--swim-join", "http://127.0.0.1:1")
	serveNamed(t, "node-3", "--swim-join", seed)
	table := until(t, "node-3", "nodes", "members", "--addr", seed, "-o", "table")
	fits80(t, table)
	until(t, "HOST_ONLINE", "log", "show", "--addr", seed, "--type", "HOST_ONLINE", "-o", "table")
	lone := serveNamed(t, "lone")
	rift(t, "nodes", "members", "--addr", lone, "-o", "table").want(t, exitDone, "no members: `rift serve --swim-join", "")
	rift(t, "serve", "--swim-join", "x", "--read-only").want(t, exitError, "", "swim_join: want no read_only with it")
	rift(t, "serve", "--swim-address", "http://0.0.0.0:1", "--listen", "127.0.0.1:0", "--data", t.TempDir()).want(t, exitError, "", "--swim-address")
}

// A node that accepts no connections is reached through a hub, by the same commands.
func TestANodeBehindAHub(t *testing.T) {
	hub := serveNamed(t, "hub")
	rift(t, "relay", "--addr", hub, "-o", "table").want(t, exitDone, "no mailboxes: `rift serve --relay-hub", "")
	serveNamed(t, "gpu-9", "--relay-hub", hub)
	node := hub + "/relay/to/gpu-9"
	until(t, `"task_id": "t-1"`, "work", "add", "selfplay", "--task-id", "t-1", "--idempotency-key", "k1", "--addr", node)
	until(t, "t-1", "work", "list", "--addr", node, "-o", "table")
	rift(t, "work", "show", "t-1", "--addr", hub).want(t, exitError, "", "no item")
	rift(t, "work", "show", "t-2", "--addr", node).want(t, exitError, "", "no item")
	table := until(t, "gpu-9", "relay", "--addr", hub, "-o", "table")
	if !strings.Contains(table, "yes") {
		t.Errorf("want an open mailbox, found\n%s", table)
	}
	fits80(t, table)
	rift(t, "serve", "--relay-hub", "ftp://x").want(t, exitError, "", "relay_hub: want a URL such as")
}
