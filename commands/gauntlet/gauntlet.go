package gauntlet

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/ringrift/rift/commands"
	trainingcmd "github.com/ringrift/rift/commands/training"
	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
	"github.com/ringrift/rift/domain/gauntlet"
	"github.com/ringrift/rift/domain/rating"
	"github.com/ringrift/rift/domain/training"
	"github.com/ringrift/rift/projections"
	trainingview "github.com/ringrift/rift/projections/training"
)

// ExecuteGauntlet asks for a model to be measured. A model has one gauntlet per
// game: asking again answers it, and begins another round only of one that failed.
type ExecuteGauntlet struct {
	ConfigKey domain.ConfigKey `json:"config_key"`
	ModelID   domain.ModelID   `json:"model_id"`
	Baselines []string         `json:"baselines,omitempty"` // those of the policy and the model in use when absent
	Games     int              `json:"games,omitempty"`     // per opponent
	SPRT      *gauntlet.SPRT   `json:"sprt,omitempty"`

	InUse domain.ModelID `json:"-"` // looked up before the decision
}

func (ExecuteGauntlet) CommandType() string { return "gauntlet.execute" }

func (c ExecuteGauntlet) Stream() domain.StreamID {
	return gauntlet.IDOf(c.ConfigKey, c.ModelID).Stream()
}

// Asked is the answer to a gauntlet.
type Asked struct {
	GauntletID gauntlet.ID `json:"gauntlet_id"`
}

// modelFaults wants the name of a model that a gauntlet can be named by.
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
	faults := append(commands.ConfigFaults(c.ConfigKey), modelFaults(c.ModelID)...)
	if len(faults) > 0 {
		return c, domain.Faulty("gauntlet.execute", faults)
	}
	started := c.started(policy, 1)
	faults = started.Validate()
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
	started := gauntlet.Started{
		GauntletID: id, ConfigKey: c.ConfigKey, ModelID: c.ModelID, Opponents: c.Baselines, Games: c.Games, SPRT: c.SPRT, Round: round,
		TaskID: roundTask(id, round), Seed: openings(id, round, 1),
	}
	if len(c.Baselines) == 0 {
		for _, baseline := range policy.Baselines {
			if baseline != string(c.ModelID) {
				started.Opponents = append(started.Opponents, baseline)
			}
		}
		if c.InUse != "" && c.InUse != c.ModelID {
			started.Opponents = append(started.Opponents, string(c.InUse))
			started.InUseGames = max(c.Games, policy.InUseGames)
		}
	}
	for _, opponent := range started.Opponents {
		if opponent == string(c.InUse) {
			started.InUse = c.InUse
		}
	}
	return started
}

// QuickEval asks for a quick look at a model: a few games per seat, which count for
// its ratings and decide on no promotion. Asked for while one is under way it
// answers that one.
type QuickEval struct {
	ConfigKey    domain.ConfigKey `json:"config_key"`
	ModelID      domain.ModelID   `json:"model_id"`
	BaselineID   string           `json:"baseline_id,omitempty"` // one opponent
	Baselines    []string         `json:"baselines,omitempty"`   // or several; those of the policy when neither is given
	GamesPerSide int              `json:"games_per_side,omitempty"`
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
		faults = append(faults, c.started(1).Validate()...)
	}
	if len(c.Baselines) > policy.MaxOpponents {
		faults = append(faults, domain.Fault{Field: "baselines", Reason: fmt.Sprintf("want at most %d, found %d", policy.MaxOpponents, len(c.Baselines))})
	}
	return c, domain.Faulty("gauntlet.quick_eval", faults)
}

func (c QuickEval) started(round int) gauntlet.Started {
	id := gauntlet.QuickGauntletOf(c.ConfigKey, c.ModelID)
	return gauntlet.Started{
		GauntletID: id, ConfigKey: c.ConfigKey, ModelID: c.ModelID, Opponents: c.Baselines, Games: c.GamesPerSide * c.ConfigKey.Players(),
		Round: round, TaskID: roundTask(id, round), Seed: openings(id, round, 1), Quick: true,
	}
}

