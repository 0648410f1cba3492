package report

import (
	"fmt"
	"image/color"
	"io"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	cmaesview "github.com/ringrift/rift/projections/cmaes"
)

// maxDrawnStds bounds the variables whose standard deviations are drawn.
const maxDrawnStds = 24

// searchPanel is one plot of a search.
type searchPanel struct {
	plot  *plot.Plot
	lines []searchLine
}

type searchLine struct {
	name  string
	color color.Color
	step  bool
	value func(cmaesview.Generation) float64 // not a number: a gap
}

// SVG draws a search over its evaluations: fitness, step size and axis ratio, standard
// deviations of the variables, lost samples. Lines have gaps at restarts.
func (r SearchReport) SVG(w io.Writer) error {
	if r.One == nil {
		return fmt.Errorf("want one run to draw, found %d", len(r.Runs))
	}
	fitness, logarithmic := r.fitnessPanel()
	panels := []searchPanel{fitness, r.sigmaPanel(), r.stdsPanel(), r.lostPanel()}
	plots := make([]*plot.Plot, len(panels))
	for i, panel := range panels {
		for _, line := range panel.lines {
			if err := r.draw(panel.plot, line); err != nil {
				return err
			}
		}
		plots[i] = panel.plot
		plots[i].X.Min = 0
		plots[i].Legend.Left = false // most lines fall to the right
	}
	if !logarithmic {
		plots[0].Y.Label.Text = "fitness"
	}
	plots[3].Y.Min, plots[3].Y.Max = 0, max(plots[3].Y.Max*1.6, 1)
	plots[3].X.Label.Text = "evaluations"
	return page(w, 30*vg.Centimeter, r.Log.footerText(), plots...)
}

// draw adds a line, broken at restarts.
func (r SearchReport) draw(p *plot.Plot, line searchLine) error {
	var points plotter.XYs
	restarts := 0
	for _, g := range r.Generations {
		if g.Least == nil {
			continue // it is under way
		}
		if g.Restarts > restarts && len(points) > 0 {
			points = append(points, plotter.XY{X: points[len(points)-1].X, Y: math.NaN()})
		}
		restarts = g.Restarts
		points = append(points, plotter.XY{X: float64(g.Evaluations), Y: line.value(g)})
	}
	return addLine(p, line.name, points, line.color, line.step)
}

func (r SearchReport) fitnessPanel() (searchPanel, bool) {
	least := math.Inf(1)
	for _, g := range r.Generations {
		if g.Least != nil {
			least = min(least, *g.Least)
		}
	}
	logarithmic := least > 0 && !math.IsInf(least, 1)
	scaled := func(v float64) float64 {
		if logarithmic {
			return math.Log10(v)
		}
		return v
	}
	best := math.Inf(1)
	return searchPanel{base("Fitness of run "+string(r.One.Run), "", "log10 of fitness"), []searchLine{
		{"median", orange, false, func(g cmaesview.Generation) float64 { return scaled(*g.Median) }},
		{"least", blue, false, func(g cmaesview.Generation) float64 { return scaled(*g.Least) }},
		{"least so far", green, true, func(g cmaesview.Generation) float64 {
			best = min(best, *g.Least)
			return scaled(best)
		}},
	}}, logarithmic
}

func (r SearchReport) sigmaPanel() searchPanel {
	return searchPanel{base("Step size and axis ratio", "", "log10"), []searchLine{
		{"sigma", blue, false, func(g cmaesview.Generation) float64 { return math.Log10(g.Sigma) }},
		{"axis ratio", orange, false, func(g cmaesview.Generation) float64 { return math.Log10(g.AxisRatio) }},
	}}
}

func (r SearchReport) stdsPanel() searchPanel {
	names := r.One.Objective.Variables
	panel := searchPanel{plot: base("Standard deviations of the variables", "", "log10")}
	n := len(r.One.Stds)
	for i := range min(n, maxDrawnStds) {
		name := fmt.Sprintf("x%d", i)
		if len(names) == n {
			name = names[i]
		}
		panel.lines = append(panel.lines, searchLine{name, curveColors[i%len(curveColors)], false, func(g cmaesview.Generation) float64 {
			if i >= len(g.Stds) {
				return math.NaN()
			}
			return math.Log10(g.Stds[i])
		}})
	}
	if n > maxDrawnStds {
		panel.plot.Title.Text += fmt.Sprintf(" (the first %d of %d)", maxDrawnStds, n)
	}
	if n > 8 { // more names than there is room for
		panel.plot.Legend.TextStyle.Font.Size = vg.Points(5)
		panel.plot.Legend.Padding = 0
	}
	return panel
}

func (r SearchReport) lostPanel() searchPanel {
	return searchPanel{base("Candidates of each generation", "", "candidates"), []searchLine{
		{"population", grey, true, func(g cmaesview.Generation) float64 { return float64(g.Population) }},
		{"samples lost", red, true, func(g cmaesview.Generation) float64 { return float64(g.Lost) }},
		{"late", orange, true, func(g cmaesview.Generation) float64 { return float64(g.Late) }},
	}}
}
