package training

import (
	"slices"
	"strings"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
	"github.com/ringrift/rift/domain/work"
)

// Training is the state of one game's training, folded from its stream: its
// factors, its blocks, the running training and the model in use.
type Training struct {
	Factors []Factor `json:"factors,omitempty"` // one per cause that has one, in the order of AdjustCauses
	Pace    *Pace    `json:"pace,omitempty"`    // as last published; nil: UsualPace
	Newest  []News   `json:"newest,omitempty"`  // the newest fact that each cause's factor follows from

	Quality    *QualityReading `json:"quality,omitempty"`
	Velocity   *float64        `json:"velocity,omitempty"` // the last reading, Elo per hour
	VelocityAt time.Time       `json:"velocity_at,omitzero"`
	Readings   []float64       `json:"readings,omitempty"` // the last velocities, newest last
	PlateauAt  time.Time       `json:"plateau_at,omitzero"`
	Plateaus   int             `json:"plateaus,omitempty"` // boosts for plateaus since the last improvement
	BoostedAt  time.Time       `json:"boosted_at,omitzero"`
	Boosts     []work.Boost    `json:"boosts,omitempty"` // no boost is both weaker and shorter than another

	Blocks    []Block          `json:"blocks,omitempty"`
	Running   *RunningTraining `json:"running,omitempty"`
	Requested *Request         `json:"requested,omitempty"` // a training that was requested and has not ended
	Finished  []domain.TaskID  `json:"finished,omitempty"`  // the last trainings that ended
	TrainedAt time.Time        `json:"trained_at,omitzero"` // end of the last one that produced a model
	Trainings int              `json:"trainings,omitempty"` // that produced a model
	Failures  int              `json:"failures,omitempty"`  // in a row
	FailedAt  time.Time        `json:"failed_at,omitzero"`

	Games      int64    `json:"games,omitempty"`       // since the last training
	TotalGames int64    `json:"total_games,omitempty"` // ever
	Sources    []string `json:"sources,omitempty"`     // the sources of the last arrivals that were counted

	Model      domain.ModelID   `json:"model,omitempty"` // in use
	PromotedAt time.Time        `json:"promoted_at,omitzero"`
	Promoted   []domain.ModelID `json:"promoted,omitempty"` // the last ones
	Refused    []RefusedPromote `json:"refused,omitempty"`  // the last failures since a promotion, oldest first
	Judged     []string         `json:"judged,omitempty"`   // the last evaluations judged
}

// News is which fact of the stream a cause's factor is computed from.
type News struct {
	Cause    AdjustCause     `json:"cause"`
	Revision domain.Revision `json:"revision"`
}

// Superseded reports whether a newer fact of the same cause followed a fact. The
// factor is then computed from the newer one.
func (t Training) Superseded(cause AdjustCause, fact domain.Revision) bool {
	return slices.ContainsFunc(t.Newest, func(n News) bool { return n.Cause == cause && n.Revision > fact })
}

func (t Training) news(fact domain.Revision, causes ...AdjustCause) []News {
	newest := slices.DeleteFunc(slices.Clone(t.Newest), func(n News) bool { return slices.Contains(causes, n.Cause) })
	for _, cause := range causes {
		newest = append(newest, News{cause, fact})
	}
	return newest
}

// causesOf lists the causes whose factor is computed from a type of fact.
func causesOf(event domain.Event) []AdjustCause {
	switch event.(type) {
	case QualityDegraded, QualityRecovered:
		return []AdjustCause{CauseQuality}
	case ExplorationBoost:
		return []AdjustCause{CauseExploration}
	case PromotionFailed:
		return []AdjustCause{CausePromotion}
	case ModelPromoted:
		return []AdjustCause{CausePromotion, CauseExploration}
	case Started, Completed, Failed:
		return []AdjustCause{CauseTraining}
	}
	return nil
}

// QualityReading is the last known quality of a game's data.
type QualityReading struct {
	Score     float64   `json:"score" doc:"0 to 1"`
	Threshold float64   `json:"threshold,omitempty" doc:"what it should reach; absent: it is good"`
	At        time.Time `json:"at"`
}

// Block keeps a game from being trained. Each reason has one, and lifting one never
// lifts another.
type Block struct {
	Reason string    `json:"reason"`
	Since  time.Time `json:"since"`
	Until  time.Time `json:"until,omitzero" doc:"absent: until it is lifted"`
	Detail string    `json:"detail,omitempty"`
}

// RunningTraining is a training in progress.
type RunningTraining struct {
	TaskID domain.TaskID `json:"task_id"`
	NodeID domain.NodeID `json:"node_id"`
	Since  time.Time     `json:"since"`
	Games  int64         `json:"games" doc:"that had arrived when it began"`
}

// Request is a requested training.
type Request struct {
	TaskID domain.TaskID `json:"task_id"`
	Since  time.Time     `json:"since"`
}

// RefusedPromote is a candidate that did not replace the model in use.
type RefusedPromote struct {
	ModelID domain.ModelID `json:"model_id"`
	At      time.Time      `json:"at"`
}

// Limits of what a state remembers. Each is far above what can be in use.
const (
	keptReadings = 16
	keptBoosts   = 8
	keptFinished = 64
	keptSources  = 256
	keptModels   = 64
)

