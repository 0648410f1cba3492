package rating

import (
	"fmt"
	"math"
	"slices"
)

// DrawModel is how a fit treats draws.
type DrawModel string

// The draw models. The first two are the Bradley-Terry model; the others model the
// probability of a draw.
const (
	Half     DrawModel = "half"     // half a win and half a loss, as Ordo does
	WinLoss  DrawModel = "win_loss" // left out
	Davidson DrawModel = "davidson" // P(draw) ∝ ν √(P(win) P(loss)), ν fitted
	BayesElo DrawModel = "bayeselo" // Rao and Kupper's: a win needs a lead of DrawElo
)

// DrawModels lists the draw models.
var DrawModels = []DrawModel{Half, WinLoss, Davidson, BayesElo}

// Scale is the unit of ratings.
type Scale string

// The scales.
const (
	Logistic      Scale = "logistic" // 400 points are odds of ten to one
	Ordo          Scale = "ordo"     // 202 points are a score of 76 %: 1.0087847 times the logistic scale
	BayesEloScale Scale = "bayeselo" // logistic times 4x/(1+x)², x = 10^(−DrawElo/400)
)

// Scales lists the scales.
var Scales = []Scale{Logistic, Ordo, BayesEloScale}

// Defaults of BayesElo.
const (
	BayesEloDraw  = 97.3 // draw constant, in Elo
	BayesEloPrior = 2    // virtual draws of each player
)

// natural is one Elo point in units of the logistic function.
const natural = math.Ln10 / 400

// Result is a number of games between two players; A had the first seat.
type Result struct {
	A, B                string
	Wins, Draws, Losses int // of A
}

// Anchor fixes a player's rating.
type Anchor struct {
	Name   string
	Rating float64
}

// Virtual are draws that were never played: a prior that connects two players. They
// are not counted in statistics.
type Virtual struct {
	A, B  string
	Draws float64
}

// FitOptions are the settings of a fit. The zero value fits the Bradley-Terry model
// with draws as half wins around a mean of 0.
type FitOptions struct {
	Draws   DrawModel // default Half
	Scale   Scale     // default Logistic
	Anchors []Anchor
	Mean    float64 // of a component without an anchor
	Prior   float64 // virtual draws of each player, divided among its opponents by games (BayesElo's prior)
	Virtual []Virtual
	// Advantage of the first seat in logistic Elo, and whether it is fitted instead
	// of given.
	Advantage    float64
	FitAdvantage bool
	// DrawElo is BayesElo's draw constant in logistic Elo; 0: fitted.
	DrawElo float64
	// Covariance requests the full matrix, for at most MaxCovariance players.
	Covariance bool
}

// MaxCovariance is the largest number of players for a full covariance matrix.
const MaxCovariance = 2000

// Rated is a player in a fit.
type Rated struct {
	Name      string
	Rating    float64
	Error     float64 // standard error, on the scale of the rating
	Anchored  bool
	Component int // index in Fitted.Components
	Rank      int // in its component, from 1
	// Superior is the likelihood that the player is stronger than the next in rank;
	// 0.5 for the last of a component.
	Superior float64
	WDL
	Expected float64 // expected points in all games
}

// Component is a set of players connected by games. Ratings in different components
// cannot be compared unless both have anchors.
type Component struct {
	Players  int
	Games    int
	Anchored bool
}

// Fitted is the result of a fit. Players are sorted by component, then rank;
// components by size, then by their first name.
type Fitted struct {
	Players    []Rated
	Components []Component
	Games      int
	// Advantage of the first seat and its standard error, in logistic Elo; the
	// error is 0 when it was not fitted.
	Advantage, AdvantageError float64
	// DrawRate is the model's probability of a draw between equals without a
	// first-seat advantage; for Half and WinLoss, the share of draws in all games.
	DrawRate float64
	// DrawElo is the draw constant of the BayesElo model.
	DrawElo       float64
	LogLikelihood float64 // of all games, including virtual ones, without constant terms
	Iterations    int
	// Exact reports whether the errors come from a factorisation of the information
	// matrix. If that would take too long, they are estimated to about one per
	// cent.
	Exact bool
	// Covariance of the ratings, in the order of Players, if requested.
	Covariance [][]float64
}

// Fit computes maximum likelihood ratings and their errors: the Bradley-Terry model
// by Newton's method on the sparse information matrix. The order of the results
// does not affect the output, not even in the last bit.
//
// Errors are relative to the anchors of a component, or to its mean if it has none.
// With draws as half wins they are reduced by the lower variance of games with
// draws.
//
// It returns an Invalid when an option is wrong, or when the maximum is not finite:
// when some players of a component won all their games against the others, and
// there is no prior.
func Fit(results []Result, options FitOptions) (*Fitted, error) {
	options.Draws, options.Scale = orElse(options.Draws, Half), orElse(options.Scale, Logistic)
	if err := options.check(); err != nil {
		return nil, err
	}
	t, err := gather(results, options)
	if err != nil {
		return nil, err
	}
	model := newPairModel(t, options)
	if err := t.connected(model.usesDraws()); err != nil {
		return nil, err
	}
	solved, err := maximise("fit", model, t.problem(), model.start())
	if err != nil {
		return nil, err
	}
	return newReport(t, model, solved, options).finish()
}

func orElse[T comparable](value, otherwise T) T {
	var zero T
	if value == zero {
		return otherwise
	}
	return value
}

func (o FitOptions) check() error {
	var f faults
	if !slices.Contains(DrawModels, o.Draws) {
		f.add("draws", "want one of %v, found %q", DrawModels, o.Draws)
	}
	if !slices.Contains(Scales, o.Scale) {
		f.add("scale", "want one of %v, found %q", Scales, o.Scale)
	}
	if o.Scale == BayesEloScale && o.Draws != BayesElo {
		f.add("scale", "bayeselo wants draws bayeselo: its unit comes from the draw constant")
	}
	if o.Scale == BayesEloScale && len(o.Anchors) > 0 && o.DrawElo == 0 {
		f.add("scale", "bayeselo with anchors wants the draw constant given: it says how far apart they are")
	}
	f.within("mean", o.Mean, -maxElo, maxElo)
	f.within("prior", o.Prior, 0, 1e9)
	f.within("advantage", o.Advantage, -1000, 1000)
	f.within("draw_elo", o.DrawElo, 0, 2000)
	seen := map[string]bool{}
	for _, anchor := range o.Anchors {
		f.within("anchor "+anchor.Name, anchor.Rating, -maxElo, maxElo)
		if seen[anchor.Name] {
			f.add("anchor "+anchor.Name, "named twice")
		}
		seen[anchor.Name] = true
	}
	for i, v := range o.Virtual {
		if !(v.Draws > 0 && v.Draws <= 1e9) {
			f.add(fmt.Sprintf("virtual draws %d", i+1), "want more than 0, at most 1e9, found %v", v.Draws)
		}
		if v.A == v.B {
			f.add(fmt.Sprintf("virtual draws %d", i+1), "%q against itself", v.A)
		}
	}
	return f.err("fit")
}

// maxElo limits the absolute value of a given rating.
const maxElo = 100_000

// unit returns the number of points of the scale in one unit of the logistic function.
func (o FitOptions) unit(drawElo float64) float64 {
	switch o.Scale {
	case Ordo:
		return 202 / math.Log(0.76/0.24)
	case BayesEloScale:
		x := math.Pow(10, -drawElo/400)
		return 4 * x / ((1 + x) * (1 + x)) / natural
	default:
		return 1 / natural
	}
}
