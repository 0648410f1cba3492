package report

import (
	"fmt"
	"image/color"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/ringrift/rift/domain"
)

// The colours can be told apart by people with colour blindness (Okabe and Ito 2008).
var (
	blue   = color.RGBA{0x00, 0x72, 0xb2, 0xff}
	orange = color.RGBA{0xe6, 0x9f, 0x00, 0xff}
	red    = color.RGBA{0xd5, 0x5e, 0x00, 0xff}
	green  = color.RGBA{0x00, 0x9e, 0x73, 0xff}
	grey   = color.RGBA{0xb0, 0xb0, 0xb0, 0xff}
	pale   = color.RGBA{0xe4, 0xe4, 0xe4, 0xff}
)

const (
	pageWidth  = 24 * vg.Centimeter
	footerRoom = 1.1 * vg.Centimeter
)

// footerText returns the line under every drawing.
func (f Footer) footerText() string {
	return fmt.Sprintf("log positions %d to %d, %s to %s UTC; %d events, digest %s",
		f.First, f.Last, f.From.Format("2006-01-02 15:04:05"), f.To.Format("2006-01-02 15:04:05"), f.Events, f.ShortDigest())
}

// ShortDigest returns the beginning of the digest, enough to tell two reports apart.
func (f Footer) ShortDigest() string { return f.Digest[:min(16, len(f.Digest))] }

// page draws plots one above the other, with aligned left edges, and the footer.
func page(w io.Writer, height vg.Length, footer string, plots ...*plot.Plot) error {
	canvas := vgsvg.New(pageWidth, height)
	all := draw.New(canvas)
	tiles := draw.Tiles{Rows: len(plots), Cols: 1, PadTop: 3 * vg.Millimeter, PadBottom: footerRoom, PadRight: 8 * vg.Millimeter, PadLeft: 3 * vg.Millimeter, PadY: 5 * vg.Millimeter}
	grid := make([][]*plot.Plot, len(plots))
	for i, p := range plots {
		grid[i] = []*plot.Plot{p}
	}
	for i, row := range plot.Align(grid, tiles, all) {
		plots[i].Draw(row[0])
	}
	style := plots[0].X.Tick.Label
	style.Font.Size = vg.Points(8)
	style.XAlign, style.YAlign = draw.XLeft, draw.YBottom
	all.FillText(style, vg.Point{X: 4 * vg.Millimeter, Y: 3 * vg.Millimeter}, footer)
	if _, err := canvas.WriteTo(w); err != nil {
		return domain.Errorf(domain.Unavailable, "drawing: %w", err)
	}
	return nil
}

// base returns a plot with a title, a grid, and a legend in its upper left.
func base(title, x, y string) *plot.Plot {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, x, y
	p.Title.TextStyle.Font.Size = vg.Points(12)
	p.Title.Padding = 2 * vg.Millimeter
	p.Legend.Top, p.Legend.Left = true, true
	p.Legend.XOffs, p.Legend.YOffs = 3*vg.Millimeter, -2*vg.Millimeter
	p.Legend.Padding = vg.Millimeter
	lines := plotter.NewGrid()
	lines.Vertical.Color, lines.Horizontal.Color = pale, pale
	p.Add(lines)
	return p
}

// addLine adds a stepped line; points that are not a number are gaps.
func addLine(p *plot.Plot, name string, points plotter.XYs, c color.Color, step bool) error {
	first := true
	for start := 0; start < len(points); {
		if math.IsNaN(points[start].Y) {
			start++
			continue
		}
		end := start
		for end < len(points) && !math.IsNaN(points[end].Y) {
			end++
		}
		line, err := plotter.NewLine(points[start:end])
		if err != nil {
			return domain.Errorf(domain.Internal, "drawing: %w", err)
		}
		line.Color, line.Width = c, vg.Points(1.4)
		if step {
			line.StepStyle = plotter.PostStep
		}
		p.Add(line)
		if end-start == 1 && !step { // a line of one point is invisible
			dots, err := plotter.NewScatter(points[start:end])
			if err != nil {
				return domain.Errorf(domain.Internal, "drawing: %w", err)
			}
			dots.Color, dots.Shape, dots.Radius = c, draw.CircleGlyph{}, vg.Points(1.4)
			p.Add(dots)
		}
		if first {
			p.Legend.Add(name, line)
			first = false
		}
		start = end
	}
	return nil
}

// unitOf returns a unit for durations up to longest seconds, and its length in seconds.
func unitOf(longest float64) (string, float64) {
	switch {
	case longest > 72*3600:
		return "days", 24 * 3600
	case longest > 3*3600:
		return "hours", 3600
	case longest > 180:
		return "minutes", 60
	}
	return "seconds", 1
}

// tickSteps are the distances between ticks on a time axis.
var tickSteps = []time.Duration{
	time.Second, 5 * time.Second, 15 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour,
	24 * time.Hour, 48 * time.Hour, 7 * 24 * time.Hour, 14 * 24 * time.Hour, 30 * 24 * time.Hour, 90 * 24 * time.Hour, 365 * 24 * time.Hour,
}

// timeTicks places about eight labelled ticks at round times.
type timeTicks struct{}

