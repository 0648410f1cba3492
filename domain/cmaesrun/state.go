package cmaesrun

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/cmaes"
)

// Run is the state of a search, folded from its stream.
type Run struct {
	Started  *Started
	Search   *cmaes.Search // at the current generation; it is never modified, decisions clone it
	Deadline time.Time
	Finished *Finished

	slots     domain.Ordered[slot] // of the current generation, by index
	next      int                  // index of the next candidate of the current generation
	ready     int                  // candidates with a value
	open      int                  // outstanding samples
	lost      int                  // candidates of the current generation without a value and without outstanding samples
	injected  []PointInjected
	told      *GenerationTold
	restarted *Restarted
}

// slot is a candidate of the current generation.
type slot struct {
	candidate Candidate
	values    []*float64 // of its samples, as they arrive; nil: lost
	ended     []bool     // by sample
	open      int        // outstanding samples
}

func (s slot) value() bool {
	for _, v := range s.values {
		if v != nil {
			return true
		}
	}
	return false
}

func key(index int) string { return fmt.Sprintf("%09d", index) }

// Evolve applies a fact. It computes nothing: numbers are copied from events.
func (r Run) Evolve(fact domain.Envelope) Run {
	switch e := fact.Event.(type) {
	case Started:
		r = Run{Started: &e}
	case GenerationAsked:
		r = r.asked(e)
	case CandidatesAsked:
		for _, c := range e.Candidates {
			if c.Index < 0 || r.slots.Has(key(c.Index)) || c.Samples < 1 || c.Samples > maxSamples {
				continue // appended without a decision
			}
			r.slots = r.slots.With(key(c.Index), slot{candidate: c, values: make([]*float64, c.Samples), ended: make([]bool, c.Samples), open: c.Samples})
			r.open += c.Samples
			r.next = max(r.next, c.Index+1)
		}
	case CandidateEvaluated:
		r = r.ended(Sample{e.Run, e.Generation, e.Index, e.Sample}, &e.Fitness)
	case CandidateLost:
		r = r.ended(Sample{e.Run, e.Generation, e.Index, e.Sample}, nil)
	case PointInjected:
		if r.Search != nil && e.Generation == r.Search.Generation && len(e.X) == len(r.Search.Run.Mean) {
			r.injected = append(r.injected[:len(r.injected):len(r.injected)], e)
		}
	case GenerationTold:
		r.told = &e
	case Restarted:
		r.restarted = &e
	case Finished:
		r.Finished, r.open = &e, 0
	}
	return r
}

// asked builds the search described by the event and those before it.
func (r Run) asked(e GenerationAsked) Run {
	if r.Started == nil || !e.fits(r.Started.Search) {
		return Run{Started: r.Started, Finished: r.Finished} // appended without a decision: the run does not continue
	}
	s := &cmaes.Search{
		Options: r.Started.Search, Generation: e.Generation, Evaluations: e.Evaluations, Dropped: e.Dropped,
		Run: cmaes.Run{
			Population: e.Population, Base: e.State.Base, Small: e.State.Small, Generation: e.State.RunGeneration, Evaluations: e.State.RunEvaluations,
			Sigma0: e.State.Sigma0, Mean: e.Mean, Sigma: e.Sigma, C: e.State.C.matrix(len(e.Mean)), PC: e.State.PC, PS: e.State.PS, Noise: e.State.Noise,
		},
	}
	h := &s.Run.History
	h.Flat, h.MovedAt = e.State.Flat, e.State.MovedAt
	if before := r.Search; before != nil {
		s.Best, s.Runs = before.Best, before.Runs
		if r.restarted != nil {
			s.Runs = append(s.Runs[:len(s.Runs):len(s.Runs)], r.restarted.Ended)
		} else if r.told != nil {
			h.Best, h.Median = append(h.Best, before.Run.History.Best...), append(h.Median, before.Run.History.Median...)
			h.Moved = before.Run.History.Moved
		}
	}
	if r.told != nil {
		if r.restarted == nil {
			h.Best, h.Median = append(h.Best, r.told.Least), append(h.Median, r.told.Median)
			h.Best, h.Median = h.Best[max(0, len(h.Best)-cmaes.MaxHistory):], h.Median[max(0, len(h.Median)-cmaes.MaxHistory):]
		}
		if best := r.told.Improved; best != nil {
			s.Best = &cmaes.Best{X: best.X, Value: best.Fitness, Generation: best.Generation, Index: best.Index, Evaluation: best.Evaluation}
		}
		s.Last = &cmaes.Told{Candidates: r.told.Candidates, Best: r.told.Least, Median: r.told.Median, Worst: r.told.Most}
	}
	if e.State.RunGeneration > 0 && e.State.MovedAt == e.State.RunGeneration {
		h.Moved = e.Mean
	}
	return Run{Started: r.Started, Search: s, Deadline: e.Deadline}
}

// maxSamples is how often a candidate is evaluated at most.
const maxSamples = 2

