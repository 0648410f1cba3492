package cmaesrun

import (
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/cmaes"
)

// Policy holds the limits of searches and the settings of their items.
type Policy struct {
	MaxRunning     int            `json:"max_running" doc:"searches at once"`
	MaxVariables   int            `json:"max_variables" doc:"of a search: every generation's event holds a matrix of them"`
	MaxPopulation  int            `json:"max_population" doc:"candidates of a generation, after restarts and noise too"`
	TaskType       string         `json:"task_type" doc:"default of a candidate's item"`
	Priority       int            `json:"priority" doc:"of a candidate's item, 0 to 100"`
	MaxAttempts    int            `json:"max_attempts" doc:"of a candidate's item"`
	TimeoutSeconds domain.Seconds `json:"timeout_seconds" doc:"bound on one attempt at a candidate"`
	Games          int            `json:"games" doc:"default games of a candidate against each baseline"`
}

// maxTimeout is the queue's longest time-out: 30 days.
const maxTimeout domain.Seconds = 30 * 24 * 3600

// DefaultPolicy returns the section with its default values.
func DefaultPolicy() Policy {
	return Policy{MaxRunning: 16, MaxVariables: 200, MaxPopulation: 1024, TaskType: "cmaes", Priority: 60, MaxAttempts: 2, TimeoutSeconds: 1800, Games: 20}
}

func (Policy) SectionName() string { return "cmaes" }

func (Policy) About() string { return "the bounds of searches by CMA-ES, and their items" }

func (Policy) Default() domain.Section { return DefaultPolicy() }

// Faults returns a fault for every unusable setting.
func (p Policy) Faults() []domain.Fault {
	var c domain.PolicyChecks
	within := func(field string, value, low, high int) {
		if value < low || value > high {
			c.Fault("cmaes."+field, "want %d to %d, found %d", low, high, value)
		}
	}
	within("max_running", p.MaxRunning, 1, 1000)
	within("max_variables", p.MaxVariables, 1, cmaes.MaxDimension)
	within("max_population", p.MaxPopulation, 4, 2048)
	within("priority", p.Priority, 0, 100)
	within("max_attempts", p.MaxAttempts, 1, 1000)
	within("games", p.Games, 1, MaxGames)
	if !(p.TimeoutSeconds > 0 && p.TimeoutSeconds <= maxTimeout) {
		c.Fault("cmaes.timeout_seconds", "want more than 0 and at most %v, found %v", float64(maxTimeout), float64(p.TimeoutSeconds))
	}
	if err := domain.CheckName(p.TaskType); err != nil {
		c.Fault("cmaes.task_type", "%s", err)
	}
	return c
}

// PolicyOf returns the section of a document.
func PolicyOf(p domain.Policy) Policy { return domain.SectionOf[Policy](p) }
