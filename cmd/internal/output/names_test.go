package output

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"
)

// Different names look different in every column of them, bounded or not, whether they
// differ at the beginning, at the end or between; their sums and times stay whole.
func TestDifferentNamesLookDifferent(t *testing.T) {
	const many = 30
	for form, name := range map[string]func(i int) string{
		"end":       func(i int) string { return fmt.Sprintf("training-rack-eu-west-7-machine-number-%02d", i) },
		"beginning": func(i int) string { return fmt.Sprintf("%02d-machine-of-the-training-rack-eu-west-7", i) },
		"between": func(i int) string {
			return fmt.Sprintf("resnet-generation-%03d-seed-%d-checkpoint-%06d", i/2, i%2, i/2*1000)
		},
		"plain": func(i int) string { return strings.Repeat("東京", 9) + fmt.Sprint(i) },
	} {
		for _, bound := range []int{0, 20} {
			columns := []Column{{Name: "since"}, {Name: "from", Max: bound}, {Name: "to", Max: bound}, {Name: "games", Right: true}, {Name: "outcome"}}
			var rows [][]any
			for i := range many {
				rows = append(rows, []any{now.Add(-time.Duration(i+24) * time.Hour), name(i), name((i + 1) % many), 1_234_567, "won and lost"})
			}
			var out bytes.Buffer
			p := &Printer{Out: &out, Format: Table, Width: 80, Now: now}
			if err := p.Print(Listing{Columns: columns, Rows: rows}); err != nil {
				t.Fatal(err)
			}
			froms, tos := map[string]bool{}, map[string]bool{}
			for i, line := range slices.Collect(strings.Lines(out.String()))[1:] {
				if n := text.StringWidth(strings.TrimRight(line, "\n")); n > 80 {
					t.Errorf("%s, %d: found a line of %d columns: %q", form, bound, n, line)
				}
				fields := strings.Fields(line)
				froms[fields[2]], tos[fields[3]] = true, true
				if want := rows[i][0].(time.Time).Format("2006-01-02 15:04:05"); !strings.HasPrefix(line, want) || fields[4] != "1,234,567" {
					t.Errorf("%s, %d: want the time %s and the sum whole, found %q", form, bound, want, line)
				}
			}
			if form != "plain" && (len(froms) < many || len(tos) < many) {
				t.Errorf("%s, %d: want %d names told apart in both columns, found %d and %d:\n%s", form, bound, many, len(froms), len(tos), out.String())
			}
		}
	}
}
