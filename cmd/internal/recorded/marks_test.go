package recorded

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/ringrift/rift/eventlog"
)

// A byte order mark is ignored in any format, and an error names the encoding of text
// that is not UTF-8.
func TestByteOrderMarks(t *testing.T) {
	for format, files := range map[string][]string{"ringrift": {"run_b.log"}, "openb": {"nodes.csv", "pods.csv"}, "faults": {"faults.json"}} {
		t.Run(format, func(t *testing.T) {
			plain, marked, wide := t.TempDir(), t.TempDir(), t.TempDir()
			for _, name := range files {
				text, err := os.ReadFile(filepath.Join("testdata", name))
				if err != nil {
					t.Fatal(err)
				}
				utf16le := []byte{0xff, 0xfe}
				for _, unit := range utf16.Encode([]rune(string(text))) {
					utf16le = append(utf16le, byte(unit), byte(unit>>8))
				}
				for dir, content := range map[string][]byte{plain: text, marked: append([]byte("\xef\xbb\xbf"), text...), wide: utf16le} {
					if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
						t.Fatal(err)
					}
				}
			}
			events := map[string]string{}
			for _, dir := range []string{plain, marked} {
				log := eventlog.NewMemory()
				if _, err := Import(t.Context(), log, catalog(t), "", []string{dir}, Options{}); err != nil {
					t.Fatal(err)
				}
				events[dir] = said(t, log)
			}
			if events[plain] != events[marked] || events[plain] == "" {
				t.Errorf("want the same events with a mark, found\n%s\nand\n%s", events[plain], events[marked])
			}
			_, err := Import(t.Context(), eventlog.NewMemory(), catalog(t), "", []string{filepath.Join(wide, files[0])}, Options{})
			if err == nil || !strings.Contains(err.Error(), "want UTF-8, found the byte order mark of UTF-16") {
				t.Errorf("want UTF-16 refused by its name, found %v", err)
			}
		})
	}
}

// Bytes that are not UTF-8 are refused, or become text that is valid JSON.
func TestStrayBytesBecomeValidJSON(t *testing.T) {
	for name, text := range map[string]string{
		"a.log":       "2026-02-01 08:00:00,000 - bad\xff - CRITICAL - odd \xfe words\n2026-02-01 08:00:01,000 - m - WARNING - Node box-3 unhealthy (2 consecutive failures): layer=p2p, error=\xff\n",
		"nodes.csv":   "sn,cpu_milli,memory_mib,gpu,model\nn-1,1000,1,8,G\xff2\nn-2,1000,1,8,G2\n",
		"faults.json": "[{\"node_id\":\"n\",\"event_time\":1,\"event_type\":\"fault_start\",\"fault_type\":{\"Desc\":\"odd \xff\"}}]",
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), name)
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			log := eventlog.NewMemory()
			if _, err := Import(t.Context(), log, catalog(t), "", []string{path}, Options{}); err != nil {
				return // refused
			}
			for e, err := range log.ReadAll(t.Context(), 1, eventlog.Forward, eventlog.Filter{}) {
				if err != nil {
					t.Fatal(err)
				}
				meta := strings.Join([]string{e.Meta.Actor, e.Meta.Node, e.Meta.Correlation}, " ")
				if !utf8.Valid(e.Data) || !json.Valid(e.Data) || !utf8.ValidString(meta) {
					t.Errorf("want UTF-8, found %q with %q", e.Data, meta)
				}
			}
		})
	}
}