// fits reports whether the event describes a search with these options. A log may
// contain events that no decision made.
func (e GenerationAsked) fits(o cmaes.Options) bool {
	_, err := cmaes.New(o)
	n := len(o.X0)
	return err == nil && len(e.Mean) == n && len(e.State.PC) == n && len(e.State.PS) == n && len(e.State.C) == 4*n*(n+1) &&
		e.Generation >= 0 && e.Population >= 4 && e.Population <= cmaes.MaxPopulation && e.State.Base >= 4 && e.State.RunGeneration >= 0 &&
		e.Sigma > 0 && len(e.Validate()) == 0
}

// ended records the end of a sample, once.
func (r Run) ended(sample Sample, value *float64) Run {
	c, known := r.slots.Get(key(sample.Index))
	if !known || r.Search == nil || sample.Generation != r.Search.Generation || sample.Sample < 0 || sample.Sample >= len(c.ended) || c.ended[sample.Sample] {
		return r
	}
	had := c.value()
	c.values, c.ended = append([]*float64(nil), c.values...), append([]bool(nil), c.ended...)
	c.values[sample.Sample], c.ended[sample.Sample] = value, true
	c.open--
	r.open--
	switch {
	case !had && c.value():
		r.ready++
	case !c.value() && c.open == 0:
		r.lost++
	}
	r.slots = r.slots.With(key(sample.Index), c)
	return r
}

// Phase returns the phase of the run; empty if there is no run.
func (r Run) Phase() Phase {
	switch {
	case r.Started == nil:
		return ""
	case r.Finished != nil:
		return r.Finished.State
	}
	return Running
}

// Awaits reports whether a sample is outstanding.
func (r Run) Awaits(s Sample) bool {
	c, known := r.slots.Get(key(s.Index))
	return r.Finished == nil && known && r.Search != nil && s.Generation == r.Search.Generation && s.Sample >= 0 && s.Sample < len(c.ended) && !c.ended[s.Sample]
}

// Late reports whether a sample belongs to a past generation.
func (r Run) Late(s Sample) bool {
	return r.Search != nil && (s.Generation < r.Search.Generation || r.Finished != nil && s.Generation == r.Search.Generation && r.slots.Has(key(s.Index)))
}

// Counts returns the numbers of the current generation: candidates with a value,
// outstanding samples, lost candidates.
func (r Run) Counts() (ready, open, lost int) { return r.ready, r.open, r.lost }

// LostCandidate returns a candidate of the current generation if all its samples
// are lost.
func (r Run) LostCandidate(index int) (Candidate, bool) {
	c, known := r.slots.Get(key(index))
	return c.candidate, known && c.open == 0 && !c.value()
}

// Next returns the index of the next candidate of the current generation.
func (r Run) Next() int { return r.next }

// Injected returns how many points from elsewhere count for the current generation.
func (r Run) Injected() int { return len(r.injected) }

// Values returns what the search is given for the current generation: candidates
// with a value, by index, then points from elsewhere.
func (r Run) Values() (all []cmaes.Evaluation) {
	for _, c := range r.slots.All() {
		e := cmaes.Evaluation{Generation: r.Search.Generation, Index: c.candidate.Index}
		for _, v := range c.values {
			if v != nil {
				e.Values = append(e.Values, *v)
			}
		}
		if len(e.Values) > 0 {
			all = append(all, e)
		}
	}
	for _, point := range r.injected {
		all = append(all, cmaes.Evaluation{Generation: point.Generation, Index: -1, X: point.X, Values: []float64{point.Fitness}})
	}
	return all
}

// Out lists the items of the outstanding samples.
func (r Run) Out() (tasks []domain.TaskID) {
	if r.Started == nil || r.Search == nil || r.Finished != nil {
		return nil
	}
	for _, c := range r.slots.All() {
		for i, ended := range c.ended {
			if !ended {
				tasks = append(tasks, Sample{r.Started.Run, r.Search.Generation, c.candidate.Index, i}.TaskID())
			}
		}
	}
	return tasks
}

// Asking returns the event for the current generation of a search. It computes the
// axis ratio and the digest, which modifies s, so the caller must own it.
func Asking(run ID, s *cmaes.Search, deadline time.Time) GenerationAsked {
	r := &s.Run
	return GenerationAsked{
		Run: run, Generation: s.Generation, Restarts: len(s.Runs), Population: r.Population, Seed: s.Options.Seed, Mean: r.Mean, Favourite: s.Favourite(), Sigma: r.Sigma,
		AxisRatio: domain.Round6(s.AxisRatio()), Stds: s.Deviations(), Evaluations: s.Evaluations, Dropped: s.Dropped, Deadline: deadline,
		State: State{
			Base: r.Base, Small: r.Small, RunGeneration: r.Generation, RunEvaluations: r.Evaluations, Sigma0: r.Sigma0, C: triangleOf(r.C),
			PC: r.PC, PS: r.PS, Noise: r.Noise, Flat: r.History.Flat, MovedAt: r.History.MovedAt,
		},
		Digest: Digest(s),
	}
}

// Needed returns the least number of candidates needed to end a generation, as
// cmaes.Search.Needed does.
func (e GenerationAsked) Needed() int { return max(2, e.Population/2) }

// Digest returns the SHA-256 of the bits of a search.
func Digest(s *cmaes.Search) string {
	sum := sha256.Sum256(s.Bits())
	return hex.EncodeToString(sum[:])
}
