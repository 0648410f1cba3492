package training

import (
	"fmt"
	"slices"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/admin"
	"github.com/ringrift/rift/domain/elo"
	"github.com/ringrift/rift/domain/training"
	"github.com/ringrift/rift/projections"
	trainingview "github.com/ringrift/rift/projections/training"
)

// trainingDecision collects the events of one decision on a game's training, and
// the state after each.
type trainingDecision struct {
	config domain.ConfigKey
	state  training.Training
	facts  domain.Facts
	events []domain.Event
}

func decideTraining(t training.Training, config domain.ConfigKey, facts domain.Facts) *trainingDecision {
	return &trainingDecision{config: config, state: t, facts: facts}
}

func (d *trainingDecision) add(event domain.Event) {
	d.events = append(d.events, event)
	d.state = d.state.Evolve(domain.Envelope{Type: event.EventType(), Time: domain.Instant(d.facts.Now), Event: event})
}

// refactor sets a cause's factor to its current value, and publishes the pace if it
// changed.
func (d *trainingDecision) refactor(cause training.AdjustCause, news training.Reading) {
	policy, now := training.PolicyOf(d.facts.Policy), domain.Instant(d.facts.Now)
	held, holds := d.state.Factor(cause)
	wanted, reason, want := d.state.WantedFactor(cause, news, policy, now)
	if news.Trend == "" && (!want && !holds || want && holds && sameFactor(wanted, held)) {
		return // a velocity reading is recorded even so: a repetition after a crash must find it
	}
	set := training.SelfplayFactorSet{ConfigKey: d.config, Cause: cause, Reason: reason}
	if want {
		set.Factor, set.Until, set.SearchBudget = &wanted.Factor, wanted.Until, wanted.SearchBudget
	} else if holds && !held.Until.IsZero() && !now.Before(held.Until) {
		set.Reason = "its time is over"
	}
	d.add(set)
	before := training.UsualPace(policy)
	if d.state.Pace != nil {
		before = *d.state.Pace
	}
	after := training.PaceOf(d.state.Factors, policy)
	if !after.Moved(before, policy.PublishChange) {
		return
	}
	d.add(training.SelfplayAdjusted{
		ConfigKey: d.config, Cause: cause, Factor: set.Factor, Until: set.Until,
		Rate: after.Rate, PreviousRate: &before.Rate, SearchBudget: after.Budget,
		Exploration: &after.Exploration, Priority: &after.Priority,
		Factors: append([]training.Factor{}, d.state.Factors...),
	})
}

func sameFactor(a, b training.Factor) bool {
	return a.Factor == b.Factor && a.SearchBudget == b.SearchBudget && a.Until.Equal(b.Until)
}

// AdjustTraining recomputes the factor of one cause from the game's history and,
// where needed, from the reading. It is idempotent except for velocity, where each
// reading changes the factor once.
type AdjustTraining struct {
	ConfigKey domain.ConfigKey     `json:"config_key"`
	Cause     training.AdjustCause `json:"cause"`
	Fact      *domain.Revision     `json:"fact,omitempty"` // revision of the fact it follows from; a newer fact of the cause supersedes it
	training.Reading
}

func (AdjustTraining) CommandType() string       { return "training.adjust" }
func (c AdjustTraining) Stream() domain.StreamID { return c.ConfigKey.TrainingStream() }

func adjustTraining(t training.Training, c AdjustTraining, facts domain.Facts) ([]domain.Event, error) {
	if c.Fact != nil && t.Superseded(c.Cause, *c.Fact) {
		return nil, nil
	}
	d := decideTraining(t, c.ConfigKey, facts)
	if c.Cause == training.CauseQuality {
		d.judgeQuality()
	}
	d.refactor(c.Cause, c.Reading)
	if c.Cause == training.CauseVelocity && c.Trend != "" {
		d.judgePlateau()
	}
	return d.events, nil
}

// qualityBlock is the reason of a block because of bad data.
const qualityBlock = "quality"

// judgeQuality blocks training on bad data and unblocks it on good data. In
// between, the current state is kept. A missing score blocks nothing.
func (d *trainingDecision) judgeQuality() {
	reading, policy := d.state.Quality, training.PolicyOf(d.facts.Policy)
	if reading == nil {
		return
	}
	blocked := slices.ContainsFunc(d.state.Blocks, func(b training.Block) bool { return b.Reason == qualityBlock })
	switch {
	case !blocked && reading.Score < policy.QualityBlockBelow:
		score := reading.Score
		d.add(training.Blocked{
			ConfigKey: d.config, Reason: qualityBlock, QualityScore: &score,
			Detail: fmt.Sprintf("quality %v is below %v; a score of at least %v lifts this", score, policy.QualityBlockBelow, policy.QualityUnblockFrom),
		})
	case blocked && reading.Score >= policy.QualityUnblockFrom:
		d.add(training.Unblocked{ConfigKey: d.config, Reason: qualityBlock, Detail: fmt.Sprintf("quality %v was seen", reading.Score)})
	}
}

// judgePlateau declares a plateau after enough readings in a row without progress,
// but not before the cooldown is over.
func (d *trainingDecision) judgePlateau() {
	policy := training.PolicyOf(d.facts.Policy)
	if d.state.Standstills(policy.PlateauVelocity) < policy.PlateauReadings {
		return
	}
	if at := d.state.PlateauAt; !at.IsZero() && d.facts.Now.Before(at.Add(policy.PlateauCooldownSeconds.Duration())) {
		return
	}
	d.add(training.PlateauDetected{ConfigKey: d.config, PlateauType: training.PlateauStalled, Consecutive: d.state.Plateaus + 1})
}

