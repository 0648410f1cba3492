package domain

import "slices"

// EloPolicy holds the numbers of the ratings.
type EloPolicy struct {
	Initial               float64        `json:"initial" doc:"what a player is taken for before its first game"`
	Deviation             float64        `json:"deviation" doc:"how far from it players are, one standard deviation"`
	Smallest              float64        `json:"smallest" doc:"move of a rating that is worth an event"`
	VelocityWindowSeconds Seconds        `json:"velocity_window_seconds" doc:"how far back the slope of the best rating looks"`
	VelocitySpanSeconds   Seconds        `json:"velocity_span_seconds" doc:"least time between the first and the last moment of a slope"`
	VelocityEverySeconds  Seconds        `json:"velocity_every_seconds" doc:"least time between two readings of it"`
	VelocityPoints        int            `json:"velocity_points" doc:"least moments of a slope: fewer are noise"`
	VelocityGames         int            `json:"velocity_games" doc:"of a model before it may be the best"`
	VelocityChange        float64        `json:"velocity_change" doc:"Elo per hour by which a reading must differ from the one before to be no longer stable"`
	Pinned                []PinnedRating `json:"pinned" doc:"baselines: their ratings never move"`
}

// PinnedRating is a baseline of known strength.
type PinnedRating struct {
	Name   string  `json:"name"`
	Rating float64 `json:"rating"` // Elo
}

// DefaultEloPolicy is the section before anybody changed it.
func DefaultEloPolicy() EloPolicy {
	return EloPolicy{
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
	}
}

// Pin is the rating of a baseline; false for a player that is none.
func (p EloPolicy) Pin(name string) (float64, bool) {
	at := slices.IndexFunc(p.Pinned, func(pin PinnedRating) bool { return pin.Name == name })
	if at < 0 {
		return 0, false
	}
	return p.Pinned[at].Rating, true
}

// SectionName is elo.
func (EloPolicy) SectionName() string { return "elo" }

// About says what the numbers are.
func (EloPolicy) About() string {
	return "the numbers of the ratings"
}

// Default gives the built-in numbers.
func (EloPolicy) Default() Section { return DefaultEloPolicy() }

// Faults names every number that cannot work.
func (p EloPolicy) Faults() []Fault {
	var c policyChecks
	c.positive("elo.deviation", p.Deviation)
	if !(p.Initial >= -maxRating && p.Initial <= maxRating) {
		c.fault("elo.initial", "want a rating, found %v", p.Initial)
	}
	if !(p.Smallest >= 0) {
		c.fault("elo.smallest", "want at least 0, found %v", p.Smallest)
	}
	c.positive("elo.velocity_window_seconds", float64(p.VelocityWindowSeconds))
	c.positive("elo.velocity_span_seconds", float64(p.VelocitySpanSeconds))
	c.positive("elo.velocity_every_seconds", float64(p.VelocityEverySeconds))
	c.positive("elo.velocity_games", float64(p.VelocityGames))
	if p.VelocityPoints < 2 {
		c.fault("elo.velocity_points", "want at least 2, found %d", p.VelocityPoints)
	}
	if !(p.VelocityChange >= 0) {
		c.fault("elo.velocity_change", "want at least 0, found %v", p.VelocityChange)
	}
	for _, pin := range p.Pinned {
		if pin.Name == "" || !(pin.Rating >= -maxRating && pin.Rating <= maxRating) {
			c.fault("elo.pinned", "want names with ratings, found %q at %v", pin.Name, pin.Rating)
		}
	}
	return c
}

// EloPolicyOf finds the section in a document.
func EloPolicyOf(p Policy) EloPolicy { return SectionOf[EloPolicy](p) }

// GauntletPolicy holds the numbers of measuring a model.
type GauntletPolicy struct {
	Baselines    []string       `json:"baselines" doc:"opponents besides the model in use"`
	Games        int            `json:"games" doc:"per opponent"`
	InUseGames   int            `json:"in_use_games" doc:"against the model in use: a sequential test of few Elo needs more of them"`
	TestGames    int            `json:"test_games" doc:"against the tested opponent between two looks at the test: a work item each, so that it ends early"`
	SameGames    int            `json:"same_games" doc:"with one and the same course from which they were one game played again and again"`
	QuickPerSide int            `json:"quick_per_side" doc:"games per seat of a quick look"`
	MaxGames     int            `json:"max_games" doc:"per opponent, of one gauntlet"`
	MaxOpponents int            `json:"max_opponents" doc:"of one gauntlet"`
	Priority     int            `json:"priority" doc:"of its work item, 0 to 100"`
	MaxAttempts  int            `json:"max_attempts" doc:"of its work item"`
	BoardSeconds []BoardSeconds `json:"board_seconds" doc:"bound on one attempt with two players, by board"`
	ThreePlayers float64        `json:"three_players" doc:"times that bound"`
	FourPlayers  float64        `json:"four_players" doc:"times that bound"`
	SPRTElo0     float64        `json:"sprt_elo0" doc:"the candidate is no better, in Elo"`
	SPRTElo1     float64        `json:"sprt_elo1" doc:"the candidate is better, in Elo"`
	SPRTAlpha    float64        `json:"sprt_alpha" doc:"chance to accept elo1 though elo0 holds"`
	SPRTBeta     float64        `json:"sprt_beta" doc:"chance to accept elo0 though elo1 holds"`
}

