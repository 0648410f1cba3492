package cmaes

import (
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/cmaes"
	"github.com/ringrift/rift/domain/cmaesrun"
	"github.com/ringrift/rift/projections"
)

// OneRun is the query for a run.
type OneRun struct {
	Run string `query:"run" required:"true"`
}

// Answer is the state of a run.
type Answer struct {
	Run Status `json:"run"`
}

// Status is the state of a run.
type Status struct {
	Run         cmaesrun.ID        `json:"run"`
	ConfigKey   domain.ConfigKey   `json:"config_key,omitempty"`
	State       cmaesrun.Phase     `json:"state"`
	Generation  int                `json:"generation" doc:"that is under way, or how many there were"`
	Population  int                `json:"population"`
	Ready       int                `json:"ready" doc:"candidates of the generation with a value"`
	Evaluations int                `json:"evaluations" doc:"that counted so far"`
	Games       int                `json:"games"`
	Best        *cmaesrun.Best     `json:"best" doc:"of the generations that are over; its fitness is the least"`
	Sigma       float64            `json:"sigma"`
	AxisRatio   float64            `json:"axis_ratio"`
	Noise       float64            `json:"noise"`
	Favourite   []float64          `json:"favourite" doc:"the mean inside the bounds: the best guess where values are noisy"`
	Stds        []float64          `json:"stds"`
	Lost        int                `json:"lost"`
	Late        int                `json:"late"`
	Resampled   int                `json:"resampled"`
	Injected    int                `json:"injected" doc:"points from elsewhere"`
	Restarts    []cmaes.Ended      `json:"restarts"`
	Stop        map[string]float64 `json:"stop" doc:"reasons and the bounds that were hit; none while it runs"`
	Reason      string             `json:"reason,omitempty"`
	Objective   cmaesrun.Objective `json:"objective"`
	Search      cmaes.Options      `json:"search"`
	Digest      string             `json:"digest" doc:"of the state that the generation follows from"`
	StartedAt   time.Time          `json:"started_at"`
	UpdatedAt   time.Time          `json:"updated_at"`
}

// StatusOf returns one run.
func StatusOf(v projections.View, q OneRun) (Answer, error) {
	row, found, err := RunsTable.Get(v, q.Run)
	if err != nil {
		return Answer{}, err
	}
	if !found {
		return Answer{}, domain.Errorf(domain.NotFound, "no run %q is known", domain.Clip(q.Run, 128))
	}
	return Answer{row.status()}, nil
}

func (r Row) status() Status {
	s := Status{
		Run: r.Run, ConfigKey: r.Started.ConfigKey, State: r.State, Generation: r.Generation, Population: r.Population, Ready: r.Ready,
		Evaluations: r.Evaluations, Games: r.Games, Best: r.Best, Sigma: r.Sigma, AxisRatio: r.AxisRatio, Noise: r.Noise, Favourite: r.Favourite, Stds: r.Stds,
		Lost: r.Lost, Late: r.Late, Resampled: r.Resampled, Injected: r.Injected, Restarts: r.Restarts, Reason: r.Reason,
		Objective: r.Started.Objective, Search: r.Started.Search, Digest: r.Digest, StartedAt: r.StartedAt, UpdatedAt: r.UpdatedAt,
	}
	if r.State != cmaesrun.Running {
		s.Stop = map[string]float64{}
		for _, reason := range r.Stop {
			s.Stop[reason.Name] = reason.Bound
		}
	}
	return s
}

// ManyRuns is the query for runs.
type ManyRuns struct {
	State string `query:"state"`
	From  string `query:"from"`
	Limit int    `query:"limit"`
}

// RunsAnswer lists runs by name.
type RunsAnswer struct {
	Runs []Status `json:"runs"`
	Next string   `json:"next,omitempty" doc:"ask again with from=next for more"`
}

// Runs returns runs by name.
func Runs(v projections.View, q ManyRuns) (RunsAnswer, error) {
	runs, next, err := projections.PageOf(v, RunsTable, projections.Span{From: q.From}, q.Limit, func(row Row) (Status, bool) {
		return row.status(), q.State == "" || string(row.State) == q.State
	})
	return RunsAnswer{Runs: runs, Next: next.Key}, err
}

// ManyGenerations is the query for the generations of a run.
type ManyGenerations struct {
	Run   string `query:"run" required:"true"`
	From  int    `query:"from"`
	Limit int    `query:"limit"`
}

// GenerationsAnswer lists generations, the first one first.
type GenerationsAnswer struct {
	Generations []Generation `json:"generations"`
	Next        *int         `json:"next,omitempty" doc:"ask again with from=next for more"`
}

// History returns the generations of a run.
func History(v projections.View, q ManyGenerations) (GenerationsAnswer, error) {
	if _, err := StatusOf(v, OneRun{q.Run}); err != nil {
		return GenerationsAnswer{}, err
	}
	if q.From < 0 {
		return GenerationsAnswer{}, domain.Faulty("query", []domain.Fault{{Field: "from", Reason: "want at least 0"}})
	}
	span := projections.Span{Prefix: q.Run + "\x00", From: generationKey(cmaesrun.ID(q.Run), q.From)}
	generations, next, err := projections.PageOf(v, generationsTable, span, q.Limit, projections.Every)
	answer := GenerationsAnswer{Generations: generations}
	if next.Key != "" {
		answer.Next = &next.Row.Generation
	}
	return answer, err
}
