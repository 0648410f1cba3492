package wiring

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/transport"
)

const testdata = "../../../testdata"

// An event is handled, or it is listed as ignored with the reason; not both.
func TestEveryEventIsHandledOrIgnored(t *testing.T) {
	handled := map[string]bool{}
	for _, projection := range Projections() {
		for _, handler := range projection.Handlers {
			handled[handler.Type] = true
		}
	}
	for _, reactor := range Reactors() {
		handled[reactor.Type] = true
	}
	ignored := ignoredEvents()
	catalog, err := Catalog()
	if err != nil {
		t.Fatal(err)
	}
	for _, def := range catalog.Defs() {
		reason, listed := ignored[def.Type]
		switch {
		case handled[def.Type] && listed:
			t.Errorf("%s is handled, and listed as ignored", def.Type)
		case !handled[def.Type] && !listed:
			t.Errorf("%s: nobody handles it, and ignoredEvents gives no reason", def.Type)
		case listed && reason == "":
			t.Errorf("%s is ignored without a reason", def.Type)
		}
	}
	for name := range ignored {
		if _, known := catalog.Lookup(name); !known {
			t.Errorf("%s is ignored, and not in the catalogue", name)
		}
	}
	for name := range handled {
		if _, known := catalog.Lookup(name); !known {
			t.Errorf("%s is handled, and not in the catalogue", name)
		}
	}
}

// Every event, every command that a tool can send and every endpoint stands in a
// script, which is its documentation.
func TestEveryEventAndEndpointHasAScript(t *testing.T) {
	text := allScripts(t)
	catalog, err := Catalog()
	if err != nil {
		t.Fatal(err)
	}
	for _, def := range catalog.Defs() {
		if !strings.Contains(text, def.Type) {
			t.Errorf("event %s: no script shows it", def.Type)
		}
	}
	for _, route := range Routes() {
		if route.Kind == transport.Stream || route.Kind == transport.Plain {
			continue // they do not end, or are not rift's to describe
		}
		if !mentions(text, route) {
			t.Errorf("%s %s (%s): no script uses it", route.Method, route.Path, route.Name)
		}
	}
}

// mentions reports whether a script line calls the route, by path or by command
// type.
func mentions(text string, route transport.Route) bool {
	if route.Kind == transport.Command && strings.Contains(text, "command "+route.Name) {
		return true
	}
	fixed, _, _ := strings.Cut(route.Path, "{")
	for line := range strings.Lines(text) {
		rest, asks := strings.CutPrefix(line, "http "+route.Method+" "+fixed)
		if !asks {
			continue
		}
		if fixed != route.Path {
			return true
		}
		if rest = strings.TrimSpace(rest); rest == "" || rest[0] == '?' || line[len("http "+route.Method+" "+fixed)] == ' ' {
			return true
		}
	}
	return false
}

// Every command is a tool's, with a route, or it is issued by the process alone.
func TestEveryCommandHasARoute(t *testing.T) {
	issued := map[string]bool{}
	for _, name := range []string{
		"work.lease", "work.reserve", "work.expire", "work.requeue", "work.pressure", "work.preempt",
		"nodes.silent", "nodes.report", "nodes.idle", "nodes.busy", "nodes.zombie", "nodes.retire_offline",
		"events.append",
		"admin.end_pause", "admin.report_cluster",
		"daemons.report", "daemons.settle",
		"datasync.report", "datasync.stall",
		"alarms.raise", "alarms.clear",
		"training.expire_block", "training.abandon", "training.finish", "cmaes.overdue",
		"election.take_lead", "raft.note_members",
		"relay.queue", "relay.deliver", "relay.answer", "relay.expire",
		"ssh_tournament.begin", "ssh_tournament.take", "ssh_tournament.end",
	} {
		issued[name] = true
	}
	for _, reactor := range Reactors() {
		for _, name := range reactor.Issues {
			issued[name] = true
		}
	}
	routed := map[string]bool{}
	for _, route := range Routes() {
		routed[route.Name] = true
	}
	known := map[string]bool{}
	for _, area := range Specs() {
		for _, spec := range area {
			known[spec.Type] = true
			if !issued[spec.Type] && !routed[spec.Type] {
				t.Errorf("command %s has no route, and no reactor or clock issues it", spec.Type)
			}
		}
	}
	for name := range issued {
		if !known[name] {
			t.Errorf("command %s is issued, and nobody runs it", name)
		}
	}
}

