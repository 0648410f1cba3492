package report

import (
	"fmt"
	"image/color"
	"io"
	"math"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
	"github.com/ringrift/rift/domain/rating"
	"github.com/ringrift/rift/domain/training"
)

// Promotions is the fold of a report on promoted models: the gain of each over the one
// before, by the games of its evaluation.
type Promotions struct {
	excerpt
	catalog   *domain.Catalog
	evaluated map[evaluatedModel][]elo.OpponentResult
	lines     map[domain.ConfigKey][]Promotion
	order     []domain.ConfigKey
}

type evaluatedModel struct {
	config domain.ConfigKey
	model  domain.ModelID
}

// maxEvaluated bounds the models whose games are kept until they are promoted.
const maxEvaluated = 1 << 16

// Promotion is a model that was promoted.
type Promotion struct {
	ConfigKey domain.ConfigKey `json:"config_key"`
	Number    int              `json:"number"` // within its config, from 0
	Model     domain.ModelID   `json:"model_id"`
	Over      domain.ModelID   `json:"over,omitempty"`
	At        time.Time        `json:"at"`
	Position  domain.Position  `json:"position"`
	Games     int              `json:"games"` // against the model before
	Wins      int              `json:"wins"`
	Losses    int              `json:"losses"`
	Draws     int              `json:"draws"`
	Gain      *float64         `json:"gain"`        // in Elo over the model before; null: they did not play
	Error     *float64         `json:"error"`       // half of the 95 % interval of Gain
	Total     float64          `json:"total"`       // sum of the gains so far
	Margin    float64          `json:"total_error"` // half of the 95 % interval of Total
}

// Types returns the types of events that the report needs.
func (f *Promotions) Types() []string {
	return []string{elo.EvaluationCompleted{}.EventType(), training.ModelPromoted{}.EventType()}
}

// NewPromotions returns a fold without events. Promotions before the window count in the
// totals and are left out of the report.
func NewPromotions(catalog *domain.Catalog, window Window) *Promotions {
	return &Promotions{excerpt: newExcerpt(window), catalog: catalog, evaluated: map[evaluatedModel][]elo.OpponentResult{}, lines: map[domain.ConfigKey][]Promotion{}}
}

// Apply folds the next event. It returns false once the window is over.
func (f *Promotions) Apply(e domain.Envelope) (more bool, err error) {
	if looks, more := f.sees(e); !looks {
		return more, nil
	}
	if e.Type != (elo.EvaluationCompleted{}).EventType() && e.Type != (training.ModelPromoted{}).EventType() {
		return true, nil
	}
	if err := f.catalog.Fill(&e); err != nil {
		return false, domain.Errorf(domain.CodeOf(err), "event %d: %w", e.Position, err)
	}
	f.note(e)
	switch event := e.Event.(type) {
	case elo.EvaluationCompleted:
		if len(f.evaluated) < maxEvaluated {
			f.evaluated[evaluatedModel{event.ConfigKey, event.ModelID}] = event.Results
		}
	case training.ModelPromoted:
		f.promoted(e, event)
	}
	return true, nil
}

func (f *Promotions) promoted(e domain.Envelope, event training.ModelPromoted) {
	line, known := f.lines[event.ConfigKey]
	if !known {
		f.order = append(f.order, event.ConfigKey)
	}
	p := Promotion{ConfigKey: event.ConfigKey, Number: len(line), Model: event.ModelID, Over: event.Previous, At: e.Time.UTC(), Position: e.Position}
	if p.Over == "" && len(line) > 0 {
		p.Over = line[len(line)-1].Model // old events do not name it
	}
	if len(line) > 0 {
		p.Total, p.Margin = line[len(line)-1].Total, line[len(line)-1].Margin
	}
	for _, result := range f.evaluated[evaluatedModel{event.ConfigKey, event.ModelID}] {
		if result.Opponent != string(p.Over) || result.Games() == 0 {
			continue
		}
		estimate := rating.Measure(result.Distribution())
		p.Games, p.Wins, p.Losses, p.Draws = result.Games(), result.Wins, result.Losses, result.Draws
		p.Gain, p.Error = &estimate.Elo, &estimate.Error
		p.Total, p.Margin = p.Total+estimate.Elo, math.Hypot(p.Margin, estimate.Error)
	}
	f.lines[event.ConfigKey] = append(line, p)
	f.count(e)
}

// Empty reports whether nothing was promoted in the window.
func (f *Promotions) Empty() bool { return f.from.IsZero() }

// PromotionReport is a report on promotions.
type PromotionReport struct {
	Promotions []Promotion `json:"promotions"` // by config, then in order of promotion
	Log        Footer      `json:"log"`
}

// Report returns the report on one config, or on all if config is empty.
func (f *Promotions) Report(config domain.ConfigKey) PromotionReport {
	report := PromotionReport{Promotions: []Promotion{}}
	for _, key := range f.order {
		for _, p := range f.lines[key] {
			if (config == "" || key == config) && p.Position >= f.window.From && !p.At.Before(f.window.FromTime) {
				report.Promotions = append(report.Promotions, p)
			}
		}
	}
	report.Log = f.footer()
	return report
}

// errorPoints are points with the half of an interval above and below.
type errorPoints struct {
	plotter.XYs
	plotter.YErrors
}

// SVG draws the total gain of each config over time, with its 95 % interval.
func (r PromotionReport) SVG(w io.Writer) error {
	p := base("Elo over the first model promoted, by the games between neighbours", "time (UTC)", "Elo")
	p.X.Tick.Marker = timeTicks{}
	lines := []*errorPoints{}
	names := []domain.ConfigKey{}
	for _, one := range r.Promotions {
		if len(names) == 0 || names[len(names)-1] != one.ConfigKey {
			names, lines = append(names, one.ConfigKey), append(lines, &errorPoints{})
		}
		line := lines[len(lines)-1]
		line.XYs = append(line.XYs, plotter.XY{X: float64(one.At.UnixMilli()) / 1000, Y: one.Total})
		line.YErrors = append(line.YErrors, struct{ Low, High float64 }{one.Margin, one.Margin})
	}
	if err := drawCurves(p, names, lines); err != nil {
		return err
	}
	return page(w, 14*vg.Centimeter, r.Log.footerText(), p)
}

func drawCurves(p *plot.Plot, names []domain.ConfigKey, lines []*errorPoints) error {
	for i, line := range lines {
		c := curveColors[i%len(curveColors)]
		if err := addLine(p, string(names[i]), line.XYs, c, false); err != nil {
			return err
		}
		bars, err := plotter.NewYErrorBars(line)
		if err != nil {
			return fmt.Errorf("drawing: %w", err)
		}
		bars.Color = c
		dots, err := plotter.NewScatter(line.XYs)
		if err != nil {
			return fmt.Errorf("drawing: %w", err)
		}
		dots.Color = c
		p.Add(bars, dots)
	}
	return nil
}

// curveColors are the colours of curves, in order; further curves begin again.
var curveColors = []color.Color{blue, orange, green, red, grey}
