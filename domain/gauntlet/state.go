package gauntlet

import (
	"errors"
	"fmt"
	"slices"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
	"github.com/ringrift/rift/domain/match"
	"github.com/ringrift/rift/domain/rating"
)

// ID names the measuring of one model of one game.
type ID string

// IDOf is the gauntlet of a model: it has one.
func IDOf(config domain.ConfigKey, model domain.ModelID) ID {
	return ID(string(config) + ":" + string(model))
}

// QuickGauntletOf is the quick look at a model: it has one at a time, beside its
// gauntlet.
func QuickGauntletOf(config domain.ConfigKey, model domain.ModelID) ID {
	return IDOf(config, model) + ":quick"
}

// Stream is where the gauntlet's whole life is written.
func (id ID) Stream() domain.StreamID { return domain.Stream("gauntlet", string(id)) }

// SPRT is a sequential test.
type SPRT struct {
	Model     rating.Model `json:"model,omitempty" doc:"logistic when absent, normalized, bayeselo, cutechess"`
	Elo0      float64      `json:"elo0"`
	Elo1      float64      `json:"elo1"`
	Alpha     float64      `json:"alpha,omitempty" doc:"that of the policy when absent"`
	Beta      float64      `json:"beta,omitempty" doc:"the same"`
	Overshoot bool         `json:"overshoot,omitempty" doc:"bounds are corrected for what results jump past them"`
}

// Test is the test as package rating knows it.
func (s SPRT) Test() rating.Test {
	if s.Model == "" {
		s.Model = rating.LogisticModel
	}
	return rating.Test{Model: s.Model, Elo0: s.Elo0, Elo1: s.Elo1, Alpha: s.Alpha, Beta: s.Beta}
}

func (s SPRT) check(c *domain.Checks) {
	var invalid *rating.Invalid
	if err := s.Test().Check(); errors.As(err, &invalid) {
		for _, fault := range invalid.Faults {
			c.Fault("sprt."+fault.Field, "%s", fault.Reason)
		}
	}
}

// Started: a model is to be measured against these opponents, by the
// work item.
type Started struct {
	GauntletID ID               `json:"gauntlet_id"`
	ConfigKey  domain.ConfigKey `json:"config_key"`
	ModelID    domain.ModelID   `json:"model_id"`
	Opponents  []string         `json:"opponents"`
	Games      int              `json:"games"` // per opponent
	SPRT       *SPRT            `json:"sprt,omitempty"`
	InUse      domain.ModelID   `json:"in_use,omitempty"`       // the model in use, when it is among the opponents
	InUseGames int              `json:"in_use_games,omitempty"` // against the model in use, when they are not as many as against others
	TaskID     domain.TaskID    `json:"task_id"`
	Round      int              `json:"round"`           // from 1; more after rounds that failed
	Seed       uint64           `json:"seed,omitempty"`  // of the openings; each is played twice, with seats swapped
	Quick      bool             `json:"quick,omitempty"` // a quick look: it decides on no promotion

	Players   []Player `json:"players,omitempty"`    // built-in players that stand for models
	ItemGames int      `json:"item_games,omitempty"` // of a work item; absent: one item plays all (as older logs tell)
	OpenItems int      `json:"open_items,omitempty"` // items that are queued ahead of the first that is not done
	TestGames int      `json:"test_games,omitempty"` // between two looks at the test
}

// Player is a built-in player that plays for a model.
type Player struct {
	ModelID string `json:"model_id"`
	Player  string `json:"player" doc:"its spec, see cmd/internal/play"`
}

func (Started) EventType() string       { return "GAUNTLET_STARTED" }
func (e Started) Home() domain.StreamID { return e.GauntletID.Stream() }

func (e Started) Validate() []domain.Fault {
	var c domain.Checks
	c.Name("gauntlet_id", string(e.GauntletID))
	c.Config(e.ConfigKey)
	c.Name("model_id", string(e.ModelID))
	c.Name("task_id", string(e.TaskID))
	if len(e.Opponents) == 0 {
		c.Fault("baselines", "want at least one opponent")
	}
	for i, opponent := range e.Opponents {
		c.Name(fmt.Sprintf("baselines[%d]", i), opponent)
		if opponent == string(e.ModelID) {
			c.Fault(fmt.Sprintf("baselines[%d]", i), "want another than the model itself")
		}
		if slices.Contains(e.Opponents[:i], opponent) {
			c.Fault(fmt.Sprintf("baselines[%d]", i), "want each opponent once, found %q twice", domain.Clip(opponent, 64))
		}
	}
	domain.Within(&c, "games", e.Games, 1, elo.MaxGames)
	domain.Within(&c, "in_use_games", e.InUseGames, 0, elo.MaxGames)
	if e.SPRT != nil {
		e.SPRT.check(&c)
	}
	domain.Within(&c, "item_games", e.ItemGames, 0, match.MaxGames)
	domain.Within(&c, "open_items", e.OpenItems, 0, MaxOpenItems)
	domain.AtLeast(&c, "test_games", e.TestGames, 0)
	if len(e.Players) > maxPlayers {
		c.Fault("players", "want at most %d, found %d", maxPlayers, len(e.Players))
	}
	for i, p := range e.Players[:min(len(e.Players), maxPlayers)] {
		c.Name(fmt.Sprintf("players[%d].model_id", i), p.ModelID)
		if p.Player == "" || len(p.Player) > match.MaxPlayer {
			c.Fault(fmt.Sprintf("players[%d].player", i), "want 1 to %d bytes, found %d", match.MaxPlayer, len(p.Player))
		}
	}
	return c
}

