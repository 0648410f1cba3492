package report

import (
	"fmt"
	"image/color"
	"io"
	"slices"
	"time"

	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"github.com/ringrift/rift/domain"
)

// maxBarsInTime bounds the periods of one kind that are drawn.
const maxBarsInTime = 2000

// bars draws periods in rows, the first row on top.
type bars struct {
	rows []string
	end  time.Time
}

// SVG draws the reigns, the disagreements, and the losses of quorum over time.
func (c Cluster) SVG(w io.Writer) error {
	leaders := map[domain.NodeID]bool{}
	for _, reign := range c.Reigns {
		leaders[reign.Leader] = true
	}
	b := bars{end: c.Log.To}
	for leader := range leaders {
		b.rows = append(b.rows, string(leader))
	}
	slices.Sort(b.rows)
	title := "Who led when"
	if len(b.rows) > maxBars {
		title += fmt.Sprintf(" (the first %d of %d)", maxBars, len(b.rows))
		b.rows = b.rows[:maxBars]
	}
	const disputed, below = "several led", "no majority"
	b.rows = append(b.rows, disputed, below)
	p := base(title, "time (UTC)", "")
	p.Legend.Top = false
	kinds := []struct {
		name   string
		color  color.Color
		width  vg.Length
		points []stretch
	}{{"in the eyes of an observer", orange, 5 * vg.Millimeter, nil}, {"elected on this log", blue, 3 * vg.Millimeter, nil}, {disputed, red, 5 * vg.Millimeter, nil}, {below, grey, 5 * vg.Millimeter, nil}}
	for _, one := range c.Reigns {
		kind := 0
		if one.Elected {
			kind = 1
		}
		kinds[kind].points = append(kinds[kind].points, stretch{string(one.Leader), one.Since, one.Until})
	}
	for _, one := range c.Disagreements {
		kinds[2].points = append(kinds[2].points, stretch{disputed, one.Since, one.Until})
	}
	for _, one := range c.Losses {
		kinds[3].points = append(kinds[3].points, stretch{below, one.Since, one.Until})
	}
	for _, kind := range kinds {
		for i, one := range kind.points[:min(len(kind.points), maxBarsInTime)] {
			row := slices.Index(b.rows, one.row)
			if row < 0 {
				continue
			}
			line, err := b.line(one, row)
			if err != nil {
				return err
			}
			line.Color, line.Width = kind.color, kind.width
			p.Add(line)
			if i == 0 {
				p.Legend.Add(kind.name, line)
			}
		}
	}
	names := slices.Clone(b.rows)
	slices.Reverse(names)
	p.NominalY(names...)
	p.X.Tick.Marker = timeTicks{}
	p.X.Min, p.X.Max = float64(c.Log.From.Unix()), float64(max(c.Log.To.Unix(), c.Log.From.Unix()+1))
	p.Y.Min, p.Y.Max = -1.5, float64(len(names))-0.5 // room for the legend
	return page(w, vg.Length(len(names))*8*vg.Millimeter+5*vg.Centimeter, c.Log.footerText(), p)
}

// stretch is a period in a row.
type stretch struct {
	row   string
	since time.Time
	until *time.Time
}

func (b bars) line(s stretch, row int) (*plotter.Line, error) {
	until := b.end
	if s.until != nil {
		until = *s.until
	}
	y := float64(len(b.rows) - 1 - row)
	from, to := float64(s.since.UnixMilli())/1000, float64(until.UnixMilli())/1000
	line, err := plotter.NewLine(plotter.XYs{{X: from, Y: y}, {X: max(to, from+0.5), Y: y}})
	if err != nil {
		return nil, domain.Errorf(domain.Internal, "drawing: %w", err)
	}
	return line, nil
}
