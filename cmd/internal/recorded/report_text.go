package recorded

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/jedib0t/go-pretty/v6/text"
)

// WriteText prints the report as text in lines of at most width columns; 0: no bound.
func (r Report) WriteText(w io.Writer, width int) error {
	if width == 0 {
		width = math.MaxInt
	}
	_, err := io.WriteString(w, r.patterns(width)+textOf(r.remarks(), width))
	return err
}

// patterns returns the table of patterns. With several files it has a column for each if
// these fit.
func (r Report) patterns(width int) string {
	if len(r.Rows) == 0 {
		return ""
	}
	table, none := r.patternTable(len(r.Files) > 1)
	if len(r.Files) > 1 && utf8.RuneCountInString(table[0]) > width {
		table, none = r.patternTable(false)
		table = append(table, "of each file: -o json")
	}
	if none > 0 {
		table = append(table, fmt.Sprintf("no line has one of the other %d patterns", none))
	}
	return strings.Join(table, "\n") + "\n\n"
}

// patternTable returns the lines of the table, and the number of patterns without a line.
func (r Report) patternTable(perFile bool) (lines []string, none int) {
	header, all := []string{"pattern"}, []string{"all lines"}
	if perFile {
		for i, file := range r.Files {
			header, all = append(header, fmt.Sprintf("file %d", i+1)), append(all, number(file.Lines))
		}
	}
	table := [][]string{append(header, "lines", "events", "folded", "skipped"), append(all, number(r.Lines), "", "", "")}
	for _, row := range r.Rows {
		if row.Lines == 0 {
			none++
			continue
		}
		cells := []string{row.Row}
		if row.Context {
			cells[0] = "(" + row.Row + ")"
		}
		if perFile {
			for _, count := range row.PerFile {
				cells = append(cells, number(count))
			}
		}
		table = append(table, append(cells, number(row.Lines), number(row.Events), number(row.Folded), number(row.Skipped)))
	}
	widths := make([]int, len(table[0]))
	for _, cells := range table {
		for i, cell := range cells {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, cells := range table {
		line := fmt.Sprintf("%-*s", widths[0], cells[0])
		for i, cell := range cells[1:] {
			line += fmt.Sprintf("  %*s", widths[i+1], cell)
		}
		lines = append(lines, strings.TrimRight(line, " "))
	}
	return lines, none
}

func number(n int64) string { return strconv.FormatInt(n, 10) }

// remark is a line of the report below the table of patterns.
type remark struct {
	kind, of string
	count    int64 // printed unless of is empty
	text     string
}

func (r Report) remarks() []remark {
	var list []remark
	for i, file := range r.Files {
		of := visible(file.Name)
		if len(r.Files) > 1 {
			of = fmt.Sprintf("%d, %s", i+1, of)
		}
		list = append(list, remark{kind: "file", text: of + ": " + file.oddities()})
	}
	for _, count := range r.Events {
		list = append(list, remark{kind: "event", of: visible(count.Type), count: count.Count})
	}
	for _, group := range []struct {
		kind     string
		reasons  []Reason
		examples bool
	}{{"folded", r.Folded, false}, {"skipped", r.Skipped, true}, {"faulty", r.Faulty, true}} {
		for _, reason := range group.reasons {
			list = append(list, remark{group.kind, visible(reason.Row), reason.Count, visible(reason.Why)})
			for _, example := range reason.Examples {
				if group.examples {
					list = append(list, remark{text: example})
				}
			}
		}
	}
	for _, line := range r.NotKnown {
		list = append(list, remark{kind: "unknown", text: line})
	}
	for _, file := range r.LeftOut {
		list = append(list, remark{kind: "left out", text: file.Reason})
	}
	for _, note := range r.Notes {
		list = append(list, remark{kind: "note", text: note})
	}
	a := r.Account
	return append(list,
		remark{kind: "lines", text: fmt.Sprintf("%d: %d became events, %d folded, %d context, %d skipped, %d blank, %d not understood", r.Lines, a.Events, a.Folded, a.Context, a.Skipped, a.Blank, a.NotUnderstood)},
		remark{kind: "total", text: fmt.Sprintf("%d lines, %d events: %d appended, %d already there; the log ends at %d", r.Lines, r.Mapped, r.Appended, r.Duplicates, r.Head)})
}

// oddities returns the number of lines of a file and what is odd about them.
func (f FileReport) oddities() string {
	said := fmt.Sprintf("%d lines", f.Lines)
	if f.Node != "" {
		said += ", written by " + f.Node
	}
	if f.Unstamped > 0 {
		said += fmt.Sprintf(", %d without a time of their own", f.Unstamped)
	}
	if f.InvalidUTF8 > 0 {
		said += fmt.Sprintf(", %d with stray bytes", f.InvalidUTF8)
	}
	if f.TooLong > 0 {
		said += fmt.Sprintf(", %d cut at %d bytes", f.TooLong, maxLine)
	}
	if f.ClockBackwards > 0 {
		said += fmt.Sprintf(", clock went back %d times, at most %gs", f.ClockBackwards, float64(f.LargestStep))
	}
	return said
}

// textOf formats remarks in columns. Text that does not fit is wrapped in its column, or
// starts on the next line where less than a third of the width is left.
func textOf(remarks []remark, width int) string {
	kind, of, count := 0, 0, 0
	for _, m := range remarks {
		kind = max(kind, len(m.kind))
		if m.of != "" {
			of, count = max(of, utf8.RuneCountInString(m.of)), max(count, len(number(m.count)))
		}
	}
	var b strings.Builder
	for _, m := range remarks {
		line, indent := fmt.Sprintf("%-*s", kind, m.kind), kind+2
		if m.of != "" {
			line += fmt.Sprintf("  %-*s  %*d", of, m.of, count, m.count)
			if room := width - utf8.RuneCountInString(line) - 2; room >= utf8.RuneCountInString(m.text) || room >= width/3 {
				indent = width - room
			} else {
				b.WriteString(line + "\n")
				line = strings.Repeat(" ", kind)
			}
		}
		for i, part := range strings.Split(text.WrapSoft(m.text, max(width-indent, 20)), "\n") {
			if i > 0 {
				line = strings.Repeat(" ", indent-2)
			}
			b.WriteString(strings.TrimRight(line+"  "+strings.TrimRight(part, " "), " ") + "\n")
		}
	}
	return b.String()
}