// Ticks implements plot.Ticker.
func (timeTicks) Ticks(from, to float64) []plot.Tick {
	step := tickSteps[len(tickSteps)-1]
	for _, candidate := range slices.Backward(tickSteps) {
		if (to-from)/candidate.Seconds() <= 8 {
			step = candidate
		}
	}
	format := "Jan 2\n15:04"
	switch {
	case step < time.Minute:
		format = "15:04:05"
	case step >= 24*time.Hour:
		format = "2006-01-02"
	case to-from < 24*3600:
		format = "15:04"
	}
	var ticks []plot.Tick
	for at := math.Ceil(from/step.Seconds()) * step.Seconds(); at <= to && len(ticks) < 64; at += step.Seconds() {
		ticks = append(ticks, plot.Tick{Value: at, Label: time.Unix(int64(at), 0).UTC().Format(format)})
	}
	return ticks
}

// SVG draws the length of the queue and the waits over time.
func (q Queue) SVG(w io.Writer) error {
	depth := base("Queue depth", "", "items")
	waits := base("", "", "")
	var pending, held, p50, p95 plotter.XYs
	longest := 0.0
	for _, point := range q.Points {
		longest = max(longest, float64(point.WaitP95))
	}
	unit, scale := unitOf(longest)
	for _, point := range q.Points {
		x := float64(point.From.Unix())
		pending = append(pending, plotter.XY{X: x, Y: float64(point.Pending)})
		held = append(held, plotter.XY{X: x, Y: float64(point.Held)})
		middle := x + float64(q.BinSeconds)/2
		low, high := float64(point.WaitP50)/scale, float64(point.WaitP95)/scale
		if point.unmeasured {
			low, high = math.NaN(), math.NaN()
		}
		p50 = append(p50, plotter.XY{X: middle, Y: low})
		p95 = append(p95, plotter.XY{X: middle, Y: high})
	}
	if len(pending) > 0 { // the last bin has a width too
		end := float64(q.Points[len(q.Points)-1].From.Unix()) + float64(q.BinSeconds)
		pending = append(pending, plotter.XY{X: end, Y: pending[len(pending)-1].Y})
		held = append(held, plotter.XY{X: end, Y: held[len(held)-1].Y})
	}
	bin := strings.TrimSuffix((time.Duration(float64(q.BinSeconds)) * time.Second).String(), "0s")
	waits.Title.Text = "Waits from claimable to claimed, claims of each " + bin
	waits.X.Label.Text, waits.Y.Label.Text = "time (UTC)", unit
	for _, one := range []struct {
		p     *plot.Plot
		name  string
		xys   plotter.XYs
		color color.Color
		step  bool
	}{
		{depth, "pending", pending, blue, true},
		{depth, "held", held, green, true},
		{waits, "p50", p50, blue, false},
		{waits, "p95", p95, red, false},
	} {
		if err := addLine(one.p, one.name, one.xys, one.color, one.step); err != nil {
			return err
		}
	}
	for _, p := range []*plot.Plot{depth, waits} {
		p.X.Tick.Marker = timeTicks{}
		p.Y.Min = 0
		p.Y.Max = max(p.Y.Max*1.15, 1) // room for the legend
		if len(pending) > 0 {
			p.X.Min, p.X.Max = pending[0].X, pending[len(pending)-1].X
		}
	}
	return page(w, 16*vg.Centimeter, q.Log.footerText(), depth, waits)
}

// maxBars bounds the nodes that are drawn; the title gives their total.
const maxBars = 48

// SVG draws the time of each node by state, most waste on top.
func (n Nodes) SVG(w io.Writer) error {
	shown := n.Nodes[:min(len(n.Nodes), maxBars)]
	title := "Time of each node"
	if len(shown) < len(n.Nodes) {
		title += fmt.Sprintf(" (the first %d of %d)", len(shown), len(n.Nodes))
	}
	longest := 0.0
	for _, node := range shown {
		longest = max(longest, float64(node.Busy+node.Idle+node.Unhealthy+node.Offline+node.Unknown))
	}
	unit, scale := unitOf(longest)
	p := base(title, unit, "")
	p.Legend.Top, p.Legend.Left = true, false
	height := vg.Length(len(shown))*5.5*vg.Millimeter + 4.5*vg.Centimeter
	names := make([]string, len(shown))
	parts := []struct {
		name  string
		color color.Color
		of    func(Node) Seconds
	}{
		{"busy", blue, func(n Node) Seconds { return n.Busy }},
		{"idle", grey, func(n Node) Seconds { return n.Idle }},
		{"unhealthy", orange, func(n Node) Seconds { return n.Unhealthy }},
		{"offline", red, func(n Node) Seconds { return n.Offline }},
		{"not told", pale, func(n Node) Seconds { return n.Unknown }},
	}
	var below *plotter.BarChart
	for _, part := range parts {
		values := make(plotter.Values, len(shown))
		for i, node := range shown {
			at := len(shown) - 1 - i // the first on top
			values[at], names[at] = float64(part.of(node))/scale, string(node.NodeID)
		}
		if len(values) == 0 {
			break
		}
		bars, err := plotter.NewBarChart(values, 3.5*vg.Millimeter)
		if err != nil {
			return domain.Errorf(domain.Internal, "drawing: %w", err)
		}
		bars.Color, bars.LineStyle.Width, bars.Horizontal = part.color, 0, true
		if below != nil {
			bars.StackOn(below)
		}
		below = bars
		p.Add(bars)
		p.Legend.Add(part.name, bars)
	}
	p.X.Min = 0
	p.X.Max = max(longest/scale*1.18, 1e-9) // room for the legend
	if len(names) > 0 {
		p.NominalY(names...)
	}
	return page(w, height, n.Log.footerText(), p)
}
