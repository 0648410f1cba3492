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

// A master is a recording as a whole, of which files hold stretches.
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

func drawText(t *rapid.T) master {
	m := master{lines: []string{"2026-02-01 08:00:00,000 - orchestrator - INFO - Initializing P2P orchestrator: node_id=box-1"}, cuts: []int{0}}
	at := time.Date(2026, 2, 1, 8, 0, 0, 0, time.UTC)
	for n := range rapid.IntRange(1, 30).Draw(t, "lines") {
		if step := rapid.SampledFrom([]int{0, 11, 45, 200}).Draw(t, "seconds"); step > 0 {
			at = at.Add(time.Duration(step) * time.Second)
			m.cuts = append(m.cuts, n+1)
		}
		text := rapid.SampledFrom([]string{
			"[job_manager] HOST_ONLINE: %s", "HOST_OFFLINE: %s, cancelling jobs", "Peer %s is dead (no heartbeat for 90s)",
			"Recovered retired peer via probe: %s", "[VoterHealth] Voter %s came ONLINE (3/5 alive, quorum=3)", "[VoterHealth] Voter %s went OFFLINE (2/5 alive, quorum=3)",
			"Added work %s: selfplay (priority: 50)", "[WorkerPull] Claimed work %s: selfplay (source: leader)", "Skipping selfplay work %s: selfplay_enabled=false",
			"DAEMON_STARTED: %s", "Backpressure activated: disk (high)", "Backpressure released: source=disk", "nothing that %s would know",
		}).Draw(t, "text")
		if strings.Contains(text, "%s") {
			text = fmt.Sprintf(text, rapid.SampledFrom([]string{"a", "b"}).Draw(t, "name"))
		}
		m.lines = append(m.lines, at.Format("2006-01-02 15:04:05,000")+" - box - INFO - "+text)
	}
	m.cuts = append(m.cuts, len(m.lines))
	return m
}

// stretches are files that together hold all of a master, each beginning where
// the one before ends, or earlier.
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

// events are what a log holds, in its order, each with its id.
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

// Whatever files hold a recording, and in whichever order they are named or
// imported, the log is that of the whole.
func TestFilesOfARecordingGiveItsLog(t *testing.T) {
	known := catalog(t)
	for name, draw := range map[string]func(*rapid.T) master{"lines": drawLines, "text": drawText} {
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

				// The same again, and what grew since.
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
				sameEvents(t, "stretches one after the other", want, events(t, after))

				mixed := rapid.Permutation(paths).Draw(t, "order")
				together := eventlog.NewMemory()
				m.into(t, together, known, mixed...)
				sameEvents(t, "stretches together", want, events(t, together))
				if name == "text" {
					return // edges follow from what was seen before
				}
				late := eventlog.NewMemory()
				for _, path := range mixed {
					m.into(t, late, known, path)
				}
				found := events(t, late)
				slices.Sort(found)
				slices.Sort(want)
				sameEvents(t, "stretches in any order", want, found)
			})
		})
	}
}
