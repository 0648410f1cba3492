package output

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"
)

func noenv(string) string { return "" }

var now = time.Date(2026, 3, 6, 14, 0, 0, 0, time.UTC)

var columns = []Column{{Name: "name", Max: 8}, {Name: "count", Right: true}, {Name: "since"}, {Name: "note", Wide: true}}

func listing() Listing {
	row := func(name string, count int, since time.Time, note string) ([]any, any) {
		return []any{name, count, since, note}, map[string]any{"name": name, "count": count}
	}
	var l Listing
	for _, r := range []struct {
		name, note string
		count      int
		since      time.Time
	}{
		{"alpha", "a|b", 1234567, now.Add(-time.Hour)},
		{"a-long-name", "x,\"y\"", 2, now.AddDate(-1, 0, 0)},
	} {
		cells, item := row(r.name, r.count, r.since, r.note)
		l.Rows, l.Items = append(l.Rows, cells), append(l.Items, item)
	}
	l.Columns, l.Doc = columns, map[string]any{"rows": l.Items, "position": 9}
	l.Above, l.Below, l.Empty = "above", "below", "nothing here"
	return l
}

func printed(t *testing.T, format Format, l Listing) string {
	t.Helper()
	var out bytes.Buffer
	p := &Printer{Out: &out, Format: format, Now: now}
	if err := p.Print(l); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestFormats(t *testing.T) {
	for format, want := range map[Format]string{
		Table: `above
NAME          COUNT  SINCE
alpha     1,234,567  13:00:00
a-lo…ame          2  2025-03-06 14:00:00
below
`,
		Wide: `above
NAME             COUNT  SINCE                 NOTE
alpha        1,234,567  2026-03-06T13:00:00Z  a|b
a-long-name          2  2025-03-06T14:00:00Z  x,"y"
below
`,
		JSON: `{
  "position": 9,
  "rows": [
    {
      "count": 1234567,
      "name": "alpha"
    },
    {
      "count": 2,
      "name": "a-long-name"
    }
  ]
}
`,
		JSONL: `{"count":1234567,"name":"alpha"}
{"count":2,"name":"a-long-name"}
`,
		CSV: `name,count,since,note
alpha,1234567,2026-03-06T13:00:00Z,a|b
a-long-name,2,2025-03-06T14:00:00Z,"x,""y"""
`,
		Markdown: `| name | count | since | note |
|---|--:|---|---|
| alpha | 1,234,567 | 2026-03-06T13:00:00Z | a\|b |
| a-long-name | 2 | 2025-03-06T14:00:00Z | x,"y" |
`,
	} {
		if got := printed(t, format, listing()); got != want {
			t.Errorf("%s: found\n%s\nwant\n%s", format, got, want)
		}
	}
}

func TestNothingToList(t *testing.T) {
	for format, want := range map[Format]string{
		Table: "nothing here\n", JSON: "[]\n", JSONL: "", CSV: "name\n", Markdown: "| name |\n|---|\n",
	} {
		if got := printed(t, format, Listing{Columns: columns[:1], Empty: "nothing here"}); got != want {
			t.Errorf("%s: found %q, want %q", format, got, want)
		}
	}
}

func TestStreamedDocument(t *testing.T) {
	for n, want := range []string{
		"{\n  \"events\": [],\n  \"next\": 0\n}\n",
		"{\n  \"events\": [\n    {\n      \"n\": 0\n    }\n  ],\n  \"next\": 1\n}\n",
		"{\n  \"events\": [\n    {\n      \"n\": 0\n    },\n    {\n      \"n\": 1\n    }\n  ],\n  \"next\": 2\n}\n",
	} {
		var out bytes.Buffer
		rows := (&Printer{Out: &out, Format: JSON}).Rows(columns).Document("events")
		for i := range n {
			if err := rows.Write(map[string]int{"n": i}); err != nil {
				t.Fatal(err)
			}
		}
		rows.After("next", n)
		if err := rows.Close(); err != nil {
			t.Fatal(err)
		}
		if out.String() != want {
			t.Errorf("%d rows: found\n%s\nwant\n%s", n, out.String(), want)
		}
	}
}

// Rows past the sample keep the widths of the head, so that memory is bounded
// and columns stay in line.
func TestLongTables(t *testing.T) {
	var out bytes.Buffer
	rows := (&Printer{Out: &out, Format: Table}).Rows([]Column{{Name: "name"}, {Name: "n", Right: true}})
	for i := range 2 * sample {
		if err := rows.Write(nil, fmt.Sprintf("row-%d", i), i); err != nil {
			t.Fatal(err)
		}
	}
	if len(rows.held) > 0 {
		t.Errorf("found %d rows held, want none", len(rows.held))
	}
	if err := rows.Close(); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(lines) != 2*sample+1 {
		t.Fatalf("found %d lines, want %d", len(lines), 2*sample+1)
	}
	if lines[1] != "row-0      0" || lines[2*sample] != "row-511  511" {
		t.Errorf("found %q and %q", lines[1], lines[2*sample])
	}
}

func TestLiveRowsGoOutAtOnce(t *testing.T) {
	for _, format := range []Format{Table, JSON, CSV} {
		var out bytes.Buffer
		rows := (&Printer{Out: &out, Format: format}).Rows([]Column{{Name: "n"}}).Live()
		for i := range 3 {
			before := out.Len()
			if err := rows.Write(map[string]int{"n": i}, i); err != nil {
				t.Fatal(err)
			}
			if out.Len() == before {
				t.Errorf("%s: row %d was held back", format, i)
			}
		}
		if format == JSON && out.String() != "{\"n\":0}\n{\"n\":1}\n{\"n\":2}\n" {
			t.Errorf("json: found %q, want a row a line", out.String())
		}
	}
}

func TestNarrowTerminal(t *testing.T) {
	var out bytes.Buffer
	p := &Printer{Out: &out, Format: Table, Terminal: true, Width: 30}
	err := p.Print(Listing{Columns: []Column{{Name: "id"}, {Name: "text"}}, Rows: [][]any{{"x", strings.Repeat("long ", 20)}}})
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(strings.TrimSpace(out.String()), "\n") {
		if n := len([]rune(line)); n > 30 {
			t.Errorf("found %d characters, want at most 30: %q", n, line)
		}
	}
}

// What callers put into an event must not steer the terminal of who reads it.
func TestControlCharacters(t *testing.T) {
	got := printed(t, Table, Listing{Columns: []Column{{Name: "x"}}, Rows: [][]any{{"a\x1b[31mb\u009bc\x07"}}})
	if strings.ContainsAny(got, "\x1b\u009b\x07") {
		t.Errorf("found %q", got)
	}
}

func TestFields(t *testing.T) {
	var out bytes.Buffer
	p := &Printer{Out: &out, Format: Table, Now: now}
	err := p.Fields(nil, Field{"state", "queued"}, Field{"error", nil}, Field{"created at", now.Add(-time.Minute)})
	if want := "state       queued\ncreated at  13:59:00\n"; err != nil || out.String() != want {
		t.Errorf("found %q, %v, want %q", out.String(), err, want)
	}
}

func TestNewPrinter(t *testing.T) {
	var out bytes.Buffer
	p, err := New(&out, "", noenv)
	if err != nil || p.Format != JSON || p.Color || p.Terminal {
		t.Errorf("piped: found %+v, %v, want JSON without colours", p, err)
	}
	if _, err := New(&out, "yaml", noenv); err == nil || !strings.Contains(err.Error(), "want one of table, wide, json, jsonl, csv, md") {
		t.Errorf("found %v, want the formats listed", err)
	}
}

func TestNumbers(t *testing.T) {
	for want, got := range map[string]string{
		"0": Count(0), "999": Count(999), "1,000": Count(1000), "-12,345": Count(-12345), "18,446,744,073,709,551,615": Count(uint64(1<<64 - 1)),
		"512 B": Bytes(512).String(), "1.50 KiB": Bytes(1536).String(), "12.0 MiB": Bytes(12 << 20).String(), "234 GiB": Bytes(234 << 30).String(),
		"1 event": Plural(1, "event"), "0 events": Plural(0, "event"),
		"0s": Span(0), "15µs": Span(15 * time.Microsecond), "1.5ms": Span(1500 * time.Microsecond), "59.9s": Span(59_900 * time.Millisecond),
		"3m20s": Span(200 * time.Second), "5m": Span(5 * time.Minute), "2h": Span(2 * time.Hour), "3d4h": Span(76 * time.Hour), "-2m": Span(-2 * time.Minute),
	} {
		if got != want {
			t.Errorf("found %q, want %q", got, want)
		}
	}
}

// A bar appears once a task has run for a second, on a terminal only, and is
// gone when it is done.
func TestProgress(t *testing.T) {
	for _, c := range []struct {
		name  string
		show  bool
		total int64
		took  time.Duration
		want  string
	}{
		{"quick", true, 100, 900 * time.Millisecond, ""},
		{"slow", true, 100, 2 * time.Second, "importing 50 of 100 events, 25/s, 2s left"},
		{"slow, total unknown", true, 0, 2 * time.Second, "importing 50 events, 25/s"},
		{"slow, piped", false, 100, 2 * time.Second, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			clock := now
			p := newProgress(&out, c.show, "importing", "events", c.total, func() time.Time { return clock })
			p.Add(10)
			clock = clock.Add(c.took)
			p.Add(40)
			if got := out.String(); c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("found %q, want %q", got, c.want)
			}
			if c.want != "" && c.total > 0 && !strings.Contains(out.String(), "50%") {
				t.Errorf("found %q, want 50%%", out.String())
			}
			length := out.Len()
			p.Add(0)
			if out.Len() != length {
				t.Error("the bar is drawn anew at once, want it to stand for a while")
			}
			done, took := p.Done()
			if done != 50 || took != c.took {
				t.Errorf("found %d in %s, want 50 in %s", done, took, c.took)
			}
		})
	}
	var none *Progress
	none.Add(1)
	none.Set(1)
	none.Total(1)
	if done, _ := none.Done(); done != 0 {
		t.Error("a progress that is nil counts")
	}
}

