// Package cmaes is the read model of searches by CMA-ES: a row for each run and for
// each of its generations, and the deadlines of current generations.
//
// It computes nothing: numbers are copied from events. Read Projection, then
// status.go, which has the queries of the endpoints.
package cmaes

import (
	"fmt"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/cmaes"
	"github.com/ringrift/rift/domain/cmaesrun"
	"github.com/ringrift/rift/projections"
)

// Row is a run, as folded from its stream.
type Row struct {
	Run         cmaesrun.ID      `json:"run"`
	Started     cmaesrun.Started `json:"started"`
	State       cmaesrun.Phase   `json:"state"`
	Generation  int              `json:"generation"`
	Population  int              `json:"population"`
	Ready       int              `json:"ready"`
	Evaluations int              `json:"evaluations"`
	Games       int              `json:"games"`
	Lost        int              `json:"lost"`
	Late        int              `json:"late"`
	Resampled   int              `json:"resampled"`
	Injected    int              `json:"injected"`
	Restarts    []cmaes.Ended    `json:"restarts"`
	Best        *cmaesrun.Best   `json:"best"`
	Sigma       float64          `json:"sigma"`
	AxisRatio   float64          `json:"axis_ratio"`
	Noise       float64          `json:"noise"`
	Favourite   []float64        `json:"favourite"`
	Stds        []float64        `json:"stds"`
	Digest      string           `json:"digest"`
	Stop        []cmaes.Reason   `json:"stop"`
	Reason      string           `json:"reason,omitempty"`
	StartedAt   time.Time        `json:"started_at"`
	UpdatedAt   time.Time        `json:"updated_at"`
	Position    domain.Position  `json:"position"`
}

// Waiting is the current generation of a run.
type Waiting struct {
	Run        cmaesrun.ID `json:"run"`
	Generation int         `json:"generation"`
	Needed     int         `json:"needed"`
	Ready      int         `json:"ready"`
	Deadline   time.Time   `json:"deadline,omitzero"`
}

// Generation is the result of a generation.
type Generation struct {
	Generation  int       `json:"generation"`
	Restarts    int       `json:"restarts" doc:"before it"`
	Population  int       `json:"population"`
	Sigma       float64   `json:"sigma" doc:"that its candidates were drawn with"`
	AxisRatio   float64   `json:"axis_ratio"`
	Stds        []float64 `json:"stds"`
	Candidates  int       `json:"candidates"`
	Lost        int       `json:"lost"`
	Late        int       `json:"late"`
	Least       *float64  `json:"least" doc:"least fitness; null until the generation is complete"`
	Median      *float64  `json:"median"`
	Noise       float64   `json:"noise"`
	Evaluations int       `json:"evaluations"`
	AskedAt     time.Time `json:"asked_at"`
	ToldAt      time.Time `json:"told_at,omitzero"`
}

// The tables of the searches.
var (
	RunsTable        = projections.Table[Row]{Name: "cmaes.runs"}
	waitingTable     = projections.Table[Waiting]{Name: "cmaes.waiting"}
	generationsTable = projections.Table[Generation]{Name: "cmaes.generations"}
)

func generationKey(run cmaesrun.ID, generation int) string {
	return fmt.Sprintf("%s\x00%09d", run, generation)
}

// Projection returns the read model of the searches.
func Projection() projections.Projection {
	return projections.Projection{
		Name: "cmaes", Version: 1, About: "how searches by CMA-ES stand, generation by generation",
		Tables: []string{RunsTable.Name, waitingTable.Name, generationsTable.Name},
		Handlers: []projections.Handler{
			projections.On(func(tx projections.Tx, e domain.Envelope, started cmaesrun.Started) error {
				return RunsTable.Put(tx, string(started.Run), Row{
					Run: started.Run, Started: started, State: cmaesrun.Running, Restarts: []cmaes.Ended{}, Stop: []cmaes.Reason{},
					StartedAt: e.Time, UpdatedAt: e.Time, Position: e.Position,
				})
			}),
			projections.On(asked),
			projections.On(func(tx projections.Tx, e domain.Envelope, more cmaesrun.CandidatesAsked) error {
				resampled := 0
				for _, c := range more.Candidates {
					if c.InsteadOf != nil {
						resampled++
					}
				}
				return change(tx, e, more.Run, func(row *Row) { row.Resampled += resampled })
			}),
			projections.On(evaluated),
			projections.On(func(tx projections.Tx, e domain.Envelope, lost cmaesrun.CandidateLost) error {
				if err := changeGeneration(tx, lost.Run, lost.Generation, func(g *Generation) { g.Lost++ }); err != nil {
					return err
				}
				return change(tx, e, lost.Run, func(row *Row) { row.Lost++ })
			}),
			projections.On(func(tx projections.Tx, e domain.Envelope, late cmaesrun.CandidateLate) error {
				if err := changeGeneration(tx, late.Run, late.Generation, func(g *Generation) { g.Late++ }); err != nil {
					return err
				}
				return change(tx, e, late.Run, func(row *Row) { row.Late++ })
			}),
			projections.On(func(tx projections.Tx, e domain.Envelope, point cmaesrun.PointInjected) error {
				return change(tx, e, point.Run, func(row *Row) { row.Injected++ })
			}),
			projections.On(told),
			projections.On(func(tx projections.Tx, e domain.Envelope, restarted cmaesrun.Restarted) error {
				return change(tx, e, restarted.Run, func(row *Row) {
					row.Restarts = append(row.Restarts[:len(row.Restarts):len(row.Restarts)], restarted.Ended)
				})
			}),
			projections.On(finished),
		},
	}
}

