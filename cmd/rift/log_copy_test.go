package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ringrift/rift/cmd/internal/node"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/foreign"
	"github.com/ringrift/rift/transport/esdbserver/esdbtest"
)

func copyLog(t *testing.T, from, to string) copied {
	t.Helper()
	var done copied
	if err := json.Unmarshal([]byte(mustRift(t, "log", "copy", from, to, "-o", "json")), &done); err != nil {
		t.Fatal(err)
	}
	return done
}

func mustRift(t *testing.T, args ...string) string {
	t.Helper()
	r := riftContext(t.Context(), "", nil, args...)
	if r.code != exitDone {
		t.Fatalf("rift %v: found exit code %d: %s", args, r.code, r.stderr)
	}
	return r.stdout
}

// recordedLog makes a data folder of one of the project's recordings.
func recordedLog(t *testing.T) string {
	t.Helper()
	data := filepath.Join(t.TempDir(), "recorded")
	mustRift(t, "log", "import", "--data", data, "../../testdata/logs/split_brain.log")
	return data
}

// A log that is copied through every kind of log is the same at the end.
func TestLogCopyRound(t *testing.T) {
	data := recordedLog(t)
	temporary := t.TempDir()
	address := serving(t, "--insecure-esdb", "--data", filepath.Join(temporary, "node"))
	database := "esdb://" + address + "?tls=false"
	lines, folder, again := filepath.Join(temporary, "copy.jsonl.zst"), filepath.Join(temporary, "folder"), filepath.Join(temporary, "again")
	first := copyLog(t, data, database)
	if first.Copied == 0 || first.Already != 0 || first.LeftOut != 0 || len(first.Digest) != 64 {
		t.Fatalf("want all events copied, found %+v", first)
	}
	repeated := copyLog(t, data, database)
	if repeated.Copied != 0 || repeated.Already != first.Copied || repeated.Digest != first.Digest {
		t.Errorf("want nothing copied again, found %+v after %+v", repeated, first)
	}
	for _, way := range []struct{ from, to string }{{data, lines}, {lines, folder}, {folder, again}} {
		if done := copyLog(t, way.from, way.to); done.Copied != first.Copied || done.Digest != first.Digest || done.LeftOut != 0 {
			t.Errorf("from %s to %s: want %d events with digest %s, found %+v", way.from, way.to, first.Copied, first.Digest, done)
		}
	}
	if want, found := mustRift(t, "log", "show", "--data", data, "-o", "jsonl"), mustRift(t, "log", "show", "--data", again, "-o", "jsonl"); want != found {
		t.Errorf("want the same events, found\n%s\nwant\n%s", found, want)
	}
	// The node has further events: those of its reactors and of the database.
	home, byHTTP := copyLog(t, database, filepath.Join(temporary, "home")), copyLog(t, "http://"+address, filepath.Join(temporary, "http"))
	if home.Copied < first.Copied || byHTTP.Copied < home.Copied+2 {
		t.Errorf("want %d events at least without the database's own, found %+v, and by HTTP %+v", first.Copied, home, byHTTP)
	}
	// It has no reactors, which would append the same events as those of the first node, with
	// the same ids and at another time.
	other := esdbtest.Start(t).ConnectionString()
	if done := copyLog(t, filepath.Join(temporary, "http"), other); done.LeftOut < 2 || done.Copied+done.LeftOut != byHTTP.Copied {
		t.Errorf("want the database's own events left out of %+v, found %+v", byHTTP, done)
	}
}

