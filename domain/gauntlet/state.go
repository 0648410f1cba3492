package gauntlet

import (
	"fmt"
	"slices"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
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

// SPRT is a sequential test in logistic Elo.
type SPRT struct {
	Elo0  float64 `json:"elo0"`
	Elo1  float64 `json:"elo1"`
	Alpha float64 `json:"alpha"`
	Beta  float64 `json:"beta"`
}

func (s SPRT) check(c *domain.Checks) {
	if !(s.Elo0 < s.Elo1 && s.Elo0 >= -elo.MaxRating && s.Elo1 <= elo.MaxRating) {
		c.Fault("sprt.elo1", "want more than elo0 %v, found %v", s.Elo0, s.Elo1)
	}
	if !(s.Alpha > 0 && s.Alpha < 0.5 && s.Beta > 0 && s.Beta < 0.5) {
		c.Fault("sprt.alpha", "want error rates above 0 and below 0.5, found %v and %v", s.Alpha, s.Beta)
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
	return c
}

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

// Part is what the first work item of the gauntlet plays: all games against
// other opponents, and of those of the test as many as go between two looks at it.
func (e Started) Part(between int) Started {
	switch {
	case e.Tested() == "" || e.TestedGames() <= between:
	case e.InUse != "":
		e.InUseGames = between
	default:
		e.Games = between
	}
	return e
}

// Continued: the games so far leave the test open; another work item
// plays more of them, against the tested opponent only.
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

// Gauntlet is the state of one gauntlet, folded from its stream.
type Gauntlet struct {
	Started  *Started             `json:"started,omitempty"`
	Played   []elo.OpponentResult `json:"played,omitempty"`   // by the items of this round that ended before the last
	LLR      *float64             `json:"llr,omitempty"`      // of them
	Item     domain.TaskID        `json:"item,omitempty"`     // that plays
	Parts    int                  `json:"parts,omitempty"`    // items of this round so far
	Finished *Finished            `json:"finished,omitempty"` // of the round that started last
}

// Evolve applies a fact.
func (g Gauntlet) Evolve(fact domain.Envelope) Gauntlet {
	switch e := fact.Event.(type) {
	case Started:
		g = Gauntlet{Started: &e, Item: e.TaskID, Parts: 1}
	case Continued:
		if g.Started != nil && g.Item == e.After && g.Finished == nil {
			g.Played, g.LLR, g.Item, g.Parts = Together(g.Played, e.Results), &e.LLR, e.TaskID, g.Parts+1
		}
	case Finished:
		if g.Started != nil && g.Started.TaskID == e.TaskID && g.Finished == nil {
			g.Finished = &e
		}
	}
	return g
}

// Together adds results up, opponent by opponent. Pairs are known only where all
// games against an opponent were paired.
func Together(a, b []elo.OpponentResult) []elo.OpponentResult {
	sum := slices.Clone(a)
	for _, more := range b {
		at := slices.IndexFunc(sum, func(r elo.OpponentResult) bool { return r.Opponent == more.Opponent })
		if at < 0 {
			sum = append(sum, more)
			continue
		}
		one := sum[at]
		paired := len(one.Pentanomial) == len(more.Pentanomial)
		one.Wins, one.Losses, one.Draws, one.Errors = one.Wins+more.Wins, one.Losses+more.Losses, one.Draws+more.Draws, one.Errors+more.Errors
		pairs := slices.Clone(one.Pentanomial)
		for i := range pairs {
			if paired {
				pairs[i] += more.Pentanomial[i]
			}
		}
		if one.Pentanomial = pairs; !paired {
			one.Pentanomial = nil
		}
		sum[at] = one
	}
	return sum
}

// State is "unknown", "running", "done" or "failed".
func (g Gauntlet) State() string {
	switch {
	case g.Started == nil:
		return "unknown"
	case g.Finished == nil:
		return "running"
	case g.Finished.Decision == GauntletFailed:
		return "failed"
	}
	return "done"
}
