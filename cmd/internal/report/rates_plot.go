package report

import (
	"io"

	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/ringrift/rift/domain"
)

// RatePoint is the share of simulated tests that pass a candidate of a strength.
type RatePoint struct {
	Elo       float64
	Passed    float64
	Low, High float64 // 95 % interval
	Theory    float64 // NaN: unknown
}

// RatesSVG draws the share of tests that pass by strength, with theory and the stated
// error rates.
func RatesSVG(w io.Writer, title, footer string, points []RatePoint, alpha, beta float64) error {
	p := base(title, "true strength, Elo", "share that passes")
	var passed, theory plotter.XYs
	bars := errorPoints{}
	for _, point := range points {
		xy := plotter.XY{X: point.Elo, Y: point.Passed}
		passed, theory = append(passed, xy), append(theory, plotter.XY{X: point.Elo, Y: point.Theory})
		bars.XYs = append(bars.XYs, xy)
		bars.YErrors = append(bars.YErrors, struct{ Low, High float64 }{point.Passed - point.Low, point.High - point.Passed})
	}
	if len(points) > 0 {
		first, last := points[0].Elo, points[len(points)-1].Elo
		for _, line := range []struct {
			name string
			y    float64
		}{{"stated error rates", alpha}, {"", 1 - beta}} {
			level, err := plotter.NewLine(plotter.XYs{{X: first, Y: line.y}, {X: last, Y: line.y}})
			if err != nil {
				return domain.Errorf(domain.Internal, "drawing: %w", err)
			}
			level.Color, level.Dashes = grey, []vg.Length{vg.Points(4), vg.Points(3)}
			p.Add(level)
			if line.name != "" {
				p.Legend.Add(line.name, level)
			}
		}
		dots, err := plotter.NewScatter(passed)
		if err != nil {
			return domain.Errorf(domain.Internal, "drawing: %w", err)
		}
		dots.Color, dots.Shape = blue, draw.CircleGlyph{}
		intervals, err := plotter.NewYErrorBars(bars)
		if err != nil {
			return domain.Errorf(domain.Internal, "drawing: %w", err)
		}
		intervals.Color = blue
		if err := addLine(p, "theory", theory, orange, false); err != nil {
			return err
		}
		p.Add(dots, intervals)
		p.Legend.Add("simulated, 95 %", dots)
	}
	p.Y.Min, p.Y.Max = 0, 1
	return page(w, 12*vg.Centimeter, footer, p)
}
