package domain

import (
	"fmt"
	"slices"
)

// GauntletID names the measuring of one model of one game.
type GauntletID string

// GauntletOf is the gauntlet of a model: it has one.
func GauntletOf(config ConfigKey, model ModelID) GauntletID {
	return GauntletID(string(config) + ":" + string(model))
}

// QuickGauntletOf is the quick look at a model: it has one at a time, beside its
// gauntlet.
func QuickGauntletOf(config ConfigKey, model ModelID) GauntletID {
	return GauntletOf(config, model) + ":quick"
}

// Stream is where the gauntlet's whole life is written.
func (id GauntletID) Stream() StreamID { return Stream("gauntlet", string(id)) }

// SPRT is a sequential test in logistic Elo.
type SPRT struct {
	Elo0  float64 `json:"elo0"`
	Elo1  float64 `json:"elo1"`
	Alpha float64 `json:"alpha"`
	Beta  float64 `json:"beta"`
}

func (s SPRT) check(c *checks) {
	if !(s.Elo0 < s.Elo1 && s.Elo0 >= -maxRating && s.Elo1 <= maxRating) {
		c.fault("sprt.elo1", "want more than elo0 %v, found %v", s.Elo0, s.Elo1)
	}
	if !(s.Alpha > 0 && s.Alpha < 0.5 && s.Beta > 0 && s.Beta < 0.5) {
		c.fault("sprt.alpha", "want error rates above 0 and below 0.5, found %v and %v", s.Alpha, s.Beta)
	}
}

// GauntletStarted: a model is to be measured against these opponents, by the
// work item.
type GauntletStarted struct {
	GauntletID GauntletID `json:"gauntlet_id"`
	ConfigKey  ConfigKey  `json:"config_key"`
	ModelID    ModelID    `json:"model_id"`
	Opponents  []string   `json:"opponents"`
	Games      int        `json:"games"` // per opponent
	SPRT       *SPRT      `json:"sprt,omitempty"`
	InUse      ModelID    `json:"in_use,omitempty"`       // the model in use, when it is among the opponents
	InUseGames int        `json:"in_use_games,omitempty"` // against the model in use, when they are not as many as against others
	TaskID     TaskID     `json:"task_id"`
	Round      int        `json:"round"`           // from 1; more after rounds that failed
	Seed       uint64     `json:"seed,omitempty"`  // of the openings; each is played twice, with seats swapped
	Quick      bool       `json:"quick,omitempty"` // a quick look: it decides on no promotion
}

// EventType is GAUNTLET_STARTED.
func (GauntletStarted) EventType() string { return "GAUNTLET_STARTED" }

// Home is the gauntlet's stream.
func (e GauntletStarted) Home() StreamID { return e.GauntletID.Stream() }

// Validate names what is missing or out of range.
func (e GauntletStarted) Validate() []Fault {
	var c checks
	c.name("gauntlet_id", string(e.GauntletID))
	c.config(e.ConfigKey)
	c.name("model_id", string(e.ModelID))
	c.name("task_id", string(e.TaskID))
	if len(e.Opponents) == 0 {
		c.fault("baselines", "want at least one opponent")
	}
	for i, opponent := range e.Opponents {
		c.name(fmt.Sprintf("baselines[%d]", i), opponent)
		if opponent == string(e.ModelID) {
			c.fault(fmt.Sprintf("baselines[%d]", i), "want another than the model itself")
		}
		if slices.Contains(e.Opponents[:i], opponent) {
			c.fault(fmt.Sprintf("baselines[%d]", i), "want each opponent once, found %q twice", clip(opponent, 64))
		}
	}
	within(&c, "games", e.Games, 1, maxGames)
	within(&c, "in_use_games", e.InUseGames, 0, maxGames)
	if e.SPRT != nil {
		e.SPRT.check(&c)
	}
	return c
}

// Wanted is how many games the gauntlet asks for.
func (e GauntletStarted) Wanted() int {
	games := e.Games * len(e.Opponents)
	if e.InUseGames > 0 {
		games += e.InUseGames - e.Games
	}
	return games
}

// Tested is the opponent that the sequential test is about: the model in use, or
// the only one. Empty: there is none.
func (e GauntletStarted) Tested() string {
	if e.Quick {
		return ""
	}
	if e.InUse == "" && len(e.Opponents) == 1 {
		return e.Opponents[0]
	}
	return string(e.InUse)
}

// TestedGames is how many games against the tested opponent the gauntlet plays at most.
func (e GauntletStarted) TestedGames() int {
	if e.InUse != "" && e.InUseGames > 0 {
		return e.InUseGames
	}
	return e.Games
}

// Part is what the first work item of the gauntlet plays: all games against
// other opponents, and of those of the test as many as go between two looks at it.
func (e GauntletStarted) Part(between int) GauntletStarted {
	switch {
	case e.Tested() == "" || e.TestedGames() <= between:
	case e.InUse != "":
		e.InUseGames = between
	default:
		e.Games = between
	}
	return e
}