// Factor returns the factor of a cause.
func (t Training) Factor(cause AdjustCause) (Factor, bool) {
	for _, f := range t.Factors {
		if f.Cause == cause {
			return f, true
		}
	}
	return Factor{}, false
}

// Boost returns the strongest boost in effect at a time.
func (t Training) Boost(now time.Time) (work.Boost, bool) {
	var best work.Boost
	for _, boost := range t.Boosts {
		if now.Before(boost.Until) && (boost.Factor > best.Factor || boost.Factor == best.Factor && boost.Until.After(best.Until)) {
			best = boost
		}
	}
	return best, best.Factor > 0
}

// Blocked lists the blocks in effect at a time.
func (t Training) Blocked(now time.Time) []Block {
	var live []Block
	for _, block := range t.Blocks {
		if block.Until.IsZero() || now.Before(block.Until) {
			live = append(live, block)
		}
	}
	return live
}

// RetryAt returns when a training may be requested again after failures; zero for
// at once.
func (t Training) RetryAt(p Policy) time.Time {
	if t.Failures == 0 {
		return time.Time{}
	}
	wait, most := p.FailureWaitSeconds.Duration(), p.FailureCapSeconds.Duration()
	for range t.Failures - 1 {
		if wait *= 2; wait >= most {
			break
		}
	}
	return domain.Instant(t.FailedAt.Add(min(wait, most)))
}

// Standstills counts how many of the newest velocity readings in a row are below a
// limit.
func (t Training) Standstills(below float64) int {
	count := 0
	for _, velocity := range slices.Backward(t.Readings) {
		if velocity >= below {
			break
		}
		count++
	}
	return count
}

// Evolve applies a fact of the game's training stream. It copies floats and never
// computes any, so that read models may use it. Invariants: one training runs at a
// time; a cause has one factor; a block is lifted by its own reason only.
func (t Training) Evolve(fact domain.Envelope) Training {
	if causes := causesOf(fact.Event); causes != nil {
		t.Newest = t.news(fact.Revision, causes...)
	}
	switch e := fact.Event.(type) {
	case QualityDegraded:
		t.Quality = &QualityReading{e.QualityScore, e.Threshold, fact.Time}
	case QualityRecovered:
		t.Quality = &QualityReading{Score: e.QualityScore, At: fact.Time}
	case elo.VelocityChanged:
		t.Velocity, t.VelocityAt = &e.Velocity, fact.Time
		t.Readings = remember(t.Readings, e.Velocity, keptReadings)
	case PlateauDetected:
		t.PlateauAt = fact.Time
	case ExplorationBoost:
		t = t.boosted(e, fact.Time)
	case SelfplayFactorSet:
		t.Factors = t.withFactor(e)
		if e.Cause == CauseExploration {
			t.Boosts = slices.DeleteFunc(slices.Clone(t.Boosts), func(b work.Boost) bool { return !fact.Time.Before(b.Until) })
		}
	case SelfplayAdjusted:
		pace := Pace{Rate: e.Rate, Budget: e.SearchBudget, Exploration: 1, Priority: 1}
		if e.Exploration != nil {
			pace.Exploration = *e.Exploration
		}
		if e.Priority != nil {
			pace.Priority = *e.Priority
		}
		t.Pace = &pace
	default:
		return t.evolveTraining(fact).evolvePromotion(fact)
	}
	return t
}

// boosted adds a boost, and drops those that are both weaker and shorter.
func (t Training) boosted(e ExplorationBoost, at time.Time) Training {
	boost := work.Boost{Factor: e.BoostFactor, Until: domain.Instant(at.Add(e.DurationSeconds.Duration())), Reason: e.Reason, Temperature: e.Temperature, GamesFactor: e.GamesFactor}
	outdone := func(a, b work.Boost) bool { return b.Factor >= a.Factor && !b.Until.Before(a.Until) }
	kept := slices.DeleteFunc(slices.Clone(t.Boosts), func(old work.Boost) bool { return outdone(old, boost) || !at.Before(old.Until) })
	if !slices.ContainsFunc(kept, func(old work.Boost) bool { return outdone(boost, old) }) {
		kept = remember(kept, boost, keptBoosts)
	}
	t.Boosts = kept
	if strings.HasPrefix(e.Reason, PlateauReason) {
		t.Plateaus++
		t.BoostedAt = at
	}
	return t
}

// PlateauReason is the prefix of the reason of boosts for plateaus.
const PlateauReason = "plateau"

func (t Training) withFactor(e SelfplayFactorSet) []Factor {
	var factors []Factor
	for _, cause := range AdjustCauses {
		if cause == e.Cause {
			if e.Factor != nil {
				factors = append(factors, Factor{e.Cause, *e.Factor, e.Until, e.SearchBudget})
			}
		} else if held, ok := t.Factor(cause); ok {
			factors = append(factors, held)
		}
	}
	return factors
}

// remember appends to a copy of a list and keeps the newest most elements.
func remember[T any](list []T, v T, most int) []T {
	list = append(slices.Clip(list), v)
	return list[max(len(list)-most, 0):]
}
