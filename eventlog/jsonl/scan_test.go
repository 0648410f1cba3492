package jsonl

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/ringrift/rift/domain"
)

func written(t testing.TB, e domain.Envelope) []byte {
	t.Helper()
	var scratch bytes.Buffer
	line, err := appendLine(nil, e, &scratch)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.TrimSuffix(line, []byte("\n"))
}

var sample = domain.Envelope{
	Position: 7, Stream: "task-a", Revision: 3, ID: domain.DeriveID("s", 1), Type: "NOTED", Version: 2,
	Time: time.Date(2026, 3, 1, 12, 0, 0, 120000000, time.UTC), Data: []byte(`{"a":[1,{"b":"}]\""}],"c":"x y"}`),
	Meta: domain.Meta{Command: "c", Causation: "d", Correlation: "e", Actor: "f", Node: "g", Policy: "h@1", Term: 9},
}

// TestTheScannerReadsWhatTheWriterWrites checks that the scanner accepts such lines.
// Otherwise reading would be slow, which no other test notices.
func TestTheScannerReadsWhatTheWriterWrites(t *testing.T) {
	plain := sample
	plain.Meta = domain.Meta{}
	for _, e := range []domain.Envelope{sample, plain} {
		found, ok := scanLine(written(t, e))
		if !ok || !same(found, e) {
			t.Errorf("want %v, found %v, %t", e, found, ok)
		}
	}
	line := string(written(t, sample))
	for _, change := range [][2]string{
		{`"position":7`, `"position":-7`},
		{`"position":7`, `"position":07`},
		{`"position":7`, `"position":18446744073709551615`},
		{`"stream":"task-a"`, `"stream":"task"`},
		{`"NOTED"`, `""`},
		{`"NOTED"`, `"NO\u0054ED"`},
		{`"version":2`, `"version":0`},
		{`12:00:00.12Z`, `12:00:00,12Z`},
		{`12:00:00.12Z`, `12:00:00.12+01:00`},
		{`{"a"`, `{ "a"`},
		{`{"a"`, `{a`},
		{`"a":[`, `"a":[[`},
		{`"term":9`, `"term":9,"term":9`},
		{`"term":9`, `"turn":9`},
		{`}}`, `}} `},
		{`"actor":"f"`, `"actor":"ü"`},
	} {
		if changed := strings.Replace(line, change[0], change[1], 1); changed == line {
			t.Errorf("%s is not in the line", change[0])
		} else if e, ok := scanLine([]byte(changed)); ok {
			t.Errorf("want %s left to the parser, found %v", changed, e)
		}
	}
}

func same(a, b domain.Envelope) bool {
	return a.Position == b.Position && a.Stream == b.Stream && a.Revision == b.Revision && a.ID == b.ID && a.Type == b.Type &&
		a.Version == b.Version && a.Time.Equal(b.Time) && a.Meta == b.Meta && bytes.Equal(a.Data, b.Data)
}

func FuzzScannerAgreesWithTheParser(f *testing.F) {
	f.Add(written(f, sample))
	plain := sample
	plain.Meta, plain.Data = domain.Meta{}, []byte(`[]`)
	f.Add(written(f, plain))
	f.Fuzz(func(t *testing.T, line []byte) {
		fast, ok := scanLine(line)
		if !ok || fast.Position == 0 {
			return
		}
		slow, err := (&derive{}).parse(line)
		if err != nil {
			t.Fatalf("the scanner read %q as %v, the parser refuses it: %v", line, fast, err)
		}
		if !same(fast, slow) {
			t.Fatalf("%q: the scanner read %+v, the parser %+v", line, fast, slow)
		}
	})
}
