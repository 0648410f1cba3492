package training

import (
	"fmt"
	"math"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
)

// PopulatorPolicy holds the settings of the selfplay items that rift adds by
// itself. Trainings and evaluations are not included: they are requested by new
// data and models, one at a time.
type PopulatorPolicy struct {
	Configs        []domain.ConfigKey `json:"configs" doc:"kept at work; none: rift makes up no work"`
	Depth          int                `json:"depth" doc:"selfplay items of a config that wait, at the usual rate"`
	SoftDepth      int                `json:"soft_depth" doc:"the same while the queue is long"`
	Cap            int                `json:"cap" doc:"selfplay items that wait, of all configs"`
	Batch          int                `json:"batch" doc:"most items made up in one tick"`
	Games          int                `json:"games" doc:"of an item, usually"`
	Priority       int                `json:"priority" doc:"of an item at the usual priority, 0 to 100"`
	TimeoutSeconds domain.Seconds     `json:"timeout_seconds" doc:"bound on one attempt"`
	MaxAttempts    int                `json:"max_attempts" doc:"before an item is given up"`
}

// DefaultPopulatorPolicy returns the section with its default values.
func DefaultPopulatorPolicy() PopulatorPolicy {
	return PopulatorPolicy{
		Configs: []domain.ConfigKey{}, Depth: 8, SoftDepth: 1, Cap: 100, Batch: 100,
		Games: 50, Priority: 75, TimeoutSeconds: 3600, MaxAttempts: 3,
	}
}

func (PopulatorPolicy) SectionName() string { return "populator" }

func (PopulatorPolicy) About() string {
	return "the numbers of the selfplay that rift makes up by itself"
}

func (PopulatorPolicy) Default() domain.Section { return DefaultPopulatorPolicy() }

// Faults returns a fault for every unusable setting.
func (p PopulatorPolicy) Faults() []domain.Fault {
	var c domain.PolicyChecks
	for i, config := range p.Configs {
		if _, err := domain.ParseConfigKey(string(config)); err != nil {
			c.Fault(fmt.Sprintf("populator.configs[%d]", i), "%s", err)
		}
	}
	c.Positive("populator.depth", float64(p.Depth))
	c.Positive("populator.cap", float64(p.Cap))
	c.Positive("populator.batch", float64(p.Batch))
	c.Positive("populator.games", float64(p.Games))
	c.Positive("populator.timeout_seconds", float64(p.TimeoutSeconds))
	c.Positive("populator.max_attempts", float64(p.MaxAttempts))
	if p.SoftDepth < 0 || p.SoftDepth > p.Depth {
		c.Fault("populator.soft_depth", "want 0 to depth %d, found %d", p.Depth, p.SoftDepth)
	}
	if p.Priority < 0 || p.Priority > 100 {
		c.Fault("populator.priority", "want 0 to 100, found %d", p.Priority)
	}
	return c
}

// PopulatorPolicyOf returns the section of a document.
func PopulatorPolicyOf(p domain.Policy) PopulatorPolicy { return domain.SectionOf[PopulatorPolicy](p) }

// Target returns how many selfplay items of a config should wait at a pace.
func (p PopulatorPolicy) Target(pace Pace) int { return int(math.Ceil(float64(p.Depth) * pace.Rate)) }

// Item returns the payload and the priority of a selfplay item at a pace and under
// a boost.
func (p PopulatorPolicy) Item(config domain.ConfigKey, pace Pace, boost work.Boost) (SelfplayWish, int) {
	wish := SelfplayWish{ConfigKey: config, Games: p.Games, SearchBudget: pace.Budget}
	if boost.GamesFactor != nil {
		wish.Games = int(math.Ceil(float64(p.Games) * *boost.GamesFactor))
	}
	return wish, int(min(max(math.Round(float64(p.Priority)*pace.Priority), 1), 100))
}

// SelfplayWish is the payload of a selfplay item. The exploration is added when the
// item is claimed, because a boost may have ended by then.
type SelfplayWish struct {
	ConfigKey    domain.ConfigKey `json:"config_key"`
	Games        int              `json:"games"`
	SearchBudget int              `json:"search_budget"` // simulations per move
}
