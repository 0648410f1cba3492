package cmaes

import (
	"fmt"
	"math"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/cmaes"
	"github.com/ringrift/rift/domain/cmaesrun"
)

// report is the outcome of one sample of a candidate.
type report struct {
	cmaesrun.Sample
	NodeID  domain.NodeID   `json:"node_id,omitempty"`
	Value   *cmaesrun.Value `json:"value,omitempty"`
	Failure string          `json:"failure,omitempty"` // why there is no value
}

func (report) CommandType() string       { return "cmaes.report" }
func (c report) Stream() domain.StreamID { return c.Run.Stream() }

// takeReport counts a value for the generation that it was requested for. If that
// generation is over, the value is recorded but does not count.
func takeReport(r cmaesrun.Run, c report, facts domain.Facts) ([]domain.Event, error) {
	switch {
	case r.Started == nil:
		return nil, nil
	case r.Late(c.Sample) && c.Value != nil:
		return []domain.Event{cmaesrun.CandidateLate{Run: c.Run, Generation: c.Generation, Index: c.Index, Sample: c.Sample.Sample, TaskID: c.TaskID(), NodeID: c.NodeID, Now: r.Search.Generation}}, nil
	case !r.Awaits(c.Sample):
		return nil, nil
	}
	t := &turn{run: r, facts: facts}
	if c.Value == nil {
		t.add(cmaesrun.CandidateLost{Run: c.Run, Generation: c.Generation, Index: c.Index, Sample: c.Sample.Sample, TaskID: c.TaskID(), NodeID: c.NodeID, Reason: commands.Or(c.Failure, "no result")})
		t.replace(c.Index)
	} else {
		evaluated := cmaesrun.CandidateEvaluated{
			Run: c.Run, Generation: c.Generation, Index: c.Index, Sample: c.Sample.Sample, TaskID: c.TaskID(), NodeID: c.NodeID,
			Fitness: c.Value.Fitness, Games: c.Value.Games, Score: c.Value.Score,
		}
		evaluated.Ready, _, _ = r.Evolve(domain.Envelope{Event: evaluated}).Counts()
		t.add(evaluated)
	}
	t.advance()
	return t.events, nil
}

// overdue checks a generation whose time is up.
type overdue struct {
	Run        cmaesrun.ID `json:"run"`
	Generation int         `json:"generation"`
}

func (overdue) CommandType() string       { return "cmaes.overdue" }
func (c overdue) Stream() domain.StreamID { return c.Run.Stream() }

func takeOverdue(r cmaesrun.Run, c overdue, facts domain.Facts) ([]domain.Event, error) {
	if r.Phase() != cmaesrun.Running || r.Search == nil || r.Search.Generation != c.Generation {
		return nil, nil
	}
	t := &turn{run: r, facts: facts}
	t.advance()
	return t.events, nil
}

// Stop ends a search.
type Stop struct {
	Run    cmaesrun.ID `json:"run"`
	Reason string      `json:"reason,omitempty"`
}

func (Stop) CommandType() string       { return "cmaes.stop" }
func (c Stop) Stream() domain.StreamID { return c.Run.Stream() }

// maxReason limits the reason of a stop, in bytes.
const maxReason = 1000

func completeStop(c Stop, _ domain.Facts) (Stop, error) {
	faults := commands.NameFaults("run", string(c.Run))
	if len(c.Reason) > maxReason {
		faults = append(faults, domain.Fault{Field: "reason", Reason: fmt.Sprintf("want at most %d bytes, found %d", maxReason, len(c.Reason))})
	}
	return c, domain.Faulty("cmaes.stop", faults)
}

