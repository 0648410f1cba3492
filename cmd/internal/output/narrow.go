package output

import (
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/text"
)

// The least widths of columns of words: of the first, which says what a row is about,
// and of the others.
const (
	leastKey   = 16
	leastWords = 8
)

// widestNumber is how wide a column to the right may be for its cells to stay whole:
// a wider one holds lists or words.
const widestNumber = 20

func (r *Rows) isNumbers(i int) bool {
	return r.columns[r.shown[i]].Right && r.longest(i) <= widestNumber
}

// isNames tells a column of names: of two names of one kind, the beginnings are alike
// more often than the ends.
func (r *Rows) isNames(i int) bool {
	return r.shown[i] == 0 || strings.HasSuffix(r.columns[r.shown[i]].Name, "_id")
}

// narrow takes room from the widest columns until a row fits: from lists among numbers,
// from words down to a few of them, then from the heads of numbers, then from words down to a beginning.
// Numbers stay whole. What does not fit then is left out, from the right, and the
// others have its room; it says how many columns that are.
func (r *Rows) narrow(names []string) (leftOut int) {
	if r.fits() {
		return 0
	}
	natural, all := slices.Clone(r.widths), len(r.widths)
	words := func(least int) func(i int) int {
		return func(i int) int {
			switch {
			case r.isNumbers(i):
				return r.widths[i]
			case i == 0:
				return max(least, leastKey)
			}
			return least
		}
	}
	for columns := all; columns > 1; columns-- {
		r.widths, r.shown = slices.Clone(natural[:columns]), r.shown[:columns]
		r.shrink(func(i int) int {
			if r.columns[r.shown[i]].Right && !r.isNumbers(i) {
				return 12
			}
			return r.widths[i]
		})
		r.shrink(func(i int) int { return max(words(16)(i), text.StringWidth(names[i])) })
		r.shrink(func(i int) int {
			if r.isNumbers(i) {
				return max(r.longest(i), 4)
			}
			return r.widths[i]
		})
		r.shrink(func(i int) int { return max(words(leastWords)(i), min(text.StringWidth(names[i]), 12)) })
		r.shrink(words(leastWords))
		if r.fits() {
			return all - columns
		}
	}
	r.widths, r.shown = natural[:1], r.shown[:1]
	r.shrink(func(int) int { return 1 })
	return all - 1
}

// fits tells whether a row has room, or no room is set.
func (r *Rows) fits() bool {
	return r.p.Width == 0 || r.p.Format == Wide || r.total() <= r.p.Width
}

// widen makes columns as wide as their cells.
func (r *Rows) widen() {
	for _, row := range r.held {
		for i, cell := range row {
			for line := range strings.SplitSeq(r.unshared(i, cell), "\n") {
				r.widths[i] = max(r.widths[i], text.StringWidth(line))
			}
		}
	}
}

// leaveOutShared finds the words that all names of a column begin with. Where there is
// no room for whole names, what they differ in tells them apart.
func (r *Rows) leaveOutShared() {
	shared := make([]string, len(r.widths))
	for i := range shared {
		if !r.isNames(i) || r.longest(i) <= leastKey {
			continue
		}
		begun, differ := "", false
		for n, row := range r.held {
			cell := row[i]
			switch {
			case n == 0 || begun == "" && !differ:
				begun = cell
			case cell != "" && cell != begun:
				n := 0
				for n < len(begun) && n < len(cell) && begun[n] == cell[n] {
					n++
				}
				begun, differ = begun[:n], true
			}
			if differ && begun == "" {
				break
			}
		}
		if words := strings.LastIndexAny(begun, "-_.:/@") + 1; differ && words > 3 {
			shared[i] = begun[:words]
		}
	}
	r.shared = shared
}

// unshared is a cell without what all of its column begin with.
func (r *Rows) unshared(i int, cell string) string {
	if i >= len(r.shared) || r.shared[i] == "" {
		return cell
	}
	if rest, begins := strings.CutPrefix(cell, r.shared[i]); begins {
		return "…" + rest
	}
	return cell
}

// cut makes a cell as wide as its column. Of a name, the end stays too.
func (r *Rows) cut(i int, cell string) string {
	width := r.widths[i]
	if !r.isNames(i) || width < 8 || strings.ContainsAny(cell, " \n") || text.StringWidth(cell) <= width {
		return snip(cell, width)
	}
	letters := []rune(cell)
	if len(letters) != text.StringWidth(cell) {
		return snip(cell, width)
	}
	end := (width - 1) / 2
	return string(letters[:width-1-end]) + "…" + string(letters[len(letters)-end:])
}

// shrink takes room from the widest columns, from each until its least width.
func (r *Rows) shrink(least func(i int) int) {
	for r.total() > r.p.Width {
		widest := -1
		for i, width := range r.widths {
			if width > least(i) && (widest < 0 || width > r.widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return
		}
		r.widths[widest]--
	}
}

// longest is how wide the cells of a column are without its head.
func (r *Rows) longest(i int) (width int) {
	for _, row := range r.held {
		width = max(width, text.StringWidth(row[i]))
	}
	return width
}

// total is how wide a row is.
func (r *Rows) total() int {
	total := 2 * (len(r.widths) - 1)
	for _, width := range r.widths {
		total += width
	}
	return total
}

func (r *Rows) padded(row []string) string {
	var b strings.Builder
	for i, cell := range row[:len(r.widths)] {
		cell = r.cut(i, strings.ReplaceAll(r.unshared(i, cell), "\n", " "))
		gap := strings.Repeat(" ", max(r.widths[i]-text.StringWidth(cell), 0))
		if i > 0 {
			b.WriteString("  ")
		}
		if r.columns[r.shown[i]].Right {
			b.WriteString(gap + cell)
		} else {
			b.WriteString(cell + gap)
		}
	}
	return strings.TrimRight(b.String(), " ")
}

func snip(cell string, width int) string {
	lines := strings.Split(cell, "\n")
	for i := range lines {
		lines[i] = text.Snip(lines[i], width, "…")
	}
	return strings.Join(lines, "\n")
}
