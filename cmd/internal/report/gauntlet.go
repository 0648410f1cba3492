package report

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
	"github.com/ringrift/rift/domain/gauntlet"
	"github.com/ringrift/rift/domain/rating"
)

// maxGauntlets bounds the gauntlets of one report.
const maxGauntlets = 1 << 16

// gauntletsFold is the gauntlets of a report.
type gauntletsFold struct {
	wanted gauntlet.ID // empty: the one that began last
	last   gauntlet.ID
	by     map[gauntlet.ID]*gauntletFold
}

// gauntletFold is a gauntlet with every look at its sequential test.
type gauntletFold struct {
	state    gauntlet.Gauntlet
	looks    []gauntlet.Look
	excluded []gauntlet.WorkerExcluded
	started  time.Time
	updated  time.Time
}

// NewGauntlet returns the fold of a report on one gauntlet: the named one, or the one
// that began last.
func NewGauntlet(catalog *domain.Catalog, window Window, id gauntlet.ID) (*Fold, error) {
	f, err := New(catalog, window)
	if err != nil {
		return nil, err
	}
	f.handlers, f.gauntlets = gauntletHandlers, gauntletsFold{wanted: id, by: map[gauntlet.ID]*gauntletFold{}}
	return f, nil
}

var gauntletHandlers = map[string]func(*Fold, domain.Envelope){
	gauntlet.Started{}.EventType(): func(f *Fold, e domain.Envelope) {
		started, ok := e.Event.(gauntlet.Started)
		if !ok {
			return
		}
		f.gauntlets.last = started.GauntletID
		f.gauntlets.by[started.GauntletID] = &gauntletFold{started: e.Time}
		f.gauntlets.step(started.GauntletID, e, nil)
	},
	gauntlet.Played{}.EventType(): func(f *Fold, e domain.Envelope) {
		if played, ok := e.Event.(gauntlet.Played); ok {
			f.gauntlets.step(played.GauntletID, e, func(g *gauntletFold) { g.looks = append(g.looks, played.Counted.Looks...) })
		}
	},
	gauntlet.WorkerExcluded{}.EventType(): func(f *Fold, e domain.Envelope) {
		if excluded, ok := e.Event.(gauntlet.WorkerExcluded); ok {
			f.gauntlets.step(excluded.GauntletID, e, func(g *gauntletFold) {
				g.looks, g.excluded = slices.Clone(excluded.Counted.Looks), append(g.excluded, excluded)
			})
		}
	},
	gauntlet.Continued{}.EventType(): func(f *Fold, e domain.Envelope) {
		if more, ok := e.Event.(gauntlet.Continued); ok {
			f.gauntlets.step(more.GauntletID, e, nil)
		}
	},
	gauntlet.Finished{}.EventType(): func(f *Fold, e domain.Envelope) {
		if finished, ok := e.Event.(gauntlet.Finished); ok {
			f.gauntlets.step(finished.GauntletID, e, nil)
		}
	},
}

// step applies an event to its gauntlet, and calls more if the gauntlet is running.
func (s *gauntletsFold) step(id gauntlet.ID, e domain.Envelope, more func(*gauntletFold)) {
	g := s.by[id]
	if g == nil {
		return // it began before the log
	}
	if more != nil && g.state.State() == "running" {
		more(g)
	}
	g.state, g.updated = g.state.Evolve(e), e.Time
}

// Gauntlet is a report on one gauntlet.
type Gauntlet struct {
	GauntletID gauntlet.ID      `json:"gauntlet_id"`
	ConfigKey  domain.ConfigKey `json:"config_key"`
	ModelID    domain.ModelID   `json:"model_id"`
	State      string           `json:"state"`
	Decision   string           `json:"decision"`
	Reason     string           `json:"reason,omitempty"`
	StartedAt  time.Time        `json:"started_at"`
	UpdatedAt  time.Time        `json:"updated_at"`
	Games      int              `json:"games"`
	Wanted     int              `json:"games_wanted"`

	Test      *GauntletTest       `json:"test"` // nil: no test, or no game of it yet
	Opponents []GauntletOpponent  `json:"opponents"`
	Looks     []gauntlet.Look     `json:"looks"`
	Workers   []GauntletWorker    `json:"workers"` // those that differ most from the others first
	Excluded  []GauntletExclusion `json:"excluded,omitempty"`
	Log       Footer              `json:"log"`
}

