package recorded

import (
	"compress/gzip"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/admin"
	"github.com/ringrift/rift/domain/election"
	"github.com/ringrift/rift/domain/elo"
	"github.com/ringrift/rift/domain/gauntlet"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/domain/swim"
	"github.com/ringrift/rift/domain/training"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/eventlog"
)

var golden = flag.Bool("golden", false, "rewrite the expected events")

func catalog(t testing.TB) *domain.Catalog {
	t.Helper()
	c, err := domain.NewCatalog(nil,
		work.Events(), nodes.Events(), election.Events(), swim.Events(), gauntlet.Events(),
		admin.Events(), elo.Events(), training.Events())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// said returns the events of a log, one per line.
func said(t *testing.T, log eventlog.Log) string {
	t.Helper()
	var b strings.Builder
	for e, err := range log.ReadAll(t.Context(), 1, eventlog.Forward, eventlog.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s %s by %s at %s (%s)\n", e.Time.Format(domain.Timestamp), e, e.Meta.Node, e.Meta.Correlation, e.Meta.Actor)
	}
	return b.String()
}

func TestRecordingsBecomeTheseEvents(t *testing.T) {
	for _, test := range []struct {
		format string
		files  []string
	}{
		{"ringrift", []string{"run_a.log", "run_b.log"}},
		{"openb", []string{"pods.csv", "nodes.csv"}},
		{"faults", []string{"faults.json"}},
	} {
		t.Run(test.format, func(t *testing.T) {
			var paths []string
			for _, file := range test.files {
				paths = append(paths, filepath.Join("testdata", file))
			}
			log := eventlog.NewMemory()
			report, err := Import(t.Context(), log, catalog(t), test.format, paths, Options{})
			if err != nil {
				t.Fatal(err)
			}
			var text strings.Builder
			if err := report.WriteText(&text, 0); err != nil {
				t.Fatal(err)
			}
			got := said(t, log) + "\n" + text.String()
			expected := filepath.Join("testdata", test.format+".golden")
			if *golden {
				if err := os.WriteFile(expected, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(expected)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("%s differs; run with -golden and read the difference. Found:\n%s", expected, got)
			}
			if report.Mapped == 0 || report.Appended != report.Mapped || int64(report.Head) != report.Mapped {
				t.Errorf("want every event appended once, found %d of %d up to %d", report.Appended, report.Mapped, report.Head)
			}

			again, err := Import(t.Context(), log, catalog(t), test.format, paths, Options{})
			if err != nil || again.Appended != 0 || again.Duplicates == 0 {
				t.Errorf("want a second import to append nothing, found %d appended, %d there, %v", again.Appended, again.Duplicates, err)
			}
		})
	}
}

// Logs may be imported together or one by one, compressed or not, from any folder: no
// event is there twice, and no node gets the level that it has.
func TestOneByOneOrTogetherEdgesAreEdges(t *testing.T) {
	ways := map[string][][]string{
		"together":   {{"testdata"}},
		"one by one": {{packed(t, "run_a.log", ".zst")}, {packed(t, "run_b.log", ".gz")}},
		"backwards":  {{packed(t, "run_b.log", ".gz")}, {packed(t, "run_a.log", ".zst")}},
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			log := eventlog.NewMemory()
			var made int64
			for _, files := range way {
				report, err := Import(t.Context(), log, catalog(t), "ringrift", files, Options{})
				if err != nil {
					t.Fatal(err)
				}
				made += report.Appended
			}
			for _, files := range append(way, way...) {
				again, err := Import(t.Context(), log, catalog(t), "ringrift", files, Options{})
				if err != nil || again.Appended != 0 {
					t.Fatalf("want nothing new of %v, found %d events, %v", files, again.Appended, err)
				}
			}
			levels := map[domain.StreamID]string{}
			var before domain.Envelope
			for e, err := range log.ReadAll(t.Context(), 1, eventlog.Forward, eventlog.Filter{}) {
				if err != nil {
					t.Fatal(err)
				}
				edge := map[string]string{"HOST_ONLINE": "online", "NODE_RECOVERED": "online", "NODE_UNHEALTHY": "unhealthy", "HOST_OFFLINE": "offline"}[e.Type]
				if edge != "" && levels[e.Stream] == edge {
					t.Errorf("want an edge, found %s for a node that was %s", e, edge)
				}
				if edge != "" {
					levels[e.Stream] = edge
				}
				if name == "together" && strings.HasPrefix(e.Meta.Correlation, "run_b") && before.Time.After(e.Time) {
					t.Errorf("want the logs merged by time, found %s behind %s", e, before)
				}
				before = e
			}
			if int64(before.Position) != made {
				t.Errorf("want %d events, found %d", made, before.Position)
			}
		})
	}
}

func packed(t *testing.T, name, ending string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name+ending)
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if ending == ".gz" {
		w := gzip.NewWriter(file)
		_, err = w.Write(text)
		err = errors.Join(err, w.Close())
	} else {
		w, zerr := zstd.NewWriter(file)
		if zerr != nil {
			t.Fatal(zerr)
		}
		_, err = w.Write(text)
		err = errors.Join(err, w.Close())
	}
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

