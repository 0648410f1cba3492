package gauntlet

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
	"github.com/ringrift/rift/domain/gauntlet"
	"github.com/ringrift/rift/domain/match"
	"github.com/ringrift/rift/projections"
	trainingview "github.com/ringrift/rift/projections/training"
)

// ExecuteGauntlet requests a gauntlet of a model. A model has one gauntlet per
// game: a further request returns it, and starts another round only if it failed.
type ExecuteGauntlet struct {
	ConfigKey domain.ConfigKey  `json:"config_key"`
	ModelID   domain.ModelID    `json:"model_id"`
	Baselines []string          `json:"baselines,omitempty" doc:"those of the policy and the model in use when absent"`
	Games     int               `json:"games,omitempty" doc:"per opponent, rounded up to whole rounds of seats"`
	SPRT      *gauntlet.SPRT    `json:"sprt,omitempty" doc:"the policy's test when absent, as are error rates that are absent"`
	Players   []gauntlet.Player `json:"players,omitempty" doc:"built-in players that stand for models"`

	// Looked up before the decision.
	InUse domain.ModelID `json:"-"`
	Older domain.ModelID `json:"-"`
}

// Names that stand for baselines: those of the policy, the model in use, and the
// model that was in use some promotions before it.
const (
	anchors = "@anchors"
	inUse   = "@in_use"
	older   = "@older"
)

func (ExecuteGauntlet) CommandType() string { return "gauntlet.execute" }

func (c ExecuteGauntlet) Stream() domain.StreamID {
	return gauntlet.IDOf(c.ConfigKey, c.ModelID).Stream()
}

// Asked is the answer to ExecuteGauntlet.
type Asked struct {
	GauntletID gauntlet.ID `json:"gauntlet_id"`
}

// modelFaults checks that a gauntlet can be named by the model.
func modelFaults(id domain.ModelID) []domain.Fault {
	if len(id) > domain.MaxModelID {
		return []domain.Fault{{Field: "model_id", Reason: fmt.Sprintf("want at most %d bytes, found %d", domain.MaxModelID, len(id))}}
	}
	return commands.NameFaults("model_id", string(id))
}

func completeGauntlet(c ExecuteGauntlet, facts domain.Facts) (ExecuteGauntlet, error) {
	policy := gauntlet.PolicyOf(facts.Policy)
	if c.Games == 0 {
		c.Games = policy.Games
	}
	if c.SPRT != nil {
		sprt := *c.SPRT
		c.SPRT = &sprt
		if sprt.Model == "" {
			c.SPRT.Model = policy.SPRTModel
		}
		if sprt.Alpha == 0 {
			c.SPRT.Alpha = policy.SPRTAlpha
		}
		if sprt.Beta == 0 {
			c.SPRT.Beta = policy.SPRTBeta
		}
	}
	faults := append(commands.ConfigFaults(c.ConfigKey), modelFaults(c.ModelID)...)
	if len(faults) > 0 {
		return c, domain.Faulty("gauntlet.execute", faults)
	}
	probe := c
	probe.InUse, probe.Older = inUse, older // the actual models are looked up later
	faults = probe.started(policy, 1).Validate()
	if c.Games > policy.MaxGames {
		faults = append(faults, domain.Fault{Field: "games", Reason: fmt.Sprintf("want at most %d per opponent, found %d", policy.MaxGames, c.Games)})
	}
	if len(c.Baselines) > policy.MaxOpponents {
		faults = append(faults, domain.Fault{Field: "baselines", Reason: fmt.Sprintf("want at most %d, found %d", policy.MaxOpponents, len(c.Baselines))})
	}
	return c, domain.Faulty("gauntlet.execute", faults)
}

func (c ExecuteGauntlet) started(policy gauntlet.Policy, round int) gauntlet.Started {
	id := gauntlet.IDOf(c.ConfigKey, c.ModelID)
	started := roundOf(gauntlet.Started{
		GauntletID: id, ConfigKey: c.ConfigKey, ModelID: c.ModelID, Opponents: c.opponents(policy), Games: c.Games, SPRT: c.SPRT, Round: round, Players: c.Players,
	}, policy)
	if c.InUse != "" && slices.Contains(started.Opponents, string(c.InUse)) {
		started.InUse = c.InUse
		if len(c.Baselines) == 0 {
			started.InUseGames = wholeRounds(c.ConfigKey, max(c.Games, policy.InUseGames))
		}
	}
	if started.Tested() != "" && started.SPRT == nil {
		sprt := policy.SPRT()
		started.SPRT = &sprt
	}
	return started
}

