package clustersim

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/ringrift/rift/domain"
)

// Summary adds up the reports of many seeds.
type Summary struct {
	Seeds    int          `json:"seeds"`
	From     uint64       `json:"from"`
	Nodes    int          `json:"nodes"`
	Items    int          `json:"items"` // of each seed
	Days     float64      `json:"days"`  // of each seed
	Done     int          `json:"items_done"`
	Events   int          `json:"events"`
	Calls    int          `json:"calls"`
	Refused  int          `json:"refused_appends"`
	Unknown  int          `json:"unknown_appends"`
	Read     int          `json:"readings"`
	Timed    int          `json:"seeds_with_timed_leases"` // seeds in which no clock was stepped, see Report.Timed
	Faults   map[Kind]int `json:"faults"`
	Counts   Counts       `json:"counts"`
	Failures []Failure    `json:"failures"`
}

// Failure is a seed in which a check failed.
type Failure struct {
	Seed   uint64   `json:"seed"`
	Broken []string `json:"broken"`
	Faults int      `json:"faults"` // left after shrinking
	Script string   `json:"script"` // the golden script that plays them
}

// Seeds plays the plan with each of the seeds, in parallel, and shrinks the first that
// fail. It calls finished with each report, from one goroutine at a time. A plan that is
// out of range is an Invalid error.
func Seeds(ctx context.Context, plan Plan, from uint64, seeds int, finished func(Report)) (Summary, error) {
	if seeds < 1 || plan.Nodes < 2 || plan.Nodes > 1000 || plan.Items < 1 || plan.Span < time.Hour || plan.Span > 366*24*time.Hour || plan.Voters < 0 || plan.Voters > 9 {
		return Summary{}, domain.Errorf(domain.Invalid, "simulation: want a seed or more, 2 to 1000 nodes, up to 9 voters, an item or more and an hour to 366 days, found %d, %d, %d, %d and %v", seeds, plan.Nodes, plan.Voters, plan.Items, plan.Span)
	}
	s := Summary{Seeds: seeds, From: from, Nodes: plan.Nodes, Items: plan.Items, Days: plan.Span.Hours() / 24, Faults: map[Kind]int{}, Failures: []Failure{}}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var mu sync.Mutex
	var failed error
	failures := 0
	next := make(chan uint64)
	var workers sync.WaitGroup
	for range max(min(runtime.GOMAXPROCS(0), seeds), 1) {
		workers.Go(func() {
			for seed := range next {
				r, err := Run(ctx, plan.With(seed))
				var failure *Failure
				if err == nil && len(r.Broken) > 0 {
					mu.Lock()
					failures++
					few := failures <= maxShrunk
					mu.Unlock()
					small := r
					if few {
						small, err = shrink(ctx, r)
					}
					failure = &Failure{Seed: r.Seed, Broken: small.Broken, Faults: len(small.Faults), Script: small.Plan.Script(small.Broken)}
				}
				mu.Lock()
				if err != nil && failed == nil {
					failed = fmt.Errorf("seed %d: %w", seed, err)
					cancel()
				}
				if err == nil {
					s.add(r, failure)
					finished(r)
				}
				mu.Unlock()
			}
		})
	}
feed:
	for i := range seeds {
		select {
		case next <- from + uint64(i):
		case <-ctx.Done():
			break feed
		}
	}
	close(next)
	workers.Wait()
	slices.SortFunc(s.Failures, func(a, b Failure) int { return int(a.Seed) - int(b.Seed) })
	return s, errors.Join(failed, context.Cause(ctx))
}

func (s *Summary) add(r Report, failure *Failure) {
	s.Done, s.Events, s.Calls, s.Refused, s.Unknown = s.Done+r.Done, s.Events+r.Events, s.Calls+r.Calls, s.Refused+r.Refused, s.Unknown+r.Unknown
	s.Read += r.Read
	if r.Timed {
		s.Timed++
	}
	for _, f := range r.Faults {
		s.Faults[f.Kind]++
	}
	s.Counts.add(r.Counts)
	if failure != nil {
		s.Failures = append(s.Failures, *failure)
	}
}

func (c *Counts) add(other Counts) {
	c.Messages += other.Messages
	c.Lost += other.Lost
	c.Repeated += other.Repeated
	c.Crashes += other.Crashes
	c.Acknowledged += other.Acknowledged
	c.Elections += other.Elections
	c.Copies += other.Copies
	c.Replaced += other.Replaced
	c.Services.add(other.Services)
}

// maxShrunk bounds how many failing seeds are shrunk: each takes many runs.
var maxShrunk = 3
