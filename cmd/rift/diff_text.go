package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/cmd/internal/states"
	"github.com/ringrift/rift/domain"
)

// printDifference prints where two logs part and how their states differ, at most limit
// rows of a table; for programs the whole document.
func printDifference(p *output.Printer, d logDiff, limit int) error {
	if p.Format == output.JSON || p.Format == output.JSONL {
		return p.Print(output.Listing{Doc: d})
	}
	if p.Format != output.Table && p.Format != output.Wide {
		return p.Print(diffRows(d))
	}
	text := diffText{width: pageWidth(p), limit: limit}
	text.sides(d)
	if d.Equal {
		return p.Line(text.b.String() + "\nThey are the same, and lead to the same state.")
	}
	if d.Parting != nil {
		text.parting(*d.Parting)
	}
	if err := p.Line(text.b.String()); err != nil {
		return err
	}
	listing := output.Listing{
		Above: "What they come to", Empty: "the same counts",
		Columns: []output.Column{{Name: "name"}, {Name: "a", Right: true}, {Name: "b", Right: true}},
	}
	for i, one := range d.Counts {
		if i == maxCounts {
			listing.Below = fmt.Sprintf("and %s more; -o json has them all", output.Count(len(d.Counts)-i))
			break
		}
		listing.Rows = append(listing.Rows, []any{one.Name, plainValue(one.A), plainValue(one.B)})
	}
	if err := p.Print(listing); err != nil {
		return err
	}
	rows := diffText{width: text.width, limit: limit}
	for _, table := range d.Tables {
		if table.Title != "" {
			rows.table(table)
		}
	}
	rows.rest(d)
	return p.Line(strings.TrimSuffix(rows.b.String(), "\n"))
}

// maxCounts bounds the counts that people are shown.
const maxCounts = 30

// diffRows are the rows that differ, for spreadsheets.
func diffRows(d logDiff) output.Listing {
	l := output.Listing{Columns: []output.Column{{Name: "table"}, {Name: "key"}, {Name: "change"}, {Name: "field"}, {Name: "a"}, {Name: "b"}}}
	for _, table := range d.Tables {
		for _, row := range table.Rows {
			if len(row.Fields) == 0 {
				l.Rows = append(l.Rows, []any{table.Table, row.Key, string(row.Change), "", string(row.A), string(row.B)})
			}
			for _, field := range row.Fields {
				l.Rows = append(l.Rows, []any{table.Table, row.Key, string(row.Change), field.Name, string(field.A), string(field.B)})
			}
		}
	}
	return l
}

// diffText is the page for people.
type diffText struct {
	b     strings.Builder
	width int
	limit int
}

// line adds a line under an indentation, broken where it is too long.
func (t *diffText) line(first, rest, said string) {
	for i, part := range strings.Split(wrapLines(said, t.width-len(first)), "\n") {
		if i > 0 {
			first = rest
		}
		t.b.WriteString(strings.TrimRight(first+part, " ") + "\n")
	}
}

func (t *diffText) sides(d logDiff) {
	for _, one := range []struct {
		name string
		side diffSide
	}{{"A", d.A}, {"B", d.B}} {
		said := fmt.Sprintf("%s: %s", one.side.Name, output.Plural(one.side.Events, "event"))
		if one.side.Time != nil {
			said += fmt.Sprintf(" to %s, %s", one.side.Position, one.side.Time.UTC().Format(domain.Timestamp))
		}
		t.line(one.name+"  ", "   ", said)
	}
}