// Reactors have a name each; it is part of the identity of what they issue.
func TestReactorsHaveNamesOfTheirOwn(t *testing.T) {
	seen := map[string]bool{}
	for _, reactor := range Reactors() {
		if seen[reactor.Name] {
			t.Errorf("two reactors are called %s", reactor.Name)
		}
		seen[reactor.Name] = true
	}
}

func allScripts(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(filepath.Join(testdata, "scripts"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		b.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// FuzzCodecsAgree holds the fast codec against the standard one: what the
// standard one reads, the fast one reads as the same, for every event.
func FuzzCodecsAgree(f *testing.F) {
	standard, err := domain.NewCatalog(domain.StandardCodec{}, Events()...)
	if err != nil {
		f.Fatal(err)
	}
	fast, err := Catalog()
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{
		`{"task_id":"t1","task_type":"selfplay","priority":50,"payload":{"games":[1,2.5e3,null]},"timeout_seconds":1.5,"max_attempts":3}`,
		`{"task_id":"t1","lease":18446744073709551615,"node_id":"gpu-1","deadline":"2026-01-02T03:04:05.000001Z","attempt":1}`,
		`{"node_id":"gpu-1","facts":{"a":"é"},"capabilities":["x"],"unknown":[[]]}`,
		`{}`, `null`, `{"result":"\ud83d\ude00"}`, `{"task_id":null}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if !json.Valid(data) {
			return // the log holds JSON only
		}
		for _, def := range standard.Defs() {
			want, err := standard.Decode(def.Type, def.Version, data)
			if err != nil {
				continue
			}
			got, err := fast.Decode(def.Type, def.Version, slices.Clone(data))
			if err != nil {
				t.Fatalf("%s %s: the standard codec reads it, the fast one says %v", def.Type, data, err)
			}
			if !reflect.DeepEqual(want, got) {
				t.Fatalf("%s %s: the standard codec reads %+v, the fast one %+v", def.Type, data, want, got)
			}
			wrote, err := json.Marshal(want)
			if err != nil {
				continue
			}
			again, err := FastCodec{}.Marshal(want)
			if err != nil {
				t.Fatalf("%s %s: the fast codec does not write it: %v", def.Type, data, err)
			}
			if !bytes.Equal(wrote, again) && !sameJSON(wrote, again) {
				t.Fatalf("%s: the standard codec writes %s, the fast one %s", def.Type, wrote, again)
			}
		}
	})
}

// FuzzDigestsAgree holds what a command id stands for against what builds with the
// standard codec noted, for every command.
func FuzzDigestsAgree(f *testing.F) {
	for _, seed := range []string{
		`{"task_id":"t1","task_type":"selfplay","priority":50,"payload":{ "b" : [1, 2.50e-07,null], "a":"<&>\u2028\ud83d\ude00 é" },"timeout_seconds":1e-7,"pin":{"node_id":"n","seconds":1e21}}`,
		`{"items":[{"task_id":"t1","lease":18446744073709551615,"result":{"z":1, "a":"\u003c"}}],"node_id":"gpu-1","limit":3}`,
		`{"policy":{"work":{"types":{"b":1,"a":2}}},"change":[ ],"reason":"\"","facts":{"x":"\ud800"},"at":"2026-01-02T03:04:05.000001Z"}`,
		`{}`, `null`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, area := range Specs() {
			for _, spec := range area {
				pointer := spec.New()
				if json.Unmarshal(data, pointer) != nil {
					continue
				}
				c := spec.Value(pointer)
				if appended, ok := c.(commands.AppendEvent); ok && appended.Event == nil {
					continue // the stream has this
				}
				want, errWanted := commands.Digest(domain.StandardCodec{}, c)
				found, err := commands.Digest(FastCodec{}, c)
				if want != found || (err == nil) != (errWanted == nil) {
					t.Fatalf("%s %s: want the digest %s, %v, found %s, %v", spec.Type, data, want, errWanted, found, err)
				}
			}
		}
	})
}

func sameJSON(a, b []byte) bool {
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}

func TestEverySettingSaysWhatItMeans(t *testing.T) {
	settings, err := Sections().Settings(domain.Policy{})
	if err != nil {
		t.Fatal(err)
	}
	for _, section := range Sections() {
		if Sections().About(section.SectionName()) == "" {
			t.Errorf("%s: nothing says what it is", section.SectionName())
		}
	}
	for _, setting := range settings {
		if Sections().About(setting.Key) == "" {
			t.Errorf("%s: nothing says what it means", setting.Key)
		}
	}
	if faults := Sections().Default().Faults(); len(faults) > 0 {
		t.Errorf("want a built-in document that works, found %v", faults)
	}
}
