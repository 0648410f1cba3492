package main

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// growing is the output of a process, which may be read while it is written.
type growing struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (g *growing) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.text.Write(p)
}

func (g *growing) String() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.text.String()
}

// The loop runs in several processes, and the causes of a promotion lead back to the data.
func TestDemo(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "demo")
	var stdout, stderr bytes.Buffer
	c := exec.CommandContext(t.Context(), riftProgram(t), "demo", "--promotions", "1", "--data", folder)
	c.Stdout, c.Stderr = &stdout, &stderr
	if err := c.Run(); err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	said := stdout.String()
	for _, want := range []string{
		"$ rift handlers --ran --addr http://", "evaluation_completed", "$ rift report queue --addr http://", "By class",
		"$ rift training status --addr http://", "PROMOTED AT", "because of DATA_SYNC_COMPLETED at ", "rift replay " + folder,
	} {
		if !strings.Contains(said, want) {
			t.Errorf("want %q in\n%s", want, said)
		}
	}
	for line := range strings.SplitSeq(said, "\n") {
		if n := len([]rune(line)); n > 120 && !strings.Contains(line, folder) {
			t.Errorf("want no line over 120 columns, found %d: %s", n, line)
		}
	}
	promoted := regexp.MustCompile(`\n\$ rift why (\d+) --addr [^\n]*\n 1\. MODEL_PROMOTED at (\d+) `).FindStringSubmatch(said)
	if promoted == nil || promoted[1] != promoted[2] {
		t.Fatalf("want why of a promotion, found %q in\n%s", promoted, said)
	}
	var found causes
	told := rift(t, "why", promoted[1], "--data", folder, "-o", "json")
	if err := json.Unmarshal([]byte(told.stdout), &found); err != nil || !found.Complete || found.Event.Type != "MODEL_PROMOTED" {
		t.Fatalf("found %+v, %v", told, err)
	}
	// The causes, the nearest first, are the same from the folder and from the node.
	wanted := []string{"EVALUATION_COMPLETED", "GAUNTLET_STARTED", "TRAINING_COMPLETED", "TRAINING_REQUESTED", "DATA_SYNC_COMPLETED", "SELFPLAY_COMPLETE"}
	for _, link := range found.Chain {
		if link.Kind != "command" && len(wanted) > 0 && link.Events[0].Type == wanted[0] {
			wanted = wanted[1:]
		}
	}
	if len(wanted) > 0 {
		t.Errorf("the chain lacks %v:\n%s", wanted, told.stdout)
	}
	rift(t, "replay", folder, "--check", "-o", "table").want(t, exitDone, "no differences", "")
	rift(t, "demo", "--data", folder).want(t, exitConflict, "", "want an empty one")
	rift(t, "demo", "--seconds", "0").want(t, exitError, "", "--seconds and --promotions: want at least 1")
}

// Ctrl-C stops the node and the workers, and the log that stays is not damaged.
func TestDemoStops(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "demo")
	said := &growing{}
	c := exec.Command(riftProgram(t), "demo", "--seconds", "600", "--data", folder)
	c.Stderr = said
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill() })
	soon(t, "the workers work", func() bool { return strings.Contains(said.String(), "four workers") })
	if err := c.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	err := awaitEnd(t, c)
	if code := c.ProcessState.ExitCode(); code != exitError || !strings.Contains(said.String(), "rift: interrupted") {
		t.Errorf("found %v\n%s", err, said)
	}
	rift(t, "log", "stat", "--data", folder).want(t, exitDone, `"POLICY_CHANGED": 1`, "")
}

// The same item has the same result; some models are worth promoting, some not.
func TestDemoJob(t *testing.T) {
	job := func(item string) ran { return riftWith(t, item, nil, "demo", "job", "--took", "0") }
	training := `{"task_id":"t-1","task_type":"training","config_key":"hex8_2p","payload":{"games":100}}`
	first := job(training)
	first.want(t, exitDone, `"model_id":"hex8_2p-`, "")
	if again := job(training); again != first {
		t.Errorf("found %+v, then %+v", first, again)
	}
	job(`{"task_id":"t-1","task_type":"selfplay","payload":{"games":7}}`).want(t, exitDone, `"games_played":7,`, "")
	job(`{"task_id":"t-1","task_type":"gauntlet","payload":{"model_id":"m","games":10,"opponents":["random","n"],"in_use":"n","in_use_games":30}}`).want(t, exitDone, `"games_played":40,`, "")
	job(`{"task_id":"t-1","task_type":"gauntlet","payload":{"model_id":"m","games":[{},{}],"opponents":["random"]}}`).want(t, exitDone, `"games_played":2,`, "")
	job(`{"task_id":"t-1","task_type":"evaluation","payload":{}}`).want(t, exitError, "", "want a model_id in its payload")
	job(`{"task_id":"t-1","task_type":"sweep"}`).want(t, exitError, "", `want selfplay, training, gauntlet or evaluation, found "sweep"`)
	job(`nothing`).want(t, exitError, "", "want one as JSON on standard input")
	heuristic, strong := strengthOf("heuristic"), 0
	for n := range 100 {
		if strengthOf("model-"+strconv.Itoa(n)) > heuristic {
			strong++
		}
	}
	if strong < 50 || strong > 95 {
		t.Errorf("found %d models of 100 better than heuristic, want most but not all", strong)
	}
}

func TestProgressOfADemonstrationFitsATerminal(t *testing.T) {
	began := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	r := progressCount{events: demoEvents, began: began, counts: map[string]int{}}
	for _, one := range demoEvents {
		r.counts[one.event] = 1234
	}
	told := r.at(began.Add(time.Minute))
	for line := range strings.SplitSeq(told, "\n") {
		if len(line) > 80 {
			t.Errorf("want at most 80 columns, found %d: %s", len(line), line)
		}
	}
	if want := "60 s: 1234 batches of games, "; !strings.Contains(told, want) || !strings.HasSuffix(told, "1234 not promoted") {
		t.Errorf("want every count, found %s", told)
	}
}
