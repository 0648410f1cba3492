package cmaes

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/cmaes"
	"github.com/ringrift/rift/domain/cmaesrun"
	"github.com/ringrift/rift/domain/match"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/projections"
	cmaesview "github.com/ringrift/rift/projections/cmaes"
)

// Start starts a search for the minimum of an objective from a given point.
type Start struct {
	Run               cmaesrun.ID         `json:"run,omitempty" doc:"made up when absent"`
	ConfigKey         domain.ConfigKey    `json:"config_key,omitempty"`
	X0                []float64           `json:"x0,omitempty" doc:"where the search begins; wanted without a space"`
	Sigma0            float64             `json:"sigma0,omitempty" doc:"about a quarter of the range in question; of a space in quarters of its ranges, 1 by default"`
	Space             []Variable          `json:"space,omitempty" doc:"what the variables are, in place of x0, bounds and integers"`
	Bounds            json.RawMessage     `json:"bounds,omitempty" doc:"[low, high] of all variables, or a list of one for each; null: none"`
	Population        int                 `json:"population,omitempty" doc:"default 4 + ⌊3 ln n⌋"`
	Generations       int                 `json:"generations,omitempty"`
	Seed              *uint64             `json:"seed,omitempty"`
	Objective         json.RawMessage     `json:"objective"`
	Target            *float64            `json:"target,omitempty"`
	MaxEvaluations    int                 `json:"max_evaluations,omitempty"`
	Restarts          cmaes.RestartPolicy `json:"restarts,omitempty" doc:"ipop or bipop"`
	MaxRestarts       int                 `json:"max_restarts,omitempty"`
	Integers          []int               `json:"integers,omitempty" doc:"indexes of variables that are whole numbers"`
	Passive           bool                `json:"passive,omitempty" doc:"learn from the better half only"`
	Reevaluate        float64             `json:"reevaluate,omitempty"`
	Tolerances        cmaes.Tolerances    `json:"tolerances,omitzero"`
	Lost              cmaesrun.LostRule   `json:"lost,omitempty" doc:"resample, which is the default, or drop"`
	GenerationSeconds domain.Seconds      `json:"generation_seconds,omitempty" doc:"after which a generation does without candidates that are out"`

	started cmaesrun.Started
	running int
}

func (Start) CommandType() string       { return "cmaes.start" }
func (c Start) Stream() domain.StreamID { return c.Run.Stream() }

// Variable is one variable of a search space, with its name and range.
type Variable struct {
	Name    string   `json:"name,omitempty" doc:"of all variables or of none; the item names the values by it"`
	Low     float64  `json:"low"`
	High    float64  `json:"high"`
	Start   *float64 `json:"start,omitempty" doc:"where the search begins; absent: in the middle"`
	Integer bool     `json:"integer,omitempty" doc:"a whole number"`
}

// RunStarted is the answer to Start.
type RunStarted struct {
	Run cmaesrun.ID `json:"run"`
}

func completeStart(c Start, facts domain.Facts) (Start, error) {
	policy := cmaesrun.PolicyOf(facts.Policy)
	if c.Run == "" {
		c.Run = cmaesrun.ID(domain.DeriveID(facts.Command, 0).String()[:13])
	}
	seed := facts.Seed >> 11 // at most 53 bits, exact in every JSON reader
	if c.Seed != nil {
		seed = *c.Seed
	}
	if c.Lost == "" {
		c.Lost = cmaesrun.Resample
	}
	bounds, faults := boundsOf(c.Bounds)
	objective, more := objectiveOf(c.Objective, policy)
	faults = append(faults, more...)
	var scales []float64
	if len(c.Space) > 0 {
		var wrong []domain.Fault
		c, wrong = c.spread(&objective, &bounds, &scales)
		faults = append(faults, wrong...)
	}
	c.started = cmaesrun.Started{
		Run: c.Run, ConfigKey: c.ConfigKey, Objective: objective, Lost: c.Lost, GenerationSeconds: c.GenerationSeconds,
		Search: cmaes.Options{
			X0: c.X0, Sigma0: c.Sigma0, Scales: scales, Seed: seed, Population: c.Population, Bounds: bounds, Integers: c.Integers, Passive: c.Passive,
			Target: c.Target, MaxEvaluations: c.MaxEvaluations, MaxGenerations: c.Generations, MaxPopulation: policy.MaxPopulation,
			Restarts: c.Restarts, MaxRestarts: c.MaxRestarts, Reevaluate: c.Reevaluate, Tolerances: c.Tolerances,
		},
	}
	if len(c.X0) > policy.MaxVariables {
		faults = append(faults, domain.Fault{Field: "x0", Reason: fmt.Sprintf("want at most %d variables, found %d", policy.MaxVariables, len(c.X0))})
	} else {
		faults = append(faults, searchFaults(c.started.Search)...)
	}
	if len(c.Space) > 0 {
		faults = ofSpace(faults)
	}
	faults = append(faults, c.started.RunFaults()...)
	if len(more) == 0 {
		faults = append(faults, objective.Faults(len(c.X0), c.ConfigKey)...)
	}
	if len(faults) == 0 {
		faults = payloadFaults(c.started, work.PolicyOf(facts.Policy).MaxPayloadBytes)
	}
	return c, domain.Faulty("cmaes.start", faults)
}

