package recorded

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ringrift/rift/cmd/internal/mapping"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/eventlog"
)

var shippedRecordings = []struct{ mapping, file string }{
	{"slurm", "slurmctld.log"},
	{"sacct", "sacct.txt"},
	{"kubernetes", "kubernetes.jsonl"},
	{"kubernetes", "kubernetes.json"},
	{"nomad", "nomad.jsonl"},
	{"journald", "journald.jsonl"},
}

func shippedMapping(t testing.TB, name string) *mapping.Mapping {
	t.Helper()
	m, err := mapping.LoadShipped(name, catalog(t))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestShippedMappings(t *testing.T) {
	for _, test := range shippedRecordings {
		t.Run(test.file, func(t *testing.T) {
			path := filepath.Join("testdata", "mapped", test.file)
			options := Options{Mapping: shippedMapping(t, test.mapping)}
			log := eventlog.NewMemory()
			report, err := Import(t.Context(), log, catalog(t), MappingFormat, []string{path}, options)
			if err != nil {
				t.Fatal(err)
			}
			var text strings.Builder
			if err := report.WriteText(&text, 0); err != nil {
				t.Fatal(err)
			}
			got := said(t, log) + "\n" + text.String()
			if *golden {
				if err := os.WriteFile(path+".golden", []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path + ".golden")
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("%s.golden differs; run with -golden and read the difference. Found:\n%s", path, got)
			}
			a := report.Account
			if sum := a.Events + a.Folded + a.Skipped + a.Context + a.Blank + a.NotUnderstood; sum != report.Lines {
				t.Errorf("want every line accounted for once, found %d of %d", sum, report.Lines)
			}
			if report.Appended != report.Mapped {
				t.Errorf("want every event appended once, found %d of %d", report.Appended, report.Mapped)
			}
			again, err := Import(t.Context(), log, catalog(t), MappingFormat, []string{path}, options)
			if err != nil || again.Appended != 0 || again.Duplicates != report.Mapped {
				t.Errorf("want a second import to append nothing, found %d appended, %d there, %v", again.Appended, again.Duplicates, err)
			}
		})
	}
}

// A list in descending order of time gives the same events as lines in ascending order.
func TestAListAndLinesAreTheSame(t *testing.T) {
	var logs []string
	for _, file := range []string{"kubernetes.jsonl", "kubernetes.json"} {
		log := eventlog.NewMemory()
		if _, err := Import(t.Context(), log, catalog(t), MappingFormat, []string{filepath.Join("testdata", "mapped", file)}, Options{Mapping: shippedMapping(t, "kubernetes")}); err != nil {
			t.Fatal(err)
		}
		var events []string
		for e, err := range log.ReadAll(t.Context(), 1, eventlog.Forward, eventlog.Filter{}) {
			if err != nil {
				t.Fatal(err)
			}
			events = append(events, e.Time.Format(domain.Timestamp)+" "+e.String()+" "+e.ID.String())
		}
		slices.Sort(events) // of equal times, the order of the file decides
		logs = append(logs, strings.Join(events, "\n"))
	}
	if logs[0] != logs[1] {
		t.Errorf("want the same events, found\n%s\nand\n%s", logs[0], logs[1])
	}
}

// The files of a rotated log give the same events as the whole log.
func TestARotatedLogIsOneLog(t *testing.T) {
	whole := filepath.Join("testdata", "mapped", "slurmctld.log")
	text, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(text), "\n")
	folder := t.TempDir()
	for name, part := range map[string][]string{"slurmctld.log": lines[15:], "slurmctld.log.1": lines[:20]} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(strings.Join(part, "")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	options := Options{Mapping: shippedMapping(t, "slurm")}
	log := eventlog.NewMemory()
	if _, err := Import(t.Context(), log, catalog(t), MappingFormat, []string{folder}, options); err != nil {
		t.Fatal(err)
	}
	report, err := Import(t.Context(), log, catalog(t), MappingFormat, []string{whole}, options)
	if err != nil || report.Appended != 0 {
		t.Errorf("want the whole log to add nothing to its parts, found %d appended, %v", report.Appended, err)
	}
}

func TestJobsKeepTheirNodes(t *testing.T) {
	log := eventlog.NewMemory()
	if _, err := Import(t.Context(), log, catalog(t), MappingFormat, []string{filepath.Join("testdata", "mapped", "slurmctld.log")}, Options{Mapping: shippedMapping(t, "slurm")}); err != nil {
		t.Fatal(err)
	}
	var claims [][]domain.NodeID
	for e, err := range log.Read(t.Context(), domain.TaskID("slurm-102").Stream(), 0, eventlog.Forward) {
		if err != nil {
			t.Fatal(err)
		}
		if err := catalog(t).Fill(&e); err != nil {
			t.Fatal(err)
		}
		if claimed, is := e.Event.(work.Claimed); is {
			claims = append(claims, claimed.Nodes)
			if claimed.NodeID != claimed.Nodes[0] || claimed.Lease != uint64(len(claims)) {
				t.Errorf("want the first node and growing leases, found %+v", claimed)
			}
		}
	}
	want := [][]domain.NodeID{{"node-1", "node-2", "node-3", "node-07"}, {"node-1", "node-2"}}
	if !slices.EqualFunc(claims, want, slices.Equal) {
		t.Errorf("want %v, found %v", want, claims)
	}
}

func TestExplainLine(t *testing.T) {
	path := filepath.Join("testdata", "mapped", "slurmctld.log")
	for _, test := range []struct {
		line int64
		want []string
	}{
		{6, []string{"rule submit: no: does not match", "rule allocate: takes it", `group job = "101"`, `recalled known = "yes"`, "event TASK_CLAIMED in task-slurm-101"}},
		{19, []string{`rule not-responding: no: when level: want nothing or "up", found "silent"`, "rule not-responding-again: takes it"}},
		{41, []string{"no rule takes it"}},
	} {
		said, err := ExplainLine(t.Context(), catalog(t), path, shippedMapping(t, "slurm"), test.line)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range test.want {
			if !strings.Contains(strings.Join(said, "\n"), want) {
				t.Errorf("line %d: want %q, found\n%s", test.line, want, strings.Join(said, "\n"))
			}
		}
	}
	if _, err := ExplainLine(t.Context(), catalog(t), path, shippedMapping(t, "slurm"), 42); domain.CodeOf(err) != domain.NotFound {
		t.Errorf("want a line that is not there to be not found, found %v", err)
	}
}

// Rows are sorted by time, and a row with the start and the end of an outage gives two
// events.
func TestOutagesOfATable(t *testing.T) {
	m, err := mapping.Parse([]byte(`
lines: csv
time: {from: "{start}", layouts: [unix]}
rules:
- {event: NODE_UNHEALTHY, values: {node_id: "node-{id}", reason: "{cause}"}, more: true}
- {event: NODE_RECOVERED, time: {from: "{end}", layouts: [unix]}, values: {node_id: "node-{id}"}}
`), catalog(t))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "outages.csv")
	if err := os.WriteFile(path, []byte("id,start,end,cause\n2,200,300,disk\n1,100,250,fan\n3,x,1,fan\n4,1,2,\n5,1,2,fan,,\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	log := eventlog.NewMemory()
	report, err := Import(t.Context(), log, catalog(t), MappingFormat, []string{path}, Options{Mapping: m})
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	for e, err := range log.ReadAll(t.Context(), 1, eventlog.Forward, eventlog.Filter{Types: []string{nodes.Unhealthy{}.EventType(), nodes.Recovered{}.EventType()}}) {
		if err != nil {
			t.Fatal(err)
		}
		order = append(order, string(e.Stream)+" "+decimal(e.Time.Unix()))
	}
	if want := "node-node-3 1, node-node-5 1, node-node-4 2, node-node-5 2, node-node-1 100, node-node-2 200, node-node-1 250, node-node-2 300"; strings.Join(order, ", ") != want {
		t.Errorf("want %s, found %s", want, strings.Join(order, ", "))
	}
	if !slices.ContainsFunc(report.Notes, func(note string) bool { return strings.HasPrefix(note, "warning: 2 events") }) {
		t.Errorf("want a warning of two events at the time of others, found %q", report.Notes)
	}
	if len(report.Skipped) != 2 || !strings.HasPrefix(report.Skipped[1].Why, "time: want unix, found") && !strings.HasPrefix(report.Skipped[0].Why, "time: want unix, found") {
		t.Errorf("want two reasons, found %+v", report.Skipped)
	}
}

func TestAMappingIsNotFoundByWhatIsInAFile(t *testing.T) {
	path := filepath.Join("testdata", "mapped", "slurmctld.log")
	for _, format := range []string{"", MappingFormat} {
		if _, err := Import(t.Context(), eventlog.NewMemory(), catalog(t), format, []string{path}, Options{}); domain.CodeOf(err) != domain.Invalid {
			t.Errorf("format %q: want an error, found %v", format, err)
		}
	}
}