// parting says where the logs part, and how each goes on.
func (t *diffText) parting(p parting) {
	said := fmt.Sprintf("The first %s are the same. ", output.Plural(p.Common, "event"))
	switch {
	case p.Common == 0:
		said = "They have no beginning in common. "
	case p.Common == 1:
		said = "The first event is the same. "
	}
	switch {
	case p.A.Count+p.B.Count == 0:
		said += "Both end there."
	case p.B.Count == 0:
		said += fmt.Sprintf("Then B ends, and A goes on with %s.", output.Plural(p.A.Count, "event"))
	case p.A.Count == 0:
		said += fmt.Sprintf("Then A ends, and B goes on with %s.", output.Plural(p.B.Count, "event"))
	default:
		said += fmt.Sprintf("The next differ in %s; %s follow in A, %s in B.", strings.Join(p.Fields, ", "), output.Count(p.A.Count), output.Count(p.B.Count))
	}
	t.b.WriteString("\n")
	t.line("", "", said)
	for _, one := range []struct {
		mark string
		side partingSide
	}{{"- ", p.A}, {"+ ", p.B}} {
		for i, event := range one.side.Events {
			if i == t.limit {
				break
			}
			t.line(one.mark, "  ", eventLineOf(event))
			if i == 0 {
				t.line("    ", "    ", domain.Clip(string(event.Data), 300))
			}
		}
		if left := one.side.Count - min(t.limit, len(one.side.Events)); left > 0 {
			t.line(one.mark, "  ", fmt.Sprintf("and %s more", output.Count(left)))
		}
	}
}

// table lists the rows of a table that differ.
func (t *diffText) table(table states.TableDiff) {
	shown, left := 0, map[states.Change]int{}
	for _, row := range table.Rows {
		if row.Change == states.Moved || shown == t.limit {
			left[row.Change]++
			continue
		}
		if shown++; shown == 1 {
			t.b.WriteString("\n" + table.Title + "\n")
		}
		t.row(row)
	}
	var more []string
	for _, kind := range []struct {
		change states.Change
		said   string
	}{{states.OnlyA, "only in A"}, {states.OnlyB, "only in B"}, {states.Both, "changed"}} {
		if n := left[kind.change]; n > 0 {
			more = append(more, output.Count(n)+" "+kind.said)
		}
	}
	if len(more) > 0 {
		t.line("  ", "  ", "and more: "+strings.Join(more, ", "))
	}
}

func (t *diffText) row(row states.RowDiff) {
	key := strings.TrimLeft(row.Key, "0") // some begin with a position
	switch row.Change {
	case states.OnlyA:
		t.line("- ", "    ", key+": "+brief(key, row.A))
	case states.OnlyB:
		t.line("+ ", "    ", key+": "+brief(key, row.B))
	default:
		var said []string
		left := 0
		for _, field := range row.Fields {
			if field.Where() || field.Text() && len(said) > 0 {
				continue
			}
			if len(said) == t.limit {
				left++
				continue
			}
			said = append(said, fmt.Sprintf("%s %s → %s", field.Name, domain.Clip(plainValue(field.A), 60), domain.Clip(plainValue(field.B), 60)))
		}
		if left > 0 {
			said = append(said, output.Count(left)+" more")
		}
		t.line("~ ", "    ", key+": "+strings.Join(said, ", "))
	}
}

// rest counts what is not listed.
func (t *diffText) rest(d logDiff) {
	moved, serving, tables := 0, 0, 0
	for _, table := range d.Tables {
		if table.Title == "" {
			serving += len(table.Rows)
			tables++
			continue
		}
		moved += table.Count[states.Moved]
	}
	var said []string
	if moved > 0 {
		said = append(said, output.Plural(moved, "row")+" that only moved in the log")
	}
	if serving > 0 {
		said = append(said, fmt.Sprintf("%s of %s that follow from these", output.Plural(serving, "row"), output.Plural(tables, "table")))
	}
	if len(said) > 0 {
		t.b.WriteString("\n")
		t.line("", "", "Not listed: "+strings.Join(said, "; ")+". -o json has them all.")
	}
}

// brief says in a line what a row holds: its summary, or its plain members but for the
// key and for where it stands.
func brief(key string, row json.RawMessage) string {
	var told struct {
		Summary string `json:"summary"`
	}
	if json.Unmarshal(row, &told) == nil && told.Summary != "" {
		return told.Summary
	}
	return domain.Clip(states.Brief(row, func(name, value string) bool { return value == key || (states.FieldDiff{Name: name}).Where() }), 200)
}
