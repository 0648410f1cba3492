package play

import "strings"

// Stones are the letters of the players' stones, in seat order.
const Stones = "XO+"

// Board returns the final board as text: one row of cells per line, an empty cell
// as a dot. X connects the upper and the lower side, O the left and the right one;
// with three players O connects the upper left and the lower right side, + the
// other two.
func (o Outcome) Board() string {
	p := o.end
	var b strings.Builder
	c := 0
	for c < len(p.owner) {
		r := p.r[c]
		if p.players == 2 {
			b.WriteString(strings.Repeat(" ", r))
		} else {
			b.WriteString(strings.Repeat(" ", abs(r)))
		}
		for first := true; c < len(p.owner) && p.r[c] == r; c++ {
			if !first {
				b.WriteByte(' ')
			}
			first = false
			if p.owner[c] == empty {
				b.WriteByte('.')
			} else {
				b.WriteByte(Stones[p.owner[c]])
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}
