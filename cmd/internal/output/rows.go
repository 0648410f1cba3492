package output

import (
	"encoding/csv"
	"io"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/ringrift/rift/domain"
)

// sample is how many rows of a table are looked at before its widths are set.
const sample = 256

// Rows writes an answer of any length row by row, in bounded memory.
type Rows struct {
	p       *Printer
	columns []Column
	shown   []int        // the columns this format shows
	widths  []int        // set once the head is out
	times   map[int]bool // the columns of times
	named   []bool       // which shown columns have names, set once the head is out
	shared  [][]string   // by column, the parts that all names have, which there is no room for
	held    [][]string
	csv     *csv.Writer
	live    bool // rows go out at once
	count   int
	key     string         // -o json: the list's key; "" for a bare list
	after   map[string]any // -o json: keys behind the list
}

// Rows starts an answer with these columns. Its -o json form is a list.
func (p *Printer) Rows(columns []Column) *Rows {
	r := &Rows{p: p, columns: columns, times: map[int]bool{}}
	for i, column := range columns {
		if !column.Wide || p.Format != Table {
			r.shown = append(r.shown, i)
		}
	}
	return r
}

// Document makes the -o json form an object with the list under key.
func (r *Rows) Document(key string) *Rows { r.key = key; return r }

// After adds a key behind the list of Document.
func (r *Rows) After(key string, value any) {
	if r.after == nil {
		r.after = map[string]any{}
	}
	r.after[key] = value
}

// Live makes every row go out when it is written, for answers that do not end.
// JSON then is one row a line.
func (r *Rows) Live() *Rows {
	r.live = true
	if r.p.Format == JSON {
		r.p.Format = JSONL
	}
	return r
}

// Count is the number of rows written.
func (r *Rows) Count() int { return r.count }

// Write adds a row: item is its JSON form, cells are its columns.
func (r *Rows) Write(item any, cells ...any) error {
	r.count++
	switch r.p.Format {
	case JSON:
		return r.writeElement(item)
	case JSONL:
		return r.p.line(item)
	default:
		return r.writeCells(cells)
	}
}

func (r *Rows) writeCells(cells []any) error {
	row := make([]string, len(r.shown))
	for i, at := range r.shown {
		if at < len(cells) {
			row[i] = r.p.cell(cells[at])
			r.times[at] = r.times[at] || isTime(cells[at])
		}
	}
	switch r.p.Format {
	case CSV:
		if r.csv == nil {
			r.csv = csv.NewWriter(r.p.Out)
			if err := r.csvRow(r.names(false)); err != nil {
				return err
			}
		}
		return r.csvRow(row)
	case Markdown:
		if r.count == 1 {
			if err := r.markdownHead(); err != nil {
				return err
			}
		}
		return r.p.text("| " + strings.Join(escapeMarkdown(row), " | ") + " |")
	default:
		if r.widths != nil {
			return r.p.text(r.padded(row))
		}
		r.held = append(r.held, row)
		if r.live || len(r.held) == sample {
			return r.flush()
		}
		return nil
	}
}

func (r *Rows) writeElement(item any) error {
	before, indent := ",\n", "  "
	if r.key != "" {
		indent = "    "
	}
	if r.count == 1 {
		before = "[\n"
		if r.key != "" {
			before = "{\n  \"" + r.key + "\": [\n"
		}
	}
	encoded, err := encode(item, "  ")
	if err != nil {
		return err
	}
	lines := strings.ReplaceAll(string(encoded), "\n", "\n"+indent)
	if _, err := io.WriteString(r.p.Out, before+indent+lines); err != nil {
		return domain.Errorf(domain.Unavailable, "print: %w", err)
	}
	return nil
}

// Close ends the answer.
func (r *Rows) Close() error {
	switch r.p.Format {
	case JSON:
		return r.closeJSON()
	case CSV:
		if r.csv == nil {
			r.csv = csv.NewWriter(r.p.Out)
			if err := r.csvRow(r.names(false)); err != nil {
				return err
			}
		}
		r.csv.Flush()
		return r.csv.Error()
	case Markdown:
		if r.count == 0 {
			return r.markdownHead()
		}
	case Table, Wide:
		if r.widths == nil && (len(r.held) > 0 || !r.live) {
			r.dropEmpty() // every row is here
			return r.flush()
		}
	case JSONL:
	}
	return nil
}

