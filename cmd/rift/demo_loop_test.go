package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The loop promotes a model over the one that it began with, by real games in processes of
// their own. The causes of the promotion lead back to selfplay, and the log alone gives the
// same reports.
func TestLoop(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "loop")
	var stdout, stderr bytes.Buffer
	c := exec.CommandContext(t.Context(), riftProgram(t), "demo", "loop", "--promotions", "1", "--seconds", "300", "--data", folder)
	c.Stdout, c.Stderr = &stdout, &stderr
	if err := c.Run(); err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	said := stdout.String()
	promoted := regexp.MustCompile(`\n\$ rift why (\d+) --addr `).FindStringSubmatch(said)
	if promoted == nil || !strings.Contains(said, "Gains over the model before") || !strings.Contains(said, "the weights to begin") {
		t.Fatalf("want a promotion, found\n%s", said)
	}
	if curve, err := os.ReadFile(filepath.Join(folder, "elo.svg")); err != nil || !bytes.Contains(curve, []byte("Elo over the first model promoted")) {
		t.Errorf("want the curve, found %d bytes, %v", len(curve), err)
	}
	var found causes
	told := rift(t, "why", promoted[1], "--data", folder, "-o", "json")
	if err := json.Unmarshal([]byte(told.stdout), &found); err != nil || !found.Complete || found.Event.Type != "MODEL_PROMOTED" {
		t.Fatalf("found %+v, %v", told, err)
	}
	wanted := []string{"EVALUATION_COMPLETED", "GAUNTLET_FINISHED", "GAUNTLET_STARTED", "TRAINING_COMPLETED", "TRAINING_REQUESTED", "SELFPLAY_COMPLETE"}
	for _, link := range found.Chain {
		if link.Kind != "command" && len(wanted) > 0 && link.Events[0].Type == wanted[0] {
			wanted = wanted[1:]
		}
	}
	if len(wanted) > 0 {
		t.Errorf("the chain lacks %v:\n%s", wanted, told.stdout)
	}
	rift(t, "report", "promotions", "--data", folder, "-o", "csv").want(t, exitDone, "hex8_2p,start,,0,0,0,", "")
	rift(t, "report", "promotions", "--data", folder, "-o", "md").want(t, exitDone, "| start |", "")
	rift(t, "report", "promotions", "--data", folder, "--from", "2090-01-01T00:00:00Z").want(t, exitError, "", "nothing was promoted")
	rift(t, "replay", folder, "--check", "-o", "table").want(t, exitDone, "no differences", "")
	rift(t, "demo", "loop", "--promotions", "0").want(t, exitError, "", "want at least 1")
}
