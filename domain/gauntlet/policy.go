package gauntlet

import (
	"github.com/ringrift/rift/domain"
)

// Policy holds the numbers of measuring a model.
type Policy struct {
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
	Board   domain.Board   `json:"board"`
	Seconds domain.Seconds `json:"seconds"` // with two players
}

// DefaultPolicy is the section before anybody changed it.
func DefaultPolicy() Policy {
	return Policy{
		Baselines: []string{"random", "heuristic"}, Games: 100, InUseGames: 600, TestGames: 100, SameGames: 40, QuickPerSide: 4, MaxGames: 10_000, MaxOpponents: 32,
		Priority: 85, MaxAttempts: 3,
		BoardSeconds: []BoardSeconds{{domain.Hex8, 1800}, {domain.Square8, 2400}, {domain.Square19, 5400}, {domain.Hexagonal, 7200}},
		ThreePlayers: 1.5, FourPlayers: 2,
		SPRTElo0: 0, SPRTElo1: 40, SPRTAlpha: 0.05, SPRTBeta: 0.05,
	}
}

// Timeout bounds one attempt at measuring a model of a game.
func (p Policy) Timeout(config domain.ConfigKey) domain.Seconds {
	bound := domain.Seconds(7200)
	for _, b := range p.BoardSeconds {
		if b.Board == config.Board() {
			bound = b.Seconds
		}
	}
	switch config.Players() {
	case 3:
		bound *= domain.Seconds(p.ThreePlayers)
	case 4:
		bound *= domain.Seconds(p.FourPlayers)
	}
	return bound
}

func (Policy) SectionName() string { return "gauntlet" }

func (Policy) About() string {
	return "the numbers of measuring a model"
}

func (Policy) Default() domain.Section { return DefaultPolicy() }

// Faults names every number that cannot work.
func (p Policy) Faults() []domain.Fault {
	var c domain.PolicyChecks
	c.Positive("gauntlet.games", float64(p.Games))
	c.Positive("gauntlet.in_use_games", float64(p.InUseGames))
	c.Positive("gauntlet.test_games", float64(p.TestGames))
	c.Positive("gauntlet.same_games", float64(p.SameGames))
	c.Positive("gauntlet.quick_per_side", float64(p.QuickPerSide))
	c.Positive("gauntlet.max_opponents", float64(p.MaxOpponents))
	c.Positive("gauntlet.max_attempts", float64(p.MaxAttempts))
	c.Positive("gauntlet.three_players", p.ThreePlayers)
	c.Positive("gauntlet.four_players", p.FourPlayers)
	if p.MaxGames < p.Games {
		c.Fault("gauntlet.max_games", "want at least games %d, found %d", p.Games, p.MaxGames)
	}
	if p.Priority < 0 || p.Priority > 100 {
		c.Fault("gauntlet.priority", "want 0 to 100, found %d", p.Priority)
	}
	if !(p.SPRTElo0 < p.SPRTElo1) {
		c.Fault("gauntlet.sprt_elo1", "want more than sprt_elo0 %v, found %v", p.SPRTElo0, p.SPRTElo1)
	}
	for _, rate := range []struct {
		field string
		value float64
	}{{"sprt_alpha", p.SPRTAlpha}, {"sprt_beta", p.SPRTBeta}} {
		if !(rate.value > 0 && rate.value < 0.5) {
			c.Fault("gauntlet."+rate.field, "want more than 0 and less than 0.5, found %v", rate.value)
		}
	}
	for _, b := range p.BoardSeconds {
		c.Positive("gauntlet.board_seconds", float64(b.Seconds))
	}
	return c
}

// PolicyOf finds the section in a document.
func PolicyOf(p domain.Policy) Policy { return domain.SectionOf[Policy](p) }
