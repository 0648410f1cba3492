package output_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/domain"
)

type state string

type inner struct {
	Position domain.Position `json:"position"`
	Words    []state         `json:"words,omitempty"`
}

type line struct {
	inner
	Name    string         `json:"name"`
	State   state          `json:"state"`
	Count   int            `json:"count"`
	Error   *float64       `json:"error"`
	Waits   domain.Seconds `json:"waits"`
	At      *time.Time     `json:"at"`
	Skipped string         `json:"-"`
}

// TestListShowsWhatTheJSONSays compares every column with the row's JSON under the same
// key: a column that showed another field would differ.
func TestListShowsWhatTheJSONSays(t *testing.T) {
	errs, at := 0.25, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	rows := []line{
		{inner: inner{Position: 1200, Words: []state{"a", "b"}}, Name: "first", State: "done", Count: 7, Error: &errs, Waits: 90, At: &at},
		{inner: inner{Position: 3}, Name: "second", State: "queued", Count: 1 << 20},
	}
	l := output.List(rows, []output.ColumnOf[line]{
		{Name: "position"},
		{Name: "name"},
		{Name: "state"},
		{Name: "count"},
		{Name: "error"},
		{Name: "waits"},
		{Name: "at"},
		{Name: "words"},
		{Name: "renamed", Key: "name"},
		{Name: "formatted", Key: "error", Format: "%.1f"},
		{Name: "computed", Value: func(r line) any { return r.Count * 2 }},
	})
	var out bytes.Buffer
	p, err := output.New(&out, "csv", func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Print(l); err != nil {
		t.Fatal(err)
	}
	printed, err := csv.NewReader(&out).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for i, row := range rows {
		encoded, err := json.Marshal(row)
		if err != nil {
			t.Fatal(err)
		}
		var said map[string]any
		if err := json.Unmarshal(encoded, &said); err != nil {
			t.Fatal(err)
		}
		for at, name := range printed[0][:7] {
			want := ""
			if said[name] != nil {
				want = fmt.Sprint(said[name])
			}
			if said, is := said[name].(float64); is {
				want = fmt.Sprintf("%v", int64(said))
				if said != float64(int64(said)) {
					want = fmt.Sprint(said)
				}
			}
			if got := printed[i+1][at]; got != want && name != "at" {
				t.Errorf("row %d, %s: want %q as in the JSON, found %q", i, name, want, got)
			}
		}
	}
	if got, want := printed[1][6:], []string{"2026-01-02T03:04:05Z", "a, b", "first", "0.2", "14"}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("want %q, found %q", want, got)
	}
	if got, want := printed[2][6:], []string{"", "", "second", "", "2097152"}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("want %q, found %q", want, got)
	}
	if !l.Columns[0].Right || !l.Columns[3].Right || l.Columns[1].Right || l.Columns[5].Right {
		t.Errorf("want numbers alone to the right, found %+v", l.Columns)
	}
}

// TestListWantsKeys: a column of no key is a mistake in the program.
func TestListWantsKeys(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("want a panic for a column without a key, found none")
		}
	}()
	output.List([]line{}, []output.ColumnOf[line]{{Name: "unknown"}})
}
