//go:build unix

package endtoend

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ringrift/rift/domain"
)

// clean is the life of two items and a node, as somebody may write it by hand:
// positions, revisions and identities are left out.
const clean = `{"stream":"node-gpu-1","type":"HOST_ONLINE","time":"2026-03-01T10:00:00Z","data":{"node_id":"gpu-1"}}
{"stream":"task-a","type":"TASK_SPAWNED","time":"2026-03-01T10:00:01Z","data":{"task_id":"a","task_type":"selfplay","config_key":"hex8_2p","priority":50,"timeout_seconds":600,"max_attempts":3}}
{"stream":"task-b","type":"TASK_SPAWNED","time":"2026-03-01T10:00:02Z","data":{"task_id":"b","task_type":"training","config_key":"hex8_2p","priority":60,"timeout_seconds":600,"max_attempts":3}}
{"stream":"task-b","type":"TASK_CLAIMED","time":"2026-03-01T10:00:03Z","data":{"task_id":"b","lease":1,"node_id":"gpu-1","deadline":"2026-03-01T10:01:03Z","attempt":1}}
{"stream":"task-b","type":"TASK_STARTED","time":"2026-03-01T10:00:04.5Z","data":{"task_id":"b","lease":1,"node_id":"gpu-1"}}
{"stream":"task-b","type":"TASK_COMPLETED","time":"2026-03-01T10:00:20Z","data":{"task_id":"b","lease":1,"node_id":"gpu-1","result":{"loss":0.25}}}
{"stream":"task-a","type":"TASK_CLAIMED","time":"2026-03-01T10:00:21Z","data":{"task_id":"a","lease":1,"node_id":"gpu-1","deadline":"2026-03-01T10:01:21Z","attempt":1}}
{"stream":"task-a","type":"TASK_COMPLETED","time":"2026-03-01T10:00:40Z","data":{"task_id":"a","lease":1,"node_id":"gpu-1","result":{"wins":7}}}
`

// split goes on after clean: one term has two leaders.
const split = `{"stream":"election-default","type":"LEADER_CHANGED","time":"2026-03-01T10:01:00Z","data":{"leader":"gpu-1","term":4}}
{"stream":"election-default","type":"LEADER_CHANGED","time":"2026-03-01T10:01:02Z","data":{"leader":"gpu-2","term":4}}
`

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// recording is a small recorded log as a file.
func recording(t *testing.T) string { return write(t, "clean.jsonl", clean) }

// imported is the part of an import's report that tests look at.
type imported struct {
	Lines      int64           `json:"lines"`
	Appended   int64           `json:"appended"`
	Duplicates int64           `json:"duplicates"`
	Head       domain.Position `json:"head"`
}

func importInto(t *testing.T, data string, files ...string) imported {
	t.Helper()
	var report imported
	parse(t, rift(t, append([]string{"log", "import", "--data", data, "-o", "json"}, files...)...).must(t), &report)
	return report
}

// account is the part of a replay's account that tests look at.
type account struct {
	Position domain.Position `json:"position"`
	Digest   string          `json:"digest"`
	Findings []struct {
		Kind     string            `json:"kind"`
		Evidence []domain.Position `json:"evidence"`
	} `json:"findings"`
}

func replay(t *testing.T, code int, paths ...string) account {
	t.Helper()
	r := rift(t, append([]string{"replay", "-o", "json"}, paths...)...)
	if r.code != code {
		t.Errorf("replay %v: found exit code %d, want %d\n%s%s", paths, r.code, code, r.stdout, r.stderr)
	}
	var found account
	parse(t, r.stdout, &found)
	return found
}

func parse(t *testing.T, text string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
}

