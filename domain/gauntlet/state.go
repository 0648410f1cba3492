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

// ID identifies the gauntlet of one model of one game.
type ID string

// IDOf returns the id of a model's only gauntlet.
func IDOf(config domain.ConfigKey, model domain.ModelID) ID {
	return ID(string(config) + ":" + string(model))
}

// QuickGauntletOf returns the id of a model's quick evaluation, of which there is
// one at a time besides its gauntlet.
func QuickGauntletOf(config domain.ConfigKey, model domain.ModelID) ID {
	return IDOf(config, model) + ":quick"
}

// Stream returns the stream with all events of the gauntlet.
func (id ID) Stream() domain.StreamID { return domain.Stream("gauntlet", string(id)) }

// SPRT holds the settings of a sequential test.
type SPRT struct {
	Model     rating.Model `json:"model,omitempty" doc:"logistic when absent, normalized, bayeselo, cutechess"`
	Elo0      float64      `json:"elo0"`
	Elo1      float64      `json:"elo1"`
	Alpha     float64      `json:"alpha,omitempty" doc:"that of the policy when absent"`
	Beta      float64      `json:"beta,omitempty" doc:"the same"`
	Overshoot bool         `json:"overshoot,omitempty" doc:"bounds are corrected for what results jump past them"`
}

// Test returns the test in the form of package rating.
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

// Started: the measuring of a model against these opponents started, by the work
// item.
type Started struct {
	GauntletID ID               `json:"gauntlet_id"`
	ConfigKey  domain.ConfigKey `json:"config_key"`
	ModelID    domain.ModelID   `json:"model_id"`
	Opponents  []string         `json:"opponents"`
	Games      int              `json:"games"` // per opponent
	SPRT       *SPRT            `json:"sprt,omitempty"`
	InUse      domain.ModelID   `json:"in_use,omitempty"`       // the model in use, if it is among the opponents
	InUseGames int              `json:"in_use_games,omitempty"` // against the model in use, if different from Games
	TaskID     domain.TaskID    `json:"task_id"`
	Round      int              `json:"round"`           // from 1; higher after failed rounds
	Seed       uint64           `json:"seed,omitempty"`  // seed of the openings; each is played twice, with seats swapped
	Quick      bool             `json:"quick,omitempty"` // a quick evaluation: it decides no promotion

	Players   []Player `json:"players,omitempty"`    // built-in players that play for models
	ItemGames int      `json:"item_games,omitempty"` // per work item; absent: one item plays all, as in older logs
	OpenItems int      `json:"open_items,omitempty"` // items queued ahead, counted from the first unfinished one
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

// Limits of a gauntlet.
const (
	MaxOpenItems = 256
	maxPlayers   = 64
)

// Wanted returns the number of games of the gauntlet.
func (e Started) Wanted() int {
	games := e.Games * len(e.Opponents)
	if e.InUseGames > 0 {
		games += e.InUseGames - e.Games
	}
	return games
}

// Tested returns the opponent of the sequential test: the model in use, or the only
// opponent; empty if there is no test.
func (e Started) Tested() string {
	if e.Quick {
		return ""
	}
	if e.InUse == "" && len(e.Opponents) == 1 {
		return e.Opponents[0]
	}
	return string(e.InUse)
}

// TestedGames returns the greatest number of games against the tested opponent.
func (e Started) TestedGames() int {
	if e.InUse != "" && e.InUseGames > 0 {
		return e.InUseGames
	}
	return e.Games
}

// Continued: the test is undecided after the games so far; another work item plays
// more of them, against the tested opponent only. Only gauntlets of older logs
// continue in this way, one item at a time; see Played.
type Continued struct {
	GauntletID ID                   `json:"gauntlet_id"`
	After      domain.TaskID        `json:"after"`   // the item that ended
	Results    []elo.OpponentResult `json:"results"` // of that item
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

// Finished: the games were played with this result, or the gauntlet failed.
type Finished struct {
	GauntletID ID                   `json:"gauntlet_id"`
	TaskID     domain.TaskID        `json:"task_id"` // of the gauntlet's first item
	NodeID     domain.NodeID        `json:"node_id,omitempty"`
	Games      int                  `json:"games"` // with a result
	Results    []elo.OpponentResult `json:"results,omitempty"`
	Score      *float64             `json:"score,omitempty"` // share of points over all games
	LLR        *float64             `json:"llr,omitempty"`   // against the model in use or the only opponent
	Elo        *float64             `json:"elo,omitempty"`   // over that opponent
	Error      *float64             `json:"error,omitempty"` // half of its 95 % interval
	Decision   string               `json:"decision"`        // better, worse, open; measured: no test was possible; failed
	Reason     string               `json:"reason,omitempty"`

	Lower   *float64        `json:"lower,omitempty"` // bounds of the test at its last look
	Upper   *float64        `json:"upper,omitempty"`
	LOS     *float64        `json:"los,omitempty"`     // likelihood of superiority over that opponent
	Wilson  []float64       `json:"wilson,omitempty"`  // 95 % interval of the score against that opponent, by games
	Stopped *Stopped        `json:"stopped,omitempty"` // the strength corrected for the stopping time
	Alike   bool            `json:"alike,omitempty"`   // every game or pair against that opponent had the same result
	Cancel  []domain.TaskID `json:"cancel,omitempty"`  // outstanding items that are not needed any more
}

// Stopped is the strength estimated from a test that ended at a bound
// (rating.Test.Estimate).
type Stopped struct {
	Elo  float64 `json:"elo"`
	Low  float64 `json:"low" doc:"of the 95 % interval"`
	High float64 `json:"high"`
	LOS  float64 `json:"los"`
}

// The decisions of a gauntlet in addition to those of a sequential test.
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
