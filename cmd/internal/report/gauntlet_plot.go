package report

import (
	"fmt"
	"io"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"github.com/ringrift/rift/domain"
)

// SVG draws, over the games, the log likelihood ratio with the bounds of the test, and the
// Elo over the tested opponent with its 95 % interval.
func (g Gauntlet) SVG(w io.Writer) error {
	title := fmt.Sprintf("%s: %s", g.GauntletID, g.State)
	if g.Decision != "" {
		title += ", " + g.Decision
	}
	ratio, strength := base(title, "", "log likelihood ratio"), base("", "games against the tested opponent", "Elo, 95 %")
	var llr, lower, upper, elo plotter.XYs
	var band plotter.XYs
	for _, look := range g.Looks {
		x := float64(look.Games)
		llr = append(llr, plotter.XY{X: x, Y: look.LLR})
		lower = append(lower, plotter.XY{X: x, Y: look.Lower})
		upper = append(upper, plotter.XY{X: x, Y: look.Upper})
		elo = append(elo, plotter.XY{X: x, Y: look.Elo})
		band = append(band, plotter.XY{X: x, Y: look.Elo + look.Error})
	}
	for i := len(g.Looks) - 1; i >= 0; i-- {
		band = append(band, plotter.XY{X: float64(g.Looks[i].Games), Y: g.Looks[i].Elo - g.Looks[i].Error})
	}
	if len(llr) > 1 {
		interval, err := plotter.NewPolygon(band)
		if err != nil {
			return domain.Errorf(domain.Internal, "drawing: %w", err)
		}
		interval.Color, interval.LineStyle.Width = pale, 0
		strength.Add(interval)
	}
	for _, err := range []error{
		addLine(ratio, "accept the candidate", upper, green, false),
		addLine(ratio, "log likelihood ratio", llr, blue, false),
		addLine(ratio, "reject it", lower, red, false),
		addLine(strength, "Elo", elo, blue, false),
	} {
		if err != nil {
			return err
		}
	}
	for _, p := range []*plot.Plot{ratio, strength} {
		room := (p.Y.Max - p.Y.Min) * 0.25
		p.Y.Max += room // for the legend
		if len(llr) == 0 {
			p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0, 1, -3, 3
			continue
		}
		p.X.Min, p.X.Max = 0, llr[len(llr)-1].X
	}
	return page(w, 18*vg.Centimeter, g.Log.footerText(), ratio, strength)
}
