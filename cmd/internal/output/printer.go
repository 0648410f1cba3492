package output

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"
	"golang.org/x/term"

	"github.com/ringrift/rift/domain"
)

// Format is how an answer is written.
type Format string

// The formats.
const (
	Table    Format = "table"
	Wide     Format = "wide" // a table with every column and whole times
	JSON     Format = "json"
	JSONL    Format = "jsonl" // one row a line
	CSV      Format = "csv"
	Markdown Format = "md"
)

// Formats lists them in the order of the help text.
var Formats = []string{string(Table), string(Wide), string(JSON), string(JSONL), string(CSV), string(Markdown)}

// Printer writes answers to one stream in one format.
type Printer struct {
	Out      io.Writer
	Format   Format
	Terminal bool      // Out is a terminal
	Width    int       // columns of the terminal, 0 when unknown
	Color    bool      // colours may be used
	Now      time.Time // what short times are short relative to
}

// New makes a printer. An empty format means a table on a terminal and JSON
// elsewhere.
func New(out io.Writer, format string, getenv func(string) string) (*Printer, error) {
	p := &Printer{Out: out, Format: Format(format), Now: time.Now()}
	p.Terminal, p.Width = terminal(out)
	if columns, err := strconv.Atoi(getenv("COLUMNS")); err == nil && columns > 0 {
		p.Width = columns
	}
	p.Color = p.Terminal && getenv("NO_COLOR") == "" && getenv("TERM") != "dumb"
	switch {
	case format == "" && p.Terminal:
		p.Format = Table
	case format == "":
		p.Format = JSON
	case !slices.Contains(Formats, format):
		return nil, domain.Errorf(domain.Invalid, "-o %s: want one of %s", format, strings.Join(Formats, ", "))
	}
	return p, nil
}

// terminal tells whether a stream is one, and how wide.
func terminal(stream any) (bool, int) {
	file, ok := stream.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return false, 0
	}
	width, _, err := term.GetSize(int(file.Fd()))
	if err != nil {
		width = 0
	}
	return true, width
}

// IsTerminal tells whether a stream is one.
func IsTerminal(stream any) bool {
	is, _ := terminal(stream)
	return is
}

// TerminalWidth is how many columns the terminal behind a stream has; 0 when it is none.
func TerminalWidth(stream any) int {
	_, width := terminal(stream)
	return width
}

// Column describes one column of a listing.
type Column struct {
	Name  string // snake_case, as in JSON; tables print it in upper case
	Title string // what tables print instead, where people say it otherwise
	Wide  bool   // left out of plain tables
	Right bool   // numbers
	Max   int    // most characters in a plain table; 0 is no bound
}

// Listing is an answer in its two forms: the document that programs read, and
// the rows that people and spreadsheets read.
type Listing struct {
	Doc     any      // what -o json prints; nil: the items
	Items   []any    // what -o jsonl prints, one each; nil: the document on one line
	Columns []Column // of the rows
	Rows    [][]any
	Above   string // lines over a table, for people only
	Below   string // lines under a table, for people only
	Empty   string // what to say to people when there are no rows
	Blocks  string // what -o wide prints in place of rows that no screen is wide enough for
}

// Print writes an answer.
func (p *Printer) Print(l Listing) error {
	switch p.Format {
	case JSON:
		if l.Doc == nil {
			return p.document(l.Items)
		}
		return p.document(l.Doc)
	case JSONL:
		if l.Items == nil && l.Doc != nil {
			return p.line(l.Doc)
		}
		for _, item := range l.Items {
			if err := p.line(item); err != nil {
				return err
			}
		}
		return nil
	default:
		return p.listing(l)
	}
}

// listing writes an answer's rows.
func (p *Printer) listing(l Listing) error {
	people := p.Format == Table || p.Format == Wide
	if p.Format == Wide && l.Blocks != "" {
		return p.text(l.Blocks)
	}
	if people && l.Above != "" {
		if err := p.text(p.wrapped(l.Above)); err != nil {
			return err
		}
	}
	if people && len(l.Rows) == 0 && l.Empty != "" {
		return p.text(p.wrapped(l.Empty))
	}
	rows := p.Rows(l.Columns)
	for _, row := range l.Rows {
		if err := rows.Write(nil, row...); err != nil {
			return err
		}
	}
	if err := rows.Close(); err != nil {
		return err
	}
	if people && l.Below != "" {
		return p.text(p.wrapped(l.Below))
	}
	return nil
}

// Fields prints one thing as name and value lines; Doc is its JSON.
func (p *Printer) Fields(doc any, fields ...Field) error {
	listing := Listing{Doc: doc, Columns: []Column{{Name: "field"}, {Name: "value"}}}
	if p.Format == Table || p.Format == Wide {
		width := 0
		for _, field := range fields {
			width = max(width, len(field.Name))
		}
		var b strings.Builder
		for _, field := range fields {
			value := p.cell(field.Value)
			if value == "" {
				continue
			}
			if p.Width > width+22 { // else there is no room for words
				value = wrap(value, p.Width-width-2)
			}
			b.WriteString(p.bold(field.Name+strings.Repeat(" ", width-len(field.Name))) + "  " + strings.ReplaceAll(value, "\n", "\n"+strings.Repeat(" ", width+2)) + "\n")
		}
		return p.text(strings.TrimSuffix(b.String(), "\n"))
	}
	for _, field := range fields {
		listing.Rows = append(listing.Rows, []any{field.Name, field.Value})
	}
	return p.Print(listing)
}

// Field is one line of Fields.
type Field struct {
	Name  string
	Value any
}

func (p *Printer) bold(said string) string {
	if !p.Color {
		return said
	}
	return "\x1b[1m" + said + "\x1b[0m"
}

// encode writes JSON without escaping <, > and &: it goes to people and files, not into pages.
func encode(v any, indent string) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", indent)
	if err := encoder.Encode(v); err != nil {
		return nil, domain.Errorf(domain.Internal, "print: %w", err)
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

func (p *Printer) document(v any) error {
	if items, ok := v.([]any); ok && items == nil {
		v = []any{}
	}
	encoded, err := encode(v, "  ")
	if err != nil {
		return err
	}
	return p.text(string(encoded))
}

func (p *Printer) line(v any) error {
	encoded, err := encode(v, "")
	if err != nil {
		return err
	}
	return p.text(string(encoded))
}

// Line prints text for people; programs that asked for data do not get it.
func (p *Printer) Line(said string) error {
	if p.Format != Table && p.Format != Wide {
		return nil
	}
	return p.text(p.wrapped(said))
}

// wrapped breaks the lines that are wider than the terminal between words.
func (p *Printer) wrapped(said string) string {
	if p.Width < 20 || p.Format == Wide {
		return said
	}
	return wrap(said, p.Width)
}

// wrap breaks lines at a width, with what follows under the first word of the line.
func wrap(said string, width int) string {
	lines := strings.Split(said, "\n")
	for i, line := range lines {
		if text.StringWidth(line) <= width {
			continue
		}
		indent := line[:len(line)-len(strings.TrimLeft(line, " "))]
		broken := strings.Split(text.WrapSoft(strings.TrimLeft(line, " "), max(width-len(indent), 10)), "\n")
		for n := range broken {
			broken[n] = indent + strings.TrimRight(broken[n], " ")
		}
		lines[i] = strings.Join(broken, "\n")
	}
	return strings.Join(lines, "\n")
}

func (p *Printer) text(said string) error {
	if _, err := io.WriteString(p.Out, said+"\n"); err != nil {
		return domain.Errorf(domain.Unavailable, "print: %w", err)
	}
	return nil
}