// opponents returns the requested baselines, with the special names replaced by
// what they stand for, or the default opponents of a model if none were requested.
func (c ExecuteGauntlet) opponents(policy gauntlet.Policy) []string {
	asked := c.Baselines
	if len(asked) == 0 {
		asked = []string{anchors, inUse}
		if policy.Older > 0 {
			asked = append(asked, older)
		}
	}
	var opponents []string
	add := func(names ...string) {
		for _, name := range names {
			if name != "" && name != string(c.ModelID) && !slices.Contains(opponents, name) {
				opponents = append(opponents, name)
			}
		}
	}
	for _, name := range asked {
		switch name {
		case anchors:
			add(policy.Baselines...)
		case inUse:
			add(string(c.InUse))
		case older:
			add(string(c.Older))
		default:
			opponents = append(opponents, name) // a duplicate, or the model itself, is reported as a fault
		}
	}
	return opponents
}

// roundOf fills in what every round has: its first item, its openings, and the
// sizes of its items from the policy at its start.
func roundOf(s gauntlet.Started, policy gauntlet.Policy) gauntlet.Started {
	s.TaskID, s.Seed = gauntlet.RoundTask(s.GauntletID, s.Round), openings(s.GauntletID, s.Round)
	s.Games = wholeRounds(s.ConfigKey, s.Games)
	s.ItemGames, s.OpenItems, s.TestGames = min(wholeRounds(s.ConfigKey, policy.ItemGames), match.MaxGames/12*12), policy.OpenItems, policy.TestGames
	return s
}

// wholeRounds rounds a number of games up so that each opening is played from every
// seat.
func wholeRounds(config domain.ConfigKey, games int) int {
	seats := max(config.Players(), domain.MinPlayers)
	return (games + seats - 1) / seats * seats
}

// QuickEval requests a quick evaluation of a model: a few games per seat, which
// count for its ratings but do not decide a promotion. A request while one is
// running returns that one.
type QuickEval struct {
	ConfigKey    domain.ConfigKey  `json:"config_key"`
	ModelID      domain.ModelID    `json:"model_id"`
	BaselineID   string            `json:"baseline_id,omitempty" doc:"one opponent"`
	Baselines    []string          `json:"baselines,omitempty" doc:"or several; those of the policy when neither is given"`
	GamesPerSide int               `json:"games_per_side,omitempty"`
	Players      []gauntlet.Player `json:"players,omitempty" doc:"built-in players that stand for models"`
}

func (QuickEval) CommandType() string { return "gauntlet.quick_eval" }

func (c QuickEval) Stream() domain.StreamID {
	return gauntlet.QuickGauntletOf(c.ConfigKey, c.ModelID).Stream()
}

func completeQuick(c QuickEval, facts domain.Facts) (QuickEval, error) {
	policy := gauntlet.PolicyOf(facts.Policy)
	faults := append(commands.ConfigFaults(c.ConfigKey), modelFaults(c.ModelID)...)
	if len(faults) > 0 {
		return c, domain.Faulty("gauntlet.quick_eval", faults)
	}
	switch {
	case c.BaselineID != "" && len(c.Baselines) > 0:
		faults = append(faults, domain.Fault{Field: "baseline_id", Reason: "want it or baselines, found both"})
	case c.BaselineID != "":
		c.Baselines = []string{c.BaselineID}
	case len(c.Baselines) == 0:
		c.Baselines = slices.DeleteFunc(slices.Clone(policy.Baselines), func(name string) bool { return name == string(c.ModelID) })
	}
	if c.GamesPerSide == 0 {
		c.GamesPerSide = policy.QuickPerSide
	}
	if most := policy.MaxGames / c.ConfigKey.Players(); c.GamesPerSide < 1 || c.GamesPerSide > most {
		faults = append(faults, domain.Fault{Field: "games_per_side", Reason: fmt.Sprintf("want 1 to %d, found %d", most, c.GamesPerSide)})
	} else {
		faults = append(faults, c.started(policy, 1).Validate()...)
	}
	if len(c.Baselines) > policy.MaxOpponents {
		faults = append(faults, domain.Fault{Field: "baselines", Reason: fmt.Sprintf("want at most %d, found %d", policy.MaxOpponents, len(c.Baselines))})
	}
	return c, domain.Faulty("gauntlet.quick_eval", faults)
}

