package report

import (
	"image/color"
	"io"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
	"github.com/ringrift/rift/domain/rating"
)

// eloBars bounds the players that are drawn with their errors.
const eloBars = 20

// SVG draws the ratings with 95 % intervals, and the curves of the first models.
func (r Ratings) SVG(w io.Writer) error {
	bars, err := r.bars()
	if err != nil {
		return err
	}
	plots := []*plot.Plot{bars}
	if len(r.Curves) > 0 {
		title := "Published ratings"
		if r.Method == elo.MethodWHR {
			title = "Ratings by day"
		}
		curves := base(title, "time (UTC)", "Elo")
		curves.X.Tick.Marker = timeTicks{}
		colors := slices.Concat(curveColors, []color.Color{color.Black})
		for i, curve := range r.Curves {
			var points plotter.XYs
			for _, p := range curve.Points {
				points = append(points, plotter.XY{X: float64(p.At.UnixMicro()) / 1e6, Y: p.Rating})
			}
			if err := addLine(curves, domain.Clip(curve.ModelID, 24), points, colors[i%len(colors)], r.Method != elo.MethodWHR && len(points) > 1); err != nil {
				return err
			}
		}
		widen(curves)
		plots = append(plots, curves)
	}
	return page(w, vg.Length(len(plots))*9*vg.Centimeter+footerRoom, r.Log.footerText(), plots...)
}

// widen gives an axis of length 0 a length, which gonum/plot requires.
func widen(p *plot.Plot) {
	if p.X.Min == p.X.Max {
		p.X.Min, p.X.Max = p.X.Min-60, p.X.Max+60
	}
	if p.Y.Min == p.Y.Max {
		p.Y.Min, p.Y.Max = p.Y.Min-10, p.Y.Max+10
	}
}

func (r Ratings) bars() (*plot.Plot, error) {
	p := base(r.Title()+", with 95 % intervals", "", "Elo")
	rows := r.Rankings[:min(len(r.Rankings), eloBars)]
	var with errorPoints
	var names []string
	for i, row := range rows {
		half := 0.0
		if row.Error != nil {
			half = rating.Z95 * *row.Error
		}
		with.XYs = append(with.XYs, plotter.XY{X: float64(i), Y: row.Rating})
		with.YErrors = append(with.YErrors, struct{ Low, High float64 }{half, half})
		names = append(names, domain.Clip(row.ModelID, 16))
	}
	if len(rows) == 0 {
		return p, nil
	}
	errorBars, err := plotter.NewYErrorBars(with)
	if err != nil {
		return nil, domain.Errorf(domain.Internal, "drawing: %w", err)
	}
	errorBars.Color, errorBars.Width = grey, vg.Points(1.2)
	dots, err := plotter.NewScatter(with.XYs)
	if err != nil {
		return nil, domain.Errorf(domain.Internal, "drawing: %w", err)
	}
	dots.Color, dots.Shape, dots.Radius = blue, draw.CircleGlyph{}, vg.Points(2.5)
	p.Add(errorBars, dots)
	widen(p)
	p.X.Min, p.X.Max = -0.5, float64(len(rows))-0.5
	p.X.Tick.Marker = plot.ConstantTicks(slices.Collect(func(yield func(plot.Tick) bool) {
		for i, name := range names {
			if !yield(plot.Tick{Value: float64(i), Label: name}) {
				return
			}
		}
	}))
	if len(rows) > 6 {
		p.X.Tick.Label.Rotation, p.X.Tick.Label.XAlign, p.X.Tick.Label.YAlign = 0.6, draw.XRight, draw.YCenter
	}
	return p, nil
}