func asked(tx projections.Tx, e domain.Envelope, a cmaesrun.GenerationAsked) error {
	if err := generationsTable.Put(tx, generationKey(a.Run, a.Generation), Generation{
		Generation: a.Generation, Restarts: a.Restarts, Population: a.Population, Sigma: a.Sigma, AxisRatio: a.AxisRatio, Stds: a.Stds,
		Evaluations: a.Evaluations, AskedAt: e.Time,
	}); err != nil {
		return err
	}
	if err := waitingTable.Put(tx, string(a.Run), Waiting{Run: a.Run, Generation: a.Generation, Needed: a.Needed(), Deadline: a.Deadline}); err != nil {
		return err
	}
	return change(tx, e, a.Run, func(row *Row) {
		row.Generation, row.Population, row.Ready = a.Generation, a.Population, 0
		row.Sigma, row.AxisRatio, row.Favourite, row.Stds, row.Digest = a.Sigma, a.AxisRatio, a.Favourite, a.Stds, a.Digest
	})
}

func evaluated(tx projections.Tx, e domain.Envelope, v cmaesrun.CandidateEvaluated) error {
	waiting, found, err := waitingTable.Get(tx, string(v.Run))
	if err != nil {
		return err
	}
	if found && waiting.Generation == v.Generation {
		waiting.Ready = v.Ready
		if err := waitingTable.Put(tx, string(v.Run), waiting); err != nil {
			return err
		}
	}
	return change(tx, e, v.Run, func(row *Row) { row.Evaluations, row.Games, row.Ready = row.Evaluations+1, row.Games+v.Games, v.Ready })
}

func told(tx projections.Tx, e domain.Envelope, t cmaesrun.GenerationTold) error {
	if err := changeGeneration(tx, t.Run, t.Generation, func(g *Generation) {
		g.Candidates, g.Least, g.Median, g.Noise, g.Evaluations, g.ToldAt = t.Candidates, &t.Least, &t.Median, t.Noise, t.Evaluations, e.Time
	}); err != nil {
		return err
	}
	return change(tx, e, t.Run, func(row *Row) {
		row.Noise, row.Generation = t.Noise, t.Generation+1
		if t.Improved != nil {
			row.Best = t.Improved
		}
	})
}

func finished(tx projections.Tx, e domain.Envelope, f cmaesrun.Finished) error {
	if err := waitingTable.Delete(tx, string(f.Run)); err != nil {
		return err
	}
	return change(tx, e, f.Run, func(row *Row) {
		row.State, row.Reason, row.Generation, row.Sigma = f.State, f.Reason, f.Generation, f.Sigma
		row.Stop = append([]cmaes.Reason{}, f.Stop...)
		if f.Favourite != nil {
			row.Favourite = f.Favourite
		}
	})
}

// change changes the row of a run, if it exists: a log may lack the beginning.
func change(tx projections.Tx, e domain.Envelope, run cmaesrun.ID, f func(*Row)) error {
	row, found, err := RunsTable.Get(tx, string(run))
	if err != nil || !found {
		return err
	}
	f(&row)
	row.UpdatedAt, row.Position = e.Time, e.Position
	return RunsTable.Put(tx, string(run), row)
}

func changeGeneration(tx projections.Tx, run cmaesrun.ID, generation int, f func(*Generation)) error {
	key := generationKey(run, generation)
	row, found, err := generationsTable.Get(tx, key)
	if err != nil || !found {
		return err
	}
	f(&row)
	return generationsTable.Put(tx, key, row)
}

// CountRunning returns the number of running searches.
func CountRunning(v projections.View) (n int, err error) {
	for _, err := range waitingTable.RawScan(v, projections.Span{}) {
		if err != nil {
			return 0, err
		}
		n++
	}
	return n, nil
}

// Overdue lists at most limit generations whose deadline passed and that have
// enough results, and returns the next deadline.
func Overdue(v projections.View, now time.Time, limit int) (due []Waiting, next time.Time, err error) {
	for entry, err := range waitingTable.Scan(v, projections.Span{}) {
		if err != nil {
			return nil, time.Time{}, err
		}
		w := entry.Row
		switch {
		case w.Deadline.IsZero():
		case now.Before(w.Deadline):
			if next.IsZero() || w.Deadline.Before(next) {
				next = w.Deadline
			}
		case w.Ready >= w.Needed && len(due) < limit:
			due = append(due, w)
		}
	}
	return due, next, nil
}
