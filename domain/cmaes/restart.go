package cmaes

import "math"

// Done reports whether the search has ended; Run.Stop has the reasons.
func (s *Search) Done() bool { return len(s.Run.Stop) > 0 }

// End stops the search for a reason of the caller, such as a time limit.
func (s *Search) End(reason string) {
	if !s.Done() {
		s.Run.Stop = []Reason{{Name: reason}}
	}
}

// defaultRestarts is pycma's default.
const defaultRestarts = 9

// restart starts the next run after one that ended without reaching the target, if
// the policy allows it; the ended run is appended to Runs.
func (s *Search) restart() {
	most := s.Options.MaxRestarts
	if most == 0 {
		most = defaultRestarts
	}
	// BIPOP only counts runs with large populations.
	large := 0
	for _, r := range s.Runs {
		if !r.Small {
			large++
		}
	}
	if s.Options.Restarts == NoRestarts || large >= most && !s.smallNext(large) {
		return
	}
	for _, reason := range s.Run.Stop {
		if reason.Name == ReasonTarget || reason.Name == ReasonEvaluations {
			return
		}
	}
	if s.Options.MaxGenerations > 0 && s.Generation >= s.Options.MaxGenerations {
		return
	}
	r := &s.Run
	s.Runs = append(s.Runs, Ended{r.Base, r.Small, r.Sigma0, r.Evaluations, r.Generation, r.Stop})
	if !r.Small {
		large++
	}
	first := s.population()
	twice := int(math.Min(float64(first)*math.Pow(2, float64(large)), float64(s.mostCandidates())))
	if s.smallNext(large) {
		draw := keyed(s.Options.Seed, uint64(len(s.Runs)), 1<<63)
		u := draw.uniform()
		size := float64(first) * math.Pow(0.5*float64(twice)/2/float64(first), u*u)
		s.begin(max(first, int(size)), s.Options.Sigma0*math.Pow(0.01, draw.uniform()), true)
		return
	}
	s.begin(twice, s.Options.Sigma0, false)
}

// mostCandidates limits the population of every run.
func (s *Search) mostCandidates() int {
	if s.Options.MaxPopulation > 0 {
		return s.Options.MaxPopulation
	}
	return MaxPopulation
}

// smallNext reports whether the next run of BIPOP has a small population: if the
// small ones have used fewer evaluations than the large ones, without the first of
// these.
func (s *Search) smallNext(large int) bool {
	if s.Options.Restarts != BIPOP || large < 2 {
		return false
	}
	used, other, first := 0, 0, true
	for _, r := range s.Runs {
		switch {
		case r.Small:
			used += r.Evaluations
		case first:
			first = false
		default:
			other += r.Evaluations
		}
	}
	return used < other
}
