package simulate

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/ringrift/rift/cmd/internal/recorded"
	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/nodes"
)

// WithFaults adds recorded faults to a scenario. Their times are scaled to its span, and
// each recorded node is assigned a random machine. Every third fault is not reported to
// the cluster.
func (s Scenario) WithFaults(ctx context.Context, path string, seed uint64) (Scenario, error) {
	catalog, err := wiring.Catalog()
	if err != nil {
		return s, err
	}
	events, _, err := recorded.Events(ctx, catalog, "faults", []string{path}, recorded.Options{})
	if err != nil {
		return s, err
	}
	var begun, last time.Time
	var faults []Fault
	open := map[domain.NodeID]int{}  // the last fault of each node
	place := map[domain.NodeID]int{} // the machine of each node
	random := rand.New(rand.NewPCG(seed, 0x6661756c7473))
	machines := random.Perm(len(s.Machines))
	for e, err := range events {
		if err != nil {
			return s, err
		}
		if begun.IsZero() {
			begun = e.Time
		}
		last = e.Time
		switch fact := e.Event.(type) {
		case nodes.Unhealthy:
			if _, known := place[fact.NodeID]; !known {
				place[fact.NodeID] = machines[len(place)%len(machines)]
			}
			open[fact.NodeID] = len(faults)
			faults = append(faults, Fault{Machine: place[fact.NodeID], Start: e.Time, Reason: fact.Reason, Silent: len(faults)%3 == 2})
		case nodes.Recovered:
			faults[open[fact.NodeID]].End = e.Time
		}
	}
	whole := last.Sub(begun)
	if len(faults) == 0 || whole <= 0 {
		return s, domain.Errorf(domain.Invalid, "%s: want faults that begin and end, found %d", path, len(faults))
	}
	factor := float64(s.Span) / float64(whole)
	squeeze := func(at time.Time) time.Time {
		return domain.Instant(s.Start.Add(time.Duration(float64(at.Sub(begun)) * factor)))
	}
	until := map[int]time.Time{} // by machine
	left := 0
	for _, fault := range faults {
		if fault.End.IsZero() {
			fault.End = last
		}
		fault.Start, fault.End = squeeze(fault.Start), squeeze(fault.End)
		if !fault.End.After(fault.Start.Add(time.Second)) {
			fault.End = fault.Start.Add(time.Second)
		}
		if fault.Start.Before(until[fault.Machine]) {
			left++ // another recorded node has the same machine
			continue
		}
		until[fault.Machine] = fault.End.Add(time.Second)
		s.Faults = append(s.Faults, fault)
	}
	s.Name += ", with recorded faults"
	s.Notes = append(slices.Clone(s.Notes), fmt.Sprintf("%.1f days of faults are squeezed into the span", whole.Hours()/24))
	if left > 0 {
		s.Notes = append(s.Notes, fmt.Sprintf("%d faults fall into another of the same machine and are left out", left))
	}
	return s, nil
}
