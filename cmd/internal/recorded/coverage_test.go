package recorded

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ringrift/rift/eventlog"
)

// recordedOf imports text logs, given by name, and returns their events.
func recordedOf(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	log := eventlog.NewMemory()
	if _, err := Import(t.Context(), log, catalog(t), "ringrift", []string{dir}, Options{}); err != nil {
		t.Fatal(err)
	}
	return said(t, log)
}

const merges = " - elo - INFO - Merged 12 new matches from remote\n"

// Only a time that no log covers is a gap.
func TestGapsBetweenRecordingsAreNamed(t *testing.T) {
	for name, test := range map[string]struct {
		files map[string]string
		gaps  string
	}{
		"none":   {map[string]string{"a.log": "2026-02-01 08:00:00,000" + merges, "b.log": "2026-02-01 08:05:00,000" + merges}, ""},
		"one":    {map[string]string{"a.log": "2026-02-01 08:00:00,000" + merges + "2026-02-01 08:30:00,000 - x - INFO - the end\n", "b.log": "2026-02-01 09:00:00,000" + merges}, `{"from":"2026-02-01T14:30:00Z","until":"2026-02-01T15:00:00Z","before":"a","after":"b"}`},
		"silent": {map[string]string{"a.log": "2026-02-01 08:00:00,000" + merges + "2026-02-01 09:30:00,000" + merges, "b.log": "2026-02-01 09:00:00,000" + merges}, ""},
		"three": {map[string]string{
			"a.log": "2026-02-01 08:00:00,000" + merges, "b.log": "2026-02-01 08:00:00,000" + merges + "2026-02-01 12:00:00,000" + merges, "c.log": "2026-02-02 12:00:00,000" + merges,
		}, `{"from":"2026-02-01T18:00:00Z","until":"2026-02-02T18:00:00Z","before":"b","after":"c"}`},
	} {
		t.Run(name, func(t *testing.T) {
			var gaps []string
			for _, line := range strings.Split(recordedOf(t, test.files), "\n") {
				if _, rest, found := strings.Cut(line, "RECORDING_GAP "); found {
					data, _, _ := strings.Cut(rest, " by ")
					gaps = append(gaps, data)
				}
			}
			if got := strings.Join(gaps, "\n"); got != test.gaps {
				t.Errorf("want %q, found %q", test.gaps, got)
			}
		})
	}
}

// Repeated reports of an open breaker are one event.
func TestOneOpeningIsOneFact(t *testing.T) {
	var b strings.Builder
	for range 200 {
		b.WriteString("2026-02-01 08:00:00,000 - b - WARNING - Circuit breaker OPEN for box-2: 5 consecutive failures, recovery in 90s\n")
		b.WriteString("2026-02-01 08:01:20,000 - b - WARNING - [daemon] Circuit OPEN for sync (7 failures)\n")
	}
	b.WriteString("2026-02-01 08:09:00,000 - b - WARNING - Circuit breaker OPEN for box-2: 6 consecutive failures, recovery in 90s\n")
	got := recordedOf(t, map[string]string{"a.log": b.String()})
	for _, want := range []string{
		`NODE_BREAKER_OPENED {"node_id":"box-2","failures":5,"recovery_seconds":90}`,
		`NODE_BREAKER_OPENED {"node_id":"box-2","failures":6,"recovery_seconds":90}`,
		`NODE_BREAKER_OPENED {"node_id":"a","failures":7,"target":"sync"}`,
	} {
		if strings.Count(got, want) != 1 {
			t.Errorf("want once %s, found\n%s", want, got)
		}
	}
	if n := strings.Count(got, "\n"); n != 3 {
		t.Errorf("want 3 facts, found %d", n)
	}
}

// An item's origin says "without a leader" only if the node knew that there was none.
func TestWhoHadALeaderWhenItMadeUpWork(t *testing.T) {
	const claim = "2026-02-01 08:10:00,000 - l - INFO - [WorkerPull] Claimed work auto-1: selfplay (source: autonomous)\n"
	const at = "2026-02-01 08:00:00,000 - l - INFO - "
	for before, want := range map[string]string{
		"":                                    "invented by a (autonomous)",
		at + "Auto-detected node-id: box-1\n": "invented by box-1 without a leader (autonomous)",
		at + "[LeaderSet] follower->follower, leader_id=None->box-2, reason=x\n":      "invented by a, which followed box-2 (autonomous)",
		at + "[LeaderSet] follower->leader, leader_id=None->a, reason=x\n":            "invented by a, which led (autonomous)",
		at + "[LeaderSet] follower->follower, leader_id=box-2->None, reason=x\n":      "invented by a without a leader (autonomous)",
		at + "[WorkerPull] Partition DETECTED - no leader for 3 consecutive cycles\n": "invented by a without a leader (autonomous)",
		at + "[WorkerPull] Partition HEALED - leader recovered\n":                     "invented by a, which knew a leader (autonomous)",
		at + "[Queue] ACTIVATED: no_leader_for_76s (no_leader_duration=76s)\n":        "invented by a without a leader (autonomous)",
	} {
		if got := recordedOf(t, map[string]string{"a.log": before + claim}); !strings.Contains(got, `"origin":"`+want+`"`) {
			t.Errorf("after %q: want %q, found\n%s", before, want, got)
		}
	}
}

// A CRITICAL line that another pattern takes is that pattern's; all others are kept.
func TestCriticalLinesAreKept(t *testing.T) {
	got := recordedOf(t, map[string]string{"a.log": "2026-02-01 08:00:00,000" + merges +
		"2026-02-01 08:00:01,000 - disk - CRITICAL - disk of box-1 is lost\nCRITICAL:app.boot:no memory\n2026-02-01 08:00:02,000 - disk - ERROR - CRITICAL is no level here\n"})
	for _, want := range []string{
		`CRITICAL_LOGGED {"logger":"disk","message":"disk of box-1 is lost","node_id":"a"}`,
		`CRITICAL_LOGGED {"logger":"app.boot","message":"no memory","node_id":"a"}`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("want %s, found\n%s", want, got)
		}
	}
	if strings.Count(got, "CRITICAL_LOGGED") != 2 {
		t.Errorf("want two, found\n%s", got)
	}
}
