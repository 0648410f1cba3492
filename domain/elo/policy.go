package elo

import (
	"slices"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/rating"
)

// Policy holds the settings of the ratings.
type Policy struct {
	Initial               float64        `json:"initial" doc:"what a player is taken for before its first game"`
	Deviation             float64        `json:"deviation" doc:"how far from it players are, one standard deviation"`
	Smallest              float64        `json:"smallest" doc:"move of a rating that is worth an event"`
	VelocityWindowSeconds domain.Seconds `json:"velocity_window_seconds" doc:"how far back the slope of the best rating looks"`
	VelocitySpanSeconds   domain.Seconds `json:"velocity_span_seconds" doc:"least time between the first and the last moment of a slope"`
	VelocityEverySeconds  domain.Seconds `json:"velocity_every_seconds" doc:"least time between two readings of it"`
	VelocityPoints        int            `json:"velocity_points" doc:"least moments of a slope: fewer are noise"`
	VelocityGames         int            `json:"velocity_games" doc:"of a model before it may be the best"`
	VelocityChange        float64        `json:"velocity_change" doc:"Elo per hour by which a reading must differ from the one before to be no longer stable"`
	Pinned                []PinnedRating `json:"pinned" doc:"baselines: their ratings never move"`

	Method Method           `json:"method" doc:"default method of rankings: elo, mle, glicko2, whr, pl, published"`
	K      []KStep          `json:"k" doc:"elo: most points that a game moves, by the games a player had"`
	Draws  rating.DrawModel `json:"draws" doc:"mle: what a draw is: half, win_loss, davidson, bayeselo"`
	Scale  rating.Scale     `json:"scale" doc:"mle, pl: what a point is: logistic, ordo, bayeselo"`
	Prior  float64          `json:"prior" doc:"mle, pl: virtual draws of each player, so that one who lost every game has a rating too"`
	Tau    float64          `json:"tau" doc:"glicko2: how fast volatility changes"`
	Drift  float64          `json:"drift" doc:"whr: Elo² that a day adds to what is not known"`
}

// KStep is the K factor for players with fewer than a number of games.
type KStep struct {
	BelowGames int     `json:"below_games,omitempty" doc:"0: whatever they are"`
	K          float64 `json:"k"`
}

// PinnedRating is a baseline of known strength.
type PinnedRating struct {
	Name   string  `json:"name"`
	Rating float64 `json:"rating" doc:"Elo"`
}

// DefaultPolicy returns the section with its default values.
func DefaultPolicy() Policy {
	return Policy{
		Initial: 1500, Deviation: 350, Smallest: 0.01,
		VelocityWindowSeconds: 24 * 3600, VelocitySpanSeconds: 1800, VelocityEverySeconds: 900, VelocityPoints: 3, VelocityGames: 50, VelocityChange: 1,
		Pinned: []PinnedRating{
			{"random", 400},
			{"heuristic", 1200},
			{"heuristic_strong", 1400},
			{"mcts_light", 1500},
			{"mcts_medium", 1700},
			{"mcts_strong", 1900},
			{"mcts_master", 2000},
			{"mcts_grandmaster", 2100},
		},
		Method: MethodElo, K: []KStep{{K: 32}}, Draws: rating.Half, Scale: rating.Logistic, Prior: rating.BayesEloPrior,
		Tau: 0.5, Drift: rating.DefaultHistory.Drift,
	}
}

// Pin returns the fixed rating of a baseline; false for any other player.
func (p Policy) Pin(name string) (float64, bool) {
	at := slices.IndexFunc(p.Pinned, func(pin PinnedRating) bool { return pin.Name == name })
	if at < 0 {
		return 0, false
	}
	return p.Pinned[at].Rating, true
}

func (Policy) SectionName() string { return "elo" }

func (Policy) About() string {
	return "the numbers of the ratings"
}

func (Policy) Default() domain.Section { return DefaultPolicy() }

// Faults returns a fault for every unusable setting.
func (p Policy) Faults() []domain.Fault {
	var c domain.PolicyChecks
	c.Positive("elo.deviation", p.Deviation)
	if !(p.Initial >= -MaxRating && p.Initial <= MaxRating) {
		c.Fault("elo.initial", "want a rating, found %v", p.Initial)
	}
	if !(p.Smallest >= 0) {
		c.Fault("elo.smallest", "want at least 0, found %v", p.Smallest)
	}
	c.Positive("elo.velocity_window_seconds", float64(p.VelocityWindowSeconds))
	c.Positive("elo.velocity_span_seconds", float64(p.VelocitySpanSeconds))
	c.Positive("elo.velocity_every_seconds", float64(p.VelocityEverySeconds))
	c.Positive("elo.velocity_games", float64(p.VelocityGames))
	if p.VelocityPoints < 2 {
		c.Fault("elo.velocity_points", "want at least 2, found %d", p.VelocityPoints)
	}
	if !(p.VelocityChange >= 0) {
		c.Fault("elo.velocity_change", "want at least 0, found %v", p.VelocityChange)
	}
	for _, pin := range p.Pinned {
		if pin.Name == "" || !(pin.Rating >= -MaxRating && pin.Rating <= MaxRating) {
			c.Fault("elo.pinned", "want names with ratings, found %q at %v", pin.Name, pin.Rating)
		}
	}
	if !slices.Contains(Methods, p.Method) {
		c.Fault("elo.method", "want one of %v, found %q", Methods, p.Method)
	}
	for _, fault := range kFaults(p.K) {
		c.Fault("elo.k", "%s", fault)
	}
	if !slices.Contains(rating.DrawModels, p.Draws) {
		c.Fault("elo.draws", "want one of %v, found %q", rating.DrawModels, p.Draws)
	}
	if !slices.Contains(rating.Scales, p.Scale) || p.Scale == rating.BayesEloScale && p.Draws != rating.BayesElo {
		c.Fault("elo.scale", "want one of %v, and bayeselo only with draws bayeselo, found %q", rating.Scales, p.Scale)
	}
	if !(p.Prior >= 0 && p.Prior <= maxPrior) {
		c.Fault("elo.prior", "want 0 to %v, found %v", maxPrior, p.Prior)
	}
	if !(p.Tau >= minTau && p.Tau <= maxTau) {
		c.Fault("elo.tau", "want %v to %v, found %v", minTau, maxTau, p.Tau)
	}
	if !(p.Drift >= minDrift && p.Drift <= maxDrift) {
		c.Fault("elo.drift", "want %v to %v, found %v", minDrift, maxDrift, p.Drift)
	}
	return c
}

// PolicyOf returns the section of a document.
func PolicyOf(p domain.Policy) Policy { return domain.SectionOf[Policy](p) }
