package tournament

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ringrift/rift/domain"
)

// Sizes in a drawing, in pixels.
const (
	svgMargin = 16
	svgRow    = 20
	svgBox    = 200 // a pairing of a knock-out
	svgGap    = 36  // between its rounds
	svgCell   = 56  // a round of a table
	svgName   = 190
	maxShown  = 30 // rounds of a table; the last ones
	nameRunes = 22
)

// drawing is an SVG that is being written.
type drawing struct {
	body          strings.Builder
	width, height int
}

// escaped returns text with the characters of XML escaped, because names come from
// outside.
func escaped(text string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#39;").Replace(plain(text))
}

func (d *drawing) text(x, y int, class, text string) {
	fmt.Fprintf(&d.body, `<text x="%d" y="%d" class="%s">%s</text>`+"\n", x, y, class, escaped(text))
	d.reach(x, y)
}

func (d *drawing) line(x1, y1, x2, y2 int) {
	fmt.Fprintf(&d.body, `<path d="M%d %dH%dV%dH%d"/>`+"\n", x1, y1, (x1+x2)/2, y2, x2)
}

func (d *drawing) rect(x, y, w, h int) {
	fmt.Fprintf(&d.body, `<rect x="%d" y="%d" width="%d" height="%d"/>`+"\n", x, y, w, h)
	d.reach(x+w, y+h)
}

func (d *drawing) reach(x, y int) { d.width, d.height = max(d.width, x), max(d.height, y) }

// String ends the drawing and returns it.
func (d *drawing) String() string {
	w, h := d.width+svgMargin, d.height+svgMargin
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d">
<style>text{font:13px sans-serif;fill:#222}.h{font-weight:bold}.n{text-anchor:end}.l{fill:#888}rect{fill:#fff;stroke:#888}path{fill:none;stroke:#888}</style>
<rect x="0" y="0" width="%d" height="%d" style="stroke:none"/>
`, w, h, w, h, w, h) + d.body.String() + "</svg>\n"
}

// SVG returns the bracket as a drawing: a knock-out as a tree, anything else as a table
// with a column for each round, with a note below. Equal brackets give equal bytes.
func (b Bracket) SVG(note string) string {
	d := &drawing{}
	d.text(svgMargin, svgMargin+svgRow/2, "h", b.Title())
	if b.Format.KnockOut() {
		b.tree(d)
	} else {
		b.table(d)
	}
	if note != "" {
		d.text(svgMargin, d.height+2*svgRow, "l", note)
	}
	return d.String()
}

// tree draws the winners' rounds from left to right, and the losers' rounds below.
func (b Bracket) tree(d *drawing) {
	top := svgMargin + 2*svgRow
	for _, losers := range []bool{false, true} {
		var rounds []Round
		most := 0
		for _, r := range b.Rounds {
			if (r.Part == "losers") == losers {
				rounds, most = append(rounds, r), max(most, len(r.Pairings))
			}
		}
		if len(rounds) == 0 {
			continue
		}
		slot := 3 * svgRow
		at := func(i, of int) int { return top + svgRow + (2*i+1)*most*slot/(2*of) - svgRow }
		for column, r := range rounds {
			x := svgMargin + column*(svgBox+svgGap)
			d.text(x, top, "h", r.Title())
			for i, p := range r.Pairings {
				y := at(i, len(r.Pairings))
				if column+1 < len(rounds) {
					if next := len(rounds[column+1].Pairings); next == len(r.Pairings) || 2*next == len(r.Pairings) {
						d.line(x+svgBox, y+svgRow, x+svgBox+svgGap, at(i*next/len(r.Pairings), next)+svgRow)
					}
				}
				b.box(d, x, y, p)
			}
		}
		top += most*slot + 2*svgRow
	}
}

// box draws a pairing of two players, with the name of the winner in bold.
func (b Bracket) box(d *drawing, x, y int, p Pairing) {
	d.rect(x, y, svgBox, 2*svgRow)
	for i, name := range p.Players {
		class, points := "", ""
		if p.Result != nil && p.Result.Winner == name {
			class = "h"
		} else if p.Result != nil {
			class = "l"
		}
		if p.Result != nil && !p.Bye {
			points = number(p.Result.Points[i])
		}
		d.text(x+6, y+i*svgRow+14, class, short(name))
		d.text(x+svgBox-6, y+i*svgRow+14, "n", points)
	}
	if p.Bye {
		d.text(x+6, y+svgRow+14, "l", "bye")
	}
}

func short(name string) string { return domain.Clip(name, nameRunes) }

// table draws the standings, with the points and the opponent's rank of every player in
// every round.
func (b Bracket) table(d *drawing) {
	rank := map[string]int{}
	for _, s := range b.Standings {
		rank[s.Participant] = s.Rank
	}
	rounds := b.Rounds[max(len(b.Rounds)-maxShown, 0):]
	y := svgMargin + 2*svgRow
	x := svgMargin + 40 + svgName
	d.text(svgMargin+30, y, "h n", "#")
	d.text(svgMargin+40, y, "h", "participant")
	d.text(x+40, y, "h n", "points")
	for i, r := range rounds {
		d.text(x+40+(i+1)*svgCell, y, "h n", fmt.Sprintf("%d", r.Round))
	}
	for _, s := range b.Standings {
		y += svgRow
		class := ""
		if s.Withdrawn {
			class = "l"
		}
		d.text(svgMargin+30, y, "n", fmt.Sprintf("%d", s.Rank))
		d.text(svgMargin+40, y, class, short(s.Participant))
		d.text(x+40, y, "h n", number(s.Points))
		for i, r := range rounds {
			d.text(x+40+(i+1)*svgCell, y, "n", r.cell(s.Participant, rank))
		}
	}
}

// cell returns the result of a participant in a round.
func (r Round) cell(name string, rank map[string]int) string {
	for _, p := range r.Pairings {
		at := slices.Index(p.Players, name)
		if at < 0 {
			continue
		}
		points := "·"
		if p.Result != nil {
			points = number(p.Result.Points[at])
		}
		if p.Bye {
			return points + " bye"
		}
		var others []string
		for i, other := range p.Players {
			if i != at {
				others = append(others, fmt.Sprintf("%d", rank[other]))
			}
		}
		return points + " #" + strings.Join(others, ",")
	}
	return ""
}
