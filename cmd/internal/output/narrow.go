package output

import (
	"math"
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

// isWhole tells a column of numbers or times, whose cells are not cut.
func (r *Rows) isWhole(i int) bool {
	return r.times[r.shown[i]] || r.columns[r.shown[i]].Right && r.longest(i) <= widestNumber
}

// narrow takes room from the widest columns until a row fits: from lists among numbers,
// from words down to a few of them, then from the heads of numbers, then from words down
// to a beginning. Numbers and times stay whole. What does not fit then is left out, from
// the right, and so are up to two numbers at the right end where that keeps the heads of
// the others whole. The rest has their room; it says how many columns are left out.
func (r *Rows) narrow(names []string) (leftOut int) {
	if r.fits() {
		return 0
	}
	natural, all := slices.Clone(r.widths), len(r.widths)
	words := func(least int) func(i int) int {
		return func(i int) int {
			switch {
			case r.isWhole(i):
				return r.widths[i]
			case i == 0:
				return max(least, leastKey)
			}
			return least
		}
	}
	shown := r.shown
	squeeze := func(columns int, wholeHeads bool) {
		r.widths, r.shown = slices.Clone(natural[:columns]), shown[:columns]
		r.shrink(func(i int) int {
			if r.columns[r.shown[i]].Right && !r.isWhole(i) {
				return 12
			}
			return r.widths[i]
		})
		r.shrink(func(i int) int { return max(words(16)(i), text.StringWidth(names[i])) })
		r.shrink(func(i int) int {
			if r.isWhole(i) && !wholeHeads {
				return max(r.longest(i), 4)
			}
			return r.widths[i]
		})
		r.shrink(func(i int) int { return max(words(leastWords)(i), min(text.StringWidth(names[i]), 12)) })
		r.shrink(words(leastWords))
	}
	for columns := all; columns > 1; columns-- {
		if squeeze(columns, false); !r.fits() {
			continue
		}
		for fewer := columns; fewer > columns-3 && fewer > 1; fewer-- {
			if squeeze(fewer, true); r.fits() {
				return all - fewer
			}
			if r.shown = shown; !r.isWhole(fewer - 1) {
				break
			}
		}
		squeeze(columns, false)
		return all - columns
	}
	r.widths, r.shown = natural[:1], r.shown[:1]
	r.shrink(func(int) int { return 1 })
	return all - 1
}

// layout sets the widths, and returns how many columns there is no room for.
func (r *Rows) layout(names []string) (leftOut int) {
	r.findNames()
	shown, heads := r.shown, make([]int, len(names))
	for i, name := range names {
		heads[i] = text.StringWidth(name)
		if r.live {
			heads[i] = max(heads[i], min(r.columns[shown[i]].Max, 24))
		}
	}
	for _, inside := range []bool{false, true} {
		r.shown, r.shared, r.widths = shown, nil, slices.Clone(heads)
		r.widen()
		r.leaveOutShared(!r.fits(), inside)
		copy(r.widths, heads)
		r.widen()
		leftOut = r.narrow(names)
		if !r.alike() {
			break
		}
	}
	return leftOut
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
				r.widths[i] = max(r.widths[i], min(text.StringWidth(line), r.bound(i)))
			}
		}
	}
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

// bound is how wide a column may be where there is room.
func (r *Rows) bound(i int) int {
	if most := r.columns[r.shown[i]].Max; most > 0 && r.p.Format == Table {
		return most
	}
	return math.MaxInt
}

// widest is how wide the cells of a column are without its head.
func (r *Rows) widest(i int) (width int) {
	for _, row := range r.held {
		width = max(width, text.StringWidth(row[i]))
	}
	return width
}

// longest is the same within the bound.
func (r *Rows) longest(i int) int { return min(r.widest(i), r.bound(i)) }

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
