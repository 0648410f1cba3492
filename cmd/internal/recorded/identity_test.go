package recorded

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// A master is a whole recording, of which files hold parts.
type master struct {
	lines []string
	cuts  []int // where a file may end or begin: between two moments
}

func drawLines(t *rapid.T) master {
	var m master
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for n := range rapid.IntRange(1, 30).Draw(t, "lines") {
		if step := rapid.SampledFrom([]int{0, 0, 1, 45, 200}).Draw(t, "seconds"); step > 0 || n == 0 {
			at = at.Add(time.Duration(step) * time.Second)
			m.cuts = append(m.cuts, n)
		}
		m.lines = append(m.lines, fmt.Sprintf(`{"stream":"node-%s","type":"%s","time":%q,"data":{"node_id":"x"}}`,
			rapid.SampledFrom([]string{"a", "b"}).Draw(t, "stream"), rapid.SampledFrom([]string{"HOST_ONLINE", "NODE_RECOVERED"}).Draw(t, "type"),
			at.Format(time.RFC3339)))
	}
	m.cuts = append(m.cuts, len(m.lines))
	return m
}

// edges are lines, each of which gives at most one event.
var edges = []string{
	"[job_manager] HOST_ONLINE: %s", "HOST_OFFLINE: %s, cancelling jobs", "Peer %s is dead (no heartbeat for 90s)",
	"Recovered retired peer via probe: %s", "Retiring peer %s (offline for 30s)", "P2P_NODE_DEAD: %s, reason=retired",
	"Node %s unhealthy (2 consecutive failures): layer=ssh", "STATE CHANGE: Member %s transitioned from ALIVE to SUSPECT (inc=2)",
	"[VoterHealth] Voter %s came ONLINE (3/5 alive, quorum=3)", "[VoterHealth] Voter %s went OFFLINE (2/5 alive, quorum=3)",
	"Added work %s: selfplay (priority: 50)", "[WorkerPull] Claimed work %s: selfplay (source: leader)", "Skipping selfplay work %s: selfplay_enabled=false",
	"[WorkerPull] Claimed work hex8_2p_%s: training (source: leader)", "Training failed: hex8_2p/v2: returncode=-9", "[P2P] Training completed: hex8_2p (loss=0.1, model=%s)",
	"Removing stale PENDING item: %s (age: 1.5h)", "DAEMON_STARTED: %s", "Backpressure activated: disk (high)", "Backpressure released: source=disk",
	"Circuit breaker closed for %s", "[EvaluationQueue] Queued request: %s (hex8_2p)", "Claimed from persistent queue: %s (hex8_2p)", "Permanently failed: %s - Stuck",
	"[DLQ] No handlers registered for %s", "Adopting higher cluster epoch: 44 (was 41)", "[EloProgress] Recorded hex8_2p: %s @ 1502.0 Elo", "nothing that %s would know",
}

// logged are lines whose state is in the log, so that later imports know it.
var logged = append(slices.Clip(edges), "Reconnected to dead peer %s (was dead for 30s)")

// remembered are lines whose state is not in the log, such as repeated reports of an open
// breaker, or the leader that a node believes in.
var remembered = append(slices.Clip(edges),
	"Circuit breaker OPEN for %s: 5 failures, recovery in 90s", "Circuit OPEN for %s (3 failures), retry in 45s", "Circuit OPEN for %s (half-open test failed)",
	"[WorkerPull] Claimed work %s: selfplay (source: autonomous)", "[WorkerPull] Partition DETECTED - no leader for 3 cycles",
	"Unknown event type: '%s'", "VOTER QUORUM LOST: 1/5 voters online (need 3 for quorum)",
	"[LeaderSet] follower->follower, leader_id=None->%s, reason=gossip",
)

func drawLogged(t *rapid.T) master     { return drawText(t, logged) }
func drawRemembered(t *rapid.T) master { return drawText(t, remembered) }

