//go:build unix

package endtoend

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ringrift/rift/cmd/internal/node"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// epochOfRecording is when the recorded cluster ran.
var epochOfRecording = time.Date(2026, 1, 13, 19, 52, 0, 0, time.UTC)

// A recording tells of failures and of leases that ran out long ago. A node that
// shows it retries nothing and expires nothing: what is on the log stays what it
// was, and the queries answer.
func TestReadOnlyShowsARecordingAndTouchesNothing(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	log, err := node.OpenLog(data, false)
	if err != nil {
		t.Fatal(err)
	}
	at := epochOfRecording
	for i, said := range []struct{ stream, kind, data string }{
		{"task-a", "TASK_SPAWNED", `{"task_id":"a","task_type":"selfplay","priority":50,"timeout_seconds":60,"max_attempts":3}`},
		{"task-a", "TASK_CLAIMED", `{"task_id":"a","lease":1,"node_id":"gpu-1","deadline":"2026-01-13T19:53:00Z","attempt":1}`},
		{"task-b", "TASK_SPAWNED", `{"task_id":"b","task_type":"selfplay","priority":50,"timeout_seconds":60,"max_attempts":3}`},
		{"task-b", "TASK_CLAIMED", `{"task_id":"b","lease":1,"node_id":"gpu-2","deadline":"2026-01-13T19:53:00Z","attempt":1}`},
		{"task-b", "TASK_FAILED", `{"task_id":"b","lease":1,"node_id":"gpu-2","error":"out of memory","retryable":true,"attempts":1}`},
	} {
		at = at.Add(time.Second)
		_, err := log.Append(t.Context(), domain.StreamID(said.stream), domain.AnyRevision, eventlog.Proposed{
			ID: domain.DeriveID("recording", i), Type: said.kind, Version: 1, Time: at, Data: []byte(said.data),
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	closeLog(t, log)
	shown := serve(t, data, "--read-only")
	c := shown.caller()
	for id, want := range map[string]string{"a": "leased", "b": "failed"} {
		var found struct{ Item struct{ State string } }
		c.read(t, "/work/items/"+id+"?after=5", &found)
		if found.Item.State != want {
			t.Errorf("item %s: want it %s as recorded, found %s", id, want, found.Item.State)
		}
	}
	refused, err := c.do(t.Context(), order{"add-1", "/work/add", `{"task_type":"selfplay"}`})
	if err != nil || refused.Status != http.StatusForbidden || !strings.Contains(refused.String(), "--read-only") {
		t.Errorf("a command: want 403 and why, found %v, %v", refused, err)
	}
	var health struct {
		Status string
		Checks []struct{ Name, State, Reason string }
	}
	c.read(t, "/admin/health", &health)
	if text := fmt.Sprint(health.Checks); !strings.Contains(text, "mode ok read-only") || strings.Contains(text, "deadlines passed") {
		t.Errorf("health: want it to say that it is read-only, found %s", text)
	}
	var box struct{ Position json.Number }
	c.read(t, "/work/status", &box)
	if box.Position != "5" {
		t.Errorf("want the log as it was, found position %s", box.Position)
	}
	shown.stop(syscall.SIGTERM)
	if told := shown.stdout.String(); !strings.Contains(told, "takes no commands") || strings.Contains(told, "work add") {
		t.Errorf("want the newcomer told what this node answers, found %s", told)
	}
	if events := inspect(t, data); len(events) != 5 {
		t.Errorf("want the five events of the recording, found %d", len(events))
	}
	// Served as a node, the same folder is taken over: the failed item is retried.
	taken := serve(t, data)
	taken.caller().has(t, "TASK_RETRY_SCHEDULED", 1)
	taken.stop(syscall.SIGTERM)
}

// A folder that may only be read can be served: its read models go elsewhere, and
// nothing in it changes.
func TestReadOnlyServesAFolderThatMayOnlyBeRead(t *testing.T) {
	obeyModes(t)
	data := filepath.Join(t.TempDir(), "data")
	importInto(t, data, recording(t))
	lock := func(mode os.FileMode) {
		if err := filepath.WalkDir(data, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				err = os.Chmod(path, mode)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	lock(0o500)
	defer lock(0o700)
	rift(t, "log", "verify", "--data", data).must(t)
	rift(t, "replay", data).must(t)
	var answer struct{ Counts map[string]int }
	serve(t, data, "--read-only").caller().read(t, "/work/status", &answer)
	if _, err := os.Stat(filepath.Join(data, node.ReadOnlyFolder)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("want nothing written there, found %v", err)
	}
}