// The bounds of a gauntlet.
const (
	MaxOpenItems = 256
	maxPlayers   = 64
)

// Wanted is how many games the gauntlet asks for.
func (e Started) Wanted() int {
	games := e.Games * len(e.Opponents)
	if e.InUseGames > 0 {
		games += e.InUseGames - e.Games
	}
	return games
}

// Tested is the opponent that the sequential test is about: the model in use, or
// the only one. Empty: there is none.
func (e Started) Tested() string {
	if e.Quick {
		return ""
	}
	if e.InUse == "" && len(e.Opponents) == 1 {
		return e.Opponents[0]
	}
	return string(e.InUse)
}

// TestedGames is how many games against the tested opponent the gauntlet plays at most.
func (e Started) TestedGames() int {
	if e.InUse != "" && e.InUseGames > 0 {
		return e.InUseGames
	}
	return e.Games
}

// Continued: the games so far leave the test open; another work item plays more of
// them, against the tested opponent only. Gauntlets of older logs went on like that,
// one item at a time; see Played.
type Continued struct {
	GauntletID ID                   `json:"gauntlet_id"`
	After      domain.TaskID        `json:"after"`   // the item that ended
	Results    []elo.OpponentResult `json:"results"` // that it brought
	LLR        float64              `json:"llr"`     // of all games so far
	TaskID     domain.TaskID        `json:"task_id"` // the next item
	Games      int                  `json:"games"`   // that it plays
	Seed       uint64               `json:"seed"`    // of its openings
}

func (Continued) EventType() string       { return "GAUNTLET_CONTINUED" }
func (e Continued) Home() domain.StreamID { return e.GauntletID.Stream() }

func (e Continued) Validate() []domain.Fault {
	var c domain.Checks
	c.Name("gauntlet_id", string(e.GauntletID))
	c.Name("after", string(e.After))
	c.Name("task_id", string(e.TaskID))
	domain.Within(&c, "games", e.Games, 1, elo.MaxGames)
	return c
}

// Finished: the games are played and say this, or they came to nothing.
type Finished struct {
	GauntletID ID                   `json:"gauntlet_id"`
	TaskID     domain.TaskID        `json:"task_id"` // of the gauntlet's first item
	NodeID     domain.NodeID        `json:"node_id,omitempty"`
	Games      int                  `json:"games"` // with a result
	Results    []elo.OpponentResult `json:"results,omitempty"`
	Score      *float64             `json:"score,omitempty"` // share of the points of all games
	LLR        *float64             `json:"llr,omitempty"`   // against the model in use, or the only opponent
	Elo        *float64             `json:"elo,omitempty"`   // over that opponent
	Error      *float64             `json:"error,omitempty"` // half of its 95 % interval
	Decision   string               `json:"decision"`        // better, worse, open; measured: no test was possible; failed
	Reason     string               `json:"reason,omitempty"`

	Lower   *float64        `json:"lower,omitempty"` // bounds of the test at its last look
	Upper   *float64        `json:"upper,omitempty"`
	LOS     *float64        `json:"los,omitempty"`     // likelihood of superiority over that opponent
	Wilson  []float64       `json:"wilson,omitempty"`  // 95 % interval of the score against that opponent, by games
	Stopped *Stopped        `json:"stopped,omitempty"` // the strength, corrected for having stopped at a bound
	Alike   bool            `json:"alike,omitempty"`   // every game or pair against that opponent ended alike
	Cancel  []domain.TaskID `json:"cancel,omitempty"`  // items that are out and not needed any more
}

// Stopped is what a test that ended at a bound shows of the strength behind it
// (rating.Test.Estimate).
type Stopped struct {
	Elo  float64 `json:"elo"`
	Low  float64 `json:"low" doc:"of the 95 % interval"`
	High float64 `json:"high"`
	LOS  float64 `json:"los"`
}

// The decisions of a gauntlet besides those of a sequential test.
const (
	GauntletMeasured = "measured"
	GauntletFailed   = "failed"
)

func (Finished) EventType() string       { return "GAUNTLET_FINISHED" }
func (e Finished) Home() domain.StreamID { return e.GauntletID.Stream() }

func (e Finished) Validate() []domain.Fault {
	var c domain.Checks
	c.Name("gauntlet_id", string(e.GauntletID))
	c.Name("task_id", string(e.TaskID))
	domain.AtLeast(&c, "games", e.Games, 0)
	c.Text("decision", e.Decision)
	return c
}
