package pairing

import "slices"

// MaxDutch is the largest number of players for the Dutch system.
const MaxDutch = 128

// Dutch pairs the next round by the basics of the FIDE (Dutch) system: from the
// highest score down, as many pairs as possible within a score group, the lowest
// players floating down; then the upper half against the lower half in order, with
// colours and byes by their rules. Nobody meets the same opponent twice or has two
// byes, and two players with the same absolute colour preference do not meet. It
// returns an error if no such round exists.
//
// Of the quality criteria it has: the bye's score, the number and the scores of
// floaters, the pairs of the next score group, the bye's unplayed rounds, colour
// preferences and strong ones, and repeated floats; of the exchanges, those between
// the halves by the number of players. There are no exceptions for topscorers.
func (s Swiss) Dutch() ([]Pairing, error) {
	if s.Players > MaxDutch {
		return nil, checkPlayers("swiss", s.Players, MaxDutch)
	}
	field, err := s.field()
	if err != nil {
		return nil, err
	}
	d := &dutch{field: field, partner: make([]int, len(field)+len(field)%2)}
	for i := range d.partner {
		d.partner[i] = -1
	}
	for d.next() {
		if !d.bracket() {
			return nil, &Invalid{"swiss", []Fault{{"players", "no round is left in which nobody meets twice, has a second bye, or a colour against the rules"}}}
		}
	}
	return s.boards(field, d.partner), nil
}

// dutch is a round being paired. Players are indexes of the field, by rank; the
// index after the last is the bye.
type dutch struct {
	field   []*player
	partner []int
	top     int // points of the score group
	below   int // points of the next one
}

// next finds the next score group: the highest points among unpaired players.
func (d *dutch) next() bool {
	d.top, d.below = -1, -1
	for i, p := range d.field {
		switch {
		case d.partner[i] >= 0:
		case d.top < 0:
			d.top = p.points
		case p.points < d.top && d.below < 0:
			d.below = p.points
		}
	}
	return d.top >= 0
}

// legal reports whether two players may meet, or the first may have the bye.
func (d *dutch) legal(i, j int) bool {
	if j == len(d.field) {
		return !d.field[i].hadBye
	}
	a, b := d.field[i], d.field[j]
	want, how := a.wants()
	other, so := b.wants()
	return !a.met[b.number] && (how != absolute || so != absolute || want != other)
}

// The bit fields of a pair's weight, from the most important down; each has room
// for the sum over all pairs of 128 players.
const (
	bitStrong   = 0
	bitColour   = bitStrong + 7
	bitFloat    = bitColour + 8
	bitUnplayed = bitFloat + 7
	bitNext     = bitUnplayed + 7
	bitInside   = bitNext + 7
	bitBye      = bitInside + 7
	bitComplete = bitBye + 8
)

// weight returns the weight of a pair of unpaired players, in the current score
// group.
func (d *dutch) weight(i, j int) int64 {
	i, j = min(i, j), max(i, j)
	if !d.legal(i, j) {
		return 0
	}
	w := int64(1) << bitComplete
	a := d.field[i]
	if j == len(d.field) {
		// The bye goes to the lowest score, then to the fewest unplayed rounds.
		lower := int64(0)
		for _, p := range d.field {
			if p.points > a.points {
				lower++
			}
		}
		return w + lower<<bitBye + int64(127-min(a.unplayed, 127))<<bitUnplayed
	}
	b := d.field[j]
	if a.points < d.top && b.points < d.top {
		if a.points == d.below && b.points == d.below {
			w += 1 << bitNext
		}
		return w
	}
	if b.points == d.top {
		w += 1<<bitInside + 1<<bitNext
	} else if b.points == d.below {
		// A floater leaves one fewer to pair within the next score group.
		w += 1 << bitNext
	}
	if b.points == d.top || !a.floated {
		w += 1 << bitFloat
	}
	want, how := a.wants()
	other, so := b.wants()
	if want == 0 || other == 0 || want != other {
		w += 1<<bitColour + 1<<bitStrong
	} else if how != strong || so != strong {
		w += 1 << bitStrong
	}
	return w
}

// value returns the largest weight of a round of the unpaired players without the
// given ones, −1 if no complete round exists.
func (d *dutch) value(without ...int) int64 {
	var left []int
	for i, j := range d.partner {
		if j < 0 && !slices.Contains(without, i) {
			left = append(left, i)
		}
	}
	total := int64(0)
	for a, b := range heaviest(len(left), func(a, b int) int64 { return d.weight(left[a], left[b]) }) {
		if b < 0 {
			return -1
		}
		if a < b {
			total += d.weight(left[a], left[b])
		}
	}
	return total
}

// bracket pairs the players of the highest score group with each other, and its
// floaters with the partners that the best round gives them.
func (d *dutch) bracket() bool {
	best := d.value()
	if best < 0 {
		return false
	}
	var members []int
	for i := range d.field {
		if d.partner[i] < 0 && d.field[i].points == d.top {
			members = append(members, i)
		}
	}
	for len(members) > 0 {
		i := members[0]
		for _, j := range d.candidates(members) {
			w := d.weight(i, j)
			if w == 0 || d.value(i, j) != best-w {
				continue
			}
			d.partner[i], d.partner[j] = j, i
			best -= w
			break
		}
		if d.partner[i] < 0 {
			return false
		}
		members = slices.DeleteFunc(members, func(m int) bool { return d.partner[m] >= 0 })
	}
	return true
}

// candidates lists the possible opponents of the first player of a score group in
// the order to try: the lower half, then the upper half from its end, then lower
// score groups, then the bye.
func (d *dutch) candidates(members []int) []int {
	half := len(members) / 2
	var out []int
	if half > 0 {
		out = append(out, members[half:]...)
		for at := half - 1; at > 0; at-- {
			out = append(out, members[at])
		}
	}
	for i := range d.partner {
		if d.partner[i] < 0 && !slices.Contains(members, i) {
			out = append(out, i)
		}
	}
	return out
}