func (r *Rows) closeJSON() error {
	if r.key == "" {
		if r.count == 0 {
			return r.p.text("[]")
		}
		return r.p.text("\n]")
	}
	tail, err := encode(r.after, "  ")
	if err != nil {
		return err
	}
	end := "\n}"
	if len(r.after) > 0 {
		end = "," + strings.TrimPrefix(string(tail), "{")
	}
	if r.count == 0 {
		return r.p.text("{\n  \"" + r.key + "\": []" + end)
	}
	return r.p.text("\n  ]" + end)
}

func (r *Rows) csvRow(row []string) error {
	if err := r.csv.Write(row); err != nil {
		return domain.Errorf(domain.Unavailable, "print: %w", err)
	}
	if r.live {
		r.csv.Flush()
	}
	return nil
}

func (r *Rows) names(people bool) []string {
	names := make([]string, len(r.shown))
	for i, at := range r.shown {
		names[i] = r.columns[at].Name
		if people {
			if title := r.columns[at].Title; title != "" {
				names[i] = title
			}
			names[i] = strings.ToUpper(strings.ReplaceAll(names[i], "_", " "))
		}
	}
	return names
}

func (r *Rows) markdownHead() error {
	rule := make([]string, len(r.shown))
	for i, at := range r.shown {
		rule[i] = "---"
		if r.columns[at].Right {
			rule[i] = "--:"
		}
	}
	return r.p.text("| " + strings.Join(r.names(false), " | ") + " |\n|" + strings.Join(rule, "|") + "|")
}

func escapeMarkdown(row []string) []string {
	for i := range row {
		row[i] = strings.NewReplacer("|", "\\|", "\n", "<br>").Replace(row[i])
	}
	return row
}

// dropEmpty leaves out the columns in which no row says anything.
func (r *Rows) dropEmpty() {
	if len(r.held) == 0 {
		return
	}
	var shown, kept []int
	for i, at := range r.shown {
		if slices.ContainsFunc(r.held, func(row []string) bool { return row[i] != "" }) {
			shown, kept = append(shown, at), append(kept, i)
		}
	}
	if len(shown) == 0 || len(shown) == len(r.shown) {
		return
	}
	for n, row := range r.held {
		left := make([]string, len(kept))
		for i, at := range kept {
			left[i] = row[at]
		}
		r.held[n] = left
	}
	r.shown = shown
}

// flush writes the head and the rows held so far, and sets the widths that
// later rows keep to.
func (r *Rows) flush() error {
	names := r.names(true)
	leftOut := r.layout(names)
	names = names[:len(r.widths)]
	w := table.NewWriter()
	w.SetStyle(plainStyle)
	head := make(table.Row, len(names))
	configs := make([]table.ColumnConfig, len(names))
	for i, name := range names {
		head[i] = r.p.bold(name)
		configs[i] = table.ColumnConfig{Number: i + 1, WidthMin: r.widths[i], WidthMax: r.widths[i], WidthMaxEnforcer: snip}
		if r.columns[r.shown[i]].Right {
			configs[i].Align, configs[i].AlignHeader = text.AlignRight, text.AlignRight
		}
	}
	w.SetColumnConfigs(configs)
	w.AppendHeader(head)
	for _, row := range r.held {
		cells := make(table.Row, len(r.widths))
		for i := range cells {
			cells[i] = r.cut(i, r.unshared(i, row[i]))
		}
		w.AppendRow(cells)
	}
	r.held = nil
	lines := strings.Split(w.Render(), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	if leftOut > 0 {
		lines = append(lines, r.p.wrapped(Plural(leftOut, "column")+" more with -o wide"))
	}
	return r.p.text(strings.Join(lines, "\n"))
}

// plainStyle has no lines: they cost width and copy badly.
var plainStyle = table.Style{
	Name:   "plain",
	Box:    table.BoxStyle{PaddingRight: "  "},
	Format: table.FormatOptions{Header: text.FormatDefault},
}