// A text log that is still being written may end in a part of a line, which is skipped.
// Importing the file again when it has grown gives the events of the whole file.
func TestAGrownLogIsCutAnywhere(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("testdata", "run_a.log"))
	if err != nil {
		t.Fatal(err)
	}
	mapped, err := os.ReadFile(filepath.Join("testdata", "mapped", "slurmctld.log"))
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		text    []byte
		format  string
		options Options
	}{
		"ringrift": {text, "ringrift", Options{Node: "box-1", Growing: true}},
		"mapping":  {mapped, MappingFormat, Options{Mapping: shippedMapping(t, "slurm"), Growing: true}},
	} {
		t.Run(name, func(t *testing.T) {
			whole := eventlog.NewMemory()
			if _, err := Import(t.Context(), whole, catalog(t), test.format, []string{fileWith(t, "grown.log", string(test.text))}, test.options); err != nil {
				t.Fatal(err)
			}
			for end := 700; end < len(test.text); end += 41 {
				log := eventlog.NewMemory()
				for _, part := range [][]byte{test.text[:end], test.text} {
					report, err := Import(t.Context(), log, catalog(t), test.format, []string{fileWith(t, "grown.log", string(part))}, test.options)
					if err != nil {
						t.Fatal(err)
					}
					a := report.Account
					if report.Lines != a.Events+a.Folded+a.Skipped+a.Context+a.Blank+a.NotUnderstood {
						t.Fatalf("want every line accounted for, found %d lines, %+v", report.Lines, a)
					}
				}
				if said(t, log) != said(t, whole) {
					t.Fatalf("cut after %d bytes, in %q: want\n%s\nfound\n%s", end, test.text[end-30:end], said(t, whole), said(t, log))
				}
			}

			// A finished file is read to its last line, with or without a line feed.
			finished, options := eventlog.NewMemory(), test.options
			options.Growing = false
			if _, err := Import(t.Context(), finished, catalog(t), test.format, []string{fileWith(t, "grown.log", strings.TrimRight(string(test.text), "\n"))}, options); err != nil {
				t.Fatal(err)
			}
			if said(t, finished) != said(t, whole) {
				t.Errorf("without the last line feed: want\n%s\nfound\n%s", said(t, whole), said(t, finished))
			}
		})
	}
}

// Events of the format jsonl that the catalogue would refuse are kept and listed, and a
// file without any event that it accepts is an error.
func TestFaultyEventsAreListed(t *testing.T) {
	line := func(stream, eventType, data string) string {
		return `{"stream":"` + stream + `","type":"` + eventType + `","time":"2026-03-01T12:00:00Z","data":` + data + "}\n"
	}
	good := line("node-a", "HOST_ONLINE", `{"node_id":"a"}`)
	for data, want := range map[string]string{
		line("node-a", "HOST_ONLINE", `{}`):                                               "node_id",
		line("node-a", "HOST_ONLINE", `null`):                                             "node_id",
		line("node-a", "HOST_ONLINE", `[]`):                                               "HOST_ONLINE version 1",
		line("node-a", "HOST_ONLINE", `{"node_id":5}`):                                    "node_id",
		line("node-a", "HOST_ONLINE", `{"node_id":"b"}`):                                  "stream: want node-b by what the event says",
		line("node-a", "NODE_RECOVERED", `{"node_id":"a","recovery_time_seconds":1e300}`): "recovery_time_seconds",
		line("node-a", "NODE_UNHEALTHY", `{"node_id":"a","consecutive_failures":1e99}`):   "consecutive_failures",
	} {
		report, err := Import(t.Context(), eventlog.NewMemory(), catalog(t), "", []string{fileWith(t, "a.jsonl", good+data)}, Options{})
		if err != nil || report.Appended != 2 || len(report.Faulty) != 1 || !strings.Contains(report.Faulty[0].Why, want) || !strings.HasPrefix(report.Faulty[0].Examples[0], "a:2: node-a ") {
			t.Errorf("want the fault of %q with %q, found %+v, %v", data, want, report.Faulty, err)
		}
		if _, err := Import(t.Context(), eventlog.NewMemory(), catalog(t), "", []string{fileWith(t, "a.jsonl", data)}, Options{}); err == nil || !strings.Contains(err.Error(), "0 of 1 lines say something as jsonl") {
			t.Errorf("want an error where nothing else is there, found %v", err)
		}
	}
	if _, err := Import(t.Context(), eventlog.NewMemory(), catalog(t), "", []string{fileWith(t, "a.json", "["+strings.TrimSpace(good)+"]\n")}, Options{}); err == nil || !strings.Contains(err.Error(), "nothing of it is understood") {
		t.Errorf("want an array of events taken for no faults, found %v", err)
	}
	log := eventlog.NewMemory()
	report, err := Import(t.Context(), log, catalog(t), "", []string{fileWith(t, "a\x1b[31m.jsonl", line("node-a", `A\nB\u001b[1m`, `{}`))}, Options{})
	var text strings.Builder
	if err := report.WriteText(&text, 0); err != nil {
		t.Fatal(err)
	}
	if err != nil || strings.Contains(text.String(), "\x1b") || strings.Contains(text.String(), "A\nB") {
		t.Errorf("want nothing that a terminal obeys, found %q, %v", text.String(), err)
	}
}