// GauntletTest is the sequential test against one opponent.
type GauntletTest struct {
	Opponent    string            `json:"opponent"`
	SPRT        gauntlet.SPRT     `json:"sprt"`
	Games       int               `json:"games"`
	Most        int               `json:"games_at_most"`
	Pentanomial []int             `json:"pentanomial,omitempty"`
	LLR         float64           `json:"llr"`
	Lower       float64           `json:"lower"`
	Upper       float64           `json:"upper"`
	Elo         float64           `json:"elo"`
	Error       float64           `json:"error"` // half of the 95 % interval, in Elo
	LOS         float64           `json:"los"`
	NElo        *float64          `json:"nelo"` // normalized Elo; nil: results do not vary
	NEloError   *float64          `json:"nelo_error"`
	Wilson      []float64         `json:"wilson,omitempty"` // 95 % interval of the score
	Stopped     *gauntlet.Stopped `json:"stopped,omitempty"`
	Alike       bool              `json:"alike"` // every pair or game had the same result

	// A forecast for an open test, if the strength is as measured so far. A unit is two
	// games if games are paired, else one.
	Unit      string   `json:"unit"`              // pairs, games
	Remaining *float64 `json:"remaining_units"`   // expected until a bound is reached
	Passes    *float64 `json:"pass_probability"`  // of reaching the upper bound
	WouldEnd  *int     `json:"would_end_at"`      // games until the ratio reaches a bound at its present rate
	Tends     string   `json:"tends,omitempty"`   // better, worse
	PassesAt  *float64 `json:"would_pass_at_elo"` // the least Elo that would pass if it is measured over all games of the test
}

// GauntletOpponent is the games against one opponent.
type GauntletOpponent struct {
	elo.OpponentResult
	Score float64 `json:"score"`
	Elo   float64 `json:"elo"`
	Error float64 `json:"error"`
}

// GauntletWorker is the games of one worker in the parts that count.
type GauntletWorker struct {
	NodeID   domain.NodeID `json:"node_id"`
	Parts    int           `json:"parts"`
	Games    int           `json:"games"`
	Score    float64       `json:"score"`
	Residual *float64      `json:"residual"` // standard deviations from the others; nil: too few games
	P        *float64      `json:"p"`        // probability of such differences between equal workers
}

// GauntletExclusion is a worker whose games do not count.
type GauntletExclusion struct {
	NodeID domain.NodeID `json:"node_id"`
	Games  int           `json:"games"`
	Reason string        `json:"reason"`
}

// Gauntlet returns the report. It is a NotFound error if the gauntlet did not begin in
// this part of the log.
func (f *Fold) Gauntlet() (Gauntlet, error) {
	id := f.gauntlets.wanted
	if id == "" {
		id = f.gauntlets.last
	}
	g := f.gauntlets.by[id]
	if g == nil {
		return Gauntlet{}, domain.Errorf(domain.NotFound, "report: gauntlet %q did not begin in this stretch of the log", domain.Clip(string(id), 64))
	}
	s := g.state.Started
	told := Gauntlet{
		GauntletID: id, ConfigKey: s.ConfigKey, ModelID: s.ModelID, State: g.state.State(), StartedAt: g.started.UTC(), UpdatedAt: g.updated.UTC(),
		Wanted: s.Wanted(), Looks: g.looks, Opponents: []GauntletOpponent{}, Workers: g.workers(), Log: f.footer(),
	}
	if told.Looks == nil {
		told.Looks = []gauntlet.Look{}
	}
	played := g.state.Played
	if end := g.state.Finished; end != nil {
		told.Decision, told.Reason, played = end.Decision, end.Reason, end.Results
	}
	for _, result := range played {
		told.Games += result.Games()
		if result.Games() == 0 {
			continue
		}
		estimate := rating.Measure(result.Distribution())
		told.Opponents = append(told.Opponents, GauntletOpponent{result, result.Score(), estimate.Elo, estimate.Error})
		if result.Opponent == s.Tested() {
			told.Test = g.test(result)
		}
	}
	slices.SortStableFunc(told.Opponents, func(a, b GauntletOpponent) int { return cmp.Compare(a.Score, b.Score) })
	for _, e := range g.excluded {
		told.Excluded = append(told.Excluded, GauntletExclusion{e.NodeID, e.Games, e.Reason})
	}
	return told, nil
}

func (g *gauntletFold) workers() []GauntletWorker {
	by := map[domain.NodeID]*GauntletWorker{}
	var order []domain.NodeID
	points := map[domain.NodeID]float64{}
	for number := range g.state.Counted {
		part, _ := g.state.PartState(number)
		if part.NodeID == "" {
			continue
		}
		w := by[part.NodeID]
		if w == nil {
			w = &GauntletWorker{NodeID: part.NodeID}
			by[part.NodeID], order = w, append(order, part.NodeID)
		}
		w.Parts++
		for _, result := range part.Results {
			w.Games += result.Games()
			points[part.NodeID] += float64(result.Games()) * result.Score()
		}
	}
	for _, s := range g.state.Screen() {
		if w := by[s.NodeID]; w != nil && s.Residual > 0 {
			w.Residual, w.P = &s.Residual, &s.P
		}
	}
	workers := make([]GauntletWorker, 0, len(order))
	for _, node := range order {
		w := by[node]
		if w.Games > 0 {
			w.Score = points[node] / float64(w.Games)
		}
		workers = append(workers, *w)
	}
	residual := func(w GauntletWorker) float64 {
		if w.Residual == nil {
			return -1
		}
		return *w.Residual
	}
	slices.SortStableFunc(workers, func(a, b GauntletWorker) int {
		return cmp.Or(cmp.Compare(residual(b), residual(a)), cmp.Compare(a.NodeID, b.NodeID))
	})
	return workers
}

