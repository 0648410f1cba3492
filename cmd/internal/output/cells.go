package output

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ringrift/rift/domain"
)

// Bytes is a number of bytes; people see 1.5 MiB, programs see 1572864.
type Bytes int64

// String is the form for people.
func (b Bytes) String() string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}
	value, unit := float64(b), 0
	for value >= 1024 && unit < len(units)-1 {
		value /= 1024
		unit++
	}
	if unit == 0 {
		return strconv.FormatInt(int64(b), 10) + " B"
	}
	return Significant(value) + " " + units[unit]
}

// Count writes a whole number with a comma every three digits.
func Count[N ~int | ~int64 | ~uint64](n N) string {
	digits, sign := strconv.FormatInt(int64(n), 10), ""
	if n > 0 {
		digits = strconv.FormatUint(uint64(n), 10)
	}
	if strings.HasPrefix(digits, "-") {
		digits, sign = digits[1:], "-"
	}
	var b strings.Builder
	for i, digit := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(digit)
	}
	return sign + b.String()
}

// Significant writes a number with three digits that matter.
func Significant(v float64) string {
	switch {
	case v >= 100 || v <= -100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10 || v <= -10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

// Plural writes a number and its noun: "1 event", "2,000 events".
func Plural[N ~int | ~int64 | ~uint64](n N, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return Count(n) + " " + noun + "s"
}

// Span writes a duration with the two units that matter: "3m20s", "1.2s".
func Span(d time.Duration) string {
	sign := ""
	if d < 0 {
		sign, d = "-", -d
	}
	switch {
	case d == 0:
		return "0s"
	case d < time.Millisecond:
		return sign + d.Round(time.Microsecond).String()
	case d < time.Second:
		return sign + d.Round(100*time.Microsecond).String()
	case d < time.Minute:
		return sign + d.Round(100*time.Millisecond).String()
	case d < time.Hour:
		return sign + trimUnits(d.Round(time.Second))
	case d < 48*time.Hour:
		return sign + trimUnits(d.Round(time.Minute))
	}
	d = d.Round(time.Hour)
	out := fmt.Sprintf("%s%dd", sign, d/(24*time.Hour))
	if hours := d % (24 * time.Hour) / time.Hour; hours > 0 {
		out += fmt.Sprintf("%dh", hours)
	}
	return out
}

func trimUnits(d time.Duration) string {
	out := d.String()
	if strings.HasSuffix(out, "m0s") {
		out = strings.TrimSuffix(out, "0s")
	}
	if strings.HasSuffix(out, "h0m") {
		out = strings.TrimSuffix(out, "0m")
	}
	return out
}

// ShortTime is a time as tables show it: the clock on the day of now, the date
// too on other days. Times are in UTC, as on the wire.
func ShortTime(t, now time.Time) string {
	t, now = t.UTC(), now.UTC()
	if t.YearDay() == now.YearDay() && t.Year() == now.Year() {
		return t.Format("15:04:05")
	}
	return t.Format("2006-01-02 15:04:05")
}

// cell is a value as this printer's format shows it.
func (p *Printer) cell(value any) string {
	people := p.Format == Table || p.Format == Wide || p.Format == Markdown
	var out string
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		out = v
	case time.Time:
		switch {
		case v.IsZero():
		case p.Format == Table:
			out = ShortTime(v, p.Now)
		default:
			out = v.UTC().Format(domain.Timestamp)
		}
	case *time.Time:
		if v != nil {
			return p.cell(*v)
		}
	case time.Duration:
		if out = strconv.FormatFloat(v.Seconds(), 'f', -1, 64); people {
			out = Span(v)
		}
	case Bytes:
		if out = strconv.FormatInt(int64(v), 10); people {
			out = v.String()
		}
	case bool:
		if out = strconv.FormatBool(v); people {
			out = map[bool]string{true: "yes", false: "no"}[v]
		}
	case int:
		if out = strconv.Itoa(v); people {
			out = Count(v)
		}
	case int64:
		if out = strconv.FormatInt(v, 10); people {
			out = Count(v)
		}
	case uint64:
		if out = strconv.FormatUint(v, 10); people {
			out = Count(v)
		}
	case float64:
		if out = strconv.FormatFloat(v, 'g', -1, 64); people {
			out = Significant(v)
		}
	case json.RawMessage:
		if out = string(v); out == "null" {
			out = ""
		}
	case []string:
		out = strings.Join(v, ", ")
	case fmt.Stringer:
		out = v.String()
	default:
		if encoded, err := encode(v, ""); err == nil {
			out = string(encoded)
		} else {
			out = fmt.Sprint(v)
		}
	}
	switch {
	case people:
		out = printable(out)
	case p.Format == CSV:
		out = Cell(out)
	}
	return out
}

// Cell is text as a cell of a CSV file: without what steers a terminal, and so that the
// program that the file is opened with runs none of it: what begins as a formula does,
// and is no number, is text.
func Cell(s string) string { return noFormula(printable(s)) }

func noFormula(s string) string {
	if s == "" || s == "-" || !strings.ContainsRune("=+-@", rune(strings.TrimLeft(s+"x", " \n")[0])) {
		return s
	}
	if _, err := strconv.ParseFloat(s, 64); err == nil {
		return s
	}
	return "'" + s
}

// printable keeps what comes from outside from steering the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r >= ' ' && r != 0x7f && (r < 0x80 || r > 0x9f):
			return r
		case r == '\t':
			return ' '
		}
		return '�'
	}, s)
}
