package output

import (
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"
)

// findNames finds the columns of names. The first column has them, those of ids, and
// those whose cells are single words. Times and JSON values are no names.
func (r *Rows) findNames() {
	r.named = make([]bool, len(r.shown))
	for i, at := range r.shown {
		words := !r.columns[at].Right && !slices.ContainsFunc(r.held, func(row []string) bool {
			return strings.ContainsAny(row[i], " \n") || strings.HasPrefix(row[i], "{") || strings.HasPrefix(row[i], "[")
		})
		r.named[i] = !r.times[at] && (at == 0 || strings.HasSuffix(r.columns[at].Name, "_id") || words)
	}
}

func isTime(value any) bool {
	switch value.(type) {
	case time.Time, *time.Time:
		return true
	}
	return false
}

// parts splits a name behind each separator.
func parts(name string) (split []string) {
	begin := 0
	for i := range len(name) {
		if strings.IndexByte("-_.:/@", name[i]) >= 0 {
			split, begin = append(split, name[begin:i+1]), i+1
		}
	}
	if begin < len(name) {
		split = append(split, name[begin:])
	}
	return split
}

// leaveOutShared finds the parts that all names of a column have in common at the same
// place: at the beginning, and, if inside, also after it when all names have the same
// number of parts. What the names differ in then tells them apart where there is no
// room for all of them. It treats the columns that are wider than their bound, or, if
// everywhere, all that are wider than the least width of names.
func (r *Rows) leaveOutShared(everywhere, inside bool) {
	r.shared = make([][]string, len(r.shown))
	for i := range r.shown {
		if r.named[i] && (r.widest(i) > r.bound(i) || everywhere && r.widest(i) > leastKey) {
			r.shared[i] = r.sharedParts(i, inside)
		}
	}
}

// sharedParts returns the parts that all names of a column have in common; a part in
// which they differ is empty. It returns nil when there are not at least two names.
func (r *Rows) sharedParts(i int, inside bool) (shared []string) {
	first, differ, even := "", false, true
	for _, row := range r.held {
		switch cell := row[i]; {
		case cell == "" || cell == first:
		case first == "":
			first, shared = cell, parts(cell)
		default:
			differ = true
			split := parts(cell)
			even = even && len(split) == len(shared)
			for n := range shared {
				if n >= len(split) || split[n] != shared[n] {
					shared[n] = ""
				}
			}
		}
	}
	switch begin := slices.Index(shared, ""); {
	case !differ:
		return nil
	case begin >= 0 && !(inside && even):
		return shared[:begin]
	}
	return shared
}

// unshared is a cell without what all of its column have in common. Up to three
// letters stay: the sign for them would save little.
func (r *Rows) unshared(i int, cell string) string {
	if i >= len(r.shared) || len(r.shared[i]) == 0 {
		return cell
	}
	var b strings.Builder
	left := ""
	flush := func() {
		if len(left) > 3 {
			left = "…"
		}
		b.WriteString(left)
		left = ""
	}
	split := parts(cell)
	for n, part := range split {
		if n < len(r.shared[i]) && part == r.shared[i][n] && len(split) > 1 {
			left += part
			continue
		}
		flush()
		b.WriteString(part)
	}
	flush()
	return b.String()
}

// alike reports whether two different names look the same.
func (r *Rows) alike() bool {
	for i := range r.widths {
		names := map[string]string{}
		for _, row := range r.held {
			looks := r.cut(i, r.unshared(i, row[i]))
			if name, known := names[looks]; r.named[i] && known && name != row[i] {
				return true
			}
			names[looks] = row[i]
		}
	}
	return false
}

// cut makes a cell as wide as its column. Of a name, the end stays too.
func (r *Rows) cut(i int, cell string) string {
	width := r.widths[i]
	if !r.named[i] || width < 8 || strings.ContainsAny(cell, " \n") || text.StringWidth(cell) <= width {
		return snip(cell, width)
	}
	letters := []rune(cell)
	if len(letters) != text.StringWidth(cell) {
		return snip(cell, width)
	}
	end := (width - 1) / 2
	return string(letters[:width-1-end]) + "…" + string(letters[len(letters)-end:])
}
