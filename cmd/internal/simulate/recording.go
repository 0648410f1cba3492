package simulate

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/ringrift/rift/cmd/internal/recorded"
	"github.com/ringrift/rift/cmd/internal/wiring"
	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/domain/sched"
	"github.com/ringrift/rift/domain/work"
)

// podLimit is the longest a pod is run: an attempt may not be longer than 30 days.
const podLimit = 29 * 24 * time.Hour

// podLeases are long because pods are: months of short ones would be nothing
// but heartbeats.
const podLeases domain.Seconds = 7200

// pod is what a recording says of one.
type pod struct {
	id                      domain.TaskID
	created, claimed, ended time.Time
	end                     work.State
	asked                   struct {
		GPUs int `json:"num_gpu"`
	}
}

// OpenB plays the pods of an OpenB trace on its nodes, or on the first so many
// of those that have GPUs and as many of the others: pods arrive when they did and
// run as long as they did, where and when the queue decides.
func OpenB(ctx context.Context, paths []string, all int) (Scenario, error) {
	catalog, err := wiring.Catalog()
	if err != nil {
		return Scenario{}, err
	}
	events, _, err := recorded.Events(ctx, catalog, "openb", paths, recorded.Options{})
	if err != nil {
		return Scenario{}, err
	}
	s := Scenario{Policy: wiring.Sections().Default(), Poll: time.Minute, Tick: 10 * time.Minute}
	pods := map[domain.TaskID]*pod{}
	var order []*pod
	var last time.Time
	for e, err := range events {
		if err != nil {
			return Scenario{}, err
		}
		last = e.Time
		if announced, ok := e.Event.(nodes.Announced); ok {
			if s.Start.IsZero() {
				s.Start = e.Time
			}
			machine, err := openBMachine(announced)
			if err != nil {
				return Scenario{}, err
			}
			s.Machines = append(s.Machines, machine)
			continue
		}
		if e.Stream.Category() != "task" {
			continue
		}
		p := pods[domain.TaskID(e.Stream.ID())]
		switch fact := e.Event.(type) {
		case work.Spawned:
			p = &pod{id: fact.TaskID, created: e.Time}
			if err := json.Unmarshal(fact.Payload, &p.asked); err != nil {
				return Scenario{}, domain.Errorf(domain.Invalid, "pod %s: %w", fact.TaskID, err)
			}
			pods[p.id] = p
			order = append(order, p)
		case work.Claimed:
			p.claimed = e.Time
		case work.Completed:
			p.ended, p.end = e.Time, work.StateDone
		case work.Dead:
			p.ended, p.end = e.Time, work.StateDead
		case work.Cancelled:
			p.ended, p.end = e.Time, work.StateCancelled
		}
	}
	if len(order) == 0 || len(s.Machines) == 0 {
		return Scenario{}, domain.Errorf(domain.Invalid, "want a node list and a pod list, found %d nodes and %d pods", len(s.Machines), len(order))
	}
	if all > 0 {
		s.Machines = some(s.Machines, all)
	}
	s.Span = order[len(order)-1].created.Sub(s.Start)
	s.Name = fmt.Sprintf("%d recorded pods on %d recorded nodes", len(order), len(s.Machines))
	queue, health := work.DefaultPolicy(), nodes.DefaultPolicy()
	queue.SoftLimit, queue.HardLimit = 1_000_000, 1_000_000
	queue.LeaseSeconds = podLeases
	health.SilentSeconds, health.OfflineSeconds = 48*3600, 72*3600
	s.Notes = append(s.Notes, "work.hard_limit is lifted", fmt.Sprintf("work.lease_seconds is %v", float64(podLeases)), "nodes.silent_seconds is 48 hours",
		"a node has a slot for each GPU, or for each 8 cores if it has none; a pod takes one for each GPU")
	for _, size := range append([]int{0, 1}, gpuSizes...) {
		queue.Scheduling.Types[podType(size)] = sched.TypePolicy{Class: queue.Scheduling.OtherClass, Slots: max(size, 1)}
	}
	s.Policy = s.Policy.With(queue).With(health)
	arrivals, cut := arrivalsOf(order, last)
	if cut > 0 {
		s.Notes = append(s.Notes, fmt.Sprintf("%d pods ran for more than %v and are cut to it", cut, podLimit))
	}
	s.Arrivals = listed(arrivals)
	return s, nil
}