// What comes from outside is neither run by a spreadsheet nor steers the terminal
// that rows are shown on; numbers stay numbers.
func TestRowsOfCSVAreText(t *testing.T) {
	for in, want := range map[string]string{
		"=1+1": "'=1+1", "+cmd|' /C calc'!A0": "'+cmd|' /C calc'!A0", "@SUM(A1)": "'@SUM(A1)", "-2+3": "'-2+3", " =1": "' =1", "\n=1": "\"'\n=1\"", "\t=1": "' =1",
		"-": "-", "": "", "-1.5e3": "-1.5e3", "+7": "+7", "a=b": "a=b", "ä": "ä", "\x1b[2Jx": "�[2Jx",
	} {
		var out bytes.Buffer
		rows := (&Printer{Out: &out, Format: CSV}).Rows([]Column{{Name: "a"}, {Name: "b"}})
		if err := errors.Join(rows.Write(nil, in, -3), rows.Close()); err != nil {
			t.Fatal(err)
		}
		if got, want := out.String(), "a,b\n"+want+",-3\n"; got != want {
			t.Errorf("%q: found %q, want %q", in, got, want)
		}
	}
}

// A table shows no column that says nothing, and is never wider than what it is for:
// numbers are whole or left out, which it says.
func TestTablesFit(t *testing.T) {
	columns := []Column{{Name: "id"}, {Name: "error"}, {Name: "a_long_name_of_a_column"}, {Name: "games", Right: true}, {Name: "reason"}, {Name: "position", Right: true}}
	rows := [][]any{{"t-1", nil, "x", 1234567, strings.Repeat("because ", 9), 48211}, {"t-2", "", "y", 2, "no", 3}}
	for _, width := range []int{80, 40, 24} {
		var out bytes.Buffer
		p := &Printer{Out: &out, Format: Table, Width: width}
		if err := p.Print(Listing{Columns: columns, Rows: rows, Below: strings.Repeat("words ", 30)}); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(out.String(), "ERROR") {
			t.Errorf("%d: want no empty column, found\n%s", width, out.String())
		}
		for line := range strings.Lines(out.String()) {
			if n := len([]rune(strings.TrimRight(line, "\n"))); n > width {
				t.Errorf("%d: found a line of %d characters: %q", width, n, line)
			}
		}
		if whole := strings.Contains(out.String(), "1,234,567"); !whole && !strings.Contains(out.String(), "more with -o wide") {
			t.Errorf("%d: want numbers whole, or told that they are left out, found\n%s", width, out.String())
		}
	}
}