func quickEval(g gauntlet.Gauntlet, c QuickEval, _ domain.Facts) ([]domain.Event, error) {
	switch {
	case g.Started == nil:
		return []domain.Event{c.started(1)}, nil
	case g.Finished == nil:
		return nil, nil
	}
	return []domain.Event{c.started(g.Started.Round + 1)}, nil
}

// roundTask is the first work item of a round.
func roundTask(id gauntlet.ID, round int) domain.TaskID {
	return domain.TaskID(fmt.Sprintf("gauntlet-%s-%d", domain.DeriveID(string(id), 0).String()[:18], round))
}

// openings is the seed of an item's openings: no item plays those of another. It
// stays within what every reader of JSON keeps exactly.
func openings(id gauntlet.ID, round, part int) uint64 {
	sum := domain.DeriveID(fmt.Sprintf("openings/%s/%d", id, round), part)
	return binary.BigEndian.Uint64(sum[:8]) >> 11
}

func consultGauntlet(v projections.View, c ExecuteGauntlet, _ domain.Facts) (ExecuteGauntlet, error) {
	row, _, err := trainingview.TrainingTable.Get(v, string(c.ConfigKey))
	c.InUse = row.Model
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
	return []domain.Event{c.started(gauntlet.PolicyOf(facts.Policy), round)}, nil
}

// finishGauntlet says what an item of a round brought.
type finishGauntlet struct {
	GauntletID gauntlet.ID          `json:"gauntlet_id"`
	TaskID     domain.TaskID        `json:"task_id"`
	NodeID     domain.NodeID        `json:"node_id,omitempty"`
	Results    []elo.OpponentResult `json:"results,omitempty"`
	Failure    string               `json:"failure,omitempty"`
}

func (finishGauntlet) CommandType() string       { return "gauntlet.finish" }
func (c finishGauntlet) Stream() domain.StreamID { return c.GauntletID.Stream() }

// finishPart looks at the test of the candidate against the model in use, or its
// only opponent, after each item: while it is open and games are left, another
// item plays them. Games that broke off are not counted; none at all is a failure,
// and so are games that were all the same.
func finishPart(g gauntlet.Gauntlet, c finishGauntlet, facts domain.Facts) ([]domain.Event, error) {
	if g.Started == nil || g.Finished != nil || g.Item != c.TaskID {
		return nil, nil
	}
	policy := gauntlet.PolicyOf(facts.Policy)
	finished := gauntlet.Finished{
		GauntletID: c.GauntletID, TaskID: g.Started.TaskID, NodeID: c.NodeID, Results: gauntlet.Together(g.Played, c.Results),
		Decision: gauntlet.GauntletMeasured, Reason: c.Failure,
	}
	for _, result := range finished.Results {
		finished.Games += result.Games()
		if result.Monotonous(policy.SameGames) {
			finished.Decision = gauntlet.GauntletFailed
			finished.Reason = fmt.Sprintf("all %d games against %s went the same way: one game was played again and again", result.Games(), result.Opponent)
		}
	}
	if score, played := trainingcmd.Overall(finished.Results); played {
		finished.Score = &score
	}
	switch test, tested := testOf(finished.Results, g.Started, policy); {
	case finished.Decision == gauntlet.GauntletFailed:
	case finished.Games == 0:
		finished.Decision, finished.Reason = gauntlet.GauntletFailed, commands.Or(finished.Reason, "no game came to an end")
	case tested:
		left := g.Started.TestedGames() - test.games
		if test.verdict == rating.Open && left > 0 && c.Failure == "" && playedAgainst(c.Results, g.Started.Tested()) > 0 {
			return []domain.Event{continued(g, c, test.llr, min(left, policy.TestGames))}, nil
		}
		finished.LLR, finished.Elo, finished.Error, finished.Decision = &test.llr, &test.estimate.Elo, &test.estimate.Error, string(test.verdict)
		if left > 0 && test.verdict != rating.Open {
			finished.Reason = commands.Or(finished.Reason, fmt.Sprintf("decided after %d of at most %d games against %s", test.games, g.Started.TestedGames(), g.Started.Tested()))
		}
	}
	return []domain.Event{finished}, nil
}

// sequential is a sequential test after some games.
type sequential struct {
	games    int
	llr      float64
	estimate rating.Estimate
	verdict  rating.Verdict
}