// boostExploration boosts exploration after a plateau.
type boostExploration struct {
	ConfigKey   domain.ConfigKey     `json:"config_key"`
	PlateauType training.PlateauType `json:"plateau_type,omitempty"`
	Consecutive int                  `json:"consecutive,omitempty"` // 0: the caller did not count
	SeenAt      time.Time            `json:"seen_at"`
}

func (boostExploration) CommandType() string       { return "training.boost_exploration" }
func (c boostExploration) Stream() domain.StreamID { return c.ConfigKey.TrainingStream() }

// boostTraining boosts once per cooldown, so that two detectors of the same plateau
// cause one boost, in whatever order their commands run.
func boostTraining(t training.Training, c boostExploration, facts domain.Facts) ([]domain.Event, error) {
	policy := training.PolicyOf(facts.Policy)
	if !t.BoostedAt.IsZero() && c.SeenAt.Before(t.BoostedAt.Add(policy.PlateauCooldownSeconds.Duration())) {
		return nil, nil
	}
	return []domain.Event{training.PlateauBoost(c.ConfigKey, c.PlateauType, max(c.Consecutive, t.Plateaus+1), policy)}, nil
}

// adjustReactors returns the reactors that change factors.
func adjustReactors() []projections.Reactor {
	adjust := []string{"training.adjust"}
	return []projections.Reactor{
		projections.When("quality_degraded", "fewer games that search deeper; blocks training on bad data", adjust,
			func(_ projections.View, envelope domain.Envelope, e training.QualityDegraded) ([]domain.Command, error) {
				return []domain.Command{AdjustTraining{ConfigKey: e.ConfigKey, Cause: training.CauseQuality, Fact: &envelope.Revision}}, nil
			}),
		projections.When("quality_recovered", "lifts what bad data led to", adjust,
			func(_ projections.View, envelope domain.Envelope, e training.QualityRecovered) ([]domain.Command, error) {
				return []domain.Command{AdjustTraining{ConfigKey: e.ConfigKey, Cause: training.CauseQuality, Fact: &envelope.Revision}}, nil
			}),
		projections.When("elo_velocity_changed", "moves the training rate; calls standstills in a row a plateau", adjust,
			func(_ projections.View, _ domain.Envelope, e elo.VelocityChanged) ([]domain.Command, error) {
				return []domain.Command{AdjustTraining{ConfigKey: e.ConfigKey, Cause: training.CauseVelocity, Reading: training.Reading{Trend: e.Trend}}}, nil
			}),
		projections.When("plateau_detected", "boosts exploration, once per cooldown", []string{"training.boost_exploration"},
			func(_ projections.View, envelope domain.Envelope, e training.PlateauDetected) ([]domain.Command, error) {
				return []domain.Command{boostExploration{e.ConfigKey, e.PlateauType, e.Consecutive, envelope.Time}}, nil
			}),
		projections.When("exploration_boost", "applies the strongest live boost", adjust,
			func(_ projections.View, envelope domain.Envelope, e training.ExplorationBoost) ([]domain.Command, error) {
				return []domain.Command{AdjustTraining{ConfigKey: e.ConfigKey, Cause: training.CauseExploration, Fact: &envelope.Revision}}, nil
			}),
		projections.When("promotion_failed", "lowers the priority, more with every model that failed", adjust,
			func(_ projections.View, envelope domain.Envelope, e training.PromotionFailed) ([]domain.Command, error) {
				return []domain.Command{AdjustTraining{ConfigKey: e.ConfigKey, Cause: training.CausePromotion, Fact: &envelope.Revision}}, nil
			}),
		projections.When("model_promoted", "forgets failures and ends boosts", adjust,
			func(_ projections.View, envelope domain.Envelope, e training.ModelPromoted) ([]domain.Command, error) {
				return []domain.Command{
					AdjustTraining{ConfigKey: e.ConfigKey, Cause: training.CausePromotion, Fact: &envelope.Revision},
					AdjustTraining{ConfigKey: e.ConfigKey, Cause: training.CauseExploration, Fact: &envelope.Revision},
				}, nil
			}),
		projections.When("cluster_unhealthy_pace", "selfplay of every game slows to the share of healthy nodes", adjust,
			func(v projections.View, _ domain.Envelope, e admin.ClusterUnhealthy) ([]domain.Command, error) {
				return adjustAll(v, training.CauseCluster, training.Reading{HealthyNodes: &e.HealthyNodes, NodeCount: e.NodeCount})
			}),
		projections.When("cluster_healthy_pace", "ends what an unhealthy cluster led to, and only that", adjust,
			func(v projections.View, _ domain.Envelope, _ admin.ClusterHealthy) ([]domain.Command, error) {
				return adjustAll(v, training.CauseCluster, training.Reading{})
			}),
	}
}

// adjustAll returns the commands to recompute a cause for every game with a
// training.
func adjustAll(v projections.View, cause training.AdjustCause, news training.Reading) ([]domain.Command, error) {
	var commands []domain.Command
	for entry, err := range trainingview.TrainingTable.Scan(v, projections.Span{}) {
		if err != nil {
			return nil, err
		}
		commands = append(commands, AdjustTraining{ConfigKey: entry.Row.ConfigKey, Cause: cause, Reading: news})
	}
	return commands, nil
}
