package elo

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/rating"
)

// Method is a way to rate the players of a game.
type Method string

// The methods.
const (
	MethodElo     Method = "elo"     // game by game
	MethodMLE     Method = "mle"     // all games at once: Bradley and Terry's model and its kin
	MethodGlicko2 Method = "glicko2" // day by day
	MethodWHR     Method = "whr"     // day by day, all games at once
	MethodPL      Method = "pl"      // all games at once, of any number of players: Plackett and Luce's model
	// MethodPublished rates nothing: it lists the last rating of each player in
	// ELO_UPDATED, which promotion and the velocity use.
	MethodPublished Method = "published"
)

// Methods lists the methods.
var Methods = []Method{MethodElo, MethodMLE, MethodGlicko2, MethodWHR, MethodPL, MethodPublished}

// Asked is a request for a ranking; empty fields come from the policy.
type Asked struct {
	Method    string // one of Methods
	Mode      string // ordo, bayeselo: all settings as in that program
	K         string // 32, or 40:30,20 for 40 below 30 games, then 20
	Initial   string
	Period    string // game, or day: ratings change once for all games of a day
	Anchors   string // NAME=RATING,…, or none
	Draws     string
	Scale     string
	Prior     string
	Mean      string
	Advantage string // Elo of the first seat, or fit
	DrawElo   string
	Tau       string
	Drift     string
}

// Options are the settings of a ranking, in the form of Asked, without those that
// the method does not use.
type Options struct {
	Method    Method         `json:"method"`
	K         []KStep        `json:"k,omitempty"`
	Initial   *float64       `json:"initial,omitempty"`
	Period    string         `json:"period,omitempty"`
	Deviation *float64       `json:"deviation,omitempty"`
	Draws     string         `json:"draws,omitempty"`
	Scale     string         `json:"scale,omitempty"`
	Prior     *float64       `json:"prior,omitempty"`
	Mean      *float64       `json:"mean,omitempty"`
	Advantage *float64       `json:"advantage,omitempty"`
	FitSeats  bool           `json:"fit_advantage,omitempty"`
	DrawElo   *float64       `json:"draw_elo,omitempty"`
	Tau       *float64       `json:"tau,omitempty"`
	Drift     *float64       `json:"drift,omitempty"`
	Anchors   []PinnedRating `json:"anchors,omitempty"`
}

// Limits of settings, as in domain/rating.
const (
	maxPrior           = 1e6
	minTau, maxTau     = 0.05, 5.0
	minDrift, maxDrift = 1e-6, 1e9
	maxAnchors         = 1000
	maxKSteps          = 16
)

// reads lists the settings that each method uses.
var reads = map[Method][]string{
	MethodElo:     {"k", "initial", "period", "anchors"},
	MethodMLE:     {"anchors", "draws", "scale", "prior", "mean", "advantage", "draw_elo"},
	MethodGlicko2: {"tau"},
	MethodWHR:     {"drift", "prior", "mean", "advantage"},
	MethodPL:      {"anchors", "scale", "prior", "mean", "advantage"},

	MethodPublished: {},
}

// modes holds the settings of known programs.
var modes = map[string]Asked{
	"ordo":     {Method: "mle", Draws: "half", Scale: "ordo", Prior: "0", Mean: "2300", Advantage: "0", Anchors: "none"},
	"bayeselo": {Method: "mle", Draws: "bayeselo", Scale: "bayeselo", Prior: "2", Mean: "0", Advantage: "32.8", DrawElo: "97.3", Anchors: "none"},
}

// named lists the settings with their names.
func (a *Asked) named() []struct {
	name  string
	value *string
} {
	return []struct {
		name  string
		value *string
	}{
		{"method", &a.Method},
		{"k", &a.K},
		{"initial", &a.Initial},
		{"period", &a.Period},
		{"anchors", &a.Anchors},
		{"draws", &a.Draws},
		{"scale", &a.Scale},
		{"prior", &a.Prior},
		{"mean", &a.Mean},
		{"advantage", &a.Advantage},
		{"draw_elo", &a.DrawElo},
		{"tau", &a.Tau},
		{"drift", &a.Drift},
	}
}