func drawText(t *rapid.T, texts []string) master {
	m := master{lines: []string{"2026-02-01 08:00:00,000 - orchestrator - INFO - Initializing P2P orchestrator: node_id=box-1"}, cuts: []int{0}}
	at := time.Date(2026, 2, 1, 8, 0, 0, 0, time.UTC)
	for n := range rapid.IntRange(1, 30).Draw(t, "lines") {
		if step := rapid.SampledFrom([]int{0, 11, 45, 200}).Draw(t, "seconds"); step > 0 {
			at = at.Add(time.Duration(step) * time.Second)
			m.cuts = append(m.cuts, n+1)
		}
		text := rapid.SampledFrom(texts).Draw(t, "text")
		if strings.Contains(text, "%s") {
			text = fmt.Sprintf(text, rapid.SampledFrom([]string{"a", "b"}).Draw(t, "name"))
		}
		m.lines = append(m.lines, at.Format("2006-01-02 15:04:05,000")+" - box - INFO - "+text)
	}
	m.cuts = append(m.cuts, len(m.lines))
	return m
}

// stretches draws files that together hold a master, each beginning at the end of the one
// before, or earlier.
func (m master) stretches(t *rapid.T) [][]string {
	var files [][]string
	for end := 0; end < len(m.cuts)-1; {
		begin := rapid.IntRange(0, end).Draw(t, "begin")
		end = rapid.IntRange(end+1, len(m.cuts)-1).Draw(t, "end")
		files = append(files, m.lines[m.cuts[begin]:m.cuts[end]])
	}
	return files
}

func write(t *rapid.T, dir, name string, lines []string) string {
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func (m master) into(t *rapid.T, log eventlog.Log, known *domain.Catalog, paths ...string) {
	report, err := Import(t.Context(), log, known, "", paths, Options{Node: "box-1"})
	if err != nil && !strings.Contains(err.Error(), "say something") { // a stretch of text may say nothing
		t.Fatalf("import of %v: %v", paths, err)
	}
	a := report.Account
	if report.Lines != a.Events+a.Folded+a.Skipped+a.Context+a.Blank+a.NotUnderstood {
		t.Fatalf("want every line accounted for, found %d lines, %+v", report.Lines, a)
	}
}

// events returns the events of a log, in order, with their ids.
func events(t *rapid.T, log eventlog.Log) []string {
	var all []string
	for e, err := range log.ReadAll(t.Context(), 1, eventlog.Forward, eventlog.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, fmt.Sprintf("%s %s %s %s %s", e.ID, e.Stream, e.Type, e.Time.Format(domain.Timestamp), e.Data))
	}
	return all
}

func sameEvents(t *rapid.T, what string, want, found []string) {
	if !slices.Equal(want, found) {
		t.Fatalf("%s: want\n%s\nfound\n%s", what, strings.Join(want, "\n"), strings.Join(found, "\n"))
	}
}

// settle imports files again until nothing is added, as the report advises if later lines
// were imported before earlier ones. Then the log has all events of the whole recording,
// except that a training that ended may belong to another item.
func (m master) settle(t *rapid.T, log eventlog.Log, known *domain.Catalog, want, files []string) {
	for before := -1; before != len(events(t, log)); {
		before = len(events(t, log))
		for _, path := range files {
			m.into(t, log, known, path)
		}
	}
	missing := map[string]string{}
	for _, event := range want {
		if !strings.Contains(event, " TASK_FAILED ") && !strings.Contains(event, " TASK_COMPLETED ") {
			missing[identity(event)] = event
		}
	}
	for _, event := range events(t, log) {
		delete(missing, identity(event))
	}
	if len(missing) > 0 {
		t.Fatalf("want all that the whole says, found nothing of %v in\n%s", missing, strings.Join(events(t, log), "\n"))
	}
}

// identity returns the part of an event by which two logs are compared. It lacks the time
// of an item that several lines mention, which is that of the line imported first.
func identity(event string) string { return strings.Join(strings.Fields(event)[:3], " ") }

