package simulate

import (
	"context"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/ringrift/rift/domain/work"
)

// Report is the result of a simulation. The same scenario and seed give the same
// report; nothing in it was measured with a clock.
type Report struct {
	Scenario   string           `json:"scenario"`
	Seed       uint64           `json:"seed"`
	Totals     Totals           `json:"totals"`
	Start      time.Time        `json:"start"`
	End        time.Time        `json:"end"` // of the last event
	Items      int              `json:"items"`
	ByState    map[string]int   `json:"by_state"`
	Waits      []Waits          `json:"waits"`
	Busy       float64          `json:"busy"`         // share of the slots, including faults
	Reports    map[string]int   `json:"reports"`      // by verb and code: refused reports, and accepted reports of lost attempts
	Pressed    int              `json:"adds_put_off"` // because of back-pressure
	Events     int64            `json:"events"`
	ByType     map[string]int64 `json:"events_by_type"`
	Digest     string           `json:"digest"` // of the read models
	Violations int              `json:"violations"`
	Examples   []string         `json:"examples"`
	Notes      []string         `json:"notes"`
}

// Waits are the times from when items of a class could first be claimed to their
// first claim, in seconds.
type Waits struct {
	Class string  `json:"class"`
	Items int     `json:"items"`
	P50   float64 `json:"p50"`
	P95   float64 `json:"p95"`
	P99   float64 `json:"p99"`
	Max   float64 `json:"max"`
}

func (w *world) report(ctx context.Context) (Report, error) {
	a := w.audit
	a.Finish()
	digest, err := w.node.Store().Digest(ctx)
	if err != nil {
		return Report{}, err
	}
	r := Report{
		Scenario: w.scenario.Name, Seed: w.options.Seed, Totals: w.scenario.totals(), Start: w.scenario.Start, End: a.now,
		Items: a.Items(), ByState: map[string]int{}, Reports: w.refused, Pressed: w.adds,
		Events: int64(a.position), ByType: a.events, Digest: digest.Total,
		Violations: a.violations, Examples: append([]string{}, a.examples...), Notes: append([]string{}, w.scenario.Notes...),
	}
	for _, state := range work.TaskStates {
		if n := a.endings[state]; state.Final() || n > 0 {
			r.ByState[string(state)] = n
		}
	}
	for _, one := range a.live {
		r.ByState[string(one.task.State)]++
	}
	for _, class := range slices.Sorted(maps.Keys(a.waits)) {
		waits := a.waits[class]
		slices.Sort(waits)
		at := func(q float64) float64 { return waits[int(q*float64(len(waits)-1))].Seconds() }
		r.Waits = append(r.Waits, Waits{class, len(waits), at(0.5), at(0.95), at(0.99), at(1)})
	}
	if span := a.now.Sub(w.scenario.Start); span > 0 && r.Totals.Slots > 0 {
		r.Busy = math.Round(1e4*a.busy.Seconds()/(span.Seconds()*float64(r.Totals.Slots))) / 1e4
	}
	return r, nil
}
