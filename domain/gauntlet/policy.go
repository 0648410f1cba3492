package gauntlet

import (
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/match"
	"github.com/ringrift/rift/domain/rating"
)

// Policy holds the settings of measuring a model.
type Policy struct {
	Baselines      []string       `json:"baselines" doc:"opponents besides the model in use"`
	Games          int            `json:"games" doc:"per opponent"`
	InUseGames     int            `json:"in_use_games" doc:"against the model in use: a sequential test of few Elo needs more of them"`
	TestGames      int            `json:"test_games" doc:"against the tested opponent between two looks at the test, so that it ends early"`
	ItemGames      int            `json:"item_games" doc:"of one work item, all against one opponent"`
	OpenItems      int            `json:"open_items" doc:"of a gauntlet that are queued ahead of the first that is not done"`
	SameGames      int            `json:"same_games" doc:"with one and the same course from which they were one game played again and again"`
	QuickPerSide   int            `json:"quick_per_side" doc:"games per seat of a quick look"`
	MaxGames       int            `json:"max_games" doc:"per opponent, of one gauntlet"`
	MaxOpponents   int            `json:"max_opponents" doc:"of one gauntlet"`
	Priority       int            `json:"priority" doc:"of its work item, 0 to 100"`
	MaxAttempts    int            `json:"max_attempts" doc:"of its work item"`
	BoardSeconds   []BoardSeconds `json:"board_seconds" doc:"bound on one attempt with two players, by board"`
	ThreePlayers   float64        `json:"three_players" doc:"times that bound"`
	FourPlayers    float64        `json:"four_players" doc:"times that bound"`
	Older          int            `json:"older" doc:"how many promotions back the older model is that @older stands for and new gauntlets play against; 0: none"`
	ScreenP        float64        `json:"screen_p" doc:"a worker is excluded when differences as large as those between workers are less likely than this among workers that are alike; 0: none is"`
	ScreenResidual float64        `json:"screen_residual" doc:"or when a worker is off by more standard deviations than this"`
	SPRTModel      rating.Model   `json:"sprt_model" doc:"logistic, normalized, bayeselo or cutechess: the unit of the hypotheses"`
	SPRTOvershoot  bool           `json:"sprt_overshoot" doc:"bounds are corrected for what results jump past them; the gate of promotion judges by the plain ones"`
	SPRTElo0       float64        `json:"sprt_elo0" doc:"the candidate is no better, in Elo"`
	SPRTElo1       float64        `json:"sprt_elo1" doc:"the candidate is better, in Elo"`
	SPRTAlpha      float64        `json:"sprt_alpha" doc:"chance to accept elo1 though elo0 holds"`
	SPRTBeta       float64        `json:"sprt_beta" doc:"chance to accept elo0 though elo1 holds"`
}

// BoardSeconds is a time limit for one board.
type BoardSeconds struct {
	Board   domain.Board   `json:"board"`
	Seconds domain.Seconds `json:"seconds"` // with two players
}

// DefaultPolicy returns the section with its default values.
func DefaultPolicy() Policy {
	return Policy{
		Baselines: []string{"random", "heuristic"}, Games: 100, InUseGames: 600, TestGames: 100, ItemGames: 20, OpenItems: 16, SameGames: 40, QuickPerSide: 4, MaxGames: 10_000, MaxOpponents: 32,
		Priority: 85, MaxAttempts: 5, ScreenP: 0.001, ScreenResidual: 7, SPRTModel: rating.LogisticModel,
		BoardSeconds: []BoardSeconds{{domain.Hex8, 1800}, {domain.Square8, 2400}, {domain.Square19, 5400}, {domain.Hexagonal, 7200}},
		ThreePlayers: 1.5, FourPlayers: 2,
		SPRTElo0: 0, SPRTElo1: 40, SPRTAlpha: 0.05, SPRTBeta: 0.05,
	}
}

// Timeout returns the time limit of one attempt at measuring a model of a game.
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

// Faults returns a fault for every unusable setting.
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
	var more domain.Checks
	domain.Within(&more, "gauntlet.item_games", p.ItemGames, 1, match.MaxGames)
	domain.Within(&more, "gauntlet.open_items", p.OpenItems, 1, MaxOpenItems)
	domain.AtLeast(&more, "gauntlet.older", p.Older, 0)
	domain.Within(&more, "gauntlet.screen_p", p.ScreenP, 0, 0.5)
	domain.AtLeast(&more, "gauntlet.screen_residual", p.ScreenResidual, 3)
	domain.OneOf(&more, "gauntlet.sprt_model", p.SPRTModel, rating.Models)
	c = append(c, more...)
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

// PolicyOf returns the section of a document.
func PolicyOf(p domain.Policy) Policy { return domain.SectionOf[Policy](p) }
