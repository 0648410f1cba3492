package jsonl_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/jsonl"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC)

func seed(t *testing.T, log eventlog.Log, stream domain.StreamID, payloads ...string) {
	t.Helper()
	for i, payload := range payloads {
		_, err := log.Append(t.Context(), stream, domain.AnyRevision, eventlog.Proposed{
			ID: domain.DeriveID(string(stream), i), Type: "NOTED", Version: 2, Time: noon.Add(time.Duration(i) * time.Millisecond),
			Meta: domain.Meta{Command: "c1", Actor: `an "actor" of node-ü`, Term: 7}, Data: []byte(payload),
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func collect(t *testing.T, events iter.Seq2[domain.Envelope, error]) []domain.Envelope {
	t.Helper()
	var all []domain.Envelope
	for e, err := range events {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

func TestExportAndImportKeepEveryByte(t *testing.T) {
	payloads := []string{
		`{"a":1}`, `{"html":"<b>&"}`, `{"sep":"` + "\u2028" + `"}`, `{"f":1e400,"z":-0.0}`, `{"stray":"` + "\xff\xfe" + `"}`,
		`{ "spaced": true }`, "not json at all\n\x00", ``, `{"same":1,"same":2}`, `null`,
	}
	for _, ending := range []string{".jsonl", ".jsonl.zst", ".jsonl.gz"} {
		t.Run(ending, func(t *testing.T) {
			source := eventlog.NewMemory()
			seed(t, source, "task-a", payloads...)
			seed(t, source, "node-b", payloads[:3]...)
			path := filepath.Join(t.TempDir(), "log"+ending)
			sink := createPacked(t, path)
			before := collect(t, source.ReadAll(t.Context(), 1, eventlog.Forward, eventlog.Filter{}))
			out := jsonl.NewWriter(sink)
			for _, e := range before {
				if err := out.Write(e); err != nil {
					t.Fatal(err)
				}
			}
			count := out.Count()
			if err := errors.Join(out.Flush(), sink.Close()); err != nil || count != int64(len(payloads)+3) {
				t.Fatalf("want %d events written, found %d, %v", len(payloads)+3, count, err)
			}

			target := eventlog.NewMemory()
			for round, want := range []jsonl.Report{{Read: count, Appended: count}, {Read: count, Duplicates: count}} {
				report, err := jsonl.Import(t.Context(), target, jsonl.ReadFiles([]string{path}, jsonl.ReadOptions{}), jsonl.ImportOptions{})
				want.Head = domain.Position(count)
				if err != nil || report != want {
					t.Fatalf("import %d: want %+v, found %+v, %v", round, want, report, err)
				}
			}
			after := collect(t, target.ReadAll(t.Context(), 1, eventlog.Forward, eventlog.Filter{}))
			for i := range before {
				if !sameEvent(before[i], after[i]) {
					t.Errorf("want %v %s, found %v %s", before[i], before[i].Time, after[i], after[i].Time)
				}
			}
		})
	}
}

// A line of GET /events shows a payload as JSON, and has its bytes beside it where the JSON
// does not have them.
func TestALineWithBothPayloadsHasItsBytes(t *testing.T) {
	for _, payload := range []string{`{"a":1}`, "{\n\"a\": 1}", `[1, 2]`, "not json at all\n\x00", "\xff\"", ``, `null`, `"<text>"`} {
		shown, exact := domain.AppendPayload(nil, []byte(payload))
		line := fmt.Sprintf(`{"stream":"task-a","type":"ONE","time":"2026-03-01T12:00:00Z","data":%s`, shown)
		if !exact {
			line += fmt.Sprintf(`,"data_base64":%q`, base64.StdEncoding.EncodeToString([]byte(payload)))
		}
		found := collect(t, jsonl.Read(strings.NewReader(line+"}\n"), "log.jsonl", jsonl.ReadOptions{}))
		if len(found) != 1 || string(found[0].Data) != payload {
			t.Errorf("%s: want the payload %q, found %+v", line, payload, found)
		}
	}
}

func sameEvent(a, b domain.Envelope) bool {
	return a.Position == b.Position && a.Stream == b.Stream && a.Revision == b.Revision && a.ID == b.ID && a.Type == b.Type &&
		a.Version == b.Version && a.Time.Equal(b.Time) && a.Meta == b.Meta && bytes.Equal(a.Data, b.Data)
}

func TestWhatALineLeavesOutIsDerived(t *testing.T) {
	text := `# written by hand

{"stream":"task-a","type":"ONE","time":"2026-03-01T12:00:00Z","data":{ "x" : 1 }}
{"stream":"task-b","type":"TWO","time":"2026-03-01T13:00:00+01:00","data":{}}
{"position":10,"stream":"task-a","type":"THREE","version":4,"time":"2026-03-01T12:00:00Z","data":{}}
`
	events := collect(t, jsonl.Read(strings.NewReader(text), "hand", jsonl.ReadOptions{}))
	want := []string{`1 task-a@0 ONE {"x":1}`, `2 task-b@0 TWO {}`, `10 task-a@1 THREE {}`}
	for i, e := range events {
		if e.String() != want[i] {
			t.Errorf("want %s, found %s", want[i], e)
		}
	}
	again := collect(t, jsonl.Read(strings.NewReader("# another copy\n"+text), "copy", jsonl.ReadOptions{}))
	if events[0].ID.IsZero() || events[0].ID == events[2].ID || events[0].ID != again[0].ID || events[2].ID != again[2].ID {
		t.Error("want ids of what the lines say, the same in every copy")
	}
	if events[0].Version != 1 || events[2].Version != 4 || !events[1].Time.Equal(events[0].Time) || events[1].Time.Location() != time.UTC {
		t.Errorf("want versions 1 and 4 and UTC times, found %+v", events)
	}
}

func TestABrokenLineNamesFileLineAndEveryFault(t *testing.T) {
	good := `{"stream":"task-a","type":"ONE","time":"2026-03-01T12:00:00Z","data":{}}`
	for name, broken := range map[string]struct{ line, want string }{
		"no json":       {`{"stream":`, "log.jsonl:2: want one JSON object"},
		"unknown key":   {`{"straem":"task-a"}`, `log.jsonl:2: want one JSON object with the keys of an event: json: unknown field "straem"`},
		"every fault":   {`{"stream":"task","version":0,"revision":-1}`, `log.jsonl:2: event: stream: stream id "task": want <category>-<id>; type: required; time: required; revision: want at least 0, found -1; version: want at least 1, found 0; data: required`},
		"behind":        {good + ` {}`, `log.jsonl:2: want nothing behind the event, found "{}"`},
		"position":      {strings.Replace(good, `{`, `{"position":1,`, 1), `log.jsonl:2: event: position: want more than 1, found 1`},
		"both payloads": {strings.Replace(good, `{`, `{"data_base64":"",`, 1), "want the payload that data_base64 has, found \"{}\": leave out one of them"},
		"long":          {`{"stream":"` + strings.Repeat("x", jsonl.MaxLine), fmt.Sprintf("log.jsonl:2: want at most %d bytes in a line", jsonl.MaxLine)},
	} {
		t.Run(name, func(t *testing.T) {
			text := good + "\n" + broken.line + "\n" + good
			var count int
			var found error
			for _, err := range jsonl.Read(strings.NewReader(text), "log.jsonl", jsonl.ReadOptions{}) {
				if err != nil {
					found = err
				} else {
					count++
				}
			}
			if found == nil || !strings.Contains(found.Error(), broken.want) || count != 1 {
				t.Fatalf("want one event and then %q, found %d and %v", broken.want, count, found)
			}
			path := filepath.Join(t.TempDir(), "log.jsonl")
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			report, err := jsonl.ImportFiles(t.Context(), eventlog.NewMemory(), []string{path}, jsonl.ReadOptions{Lenient: true}, jsonl.ImportOptions{})
			if err != nil || report.Skipped != 1 {
				t.Fatalf("want one line counted as skipped, found %+v, %v", report, err)
			}
			var skipped []int64
			lenient := collect(t, jsonl.Read(strings.NewReader(text), "log.jsonl", jsonl.ReadOptions{
				Lenient: true, OnSkip: func(_ string, line int64, _ error) { skipped = append(skipped, line) },
			}))
			if len(lenient) != 2 || len(skipped) != 1 || skipped[0] != 2 {
				t.Fatalf("want two events and line 2 left out, found %d and %v", len(lenient), skipped)
			}
		})
	}
}

func TestAReadErrorIsNotTheEnd(t *testing.T) {
	torn := io.MultiReader(strings.NewReader(`{"stream":"task-a","type":"ONE","time":"2026-03-01T12:00:00Z","data":{}}`+"\n"), errReader{})
	var found error
	for _, err := range jsonl.Read(torn, "torn", jsonl.ReadOptions{Lenient: true}) {
		found = errors.Join(found, err)
	}
	if !errors.Is(found, errDisk) || !strings.Contains(found.Error(), "torn:2") {
		t.Fatalf("want the disk's error at torn:2, found %v", found)
	}
}

// packedFile is a file that is compressed as its name says.
type packedFile struct {
	io.WriteCloser
	file *os.File
}

func (p packedFile) Close() error { return errors.Join(p.WriteCloser.Close(), p.file.Close()) }

func createPacked(t *testing.T, path string) packedFile {
	t.Helper()
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	packed, err := jsonl.Pack(path, file)
	if err != nil {
		t.Fatal(err)
	}
	return packedFile{packed, file}
}

var errDisk = errors.New("disk gone")

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, errDisk }

// countedLog counts the calls of AppendMany.
type countedLog struct {
	*eventlog.Memory
	calls int
}

func (l *countedLog) AppendMany(ctx context.Context, writes []eventlog.Write) []eventlog.Written {
	l.calls++
	return l.Memory.AppendMany(ctx, writes)
}

func TestImportGoesOnWhereItStopped(t *testing.T) {
	source := eventlog.NewMemory()
	for i := range 40 {
		seed(t, source, domain.StreamID(fmt.Sprintf("task-%d", i)), fmt.Sprintf(`{"n":%d}`, i))
	}
	seed(t, source, "node-long", strings.Split(strings.Repeat(`{"x":1} `, 1200), " ")[:1200]...)
	all := source.ReadAll(t.Context(), 1, eventlog.Forward, eventlog.Filter{})
	total := int64(len(collect(t, all)))

	target := &countedLog{Memory: eventlog.NewMemory()}
	cut := func(yield func(domain.Envelope, error) bool) {
		n := 0
		for e, err := range all {
			if n == 900 {
				yield(domain.Envelope{}, errDisk)
				return
			}
			n++
			if !yield(e, err) {
				return
			}
		}
	}
	report, err := jsonl.Import(t.Context(), target, cut, jsonl.ImportOptions{})
	if !errors.Is(err, errDisk) || report.Appended != 900 {
		t.Fatalf("want what was read before the error appended, found %+v, %v", report, err)
	}
	first := report.Appended
	report, err = jsonl.Import(t.Context(), target, all, jsonl.ImportOptions{})
	if err != nil || report.Duplicates != first || report.Appended+report.Duplicates != total || int64(report.Head) != total {
		t.Fatalf("want the rest of %d appended behind %d, found %+v, %v", total, first, report, err)
	}
	if target.calls > 8 {
		t.Errorf("want few appends of many events, found %d", target.calls)
	}
}

// An event that the log refuses ends an import, because later events must not be stored
// before it.
func TestImportStopsAtAnEventThatNoLogTakes(t *testing.T) {
	source := eventlog.NewMemory()
	seed(t, source, "task-a", `{"n":0}`, `{"n":1}`, `{"n":2}`)
	bad := func(yield func(domain.Envelope, error) bool) {
		for e, err := range source.ReadAll(t.Context(), 1, eventlog.Forward, eventlog.Filter{}) {
			if e.Revision == 1 {
				e.Type = ""
			}
			if !yield(e, err) {
				return
			}
		}
	}
	target := eventlog.NewMemory()
	report, err := jsonl.Import(t.Context(), target, bad, jsonl.ImportOptions{})
	if domain.CodeOf(err) != domain.Invalid || report.Appended != 1 {
		t.Fatalf("want the one event before it appended and a refusal, found %+v, %v", report, err)
	}
}

func TestFilesAreReadInTheOrderGiven(t *testing.T) {
	dir := t.TempDir()
	var files []string
	for _, name := range []string{"b.jsonl", "a.jsonl.gz", "c.jsonl.zst"} {
		files = append(files, filepath.Join(dir, name))
		sink := createPacked(t, filepath.Join(dir, name))
		fmt.Fprintf(sink, `{"stream":"task-%s","type":"ONE","time":"2026-03-01T12:00:00Z","data":{}}`, name)
		if err := sink.Close(); err != nil {
			t.Fatal(err)
		}
	}
	var streams []string
	for _, e := range collect(t, jsonl.ReadFiles(files, jsonl.ReadOptions{})) {
		streams = append(streams, string(e.Stream))
	}
	if got := strings.Join(streams, " "); got != "task-b.jsonl task-a.jsonl.gz task-c.jsonl.zst" {
		t.Fatalf("want the three logs one after the other, found %s", got)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"stream":"task-a","type":"ONE","time":"2026-03-01T12:00:00Z","data":{"a":[1,2]}}`))
	f.Add([]byte(`{"position":3,"stream":"task-a","revision":2,"id":"00000000-0000-8000-8000-000000000001","type":"ONE","version":2,"time":"2026-03-01T12:00:00.000001Z","data_base64":"AA==","meta":{"term":3}}`))
	f.Add([]byte("# comment\r\n\r\n{\"data\":null}\n\xff\xfe"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var out bytes.Buffer
		writer := jsonl.NewWriter(&out)
		var first []domain.Envelope
		for e, err := range jsonl.Read(bytes.NewReader(text), "fuzz", jsonl.ReadOptions{Lenient: true}) {
			if err != nil {
				t.Fatal(err)
			}
			if err := writer.Write(e); err != nil {
				t.Fatal(err)
			}
			first = append(first, e)
		}
		if err := writer.Flush(); err != nil {
			t.Fatal(err)
		}
		i := 0
		for e, err := range jsonl.Read(&out, "again", jsonl.ReadOptions{}) {
			if err != nil {
				t.Fatalf("want what was written to be readable, found %v", err)
			}
			if !sameEvent(e, first[i]) {
				t.Fatalf("want %v, found %v", first[i], e)
			}
			i++
		}
		if i != len(first) {
			t.Fatalf("want %d events, found %d", len(first), i)
		}
	})
}

func BenchmarkRead(b *testing.B) {
	var out bytes.Buffer
	writer := jsonl.NewWriter(&out)
	for i := range 1000 {
		err := writer.Write(domain.Envelope{
			Position: domain.Position(i + 1), Stream: "task-a", Revision: domain.Revision(i), ID: domain.DeriveID("b", i), Type: "TASK_SPAWNED", Version: 1,
			Time: noon, Data: []byte(`{"task_id":"a","payload":"` + strings.Repeat("x", 200) + `"}`), Meta: domain.Meta{Command: "c", Node: "n"},
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	if err := writer.Flush(); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(out.Len()))
	b.ReportAllocs()
	for b.Loop() {
		for _, err := range jsonl.Read(bytes.NewReader(out.Bytes()), "bench", jsonl.ReadOptions{}) {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
}

// A line that has a key twice is refused, because readers differ in which value counts.
func TestAKeyTwiceIsRefused(t *testing.T) {
	for _, line := range []string{
		`{"stream":"node-a","stream":"node-b","type":"ONE","time":"2026-03-01T12:00:00Z","data":{}}`,
		`{"stream":"node-a","type":"ONE","time":"2026-03-01T12:00:00Z","data":{},"Data":{"a":1}}`,
	} {
		for _, err := range jsonl.Read(strings.NewReader(line+"\n"), "x", jsonl.ReadOptions{}) {
			if err == nil || !strings.Contains(err.Error(), "want every key of an event once") {
				t.Errorf("want %s refused, found %v", line, err)
			}
		}
	}
}