func (c QuickEval) started(policy gauntlet.Policy, round int) gauntlet.Started {
	return roundOf(gauntlet.Started{
		GauntletID: gauntlet.QuickGauntletOf(c.ConfigKey, c.ModelID), ConfigKey: c.ConfigKey, ModelID: c.ModelID, Opponents: c.Baselines,
		Games: c.GamesPerSide * c.ConfigKey.Players(), Round: round, Quick: true, Players: c.Players,
	}, policy)
}

func quickEval(g gauntlet.Gauntlet, c QuickEval, facts domain.Facts) ([]domain.Event, error) {
	round := 1
	switch {
	case g.Started == nil:
	case g.Finished == nil:
		return nil, nil
	default:
		round = g.Started.Round + 1
	}
	return []domain.Event{c.started(gauntlet.PolicyOf(facts.Policy), round)}, nil
}

// openings returns the seed of a round's openings, at most 53 bits so that it is
// exact in every JSON reader.
func openings(id gauntlet.ID, round int) uint64 {
	sum := domain.DeriveID(fmt.Sprintf("openings/%s/%d", id, round), 1)
	return binary.BigEndian.Uint64(sum[:8]) >> 11
}

func consultGauntlet(v projections.View, c ExecuteGauntlet, facts domain.Facts) (ExecuteGauntlet, error) {
	row, _, err := trainingview.TrainingTable.Get(v, string(c.ConfigKey))
	c.InUse = row.Model
	if back := max(gauntlet.PolicyOf(facts.Policy).Older, 1); len(row.Promoted) > back {
		c.Older = row.Promoted[len(row.Promoted)-1-back]
	}
	return c, err
}

func executeGauntlet(g gauntlet.Gauntlet, c ExecuteGauntlet, facts domain.Facts) ([]domain.Event, error) {
	round := 1
	switch g.State() {
	case "running", "done":
		return nil, nil
	case "failed":
		round = g.Started.Round + 1
	}
	started := c.started(gauntlet.PolicyOf(facts.Policy), round)
	if len(started.Opponents) == 0 {
		return nil, domain.Faulty("gauntlet.execute", started.Validate()) // special names are not replaced yet
	}
	return []domain.Event{started}, nil
}

// Specs returns the specs of the gauntlet commands.
func Specs() []commands.Spec {
	return []commands.Spec{
		commands.HandleAnswer("measure a model", executeGauntlet,
			func(_ gauntlet.Gauntlet, c ExecuteGauntlet, _ []domain.Envelope) Asked {
				return Asked{gauntlet.IDOf(c.ConfigKey, c.ModelID)}
			},
			commands.Normalize(completeGauntlet),
			commands.Consult(func(ExecuteGauntlet) bool { return true }, consultGauntlet)),
		commands.HandleAnswer("take a quick look at a model", quickEval,
			func(_ gauntlet.Gauntlet, c QuickEval, _ []domain.Envelope) Asked {
				return Asked{gauntlet.QuickGauntletOf(c.ConfigKey, c.ModelID)}
			},
			commands.Normalize(completeQuick)),
		commands.Handle("say what an item of a gauntlet brought, and play on or decide", finishPart),
		commands.HandleAnswer("let the games of a worker count no more in a gauntlet that runs", excludeWorker,
			func(_ gauntlet.Gauntlet, c ExcludeWorker, _ []domain.Envelope) Asked { return Asked{c.GauntletID} },
			commands.Normalize(completeExclude)),
		commands.Handle("take over the results of measuring a model", recordEvaluation, commands.Takes(func(e elo.EvaluationCompleted) RecordEvaluation { return RecordEvaluation{e} })),
		commands.Record[rejectEvaluation]("say that measuring a model came to nothing"),
	}
}
