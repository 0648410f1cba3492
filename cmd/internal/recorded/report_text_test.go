package recorded

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

// The text of a report fits 80 columns, shows the patterns that lines have, and counts the
// others.
func TestTheReportFitsEightyColumns(t *testing.T) {
	report := Report{
		Folded:   []Reason{{Row: strings.Repeat("a long pattern ", 4), Why: strings.Repeat("for a reason that takes room ", 5), Count: 12}},
		Skipped:  []Reason{{Row: "short", Why: "why", Count: 3, Examples: []string{"a.log:1: " + strings.Repeat("x", 200)}}},
		NotKnown: []string{strings.Repeat("word ", 40)},
		Notes:    []string{strings.Repeat("note ", 40)},
		Rows:     []RowReport{{Row: "never"}, {Row: "nor this"}},
	}
	for files := range 6 {
		report.Files = append(report.Files, FileReport{Name: strings.Repeat("name-", 30), Lines: 1_000_000})
		report.Rows = append(report.Rows, RowReport{Row: fmt.Sprint("pattern ", files), Lines: 123456, Events: 1})
		for i := range report.Rows {
			report.Rows[i].PerFile = make([]int64, len(report.Files))
		}
		var b strings.Builder
		if err := report.WriteText(&b, 80); err != nil {
			t.Fatal(err)
		}
		for line := range strings.SplitSeq(b.String(), "\n") {
			if n := utf8.RuneCountInString(line); n > 80 {
				t.Errorf("want at most %d columns, found %d: %s", 80, n, line)
			}
		}
		for _, want := range []string{"no line has one of the other 2 patterns", fmt.Sprint("pattern ", files, "  ")} {
			if !strings.Contains(b.String(), want) {
				t.Errorf("want %q, found:\n%s", want, b.String())
			}
		}
		if perFile := strings.Contains(b.String(), "file 2  "); strings.Contains(b.String(), "never") || perFile != (files >= 1 && files <= 3) {
			t.Errorf("want the table of %d files with no pattern that no line has, found:\n%s", files+1, b.String())
		}
	}
}
