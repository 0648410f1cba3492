//go:build unix

package endtoend

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/ringrift/rift/cmd/internal/node"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/pebblelog"
	"github.com/ringrift/rift/projections/store"
)

// inspect opens the log of a folder that no process has open, wants it sound,
// and gives its events.
func inspect(t *testing.T, data string) []domain.Envelope {
	t.Helper()
	log := openLog(t, data)
	defer closeLog(t, log)
	report, err := log.Verify(t.Context(), nil)
	if err != nil || !report.OK() {
		t.Errorf("verify: found %+v, %v", report, err)
	}
	var events []domain.Envelope
	for e, err := range log.ReadAll(t.Context(), 1, eventlog.Forward, eventlog.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}
	head, err := log.Head(t.Context())
	if err != nil || head != domain.Position(len(events)) {
		t.Errorf("head: found %d, %v, want %d", head, err, len(events))
	}
	return events
}

func openLog(t *testing.T, data string) *pebblelog.Log {
	t.Helper()
	log, err := node.OpenLog(data, true)
	if err != nil {
		t.Fatal(err)
	}
	return log
}

func closeLog(t *testing.T, log *pebblelog.Log) {
	t.Helper()
	if err := log.Close(); err != nil {
		t.Error(err)
	}
}

// sameModels wants the read models that a node left behind, brought up to the
// log's end, to be those of a fresh replay. It works on a copy, so that the next
// start finds what the last end left. It gives the digest.
func sameModels(t *testing.T, data string) string {
	t.Helper()
	log := openLog(t, data)
	defer closeLog(t, log)
	head, err := log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	left := filepath.Join(t.TempDir(), "left")
	if err := os.CopyFS(left, os.DirFS(filepath.Join(data, node.ModelsFolder))); err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	kept, replayed := digest(t, log, left), digest(t, log, t.TempDir())
	if kept.Position != head || replayed.Position != head || kept.Total != replayed.Total {
		t.Errorf("at the log's end %d: found the read models of the node %+v and of a fresh replay %+v", head, kept, replayed)
	}
	return kept.Total
}

func digest(t *testing.T, log eventlog.Log, folder string) store.Digest {
	t.Helper()
	n, err := node.Open(node.Config{Node: "n1", Log: log, StoreDir: folder, Manual: true, Store: store.Options{Small: true}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := n.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	found, err := n.Store().Digest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return found
}