func testOf(results []elo.OpponentResult, started *gauntlet.Started, policy gauntlet.Policy) (sequential, bool) {
	for _, result := range results {
		if started.Tested() == "" || result.Opponent != started.Tested() || result.Games() == 0 {
			continue
		}
		sprt := started.SPRT
		if sprt == nil {
			sprt = &gauntlet.SPRT{Elo0: policy.SPRTElo0, Elo1: policy.SPRTElo1, Alpha: policy.SPRTAlpha, Beta: policy.SPRTBeta}
		}
		cells := result.Distribution()
		test := sequential{games: result.Games(), llr: rating.LLR(cells, sprt.Elo0, sprt.Elo1), estimate: rating.Measure(cells)}
		test.verdict = rating.Wald(sprt.Alpha, sprt.Beta).Judge(test.llr)
		return test, true
	}
	return sequential{}, false
}

func playedAgainst(results []elo.OpponentResult, opponent string) int {
	games := 0
	for _, result := range results {
		if result.Opponent == opponent {
			games += result.Games()
		}
	}
	return games
}

// continued is the next part of a round.
func continued(g gauntlet.Gauntlet, c finishGauntlet, llr float64, games int) gauntlet.Continued {
	round, part := g.Started.Round, g.Parts+1
	return gauntlet.Continued{
		GauntletID: c.GauntletID, After: c.TaskID, Results: c.Results, LLR: llr, Games: games,
		TaskID: domain.TaskID(fmt.Sprintf("%s.%d", roundTask(c.GauntletID, round), part)), Seed: openings(c.GauntletID, round, part),
	}
}

// RecordEvaluation takes over the results of measuring a model.
type RecordEvaluation struct {
	Event elo.EvaluationCompleted `json:"event"`
}

func (RecordEvaluation) CommandType() string       { return "evaluation.record" }
func (c RecordEvaluation) Stream() domain.StreamID { return c.Event.Home() }

// recordEvaluation takes an evaluation once, however often it is told.
func recordEvaluation(m gauntlet.ModelLife, c RecordEvaluation, _ domain.Facts) ([]domain.Event, error) {
	known, err := m.Knows(c.Event)
	if err != nil || known {
		return nil, err
	}
	return []domain.Event{c.Event}, nil
}

// rejectEvaluation says that an item's result is no evaluation.
type rejectEvaluation struct {
	Event elo.EvaluationFailed `json:"event"`
}

func (rejectEvaluation) CommandType() string       { return "evaluation.reject" }
func (c rejectEvaluation) Stream() domain.StreamID { return c.Event.Home() }
func (rejectEvaluation) Expect() domain.Revision   { return domain.AnyRevision }
func (c rejectEvaluation) Facts() []domain.Event   { return []domain.Event{c.Event} }

// Specs is how measurements are run.
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
		commands.Handle("take over the results of measuring a model", recordEvaluation, commands.Takes(func(e elo.EvaluationCompleted) RecordEvaluation { return RecordEvaluation{e} })),
		commands.Record[rejectEvaluation]("say that measuring a model came to nothing"),
	}
}

// gauntletTask is a work item of a gauntlet: its payload says what it plays.
func gauntletTask(part gauntlet.Started, policy gauntlet.Policy) (workcmd.AddTask, error) {
	payload, err := json.Marshal(part)
	if err != nil {
		return workcmd.AddTask{}, domain.Errorf(domain.Internal, "gauntlet item: %w", err)
	}
	priority := policy.Priority
	return workcmd.AddTask{
		TaskID: part.TaskID, TaskType: training.GauntletItem, ConfigKey: string(part.ConfigKey), Priority: &priority, Payload: payload,
		TimeoutSeconds: policy.Timeout(part.ConfigKey), MaxAttempts: policy.MaxAttempts, UniqueKey: "gauntlet/" + string(part.GauntletID),
	}, nil
}

// nextPart is what the item of a continued gauntlet plays.
func nextPart(started gauntlet.Started, e gauntlet.Continued) gauntlet.Started {
	started.TaskID, started.Seed = e.TaskID, e.Seed
	started.Opponents, started.Games, started.InUseGames = []string{started.Tested()}, e.Games, 0
	return started
}