// stopRun ends a run; a run that has ended is left unchanged.
func stopRun(r cmaesrun.Run, c Stop, facts domain.Facts) ([]domain.Event, error) {
	switch r.Phase() {
	case "":
		return nil, domain.Errorf(domain.NotFound, "no run %q is known", c.Run)
	case cmaesrun.Stopped:
		return nil, nil
	case cmaesrun.Running:
		t := &turn{run: r, facts: facts}
		t.finish(cmaesrun.Stopped, []cmaes.Reason{{Name: "stopped"}}, c.Reason, t.run.Search)
		return t.events, nil
	default:
		return nil, domain.Errorf(domain.Conflict, "run %s is %s; there is nothing to stop", c.Run, r.Phase())
	}
}

// Inject adds a point from elsewhere, with its value, to a search.
type Inject struct {
	Run     cmaesrun.ID `json:"run"`
	X       []float64   `json:"x"`
	Fitness float64     `json:"fitness" doc:"less is better, as of candidates"`
}

func (Inject) CommandType() string       { return "cmaes.inject" }
func (c Inject) Stream() domain.StreamID { return c.Run.Stream() }

func completeInject(c Inject, _ domain.Facts) (Inject, error) {
	return c, domain.Faulty("cmaes.inject", commands.NameFaults("run", string(c.Run)))
}

// injectPoint adds a point to the current generation. At most half as many points
// as the generation has candidates are taken, so that the search still follows
// mostly its own.
func injectPoint(r cmaesrun.Run, c Inject, _ domain.Facts) ([]domain.Event, error) {
	switch {
	case r.Started == nil:
		return nil, domain.Errorf(domain.NotFound, "no run %q is known", c.Run)
	case r.Phase() != cmaesrun.Running || r.Search == nil:
		return nil, domain.Errorf(domain.Conflict, "run %s is %s; no point counts for it", c.Run, r.Phase())
	case r.Injected() >= r.Search.Run.Population/2:
		return nil, domain.Errorf(domain.TooMany, "generation %d of run %s has %d points from elsewhere, half as many as candidates: wait for the next one", r.Search.Generation, c.Run, r.Injected())
	}
	var faults []domain.Fault
	if n := len(r.Search.Run.Mean); len(c.X) != n {
		faults = append(faults, domain.Fault{Field: "x", Reason: fmt.Sprintf("want %d variables, found %d", n, len(c.X))})
	}
	within := func(field string, v float64) {
		if !(math.Abs(v) <= cmaesrun.MaxValue) {
			faults = append(faults, domain.Fault{Field: field, Reason: fmt.Sprintf("want at most %v, found %v", cmaesrun.MaxValue, v)})
		}
	}
	within("fitness", c.Fitness)
	for i, v := range c.X {
		within(fmt.Sprintf("x[%d]", i), v)
	}
	if len(faults) > 0 {
		return nil, domain.Faulty("cmaes.inject", faults)
	}
	return []domain.Event{cmaesrun.PointInjected{Run: c.Run, Generation: r.Search.Generation, X: c.X, Fitness: c.Fitness}}, nil
}

// turn is a decision about a run: the events so far, and the run after them.
type turn struct {
	run    cmaesrun.Run
	facts  domain.Facts
	events []domain.Event
}

func (t *turn) add(events ...domain.Event) {
	for _, event := range events {
		t.events = append(t.events, event)
		t.run = t.run.Evolve(domain.Envelope{Stream: t.run.Started.Run.Stream(), Type: event.EventType(), Event: event})
	}
}

// replace draws another candidate for a lost one, if the run is set to and its
// generation has indexes left.
func (t *turn) replace(index int) {
	lost, gone := t.run.LostCandidate(index)
	search := t.run.Search
	if !gone || t.run.Started.Lost != cmaesrun.Resample || t.run.Next() >= search.Run.Population*cmaes.Resamples || t.late() && t.enough() {
		return
	}
	c := search.Clone().Candidate(t.run.Next())
	t.add(cmaesrun.CandidatesAsked{Run: t.run.Started.Run, Generation: c.Generation, Candidates: []cmaesrun.Candidate{
		{Index: c.Index, X: c.X, Samples: lost.Samples, InsteadOf: &index},
	}})
}