// A copy that ended early is continued, from any kind of source.
func TestLogCopyResumes(t *testing.T) {
	data := recordedLog(t)
	lines := filepath.Join(t.TempDir(), "all.jsonl")
	whole := copyLog(t, data, lines)
	text, err := os.ReadFile(lines)
	if err != nil {
		t.Fatal(err)
	}
	half := filepath.Join(t.TempDir(), "half.jsonl")
	events := strings.SplitAfter(strings.TrimSpace(string(text)), "\n")
	if err := os.WriteFile(half, []byte(strings.Join(events[:len(events)/2], "")), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, from := range []string{data, lines} {
		to := filepath.Join(t.TempDir(), "to")
		part := copyLog(t, half, to)
		rest := copyLog(t, from, to)
		if part.Copied != int64(len(events)/2) || rest.Copied+part.Copied != whole.Copied || rest.Already != part.Copied || rest.Digest != whole.Digest {
			t.Errorf("from %s: want the rest of %+v after %+v, found %+v", from, whole, part, rest)
		}
	}
}

func TestLogCopyRefuses(t *testing.T) {
	data := recordedLog(t)
	temporary := t.TempDir()
	lines := filepath.Join(temporary, "there.jsonl")
	copyLog(t, data, lines)
	other := filepath.Join(temporary, "other")
	log, err := node.OpenLog(other, false)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(lines)
	if err != nil {
		t.Fatal(err)
	}
	var first struct{ Stream domain.StreamID }
	if err := json.Unmarshal([]byte(strings.SplitAfter(string(text), "\n")[0]), &first); err != nil {
		t.Fatal(err)
	}
	if _, err := log.Append(t.Context(), first.Stream, domain.NoStream, eventlog.Proposed{ID: domain.DeriveID("other", 0), Type: "OTHER", Version: 1, Data: []byte("{}")}); err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct{ from, to, want string }{
		"another history":        {data, other, "another history"},
		"a file that is there":   {data, lines, "not there yet"},
		"no log":                 {filepath.Join(temporary, "none"), other, "found nothing there"},
		"a node":                 {data, "http://127.0.0.1:1", "--insecure-esdb"},
		"a file of another kind": {data, "log_copy_test.go", "want a folder"},
		"no connection string":   {"esdb://", other, "connection string"},
	} {
		if r := riftContext(t.Context(), "", nil, "log", "copy", c.from, c.to); r.code == exitDone || !strings.Contains(r.stderr, c.want) {
			t.Errorf("%s: want it refused with %q, found %d: %s", what, c.want, r.code, r.stderr)
		}
	}
}

// Large events that stand next to each other go to a database that takes one of them
// at a time.
func TestLogCopyOfLargeEvents(t *testing.T) {
	data := filepath.Join(t.TempDir(), "large")
	log, err := node.OpenLog(data, false)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		payload := []byte(`{"text":"` + strings.Repeat("7", 600<<10) + `"}`)
		event := foreign.Event{ID: domain.DeriveID("large", i), Type: "Large", JSON: true, Data: payload}
		if _, err := log.Append(t.Context(), "large-1", domain.Revision(i-1), event.Proposed(event.ID, time.Unix(int64(i), 0))); err != nil {
			t.Fatal(err)
		}
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	address := serving(t, "--insecure-esdb", "--data", filepath.Join(t.TempDir(), "node"))
	if done := copyLog(t, data, "esdb://"+address+"?tls=false"); done.Copied != 4 {
		t.Errorf("want 4 events copied, found %+v", done)
	}
}

// A copy names the events that the destination has otherwise, and likely causes.
func TestLogCopyExplains(t *testing.T) {
	temporary := t.TempDir()
	write := func(name string, events ...eventlog.Proposed) string {
		folder := filepath.Join(temporary, name)
		log, err := node.OpenLog(folder, false)
		if err != nil {
			t.Fatal(err)
		}
		for i := range events {
			if _, err := log.Append(t.Context(), "story-1", domain.Revision(i-1), events[i]); err != nil {
				t.Fatal(err)
			}
		}
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
		return folder
	}
	told := func(id int, kind string, meta domain.Meta, data string) eventlog.Proposed {
		return eventlog.Proposed{ID: domain.DeriveID("told", id), Type: kind, Version: 1, Time: time.Unix(1, 0), Meta: meta, Data: []byte(data)}
	}
	custom := domain.Meta{Custom: ":"}
	from := write("from", told(0, "TOLD", custom, "{}"), told(1, "TOLD", custom, "{}"))
	linked := "esdb://" + serving(t, "--insecure-esdb", "--data", write("linked", told(0, "Told", custom, "{}"), told(1, "$>", custom, `"0@story-2"`), told(2, "Told", custom, "{}"))) + "?tls=false"
	for what, c := range map[string]struct{ from, to, want string }{
		"other data":                {from, write("data", told(0, "TOLD", custom, "{}"), told(1, "TOLD", custom, `{"n":1}`)), "revision 1 has another data"},
		"other metadata":            {from, write("metadata", told(0, "TOLD", domain.Meta{Custom: ":x"}, "{}")), "revision 0 has another metadata"},
		"another type":              {from, write("type", told(0, "SAID", custom, "{}")), "revision 0 has another type"},
		"another kind of data":      {from, write("kind", told(0, "TOLD", domain.Meta{Custom: "b:"}, "{}")), "revision 0 has another content type"},
		"a link between two events": {linked, filepath.Join(temporary, "unlinked"), "links, say"},
	} {
		if r := riftContext(t.Context(), "", nil, "log", "copy", c.from, c.to); r.code == exitDone || !strings.Contains(r.stderr, c.want) {
			t.Errorf("%s: want it refused with %q, found %d: %s", what, c.want, r.code, r.stderr)
		}
	}
}