// BoardSeconds is a bound on time for one board.
type BoardSeconds struct {
	Board   Board   `json:"board"`
	Seconds Seconds `json:"seconds"` // with two players
}

// DefaultGauntletPolicy is the section before anybody changed it.
func DefaultGauntletPolicy() GauntletPolicy {
	return GauntletPolicy{
		Baselines: []string{"random", "heuristic"}, Games: 100, InUseGames: 400, TestGames: 100, SameGames: 40, QuickPerSide: 4, MaxGames: 10_000, MaxOpponents: 32,
		Priority: 85, MaxAttempts: 3,
		BoardSeconds: []BoardSeconds{{Hex8, 1800}, {Square8, 2400}, {Square19, 5400}, {Hexagonal, 7200}},
		ThreePlayers: 1.5, FourPlayers: 2,
		SPRTElo0: 0, SPRTElo1: 10, SPRTAlpha: 0.05, SPRTBeta: 0.05,
	}
}

// Timeout bounds one attempt at measuring a model of a game.
func (p GauntletPolicy) Timeout(config ConfigKey) Seconds {
	bound := Seconds(7200)
	for _, b := range p.BoardSeconds {
		if b.Board == config.Board() {
			bound = b.Seconds
		}
	}
	switch config.Players() {
	case 3:
		bound *= Seconds(p.ThreePlayers)
	case 4:
		bound *= Seconds(p.FourPlayers)
	}
	return bound
}

// SectionName is gauntlet.
func (GauntletPolicy) SectionName() string { return "gauntlet" }

// About says what the numbers are.
func (GauntletPolicy) About() string {
	return "the numbers of measuring a model"
}

// Default gives the built-in numbers.
func (GauntletPolicy) Default() Section { return DefaultGauntletPolicy() }

// Faults names every number that cannot work.
func (p GauntletPolicy) Faults() []Fault {
	var c policyChecks
	c.positive("gauntlet.games", float64(p.Games))
	c.positive("gauntlet.in_use_games", float64(p.InUseGames))
	c.positive("gauntlet.test_games", float64(p.TestGames))
	c.positive("gauntlet.same_games", float64(p.SameGames))
	c.positive("gauntlet.quick_per_side", float64(p.QuickPerSide))
	c.positive("gauntlet.max_opponents", float64(p.MaxOpponents))
	c.positive("gauntlet.max_attempts", float64(p.MaxAttempts))
	c.positive("gauntlet.three_players", p.ThreePlayers)
	c.positive("gauntlet.four_players", p.FourPlayers)
	if p.MaxGames < p.Games {
		c.fault("gauntlet.max_games", "want at least games %d, found %d", p.Games, p.MaxGames)
	}
	if p.Priority < 0 || p.Priority > 100 {
		c.fault("gauntlet.priority", "want 0 to 100, found %d", p.Priority)
	}
	if !(p.SPRTElo0 < p.SPRTElo1) {
		c.fault("gauntlet.sprt_elo1", "want more than sprt_elo0 %v, found %v", p.SPRTElo0, p.SPRTElo1)
	}
	for _, rate := range []struct {
		field string
		value float64
	}{{"sprt_alpha", p.SPRTAlpha}, {"sprt_beta", p.SPRTBeta}} {
		if !(rate.value > 0 && rate.value < 0.5) {
			c.fault("gauntlet."+rate.field, "want more than 0 and less than 0.5, found %v", rate.value)
		}
	}
	for _, b := range p.BoardSeconds {
		c.positive("gauntlet.board_seconds", float64(b.Seconds))
	}
	return c
}

// GauntletPolicyOf finds the section in a document.
func GauntletPolicyOf(p Policy) GauntletPolicy { return SectionOf[GauntletPolicy](p) }
