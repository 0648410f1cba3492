package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ringrift/rift/domain"
)

// noneLeft wants no process whose command line names a folder. The worker's guard
// ends a little after the worker.
func noneLeft(t *testing.T, folder string) {
	t.Helper()
	soon(t, "no process is left", func() bool { return len(processesOf(t, folder)) == 0 })
}

func processesOf(t *testing.T, folder string) (found []string) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if line, err := os.ReadFile(file); err == nil && bytes.Contains(line, []byte(folder)) {
			found = append(found, strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return found
}

// The leader is killed, another node takes over and later hands leadership back. No item is
// lost, and all that stays is the folder with an undamaged log.
func TestDemoTakeover(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "demo")
	var stdout, stderr bytes.Buffer
	c := exec.CommandContext(t.Context(), riftProgram(t), "demo", "--cluster", "--seconds", "2", "--data", folder)
	c.Stdout, c.Stderr = &stdout, &stderr
	if err := c.Run(); err != nil {
		t.Fatalf("%v\n%s%s", err, stdout.String(), stderr.String())
	}
	said := stdout.String()
	for _, want := range []string{
		`three nodes serve, work begins +n\d +\d+ +0 +0\n`,
		`n\d, which leads, is killed \(-9\) +none +\d+ +\d+\.\d\d +\d+ +\d+\n`,
		`n\d is elected +n\d +\d+ `, `n\d has all of the log again`, `all items are done +n\d `,
		`\nlost +0\n`, `\nadded or done twice +0\n`, `\nthe logs of the three nodes are alike +yes\n`,
		`\n\$ rift cluster status --addr http://[^\n]*\n\nNODE +ROLE`, `\n\$ rift report cluster --addr http://[^\n]*\n\nCluster\n\nLeaders\n`, `\nChanges of leader\n`,
	} {
		if !regexp.MustCompile(want).MatchString(said) {
			t.Errorf("want %s in\n%s", want, said)
		}
	}
	sums := regexp.MustCompile(`items acknowledged +(\d+)\nof them done once +(\d+)\n`).FindStringSubmatch(said)
	if sums == nil || sums[1] != sums[2] || sums[1] == "0" {
		t.Errorf("want every item that was acknowledged done once, found %q", sums)
	}
	timeline, _, _ := strings.Cut(said, "\n$ ")
	fits80(t, timeline)
	progress, where, _ := strings.Cut(stderr.String(), "all stopped; ")
	fits80(t, progress)
	if !strings.Contains(where, folder) {
		t.Errorf("want to be told of %s, found %s", folder, stderr.String())
	}
	noneLeft(t, folder)
	rift(t, "report", "cluster", "--data", filepath.Join(folder, "n1"), "-o", "table").want(t, exitDone, "Changes of leader", "")
	rift(t, "demo", "--cluster", "--data", folder).want(t, exitConflict, "", "want an empty one")
	rift(t, "demo", "--cluster", "--promotions", "1").want(t, exitError, "", "want it without --cluster")
}

// Ctrl-C stops the nodes and the worker at any time.
func TestDemoTakeoverStops(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "demo")
	said := &growing{}
	c := exec.Command(riftProgram(t), "demo", "--cluster", "--seconds", "600", "--data", folder)
	c.Stderr = said
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill() })
	soon(t, "the nodes work", func() bool { return strings.Contains(said.String(), "work begins") })
	if err := c.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	err := awaitEnd(t, c)
	if code := c.ProcessState.ExitCode(); code != exitError || !strings.Contains(said.String(), "rift: interrupted") {
		t.Errorf("found %v\n%s", err, said)
	}
	noneLeft(t, folder)
}

// The verdict names the items that were lost, not done, added twice or done twice.
func TestTakeoverJudges(t *testing.T) {
	began := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	second := func(n int) time.Time { return began.Add(time.Duration(n) * time.Second) }
	d := &takeover{began: began}
	for i, item := range []string{"good", "lost", "undone", "done twice", "added twice"} {
		d.acks = append(d.acks, ack{item, second(2 * i), second(2*i + 1)})
	}
	items := map[string]*itemTimes{}
	for _, e := range []struct {
		event, item string
		at          int
	}{
		{"TASK_SPAWNED", "good", 1},
		{"TASK_CLAIMED", "good", 1},
		{"TASK_CLAIMED", "good", 2},
		{"TASK_STARTED", "lost", 2},
		{"TASK_COMPLETED", "good", 3},
		{"TASK_SPAWNED", "undone", 5},
		{"TASK_CLAIMED", "undone", 5},
		{"TASK_SPAWNED", "done twice", 7},
		{"TASK_COMPLETED", "done twice", 8},
		{"TASK_COMPLETED", "done twice", 9},
		{"TASK_SPAWNED", "added twice", 8},
		{"TASK_SPAWNED", "added twice", 9},
		{"TASK_COMPLETED", "added twice", 10},
	} {
		if err := takeItem(items, domain.Envelope{Type: e.event, Time: second(e.at), Data: []byte(`{"task_id":"` + e.item + `"}`)}); err != nil {
			t.Fatal(err)
		}
	}
	found := &takenOver{Timeline: []moment{{At: second(4), goes: true}}, Digests: []string{"a", "a", "b"}}
	d.judge(found, items)
	if !slices.Equal(found.Lost, []string{"lost"}) || !slices.Equal(found.Undone, []string{"undone"}) || !slices.Equal(found.Twice, []string{"done twice", "added twice"}) || found.Once != 1 || found.Again != 1 || found.faults() != 5 {
		t.Errorf("found %+v with %d faults", found, found.faults())
	}
	if m := found.Timeline[0]; m.Added != 2 || m.Done != 1 || m.First == nil || *m.First != 1 {
		t.Errorf("found %+v", m)
	}
	if found.Digests = []string{"a", "a", "a"}; found.faults() != 4 {
		t.Errorf("found %d faults where the logs are alike", found.faults())
	}
	if err := takeItem(items, domain.Envelope{Type: "TASK_SPAWNED", Data: []byte("x")}); domain.CodeOf(err) != domain.Corrupt {
		t.Errorf("found %v", err)
	}
}