// Options resolves a request against the policy, and returns every fault.
func (p Policy) Options(a Asked) (Options, []domain.Fault) {
	var c domain.Checks
	if a.Mode != "" {
		if mode, known := modes[a.Mode]; !known {
			c.Fault("mode", "want one of bayeselo, ordo, found %q", domain.Clip(a.Mode, 64))
		} else {
			for i, setting := range mode.named() {
				if own := a.named()[i].value; *own == "" {
					*own = *setting.value
				}
			}
		}
	}
	o := Options{Method: p.Method}
	if a.Method != "" {
		o.Method = Method(a.Method)
	}
	read, known := reads[o.Method]
	if !known {
		c.Fault("method", "want one of %v, found %q", Methods, domain.Clip(a.Method, 64))
	}
	for _, setting := range a.named()[1:] {
		if known && *setting.value != "" && !slices.Contains(read, setting.name) {
			c.Fault(setting.name, "method %s does not read it", o.Method)
		}
	}
	q := asking{a: a, c: &c, o: &o, p: p}
	if !known { // the value may be wrong as well
		for _, setting := range a.named()[1:] {
			if *setting.value != "" {
				read = append(read, setting.name)
			}
		}
	}
	for _, name := range read {
		q.read(name)
	}
	if o.Method == MethodElo {
		o.Deviation = &p.Deviation
	}
	if o.Scale == string(rating.BayesEloScale) && len(o.Anchors) > 0 && o.DrawElo == nil {
		c.Fault("scale", "bayeselo with anchors wants draw_elo: it says how far apart they are")
	}
	return o, c
}

// asking parses settings one by one.
type asking struct {
	a Asked
	c *domain.Checks
	o *Options
	p Policy
}

func (q *asking) read(name string) {
	a, o, p := &q.a, q.o, q.p
	switch name {
	case "k":
		o.K = q.steps(a.K)
	case "initial":
		o.Initial = q.number(name, a.Initial, p.Initial, -MaxRating, MaxRating)
	case "period":
		if a.Period != "" && a.Period != "game" {
			o.Period = oneOf(q.c, name, a.Period, "", []string{"game", "day"})
		}
	case "anchors":
		o.Anchors = q.anchors(a.Anchors)
	case "draws":
		o.Draws = oneOf(q.c, name, a.Draws, p.Draws, rating.DrawModels)
	case "scale":
		q.scale()
	case "prior":
		if o.Method == MethodWHR {
			o.Prior = q.number(name, a.Prior, rating.DefaultHistory.Prior, 1e-6, maxPrior)
		} else {
			o.Prior = q.number(name, a.Prior, p.Prior, 0, maxPrior)
		}
	case "mean":
		o.Mean = q.number(name, a.Mean, p.Initial, -MaxRating, MaxRating)
	case "advantage":
		switch {
		case a.Advantage == "fit" && o.Method != MethodWHR:
			o.FitSeats = true
		case o.Method == MethodPL && a.Advantage != "" && a.Advantage != "0":
			q.c.Fault(name, "method pl knows 0 and fit, found %q", domain.Clip(a.Advantage, 64))
		default:
			o.Advantage = q.number(name, a.Advantage, 0, -1000, 1000)
		}
	case "draw_elo":
		if a.DrawElo != "" {
			o.DrawElo = q.number(name, a.DrawElo, 0, 1e-3, 2000)
		}
	case "tau":
		o.Tau = q.number(name, a.Tau, p.Tau, minTau, maxTau)
	case "drift":
		o.Drift = q.number(name, a.Drift, p.Drift, minDrift, maxDrift)
	}
}