// late reports whether the time of the generation is up and enough results are in
// to continue without the rest.
func (t *turn) late() bool {
	return !t.run.Deadline.IsZero() && !t.facts.Now.Before(t.run.Deadline)
}

func (t *turn) enough() bool {
	ready, _, _ := t.run.Counts()
	return ready >= t.run.Search.Needed()
}

// advance passes the generation to the search when no result is outstanding, or
// when its time is up and enough are in, and asks for the next one.
func (t *turn) advance() {
	ready, open, lost := t.run.Counts()
	if open > 0 && !(t.late() && t.enough()) {
		return
	}
	before := t.run.Search
	if !t.enough() {
		t.finish(cmaesrun.Failed, nil, fmt.Sprintf("%d of %d candidates of generation %d came back; want at least %d", ready, before.Run.Population, before.Generation, before.Needed()), before)
		return
	}
	search := before.Clone()
	if err := search.Tell(t.run.Values()); err != nil {
		t.finish(cmaesrun.Failed, nil, err.Error(), before)
		return
	}
	told := cmaesrun.GenerationTold{
		Run: t.run.Started.Run, Generation: before.Generation, Candidates: search.Last.Candidates, Lost: lost, Resampled: t.run.Next() - before.Run.Population, Out: t.run.Out(),
		Least: search.Last.Best, Median: search.Last.Median, Most: search.Last.Worst, Noise: search.Run.Noise, Evaluations: search.Evaluations, Dropped: search.Dropped,
	}
	if search.Best != before.Best {
		told.Improved = bestOf(search)
	}
	t.add(told)
	if len(search.Runs) > len(before.Runs) {
		ended := search.Runs[len(search.Runs)-1]
		t.add(cmaesrun.Restarted{Run: told.Run, Ended: ended, Restarts: len(search.Runs), Population: search.Run.Population, Small: search.Run.Small, Sigma0: search.Run.Sigma0})
	}
	switch {
	case search.Done():
		t.finish(cmaesrun.Done, search.Run.Stop, "", search)
	case !search.Finite():
		t.finish(cmaesrun.Failed, nil, "the distribution went out of the range of numbers", before)
	default:
		t.add(ask(*t.run.Started, search, t.facts.Now)...)
	}
}

// finish ends the run with the current result of its search.
func (t *turn) finish(state cmaesrun.Phase, stop []cmaes.Reason, reason string, s *cmaes.Search) {
	finished := cmaesrun.Finished{Run: t.run.Started.Run, State: state, Stop: append([]cmaes.Reason{}, stop...), Reason: reason, Out: t.run.Out()}
	if s != nil {
		finished.Generation, finished.Evaluations, finished.Sigma, finished.Best = s.Generation, s.Evaluations, s.Run.Sigma, bestOf(s)
		finished.Favourite = s.Favourite()
	}
	t.add(finished)
}

func bestOf(s *cmaes.Search) *cmaesrun.Best {
	if s.Best == nil {
		return nil
	}
	return &cmaesrun.Best{X: s.Best.X, Fitness: s.Best.Value, Generation: s.Best.Generation, Index: s.Best.Index, Evaluation: s.Best.Evaluation}
}

// Specs returns the specs of the search commands.
func Specs() []commands.Spec {
	return []commands.Spec{
		commands.HandleAnswer("search for parameters by CMA-ES", startRun,
			func(_ cmaesrun.Run, c Start, _ []domain.Envelope) RunStarted { return RunStarted{c.Run} },
			commands.Normalize(completeStart),
			commands.Consult(func(Start) bool { return true }, consultStart)),
		commands.Handle("end a search", stopRun, commands.Normalize(completeStop)),
		commands.Handle("tell a search a point from elsewhere", injectPoint, commands.Normalize(completeInject)),
		commands.Handle("take over what came of a candidate", takeReport),
		commands.Handle("look at a generation whose time is up", takeOverdue),
	}
}