// A recording goes in once, comes out as it went in, and leads to the same read
// models whichever way it is read.
func TestRecordings(t *testing.T) {
	file, data := recording(t), filepath.Join(t.TempDir(), "data")
	if first := importInto(t, data, file); first.Lines != 8 || first.Appended != 8 || first.Duplicates != 0 || first.Head != 8 {
		t.Errorf("first import: found %+v, want 8 lines appended", first)
	}
	if second := importInto(t, data, file); second.Appended != 0 || second.Duplicates != 8 || second.Head != 8 {
		t.Errorf("second import: found %+v, want nothing appended", second)
	}
	rift(t, "log", "verify", "--data", data).must(t)
	want := replay(t, 0, data)
	if want.Position != 8 || want.Digest == "" || len(want.Findings) != 0 {
		t.Errorf("replay: found %+v, want 8 events and no findings", want)
	}
	if from := replay(t, 0, file); from.Digest != want.Digest {
		t.Errorf("replay of the file: found digest %s, want that of the folder %s", from.Digest, want.Digest)
	}
	folder := t.TempDir()
	plain, packed, served := filepath.Join(folder, "out.jsonl"), filepath.Join(folder, "out.jsonl.zst"), filepath.Join(folder, "served.jsonl")
	rift(t, "log", "export", "--data", data, plain).must(t)
	rift(t, "log", "export", "--data", data, packed).must(t)
	node := serve(t, data)
	rift(t, "log", "export", "--addr", "http://"+node.address, "--to", "8", served).must(t)
	node.stop(os.Interrupt)
	// A node that serves a log leads it: its own events follow those recorded.
	if digest, led := sameModels(t, data), replay(t, 0, data); digest != led.Digest {
		t.Errorf("a node's read models: found digest %s, want that of the replay %s", digest, led.Digest)
	}
	for _, path := range []string{plain, packed, served} {
		copied := filepath.Join(t.TempDir(), "data")
		if report := importInto(t, copied, path); report.Appended != 8 {
			t.Errorf("import of %s: found %+v, want 8 appended", path, report)
		}
		if found := replay(t, 0, copied); found.Digest != want.Digest {
			t.Errorf("round trip through %s: found digest %s, want %s", path, found.Digest, want.Digest)
		}
		again := filepath.Join(t.TempDir(), "again.jsonl")
		rift(t, "log", "export", "--data", copied, again).must(t)
		if !bytes.Equal(read(t, again), read(t, plain)) {
			t.Errorf("round trip through %s: found\n%swant\n%s", path, read(t, again), read(t, plain))
		}
		if report := importInto(t, data, path); report.Appended != 0 || report.Duplicates != 8 {
			t.Errorf("import of %s into its source: found %+v, want nothing appended", path, report)
		}
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// Findings name their evidence, and make a replay exit with 2.
func TestReplayFindings(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	importInto(t, data, recording(t), write(t, "split.jsonl", split))
	found := replay(t, 2, data)
	if len(found.Findings) != 1 || found.Findings[0].Kind != "more_than_one_leader" || fmt.Sprint(found.Findings[0].Evidence) != "[9 10]" {
		t.Errorf("found %+v, want two leaders at 9 and 10", found.Findings)
	}
	before := replay(t, 0, data, "--to", "9")
	if before.Position != 9 || before.Digest == found.Digest {
		t.Errorf("up to 9: found %+v, want it without the second leader", before)
	}
	broken := write(t, "broken.jsonl", clean+"{\n")
	if r := rift(t, "replay", broken); r.code != 1 || !strings.Contains(r.stderr, "broken.jsonl:9") {
		t.Errorf("replay of a broken file: found exit code %d, %q, want 1 with file and line", r.code, r.stderr)
	}
}

// An import that is killed goes on where it ended: nothing is missing, nothing
// is there twice.
func TestImportKilled(t *testing.T) {
	const items = 4000
	var text strings.Builder
	began := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	for i := range items {
		at := began.Add(time.Duration(i) * time.Millisecond).Format(domain.Timestamp)
		fmt.Fprintf(&text, `{"stream":"task-%d","type":"TASK_SPAWNED","time":%q,"data":{"task_id":"%d","task_type":"selfplay","priority":50,"timeout_seconds":600,"max_attempts":3}}`+"\n", i, at, i)
	}
	file := write(t, "many.jsonl", text.String())
	whole := filepath.Join(t.TempDir(), "data")
	importInto(t, whole, file)
	data := filepath.Join(t.TempDir(), "data")
	killed := 0
	for _, after := range []time.Duration{20, 60, 100, 200, 400} {
		c := exec.Command(binary, "log", "import", "--data", data, file)
		c.Env = environment()
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		<-time.After(after * time.Millisecond)
		if err := c.Process.Kill(); err == nil {
			killed++
		}
		_ = c.Wait() // killed, or done
	}
	report := importInto(t, data, file)
	if report.Appended+report.Duplicates != items || report.Head != items {
		t.Errorf("after %d kills: found %+v, want %d events in all", killed, report, items)
	}
	want, found := inspect(t, whole), inspect(t, data)
	for i := range found {
		if found[i].String() != want[i].String() || found[i].ID != want[i].ID {
			t.Fatalf("found %v, want %v", found[i], want[i])
		}
	}
	t.Logf("%d kills; the last import found %d of %d events stored", killed, report.Duplicates, items)
}