// test returns the test by the games against the tested opponent.
func (g *gauntletFold) test(result elo.OpponentResult) *GauntletTest {
	sprt := g.state.SPRT(gauntlet.DefaultPolicy())
	cells := result.Distribution()
	estimate := rating.Measure(cells)
	t := &GauntletTest{
		Opponent: result.Opponent, SPRT: sprt, Games: result.Games(), Most: g.state.Started.TestedGames(), Pentanomial: result.Pentanomial,
		Elo: estimate.Elo, Error: estimate.Error, LOS: estimate.LOS, Alike: rating.Alike(cells), Unit: "games",
	}
	bounds := sprt.Test().Bounds()
	t.Lower, t.Upper = bounds.Lower, bounds.Upper
	if look := g.state.Look; look != nil {
		t.LLR = look.LLR
		if look.Lower < look.Upper {
			t.Lower, t.Upper = look.Lower, look.Upper
		}
	}
	if nelo, half, err := rating.Normalized(cells); err == nil {
		t.NElo, t.NEloError = &nelo, &half
	}
	if low, high, err := rating.Wilson(float64(result.Wins)+float64(result.Draws)/2, float64(result.Games()), rating.Z95); err == nil {
		t.Wilson = []float64{low, high}
	}
	cells = sprt.Cells(result)
	if len(cells) == 5 {
		t.Unit = "pairs"
	}
	if end := g.state.Finished; end != nil {
		t.Stopped = end.Stopped
	} else {
		t.foresee(sprt, cells)
	}
	if t.LLR < t.Upper {
		t.PassesAt = passesAt(sprt.Test(), cells, float64(t.Most)/each(cells), t.Upper)
	}
	return t
}

// foresee fills in the forecast. It models the log likelihood ratio as a Brownian motion
// from its present value, with its mean drift so far and the variance of the results.
func (t *GauntletTest) foresee(sprt gauntlet.SPRT, cells []float64) {
	units := 0.0
	for _, n := range cells {
		units += n
	}
	low, high := t.Lower-t.LLR, t.Upper-t.LLR
	if units == 0 || low >= 0 || high <= 0 {
		return // it has ended
	}
	drift := t.LLR / units
	if variance := spread(sprt.Test(), cells); variance > 0 {
		remaining, pass := rating.Exit(drift, variance, low, high)
		t.Remaining, t.Passes = &remaining, &pass
	}
	bound, tends := t.Upper, string(rating.Better)
	if t.LLR < 0 {
		bound, tends = t.Lower, string(rating.Worse)
	}
	if t.LLR != 0 && math.Abs(bound/t.LLR)*units < 1e9 {
		games := int(math.Ceil(bound/t.LLR*units)) * int(each(cells))
		t.WouldEnd, t.Tends = &games, tends
	}
}

// each returns the number of games in a unit.
func each(cells []float64) float64 {
	if len(cells) == 5 {
		return 2
	}
	return 1
}

// spread returns the variance of the ratio per unit; 0 if the model has no closed form.
func spread(test rating.Test, cells []float64) float64 {
	mean, variance := scores(cells)
	switch test.Model {
	case rating.LogisticModel:
		if mean*variance == 0 {
			return 0
		}
		d := rating.Expected(test.Elo1) - rating.Expected(test.Elo0)
		return d * d / variance
	case rating.NormalizedModel:
		unit := 800 / math.Ln10
		if len(cells) == 5 {
			unit /= math.Sqrt2
		}
		d := (test.Elo1 - test.Elo0) / unit
		return d * d
	case rating.BayesEloModel, rating.CutechessModel:
	}
	return 0
}

func scores(cells []float64) (mean, variance float64) {
	total, step := 0.0, 1/float64(len(cells)-1)
	for i, n := range cells {
		total += n
		mean += n * float64(i) * step
	}
	mean /= total
	for i, n := range cells {
		d := float64(i)*step - mean
		variance += n / total * d * d
	}
	return mean, variance
}

// passesAt returns the least Elo that passes if it is measured over all units of the test
// with the present variance of results; nil if none below a score of 0.996 does.
func passesAt(test rating.Test, cells []float64, units, upper float64) *float64 {
	if test.Model != rating.LogisticModel {
		return nil
	}
	_, variance := scores(cells)
	if variance == 0 || units == 0 {
		return nil
	}
	// This inverts the approximate ratio (s1 - s0)(2s - s0 - s1)N/(2 variance).
	s0, s1 := rating.Expected(test.Elo0), rating.Expected(test.Elo1)
	score := (s0+s1)/2 + upper*variance/((s1-s0)*units)
	if !(score > 0 && score < 0.996) {
		return nil
	}
	at := rating.Difference(score)
	return &at
}
