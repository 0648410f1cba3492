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

// Promotions is a report on the models that were promoted, in the making: what each
// gained over the one before it, by the games of the evaluation that it was judged by.
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
	Number    int              `json:"number"` // of its config, from 0
	Model     domain.ModelID   `json:"model_id"`
	Over      domain.ModelID   `json:"over,omitempty"`
	At        time.Time        `json:"at"`
	Position  domain.Position  `json:"position"`
	Games     int              `json:"games"` // against the one before
	Wins      int              `json:"wins"`
	Losses    int              `json:"losses"`
	Draws     int              `json:"draws"`
	Gain      *float64         `json:"gain"`        // in Elo over the one before; null: they did not play
	Error     *float64         `json:"error"`       // half of its 95 % interval
	Total     float64          `json:"total"`       // gains so far
	Margin    float64          `json:"total_error"` // of that sum
}

// Types are the events that the report is made of.
func (f *Promotions) Types() []string {
	return []string{elo.EvaluationCompleted{}.EventType(), training.ModelPromoted{}.EventType()}
}

// NewPromotions starts a report. Promotions before the window are counted, and left out.
func NewPromotions(catalog *domain.Catalog, window Window) *Promotions {
	return &Promotions{excerpt: newExcerpt(window), catalog: catalog, evaluated: map[evaluatedModel][]elo.OpponentResult{}, lines: map[domain.ConfigKey][]Promotion{}}
}

// Apply folds the next event. It answers false once the window is over.
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
		p.Over = line[len(line)-1].Model // events of old do not say
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

// Empty tells that nothing was promoted in the window.
func (f *Promotions) Empty() bool { return f.from.IsZero() }

// PromotionReport is what is told of promotions.
type PromotionReport struct {
	Promotions []Promotion `json:"promotions"` // config by config, as they were promoted
	Log        Footer      `json:"log"`
}

// Report tells of the promotions of all configs, or of one.
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

// SVG draws the gains of each config, summed up, with the 95 % interval of the sum.
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

var curveColors = []color.Color{blue, orange, green, red, grey}