// searchFaults returns what the search rejects in the options.
func searchFaults(o cmaes.Options) (faults []domain.Fault) {
	_, err := cmaes.New(o)
	var invalid *cmaes.Invalid
	if errors.As(err, &invalid) {
		for _, fault := range invalid.Faults {
			if fault.Field == "max_generations" {
				fault.Field = "generations"
			}
			if fault.Field == "max_population" {
				fault = cmaes.Fault{Field: "population", Reason: fmt.Sprintf("want at most %d, found %d", o.MaxPopulation, o.Population)}
			}
			faults = append(faults, domain.Fault{Field: fault.Field, Reason: fault.Reason})
		}
	}
	return faults
}

// longest is a number with the longest possible text.
const longest = -1.2345678901234567e-300

// payloadFaults returns a fault if the item of a candidate would be too long for
// the queue.
func payloadFaults(started cmaesrun.Started, most int) []domain.Fault {
	x := slices.Repeat([]float64{longest}, len(started.Search.X0))
	asked := cmaesrun.PayloadOf(started, cmaesrun.Sample{Run: started.Run, Generation: 1e6, Index: 1e6}, x)
	payload, err := json.Marshal(asked)
	if err == nil && len(asked.Games) > 0 {
		if _, _, err := match.Games(payload); err != nil {
			return []domain.Fault{{Field: "objective", Reason: "want games that can be played with the longest of values: " + domain.Clip(err.Error(), 300)}}
		}
	}
	if err != nil || len(payload) > most {
		return []domain.Fault{{Field: "objective", Reason: fmt.Sprintf("want at most %d bytes of payload for the item of a candidate, found up to %d: ask for fewer games or variables", most, len(payload))}}
	}
	return nil
}

func consultStart(v projections.View, c Start, _ domain.Facts) (Start, error) {
	var err error
	c.running, err = cmaesview.CountRunning(v)
	return c, err
}

func startRun(r cmaesrun.Run, c Start, facts domain.Facts) ([]domain.Event, error) {
	if r.Started != nil {
		return nil, domain.Errorf(domain.Conflict, "run %s exists and is %s", c.Run, r.Phase())
	}
	if most := cmaesrun.PolicyOf(facts.Policy).MaxRunning; c.running >= most {
		return nil, domain.Errorf(domain.TooMany, "%d searches are running, and cmaes.max_running allows %d: stop one, or wait", c.running, most)
	}
	search, err := cmaes.New(c.started.Search)
	if err != nil {
		return nil, domain.Errorf(domain.Internal, "cmaes: %w", err)
	}
	return append([]domain.Event{c.started}, ask(c.started, search, facts.Now)...), nil
}

// Limits of one event of candidates; further ones go into another event.
const (
	mostAsked  = 64
	mostValues = 4000
)

// ask returns the events that ask for the current generation of a search.
func ask(started cmaesrun.Started, s *cmaes.Search, now time.Time) []domain.Event {
	var deadline time.Time
	if started.GenerationSeconds > 0 {
		deadline = domain.Instant(now.Add(started.GenerationSeconds.Duration()))
	}
	events := []domain.Event{cmaesrun.Asking(started.Run, s, deadline)}
	var candidates []cmaesrun.Candidate
	for _, c := range s.Ask() {
		samples := 1
		if c.Twice {
			samples = 2
		}
		candidates = append(candidates, cmaesrun.Candidate{Index: c.Index, X: c.X, Samples: samples})
	}
	for part := range slices.Chunk(candidates, max(1, min(mostAsked, mostValues/len(s.Run.Mean)))) {
		events = append(events, cmaesrun.CandidatesAsked{Run: started.Run, Generation: s.Generation, Candidates: part})
	}
	return events
}
