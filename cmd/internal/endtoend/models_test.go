//go:build unix

package endtoend

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/ringrift/rift/cmd/internal/node"
)

// fillModels adds items whose rows are more than a node keeps in memory.
func fillModels(t *testing.T, c *caller) {
	t.Helper()
	c.must(t, quickly(600))
	random := rand.New(rand.NewPCG(1, 2))
	const batches, each = 60, 100
	for n := range batches {
		var items []string
		for i := range each {
			pad := make([]byte, 2<<10)
			for j := range pad {
				pad[j] = byte(random.Uint32())
			}
			items = append(items, fmt.Sprintf(`{"task_id":"t-%d","task_type":"selfplay","payload":{"pad":"%x"}}`, n*each+i, pad))
		}
		c.must(t, order{fmt.Sprint("fill-", n), "/work/add_batch", `{"items":[` + strings.Join(items, ",") + `]}`})
	}
}

// status asks a query and gives the status of the answer, 0 for none.
func (c *caller) status(ctx context.Context, path string) int {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+path, nil)
	if err != nil {
		return 0
	}
	response, err := c.http.Do(request)
	if err != nil {
		return 0
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body) // half an answer is none either
	return response.StatusCode
}

func tables(t *testing.T, data string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(data, node.ModelsFolder, "rows", "*.sst"))
	if err != nil || len(found) == 0 {
		t.Fatalf("want tables of the read models, found %v, %v", found, err)
	}
	return found
}

// A node whose read models turn out damaged while it serves gives them up, makes
// them anew from the log, and goes on as the same process.
func TestReadModelsDamagedUnderANode(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	first := serve(t, data)
	fillModels(t, first.caller())
	first.stop(syscall.SIGTERM)
	served := serve(t, data, "--memory-limit", "256MiB")
	c := served.caller()
	eventually(t, "the node has caught up", func() bool { return c.status(t.Context(), "/work/items/t-5999") == http.StatusOK })
	for _, file := range tables(t, data) {
		spoil(t, file)
	}
	eventually(t, "the damage is met", func() bool {
		for n := range 6000 {
			if c.status(t.Context(), fmt.Sprintf("/work/items/t-%d", n)) != http.StatusOK {
				return true
			}
		}
		return strings.Contains(served.stderr.String(), "the read models are given up")
	})
	eventually(t, "the read models are made anew", func() bool {
		for _, n := range []int{0, 3000, 5999} {
			if c.status(t.Context(), fmt.Sprintf("/work/items/t-%d", n)) != http.StatusOK {
				return false
			}
		}
		return strings.Contains(served.stderr.String(), "the read models are given up")
	})
	c.must(t, order{"claim", "/work/claim", `{"node_id":"gpu-1"}`})
	served.stop(syscall.SIGTERM)
	sameModels(t, data)
}

// spoil overwrites what lies in the first half of a file.
func spoil(t *testing.T, name string) {
	t.Helper()
	file, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteAt([]byte(strings.Repeat("?", int(info.Size()/2))), 0); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
}

// A node does not start on read models that make no sense: it says how they are
// made anew, and does so when it is told.
func TestRebuildOnRequest(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	first := serve(t, data)
	c := first.caller()
	c.must(t, order{"add", "/work/add", `{"task_id":"a","task_type":"selfplay"}`})
	first.stop(syscall.SIGTERM)
	markers, err := filepath.Glob(filepath.Join(data, node.ModelsFolder, "rows", "marker.manifest.*"))
	if err != nil || len(markers) == 0 {
		t.Fatalf("want the mark of the read models, found %v, %v", markers, err)
	}
	tables(t, data)
	for _, marker := range markers {
		if err := os.Remove(marker); err != nil {
			t.Fatal(err)
		}
	}
	refused := rift(t, "serve", "--data", data, "--listen", "127.0.0.1:0")
	if refused.code != 1 || !strings.Contains(refused.stderr, "rift serve --rebuild") {
		t.Errorf("found exit code %d, %q, want 1 and how to go on", refused.code, refused.stderr)
	}
	tables(t, data) // nothing was deleted
	again := serve(t, data, "--rebuild")
	eventually(t, "the item is back", func() bool { return again.caller().status(t.Context(), "/work/items/a") == http.StatusOK })
	again.stop(syscall.SIGTERM)
	sameModels(t, data)
	if events := inspect(t, data); len(events) != 1 {
		t.Errorf("found %v, want the one item", events)
	}
}

// What salvage and verify come to can be read from their exit codes.
func TestSalvageExitCodes(t *testing.T) {
	folder := t.TempDir()
	data := filepath.Join(folder, "data")
	served := serve(t, data)
	c := served.caller()
	for i := range 200 {
		c.must(t, order{fmt.Sprint("add-", i), "/work/add", fmt.Sprintf(`{"task_id":"t-%d","task_type":"selfplay"}`, i)})
	}
	target := func(name string) string { return filepath.Join(folder, name) }
	if busy := rift(t, "log", "salvage", data, target("busy")); busy.code != 4 || !strings.Contains(busy.stderr, "stop that node first") {
		t.Errorf("beside a node: found exit code %d, %q, want 4", busy.code, busy.stderr)
	}
	served.kill() // the events are in the WAL
	for _, c := range []struct {
		name string
		args []string
		code int
	}{
		{"a whole log", []string{"log", "verify", "--data", data}, 0},
		{"salvage of a whole log", []string{"log", "salvage", data, target("whole")}, 0},
		{"salvage onto a folder that is used", []string{"log", "salvage", data, target("whole")}, 3},
		{"salvage of nothing", []string{"log", "salvage", target("none"), target("other")}, 1},
	} {
		if got := rift(t, c.args...); got.code != c.code {
			t.Errorf("%s: found exit code %d, want %d\n%s", c.name, got.code, c.code, got.stderr)
		}
	}
	wals, err := filepath.Glob(filepath.Join(data, node.LogFolder, "*.log"))
	if err != nil || len(wals) == 0 {
		t.Fatalf("want a WAL, found %v, %v", wals, err)
	}
	for _, wal := range wals {
		spoil(t, wal)
	}
	if got := rift(t, "log", "verify", "--data", data); got.code == 0 {
		t.Errorf("verify of a damaged log: found exit code 0\n%s", got.stdout)
	}
	if got := rift(t, "log", "salvage", data, target("mended")); got.code != 2 || !strings.Contains(got.stdout+got.stderr, "lost") {
		t.Errorf("salvage of a damaged log: found exit code %d, want 2\n%s%s", got.code, got.stdout, got.stderr)
	}
	if got := rift(t, "log", "verify", "--data", target("mended")); got.code != 0 {
		t.Errorf("verify of what was salvaged: found exit code %d, want 0\n%s", got.code, got.stderr)
	}
	mended := serve(t, target("mended"))
	mended.stop(syscall.SIGTERM)
}