// GauntletContinued: the games so far leave the test open; another work item
// plays more of them, against the tested opponent only.
type GauntletContinued struct {
	GauntletID GauntletID       `json:"gauntlet_id"`
	After      TaskID           `json:"after"`   // the item that ended
	Results    []OpponentResult `json:"results"` // that it brought
	LLR        float64          `json:"llr"`     // of all games so far
	TaskID     TaskID           `json:"task_id"` // the next item
	Games      int              `json:"games"`   // that it plays
	Seed       uint64           `json:"seed"`    // of its openings
}

// EventType is GAUNTLET_CONTINUED.
func (GauntletContinued) EventType() string { return "GAUNTLET_CONTINUED" }

// Home is the gauntlet's stream.
func (e GauntletContinued) Home() StreamID { return e.GauntletID.Stream() }

// Validate names what is missing or out of range.
func (e GauntletContinued) Validate() []Fault {
	var c checks
	c.name("gauntlet_id", string(e.GauntletID))
	c.name("after", string(e.After))
	c.name("task_id", string(e.TaskID))
	within(&c, "games", e.Games, 1, maxGames)
	return c
}

// GauntletFinished: the games are played and say this, or they came to nothing.
type GauntletFinished struct {
	GauntletID GauntletID       `json:"gauntlet_id"`
	TaskID     TaskID           `json:"task_id"` // of the gauntlet's first item
	NodeID     NodeID           `json:"node_id,omitempty"`
	Games      int              `json:"games"` // with a result
	Results    []OpponentResult `json:"results,omitempty"`
	Score      *float64         `json:"score,omitempty"` // share of the points of all games
	LLR        *float64         `json:"llr,omitempty"`   // against the model in use, or the only opponent
	Elo        *float64         `json:"elo,omitempty"`   // over that opponent
	Error      *float64         `json:"error,omitempty"` // half of its 95 % interval
	Decision   string           `json:"decision"`        // better, worse, open; measured: no test was possible; failed
	Reason     string           `json:"reason,omitempty"`
}

// The decisions of a gauntlet besides those of a sequential test.
const (
	GauntletMeasured = "measured"
	GauntletFailed   = "failed"
)

// EventType is GAUNTLET_FINISHED.
func (GauntletFinished) EventType() string { return "GAUNTLET_FINISHED" }

// Home is the gauntlet's stream.
func (e GauntletFinished) Home() StreamID { return e.GauntletID.Stream() }

// Validate names what is missing.
func (e GauntletFinished) Validate() []Fault {
	var c checks
	c.name("gauntlet_id", string(e.GauntletID))
	c.name("task_id", string(e.TaskID))
	atLeast(&c, "games", e.Games, 0)
	c.text("decision", e.Decision)
	return c
}

// Gauntlet is the state of one gauntlet, folded from its stream.
type Gauntlet struct {
	Started  *GauntletStarted  `json:"started,omitempty"`
	Played   []OpponentResult  `json:"played,omitempty"`   // by the items of this round that ended before the last
	LLR      *float64          `json:"llr,omitempty"`      // of them
	Item     TaskID            `json:"item,omitempty"`     // that plays
	Parts    int               `json:"parts,omitempty"`    // items of this round so far
	Finished *GauntletFinished `json:"finished,omitempty"` // of the round that started last
}

// Evolve applies a fact.
func (g Gauntlet) Evolve(fact Envelope) Gauntlet {
	switch e := fact.Event.(type) {
	case GauntletStarted:
		g = Gauntlet{Started: &e, Item: e.TaskID, Parts: 1}
	case GauntletContinued:
		if g.Started != nil && g.Item == e.After && g.Finished == nil {
			g.Played, g.LLR, g.Item, g.Parts = Together(g.Played, e.Results), &e.LLR, e.TaskID, g.Parts+1
		}
	case GauntletFinished:
		if g.Started != nil && g.Started.TaskID == e.TaskID && g.Finished == nil {
			g.Finished = &e
		}
	}
	return g
}

// Together adds results up, opponent by opponent. Pairs are known only where all
// games against an opponent were paired.
func Together(a, b []OpponentResult) []OpponentResult {
	sum := slices.Clone(a)
	for _, more := range b {
		at := slices.IndexFunc(sum, func(r OpponentResult) bool { return r.Opponent == more.Opponent })
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

// Monotonous tells that many games went all the same way, and not because one
// side always wins: the same game was played again and again.
func (r OpponentResult) Monotonous(atLeast int) bool {
	if r.Games() < atLeast || r.Wins == r.Games() || r.Losses == r.Games() {
		return false
	}
	if r.Draws == r.Games() {
		return true
	}
	return len(r.Pentanomial) == 5 && 2*slices.Max(r.Pentanomial) == r.Games()
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