// scale parses the scale; that of BayesElo depends on its draws.
func (q *asking) scale() {
	q.o.Scale = oneOf(q.c, "scale", q.a.Scale, q.p.Scale, rating.Scales)
	if q.o.Scale == string(rating.BayesEloScale) && q.o.Draws != string(rating.BayesElo) {
		if q.a.Scale == "" {
			q.o.Scale = string(rating.Logistic)
		} else {
			q.c.Fault("scale", "bayeselo wants draws bayeselo: its unit comes from the draw constant")
		}
	}
}

func oneOf[W ~string](c *domain.Checks, name, text string, otherwise W, words []W) string {
	if text == "" {
		return string(otherwise)
	}
	domain.OneOf(c, name, W(text), words)
	return text
}

func (q *asking) number(name, text string, otherwise, low, high float64) *float64 {
	if text == "" {
		return &otherwise
	}
	value, err := strconv.ParseFloat(text, 64)
	if err != nil || !(value >= low && value <= high) {
		q.c.Fault(name, "want a number from %v to %v, found %q", low, high, domain.Clip(text, 64))
		return nil
	}
	return &value
}

// steps parses K.
func (q *asking) steps(text string) []KStep {
	if text == "" {
		return q.p.K
	}
	var steps []KStep
	for _, word := range strings.Split(text, ",") {
		k, below, bounded := strings.Cut(word, ":")
		value, err := strconv.ParseFloat(k, 64)
		step := KStep{K: value}
		if bounded && err == nil {
			step.BelowGames, err = strconv.Atoi(below)
		}
		if err != nil || bounded && step.BelowGames < 1 {
			q.c.Fault("k", "want K, or K:GAMES for K below so many games, found %q", domain.Clip(word, 64))
			return nil
		}
		steps = append(steps, step)
	}
	for _, fault := range kFaults(steps) {
		q.c.Fault("k", "%s", fault)
	}
	return steps
}

func kFaults(steps []KStep) (faults []string) {
	if len(steps) < 1 || len(steps) > maxKSteps {
		return []string{fmt.Sprintf("want 1 to %d steps, found %d", maxKSteps, len(steps))}
	}
	for i, s := range steps {
		if !(s.K > 0 && s.K <= 1000) {
			faults = append(faults, fmt.Sprintf("want more than 0, at most 1000, found %v", s.K))
		}
		last := i == len(steps)-1
		if last != (s.BelowGames == 0) || !last && i > 0 && s.BelowGames <= steps[i-1].BelowGames {
			faults = append(faults, fmt.Sprintf("want steps by a growing number of games, and the last without one, found %d games in step %d", s.BelowGames, i+1))
		}
	}
	return faults
}

// anchors parses the given ratings, sorted by name.
func (q *asking) anchors(text string) []PinnedRating {
	var pins []PinnedRating
	switch text {
	case "none":
		return nil
	case "":
		pins = slices.Clone(q.p.Pinned)
	default:
		for _, word := range strings.Split(text, ",") {
			split := strings.LastIndex(word, "=")
			name, value := word[:max(split, 0)], 0.0
			var err error
			if split > 0 {
				value, err = strconv.ParseFloat(word[split+1:], 64)
			}
			switch {
			case split <= 0 || err != nil || !(value >= -MaxRating && value <= MaxRating):
				q.c.Fault("anchors", "want NAME=RATING,… or none, found %q", domain.Clip(word, 64))
			case slices.ContainsFunc(pins, func(have PinnedRating) bool { return have.Name == name }):
				q.c.Fault("anchors", "want each name once, found %q twice", domain.Clip(name, 64))
			case len(pins) == maxAnchors:
				q.c.Fault("anchors", "want at most %d, found more", maxAnchors)
				return nil
			default:
				pins = append(pins, PinnedRating{name, value})
			}
		}
	}
	slices.SortFunc(pins, func(a, b PinnedRating) int { return strings.Compare(a.Name, b.Name) })
	return pins
}