// The log is the same for any division of a recording into files, and any order of naming
// or importing them.
func TestFilesOfARecordingGiveItsLog(t *testing.T) {
	known := catalog(t)
	for name, draw := range map[string]func(*rapid.T) master{"lines": drawLines, "logged": drawLogged, "remembered": drawRemembered} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				dir, err := os.MkdirTemp("", "rift-identity-") //nolint:usetesting // one for each drawn recording
				if err != nil {
					t.Fatal(err)
				}
				defer os.RemoveAll(dir)
				m := draw(t)
				whole := eventlog.NewMemory()
				path := write(t, dir, "whole", m.lines)
				m.into(t, whole, known, path)
				want := events(t, whole)

				// The same again, with files that have grown.
				m.into(t, whole, known, path)
				sameEvents(t, "the same file again", want, events(t, whole))
				grown := eventlog.NewMemory()
				m.into(t, grown, known, write(t, dir, "grown", m.lines[:m.cuts[rapid.IntRange(0, len(m.cuts)-1).Draw(t, "first")]]))
				m.into(t, grown, known, write(t, dir, "grown", m.lines))
				sameEvents(t, "a file that grew", want, events(t, grown))

				stretches := m.stretches(t)
				var paths []string
				for i, names := 0, rapid.Permutation([]int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31}).Draw(t, "names"); i < len(stretches); i++ {
					paths = append(paths, write(t, dir, fmt.Sprintf("part.%02d", names[i]), stretches[i]))
				}
				after := eventlog.NewMemory()
				for _, path := range paths {
					m.into(t, after, known, path)
				}
				if name != "remembered" {
					sameEvents(t, "stretches one after the other", want, events(t, after))
				}

				mixed := rapid.Permutation(paths).Draw(t, "order")
				together := eventlog.NewMemory()
				m.into(t, together, known, mixed...)
				sameEvents(t, "stretches together", want, events(t, together))
				if name == "logged" {
					return // a line of two events may be half there
				}
				late := eventlog.NewMemory()
				for _, path := range mixed {
					m.into(t, late, known, path)
				}
				if name != "lines" {
					m.settle(t, late, known, want, mixed)
					return
				}
				found := events(t, late)
				slices.Sort(found)
				slices.Sort(want)
				sameEvents(t, "stretches in any order", want, found)
			})
		})
	}
}

// Events of the log that were no change are counted, and the report says how to add the
// events that are changes only after the older lines.
func TestYoungerLinesThatWereImportedFirstAreNamed(t *testing.T) {
	const older = "2026-02-01 08:00:00,000 - o - INFO - [job_manager] HOST_ONLINE: box-1\n" +
		"2026-02-01 08:00:01,000 - o - INFO - [VoterHealth] Voter v came ONLINE (3/5 alive, quorum=3)\n" +
		"2026-02-01 08:05:00,000 - o - INFO - Peer box-2 is dead (no heartbeat for 90s)\n"
	const younger = "2026-02-01 09:00:00,000 - o - INFO - [job_manager] HOST_ONLINE: box-1\n" +
		"2026-02-01 09:00:01,000 - o - INFO - [VoterHealth] Voter v came ONLINE (3/5 alive, quorum=3)\n" +
		"2026-02-01 09:01:00,000 - o - INFO - Circuit breaker closed for box-3\n" +
		"2026-02-01 09:05:00,000 - o - INFO - [job_manager] HOST_ONLINE: box-2\n"
	log := eventlog.NewMemory()
	first, second := fileWith(t, "younger.log", younger), fileWith(t, "older.log", older+"2026-02-01 08:50:00,000 - o - INFO - Circuit breaker OPEN for box-3: 5 failures\n")
	for _, test := range []struct {
		path              string
		appended, repeats int64
		advised           bool
	}{
		{first, 3, 0, false},
		{second, 4, 2, true},
		{first, 1, 0, false}, // the breaker that was open
		{first, 0, 0, false},
	} {
		report, err := Import(t.Context(), log, catalog(t), "ringrift", []string{test.path}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		advised := slices.ContainsFunc(report.Notes, func(note string) bool { return strings.Contains(note, "importing those files again adds that") })
		if report.Appended != test.appended || report.Repeats != test.repeats || advised != test.advised {
			t.Errorf("%s: want %+v, found %d appended, %d repeated, %q", test.path, test, report.Appended, report.Repeats, report.Notes)
		}
	}
}
