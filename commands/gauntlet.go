package commands

import (
	"encoding/json"
	"fmt"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/rating"
	"github.com/ringrift/rift/projections"
)

// ExecuteGauntlet asks for a model to be measured. A model has one gauntlet per
// game: asking again answers it, and begins another round only of one that failed.
type ExecuteGauntlet struct {
	ConfigKey domain.ConfigKey `json:"config_key"`
	ModelID   domain.ModelID   `json:"model_id"`
	Baselines []string         `json:"baselines,omitempty"` // those of the policy and the model in use when absent
	Games     int              `json:"games,omitempty"`     // per opponent
	SPRT      *domain.SPRT     `json:"sprt,omitempty"`

	InUse domain.ModelID `json:"-"` // looked up before the decision
}

// CommandType is gauntlet.execute.
func (ExecuteGauntlet) CommandType() string { return "gauntlet.execute" }

// Stream is the gauntlet's.
func (c ExecuteGauntlet) Stream() domain.StreamID {
	return domain.GauntletOf(c.ConfigKey, c.ModelID).Stream()
}

// GauntletAsked is the answer to a gauntlet.
type GauntletAsked struct {
	GauntletID domain.GauntletID `json:"gauntlet_id"`
}

func completeGauntlet(c ExecuteGauntlet, facts domain.Facts) (ExecuteGauntlet, error) {
	policy := facts.Policy.Gauntlet
	if c.Games == 0 {
		c.Games = policy.Games
	}
	faults := append(configFaults(c.ConfigKey), nameFaults("model_id", string(c.ModelID))...)
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

func (c ExecuteGauntlet) started(policy domain.GauntletPolicy, round int) domain.GauntletStarted {
	id := domain.GauntletOf(c.ConfigKey, c.ModelID)
	started := domain.GauntletStarted{
		GauntletID: id, ConfigKey: c.ConfigKey, ModelID: c.ModelID, Opponents: c.Baselines, Games: c.Games, SPRT: c.SPRT, Round: round,
		TaskID: domain.TaskID(fmt.Sprintf("gauntlet-%s-%d", domain.DeriveID(string(id), 0).String()[:18], round)),
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

func consultGauntlet(desk Desk, c ExecuteGauntlet, _ domain.Facts) (ExecuteGauntlet, error) {
	row, _, err := projections.TrainingTable.Get(desk, string(c.ConfigKey))
	c.InUse = row.Model
	return c, err
}

func executeGauntlet(g domain.Gauntlet, c ExecuteGauntlet, facts domain.Facts) ([]domain.Event, error) {
	round := 1
	switch g.State() {
	case "running", "done":
		return nil, nil
	case "failed":
		round = g.Started.Round + 1
	}
	return []domain.Event{c.started(facts.Policy.Gauntlet, round)}, nil
}

// finishGauntlet says what became of a round.
type finishGauntlet struct {
	GauntletID domain.GauntletID       `json:"gauntlet_id"`
	TaskID     domain.TaskID           `json:"task_id"`
	Results    []domain.OpponentResult `json:"results,omitempty"`
	Failure    string                  `json:"failure,omitempty"`
}

func (finishGauntlet) CommandType() string       { return "gauntlet.finish" }
func (c finishGauntlet) Stream() domain.StreamID { return c.GauntletID.Stream() }

// finishRound tests the candidate against the model in use, or its only
// opponent. Games that broke off are not counted; none at all is a failure.
func finishRound(g domain.Gauntlet, c finishGauntlet, facts domain.Facts) ([]domain.Event, error) {
	if g.Started == nil || g.Finished != nil || g.Started.TaskID != c.TaskID {
		return nil, nil
	}
	finished := domain.GauntletFinished{GauntletID: c.GauntletID, TaskID: c.TaskID, Results: c.Results, Decision: domain.GauntletMeasured, Reason: c.Failure}
	test := string(g.Started.InUse)
	if test == "" && len(g.Started.Opponents) == 1 {
		test = g.Started.Opponents[0]
	}
	for _, result := range c.Results {
		finished.Games += result.Games()
		if result.Opponent != test || result.Games() == 0 {
			continue
		}
		sprt, policy := g.Started.SPRT, facts.Policy.Gauntlet
		if sprt == nil {
			sprt = &domain.SPRT{Elo0: policy.SPRTElo0, Elo1: policy.SPRTElo1, Alpha: policy.SPRTAlpha, Beta: policy.SPRTBeta}
		}
		cells := result.Distribution()
		llr, estimate := rating.LLR(cells, sprt.Elo0, sprt.Elo1), rating.Measure(cells)
		finished.LLR, finished.Elo, finished.Error = &llr, &estimate.Elo, &estimate.Error
		finished.Decision = string(rating.Wald(sprt.Alpha, sprt.Beta).Judge(llr))
	}
	if finished.Games == 0 {
		finished.Decision = domain.GauntletFailed
		finished.Reason = or(finished.Reason, "no game came to an end")
	}
	return []domain.Event{finished}, nil
}

// RecordEvaluation takes over the results of measuring a model.
type RecordEvaluation struct {
	Event domain.EvaluationCompleted `json:"event"`
}

// CommandType is evaluation.record.
func (RecordEvaluation) CommandType() string { return "evaluation.record" }

// Stream is the model's.
func (c RecordEvaluation) Stream() domain.StreamID { return c.Event.Home() }

// recordEvaluation takes an evaluation once, however often it is told.
func recordEvaluation(m domain.ModelLife, c RecordEvaluation, _ domain.Facts) ([]domain.Event, error) {
	known, err := m.Knows(c.Event)
	if err != nil || known {
		return nil, err
	}
	return []domain.Event{c.Event}, nil
}

// rejectEvaluation says that an item's result is no evaluation.
type rejectEvaluation struct {
	Event domain.EvaluationFailed `json:"event"`
}

func (rejectEvaluation) CommandType() string       { return "evaluation.reject" }
func (c rejectEvaluation) Stream() domain.StreamID { return c.Event.Home() }
func (rejectEvaluation) Expect() domain.Revision   { return domain.AnyRevision }
func (c rejectEvaluation) Facts() []domain.Event   { return []domain.Event{c.Event} }

// Gauntlet is how measurements are run.
func Gauntlet() []Spec {
	return []Spec{
		HandleAnswer("measure a model", executeGauntlet,
			func(_ domain.Gauntlet, c ExecuteGauntlet, _ []domain.Envelope) GauntletAsked {
				return GauntletAsked{domain.GauntletOf(c.ConfigKey, c.ModelID)}
			},
			Normalize(completeGauntlet),
			Consult(func(ExecuteGauntlet) bool { return true }, consultGauntlet)),
		Handle("say what became of a gauntlet's games", finishRound),
		Handle("take over the results of measuring a model", recordEvaluation),
		Record[rejectEvaluation]("say that measuring a model came to nothing"),
	}
}

// gauntletTask is the one work item of a gauntlet's round.
func gauntletTask(started domain.GauntletStarted, policy domain.GauntletPolicy) (AddTask, error) {
	payload, err := json.Marshal(started)
	if err != nil {
		return AddTask{}, domain.Errorf(domain.Internal, "gauntlet item: %w", err)
	}
	priority := policy.Priority
	return AddTask{
		TaskID: started.TaskID, TaskType: gauntletItem, ConfigKey: string(started.ConfigKey), Priority: &priority, Payload: payload,
		TimeoutSeconds: policy.Timeout(started.ConfigKey), MaxAttempts: policy.MaxAttempts, UniqueKey: "gauntlet/" + string(started.GauntletID),
	}, nil
}

// GauntletReactors is how measurements follow trainings and their work items.
func GauntletReactors() []projections.Reactor {
	return []projections.Reactor{
		projections.When("training_completed", "measures the model, once; a training without one is not measured", []string{"gauntlet.execute"},
			func(_ projections.View, _ domain.Envelope, e domain.TrainingCompleted) ([]domain.Command, error) {
				if !e.Success || e.ModelID == "" {
					return nil, nil
				}
				return []domain.Command{ExecuteGauntlet{ConfigKey: e.ConfigKey, ModelID: e.ModelID}}, nil
			}),
		projections.When("gauntlet_started", "queues the work item", []string{"work.add"},
			func(v projections.View, _ domain.Envelope, e domain.GauntletStarted) ([]domain.Command, error) {
				policy, _, err := projections.PolicyInForce(v)
				if err != nil {
					return nil, err
				}
				item, err := gauntletTask(e, policy.Gauntlet)
				return []domain.Command{item}, err
			}),
		projections.When("evaluation_item_completed", "emits the results of a gauntlet's or an evaluation's item, once",
			[]string{"evaluation.record", "evaluation.reject", "gauntlet.finish"}, reactMeasured),
		projections.When("evaluation_item_dead", "the gauntlet came to nothing", []string{"evaluation.reject", "gauntlet.finish"},
			func(v projections.View, _ domain.Envelope, e domain.TaskDead) ([]domain.Command, error) {
				return measuredNothing(v, e.TaskID, "", e.Reason)
			}),
		projections.When("evaluation_item_cancelled", "the gauntlet came to nothing", []string{"evaluation.reject", "gauntlet.finish"},
			func(v projections.View, _ domain.Envelope, e domain.TaskCancelled) ([]domain.Command, error) {
				return measuredNothing(v, e.TaskID, e.NodeID, "cancelled: "+or(e.Reason, "no reason given"))
			}),
	}
}

// reactMeasured reads what the worker of an evaluation brought. The item knows
// its model; a worker of an item that does not must name it.
func reactMeasured(v projections.View, _ domain.Envelope, done domain.TaskCompleted) ([]domain.Command, error) {
	_, config, ours, err := gameOf(v, done.TaskID, evaluationItem, gauntletItem)
	if err != nil || !ours {
		return nil, err
	}
	gauntlet, _, err := projections.GauntletByTask(v, done.TaskID)
	if err != nil {
		return nil, err
	}
	known := domain.Known("config_key", string(config), "task_id", string(done.TaskID), "node_id", string(done.NodeID), "model_id", string(gauntlet.ModelID))
	event, err := domain.CompletionOf("EVALUATION_COMPLETED", done.Result, known)
	measured, ok := event.(domain.EvaluationCompleted)
	if err != nil || !ok {
		return measuredNothing(v, done.TaskID, done.NodeID, fmt.Sprintf("the item's result is no evaluation: %v", err))
	}
	commands := []domain.Command{RecordEvaluation{measured}}
	if gauntlet.GauntletID != "" {
		commands = append(commands, finishGauntlet{GauntletID: gauntlet.GauntletID, TaskID: done.TaskID, Results: measured.Results})
	}
	return commands, nil
}

func measuredNothing(v projections.View, task domain.TaskID, node domain.NodeID, reason string) ([]domain.Command, error) {
	_, config, ours, err := gameOf(v, task, evaluationItem, gauntletItem)
	if err != nil || !ours {
		return nil, err
	}
	gauntlet, _, err := projections.GauntletByTask(v, task)
	if err != nil {
		return nil, err
	}
	commands := []domain.Command{rejectEvaluation{domain.EvaluationFailed{ConfigKey: config, ModelID: gauntlet.ModelID, TaskID: task, NodeID: node, Error: reason}}}
	if gauntlet.GauntletID != "" {
		commands = append(commands, finishGauntlet{GauntletID: gauntlet.GauntletID, TaskID: task, Failure: reason})
	}
	return commands, nil
}