// Where there is no room for whole names, rows are told apart by what their names
// differ in, and columns are left out before every word is cut to nothing.
func TestLongNamesStayApart(t *testing.T) {
	columns := []Column{{Name: "task_id"}, {Name: "state"}, {Name: "task_type"}, {Name: "config_key"}, {Name: "priority", Right: true}, {Name: "attempts", Right: true}, {Name: "node_id"}, {Name: "deadline"}, {Name: "error"}}
	var rows [][]any
	for i := range sample + 50 {
		rows = append(rows, []any{
			fmt.Sprintf("a-very-long-name-of-an-item-of-the-night-%05d-with-an-end", i), "leased", "cross-validation-of-models", "hexagonal_3p", 50, 1,
			fmt.Sprintf("gpu-training-partition-europe-west-rack-%02d-unit-%d", i%17, i), "2026-03-01 12:00:00", strings.Repeat("東京 ", 20),
		})
	}
	var out bytes.Buffer
	p := &Printer{Out: &out, Format: Table, Width: 80}
	if err := p.Print(Listing{Columns: columns, Rows: rows}); err != nil {
		t.Fatal(err)
	}
	first := map[string]bool{}
	for line := range strings.Lines(out.String()) {
		if n := text.StringWidth(strings.TrimRight(line, "\n")); n > 80 {
			t.Errorf("found a line of %d columns: %q", n, line)
		}
		first[strings.Fields(line)[0]] = true
	}
	if len(first) < len(rows) {
		t.Errorf("want %d names told apart, found %d:\n%.600s", len(rows), len(first), out.String())
	}
	if !strings.Contains(out.String(), "more with -o wide") || !strings.Contains(out.String(), "TASK TYPE") || !strings.Contains(out.String(), "STATE") {
		t.Errorf("want whole heads and what is left out named, found\n%.600s", out.String())
	}
}