// arrivalsOf lists when pods arrive, and counts those that ran for too long.
func arrivalsOf(order []*pod, last time.Time) (arrivals []Arrival, cut int) {
	for _, p := range order {
		arrival, short := p.arrival(last)
		if short {
			cut++
		}
		arrivals = append(arrivals, arrival)
	}
	slices.SortStableFunc(arrivals, func(a, b Arrival) int { return a.At.Compare(b.At) })
	return arrivals, cut
}

func listed(arrivals []Arrival) iter.Seq2[Arrival, error] {
	return func(yield func(Arrival, error) bool) {
		for _, one := range arrivals {
			if !yield(one, nil) {
				return
			}
		}
	}
}

// some keeps the first n machines with GPUs and the first n without.
func some(machines []Machine, n int) []Machine {
	var kept []Machine
	with, without := 0, 0
	for _, m := range machines {
		count := &without
		if slices.Contains(m.Capabilities, "gpu") {
			count = &with
		}
		if *count++; *count <= n {
			kept = append(kept, m)
		}
	}
	return kept
}

// gpuSizes are the numbers of GPUs that pods ask for.
var gpuSizes = []int{2, 4, 8}

// podType is the task type of pods with so many GPUs.
func podType(gpus int) string { return fmt.Sprintf("pod_%dgpu", gpus) }

func gpuWord(n int) string { return fmt.Sprintf("gpus-%d", n) }

func openBMachine(n nodes.Announced) (Machine, error) {
	var told struct {
		CPU   int    `json:"cpu_milli"`
		GPUs  int    `json:"gpu"`
		Model string `json:"model"`
	}
	if err := json.Unmarshal(n.Facts, &told); err != nil {
		return Machine{}, domain.Errorf(domain.Invalid, "node %s: %w", n.NodeID, err)
	}
	m := Machine{ID: n.NodeID, Slots: told.GPUs, Capabilities: slices.Clone(n.Capabilities)}
	if m.Slots == 0 {
		m.Slots = min(max(told.CPU/8000, 1), 64)
	}
	for _, size := range gpuSizes {
		if told.GPUs >= size {
			m.Capabilities = append(m.Capabilities, gpuWord(size))
		}
	}
	facts := map[string]any{"slots": m.Slots, "cpu_milli": told.CPU}
	if told.Model != "" {
		facts["gpu"] = told.Model
	}
	encoded, err := json.Marshal(facts)
	if err != nil {
		return Machine{}, domain.Errorf(domain.Internal, "node %s: %w", n.NodeID, err)
	}
	m.Facts = encoded
	return m, nil
}

// arrival is a pod as an item. One that a recording ends with still running, or
// that its owner deleted, is cancelled after the time it ran; one that never ran
// is cancelled when it was deleted, or at the recording's end.
func (p *pod) arrival(last time.Time) (Arrival, bool) {
	size := p.asked.GPUs
	add := workcmd.AddTask{TaskID: p.id, TaskType: podType(size), MaxAttempts: 1, TimeoutSeconds: domain.Seconds((podLimit + 12*time.Hour).Seconds())}
	if size > 0 {
		add.Requires = []string{"gpu"}
	}
	for _, n := range gpuSizes {
		if size >= n {
			add.Requires = []string{gpuWord(n)}
		}
	}
	a := Arrival{At: p.created, Task: add}
	ended := p.ended
	if ended.IsZero() {
		ended = last
	}
	switch {
	case p.claimed.IsZero():
		a.Fate = Fate{Runs: []Ending{AwaitsCancel}, Lasts: 2 * podLimit, CancelAt: ended.Add(time.Second)}
		return a, false
	case p.end == work.StateDone:
		a.Fate.Runs = []Ending{Succeeds}
	case p.end == work.StateDead:
		a.Fate.Runs = []Ending{Fails}
	default:
		a.Fate.Runs = []Ending{AwaitsCancel}
	}
	lasts := max(ended.Sub(p.claimed), time.Second)
	short := lasts > podLimit
	a.Fate.Lasts = min(lasts, podLimit)
	return a, short
}

// WithFaults lays recorded faults over a scenario: their whole time is squeezed
// to its span, and each node of the recording stands for a machine. Every third
// fault is one that nobody tells the cluster of.
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
	open := map[domain.NodeID]int{} // by node, its last fault
	place := map[domain.NodeID]int{}
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
			left++ // two recorded nodes share the machine
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