// Every pattern matches a line of the fixtures, so that it is tested, and no line matches
// two patterns, which would count it twice.
func TestEveryPatternHasALine(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("testdata", "run_a.log"))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, line := range strings.Split(string(text), "\n") {
		var rows []string
		for _, kind := range patterns() {
			if kind.match(line) != nil && (!kind.rest || rows == nil) {
				rows = append(rows, kind.row)
				seen[kind.row] = true
			}
		}
		if len(rows) > 1 {
			t.Errorf("want one pattern for %q, found %v", line, rows)
		}
	}
	for _, kind := range patterns() {
		if !seen[kind.row] {
			t.Errorf("no fixture line for %q", kind.row)
		}
	}
}

func TestBrokenRecordingsAreNamed(t *testing.T) {
	dir := t.TempDir()
	for _, test := range []struct{ format, name, text, want string }{
		{"openb", "x.csv", "a,b\n1,2\n", "x.csv: nothing of it is understood; tried openb (want the columns of a node list"},
		{
			"openb", "p.csv", "name,cpu_milli,memory_mib,num_gpu,pod_phase,creation_time,deletion_time,scheduled_time\np-0,1,1,1,Done,-4,9,8\n",
			`p:2: pod "p-0": creation_time: want a whole number that is not negative, found "-4"`,
		},
		{"openb", "q.csv", "name,cpu_milli,memory_mib,num_gpu,pod_phase,creation_time,deletion_time,scheduled_time\np-0,1\n", "wrong number of fields"},
		{"faults", "o.json", `{"node_id":"x"}`, "tried faults (want a JSON array of records"},
		{"faults", "t.json", `[{"node_id":"a b","event_type":"fault"}]`, "t:1: fault record: node_id: want letters"},
		{"faults", "u.json", `[{"node_id":"a"`, "record 1"},
		{"jsonl", "l.jsonl", `{"stream":"x"}`, "l.jsonl:1: event: stream"},
		{"ringrift", "z.log.gz", "no gzip", "z.log.gz: "},
		{"tar", "x", "", `format "tar": want one of jsonl, openb, faults, ringrift`},
	} {
		path := filepath.Join(dir, test.name)
		if err := os.WriteFile(path, []byte(test.text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Import(t.Context(), eventlog.NewMemory(), catalog(t), test.format, []string{path}, Options{})
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: want %q, found %v", test.name, test.want, err)
		}
		if test.name == "p.csv" || test.name == "q.csv" || test.name == "t.json" || test.name == "l.jsonl" {
			report, err := Import(t.Context(), eventlog.NewMemory(), catalog(t), test.format, []string{path}, Options{Lenient: true})
			if err == nil || !strings.Contains(err.Error(), "0 of 1 lines say something as "+test.format) || len(report.Skipped) != 1 || report.Skipped[0].Count != 1 {
				t.Errorf("%s: want one record skipped, found %+v, %v", test.name, report.Skipped, err)
			}
		}
	}
}

func TestProgressIsTold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "long.log")
	if err := os.WriteFile(path, []byte(strings.Repeat("2026-02-01 08:00:00,000 - elo - INFO - Merged 1 new matches from remote\n", 3*progressEvery)), 0o600); err != nil {
		t.Fatal(err)
	}
	var told []Progress
	_, err := Import(t.Context(), eventlog.NewMemory(), catalog(t), "ringrift", []string{path}, Options{Progress: func(p Progress) { told = append(told, p) }})
	if err != nil || len(told) < 3 || told[len(told)-1].Bytes != told[0].TotalBytes || told[len(told)-1].Lines != 3*progressEvery {
		t.Fatalf("want progress up to the end, found %+v, %v", told, err)
	}
}

func fuzzFormat(f *testing.F, format, ending string, seeds ...string) {
	for _, name := range seeds {
		text, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		if format != "ringrift" {
			f.Add(text)
			continue
		}
		for line := range strings.SplitAfterSeq(string(text), "\n") { // small inputs: the engine minimises them
			f.Add([]byte(line))
		}
	}
	known := catalog(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(t.TempDir(), "fuzz"+ending)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		log := eventlog.NewMemory()
		first, err := Import(t.Context(), log, known, format, []string{path}, Options{Lenient: true})
		if err != nil {
			return // refused with a reason
		}
		again, err := Import(t.Context(), log, known, format, []string{path}, Options{Lenient: true})
		if err != nil || again.Appended != 0 || again.Mapped > first.Mapped {
			t.Fatalf("want a second import to append nothing, found %d appended, %d made after %d, %v", again.Appended, again.Mapped, first.Mapped, err)
		}
	})
}

func FuzzRingRift(f *testing.F) { fuzzFormat(f, "ringrift", ".log", "run_a.log", "run_b.log") }
func FuzzOpenB(f *testing.F)    { fuzzFormat(f, "openb", ".csv", "pods.csv", "nodes.csv") }
func FuzzFaults(f *testing.F)   { fuzzFormat(f, "faults", ".json", "faults.json") }
