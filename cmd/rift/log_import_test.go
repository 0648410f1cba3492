package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The content of a file decides what it is, not its name. A file that is no recording is an
// error for every command that reads recordings, and no folder is made.
func TestFilesAreWhatIsInThem(t *testing.T) {
	foreign := writeFile(t, "foreign.log", "[2026-06-01T01:02:35.148] scheduler: JobId=1 started\n[2026-06-01T01:02:36.012] scheduler: JobId=1 done\n")
	python := writeFile(t, "other.log", "2026-06-01 01:02:35,148 - shop - INFO - a customer came\n2026-06-01 01:02:36,148 - shop - INFO - and went\n")
	data := filepath.Join(t.TempDir(), "data")
	for _, args := range [][]string{
		{"log", "import", "--data", data},
		{"log", "import", "--data", data, "--format", "ringrift"},
		{"log", "import", "--data", data, "--lenient"},
		{"replay"},
		{"replay", "--check"},
		{"report", "queue"},
		{"log", "show"},
		{"log", "stat"},
		{"log", "tail"},
		{"log", "verify"},
		{"why", "1"},
		{"effects", "1"},
	} {
		rift(t, append(args, foreign)...).want(t, exitError, "", "tried ")
		if _, err := os.Stat(data); err == nil {
			t.Errorf("%v: a folder was made for nothing", args)
		}
	}
	rift(t, "log", "import", "--data", data, python).want(t, exitError, "", "0 of 2 lines say something as ringrift, want at least 0.1 %")
	rift(t, "replay", python).want(t, exitError, "", "0 of 2 lines")

	events, err := os.ReadFile(sampleFile(t))
	if err != nil {
		t.Fatal(err)
	}
	misnamed := writeFile(t, "events.log", string(events))
	rift(t, "log", "import", "--data", data, misnamed).want(t, exitDone, `"appended": 5`, "")
	rift(t, "log", "stat", misnamed).want(t, exitDone, `"events": 5`, "")
	text := writeFile(t, "text.jsonl.gz", "2026-02-01 08:01:00,000 - mixin - INFO - [job_manager] HOST_ONLINE: box-2\n")
	rift(t, "log", "show", text).want(t, exitDone, `"HOST_ONLINE"`, "")
	rift(t, "log", "verify", text).want(t, exitError, "", "a recording of the kind ringrift")

	// The files of a folder that are no recordings are left out and named.
	folder := filepath.Dir(misnamed)
	if err := os.Rename(foreign, filepath.Join(folder, "foreign.log")); err != nil {
		t.Fatal(err)
	}
	rift(t, "log", "import", "--data", filepath.Join(t.TempDir(), "d"), folder).want(t, exitDone, "foreign.log: nothing of it is understood", "")
}

// The events of a second file are appended to streams that the log already has, except those
// that it has too.
func TestASecondFileOfAStream(t *testing.T) {
	event := func(kind, at string) string {
		return `{"stream":"node-a","type":"` + kind + `","time":"` + at + `","data":{"node_id":"a"}}` + "\n"
	}
	january := writeFile(t, "january.jsonl", event("HOST_ONLINE", "2026-01-10T10:00:00Z")+event("HOST_OFFLINE", "2026-01-10T14:00:00Z"))
	february := writeFile(t, "february.jsonl", event("HOST_ONLINE", "2026-02-20T10:00:00Z")+event("HOST_OFFLINE", "2026-02-20T14:00:00Z"))
	var digests []string
	for _, files := range [][]string{{january, february}, {february, january}} {
		data := filepath.Join(t.TempDir(), "data")
		rift(t, append([]string{"log", "import", "--data", data}, files...)...).want(t, exitDone, `"appended": 4`, "")
		rift(t, append([]string{"log", "import", "--data", data}, files...)...).want(t, exitDone, `"duplicates": 4`, "")
		exported := rift(t, "log", "export", "--data", data, "-")
		digests = append(digests, exported.stdout)
	}
	if digests[0] != digests[1] {
		t.Errorf("want one log whatever the order, found\n%s\nand\n%s", digests[0], digests[1])
	}
	late := filepath.Join(t.TempDir(), "late")
	rift(t, "log", "import", "--data", late, february).want(t, exitDone, `"late": 0`, "")
	rift(t, "log", "import", "--data", late, january).want(t, exitDone, `"late": 2`, "")

	// Two events with one id are an error, because one of them would be lost.
	one := writeFile(t, "one.jsonl", `{"stream":"node-a","id":"00000000-0000-8000-8000-000000000001","type":"HOST_ONLINE","time":"2026-01-10T10:00:00Z","data":{"node_id":"a"}}`)
	other := writeFile(t, "other.jsonl", `{"stream":"node-a","id":"00000000-0000-8000-8000-000000000001","type":"HOST_OFFLINE","time":"2026-01-11T10:00:00Z","data":{"node_id":"a"}}`)
	data := filepath.Join(t.TempDir(), "ids")
	rift(t, "log", "import", "--data", data, one).want(t, exitDone, `"appended": 1`, "")
	rift(t, "log", "import", "--data", data, other).want(t, exitConflict, "", "has the id of another event, HOST_ONLINE at 2026-01-10T10:00:00Z, which is at position 1")
	rift(t, "log", "import", "--data", data, "--lenient", other).want(t, exitDone, "its id is that of another event", "")
}

// A pipe can be read only once, so its content is kept until the import is done.
func TestRecordingsComeThroughPipes(t *testing.T) {
	text, err := os.ReadFile(sampleFile(t))
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	var pipes []string
	for _, name := range []string{"one", "two"} {
		pipe := filepath.Join(folder, name, "pipe")
		if err := os.MkdirAll(filepath.Dir(pipe), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := exec.Command("mkfifo", pipe).Run(); err != nil {
			t.Skipf("pipes with names cannot be made here: %v", err)
		}
		go func() { _ = os.WriteFile(pipe, text, 0) }() // it ends with the import that reads it
		pipes = append(pipes, pipe)
	}
	rift(t, append([]string{"log", "import", "--data", filepath.Join(folder, "data")}, pipes...)...).want(t, exitDone, `"appended": 5`, "")
	rift(t, "log", "show", pipes[0], pipes[0]).want(t, exitError, "", "want it named once")
}

// Input that no import accepts is refused before a folder is made. A path that cannot be a
// data folder is not reported as one that a node has open.
func TestImportsThatCannotBegin(t *testing.T) {
	sample, data := sampleFile(t), filepath.Join(t.TempDir(), "data")
	for _, flags := range [][]string{{"--node", "a b"}, {"--cluster", "a/b"}, {"--map", "slurm", "--node", "a b"}} {
		rift(t, append([]string{"log", "import", "--data", data, sample}, flags...)...).want(t, exitError, "", "want letters, digits and")
		if _, err := os.Stat(data); err == nil {
			t.Fatalf("%v: a folder was made for nothing", flags)
		}
	}
	result := rift(t, "log", "import", "--data", sample, sample)
	result.want(t, exitError, "", "not a directory")
	if strings.Contains(result.stderr, "is a node serving it?") {
		t.Errorf("want no advice to stop a node, found %s", result.stderr)
	}
	foreign := writeFile(t, "foreign.log", "nothing that slurm says\n")
	rift(t, "log", "import", "--data", data, "--map", "slurm", foreign).want(t, exitError, "", "no rule of the mapping takes any of 1 lines or records; --explain NUMBER")
}
