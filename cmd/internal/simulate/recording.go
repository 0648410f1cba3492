package simulate

import (
	"context"
	"fmt"
	"iter"
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

// podLimit is the longest run of a recorded item. It is below the longest attempt that is
// allowed, 30 days.
const podLimit = 29 * 24 * time.Hour

// podLeases is the length of a lease in seconds. It is long because pods run for weeks,
// and most events would otherwise be heartbeats.
const podLeases domain.Seconds = 7200

// mostSlots limits the slots of one item, as the scheduler does.
const mostSlots = 64

// namedRefusals limits the refused items that get a note each.
const namedRefusals = 10

// Recording returns a scenario with the items and nodes of a recording; with limit > 0,
// of only its first limit nodes with GPUs and first limit without. Items arrive and last
// as recorded, and the queue decides where and when they run. The format is one of
// recorded.Formats, or empty to detect it per file. Items that no node can run are left
// out, with a note.
func Recording(ctx context.Context, format string, paths []string, limit int) (Scenario, error) {
	catalog, err := wiring.Catalog()
	if err != nil {
		return Scenario{}, err
	}
	events, _, err := recorded.Events(ctx, catalog, format, paths, recorded.Options{})
	if err != nil {
		return Scenario{}, err
	}
	recording := newContent()
	for e, err := range events {
		if err == nil && e.Event == nil {
			err = catalog.Fill(&e)
		}
		if err != nil {
			return Scenario{}, err
		}
		recording.observe(e)
	}
	s := Scenario{Policy: wiring.Sections().Default(), Poll: time.Minute, Tick: 10 * time.Minute, Start: recording.first, Machines: recording.list()}
	if len(recording.items) == 0 || len(s.Machines) == 0 {
		return Scenario{}, domain.Errorf(domain.Invalid, "want a recording of items and of nodes to run them, found %d nodes and %d items", len(s.Machines), len(recording.items))
	}
	if limit > 0 {
		s.Machines = firstMachines(s.Machines, limit)
	}
	items := s.admit(recording.items)
	if len(items) == 0 {
		return Scenario{}, domain.Errorf(domain.Invalid, "no node can have any item of the recording: %s", s.Notes[0])
	}
	s.Span = items[len(items)-1].created.Sub(s.Start)
	s.Name = fmt.Sprintf("%d recorded items on %d recorded nodes", len(items), len(s.Machines))
	s.adjust(items)
	arrivals, cut := arrivalsOf(items, recording.last)
	if cut > 0 {
		s.Notes = append(s.Notes, fmt.Sprintf("%d items ran for more than %v and are cut to it", cut, podLimit))
	}
	s.Arrivals = listed(arrivals)
	return s, nil
}

// adjust adapts the policy and the machines to the items: an item takes one slot
// per GPU it needs, and a machine has one per GPU.
func (s *Scenario) adjust(items []*recordedItem) {
	queue, health := work.DefaultPolicy(), nodes.DefaultPolicy()
	queue.SoftLimit, queue.HardLimit = 1_000_000, 1_000_000
	queue.LeaseSeconds = podLeases
	health.SilentSeconds, health.OfflineSeconds = 48*3600, 72*3600
	s.Notes = append(s.Notes, "work.hard_limit is lifted", fmt.Sprintf("work.lease_seconds is %v", float64(podLeases)), "nodes.silent_seconds is 48 hours",
		"a node has a slot for each GPU, or for each 8 cores if it has none; an item takes one for each GPU")
	var sizes []int
	for _, one := range items {
		if !slices.Contains(sizes, one.asked.GPUs) {
			sizes = append(sizes, one.asked.GPUs)
		}
	}
	for _, size := range sizes {
		queue.Scheduling.Types[typeOf(size)] = sched.TypePolicy{Class: queue.Scheduling.OtherClass, Slots: max(size, 1)}
	}
	for i := range s.Machines {
		m := &s.Machines[i]
		m.Capabilities = slices.Clone(m.Capabilities)
		for _, size := range sizes {
			if size > 1 && m.Slots >= size && slices.Contains(m.Capabilities, "gpu") {
				m.Capabilities = append(m.Capabilities, gpuWord(size))
			}
		}
		slices.Sort(m.Capabilities)
	}
	s.Policy = s.Policy.With(queue).With(health)
}

// admit keeps the items that a machine can run, in order of arrival.
func (s *Scenario) admit(items []*recordedItem) []*recordedItem {
	largest := 0
	for _, m := range s.Machines {
		if slices.Contains(m.Capabilities, "gpu") {
			largest = max(largest, m.Slots)
		}
	}
	var kept []*recordedItem
	refused := 0
	for _, one := range items {
		size := one.asked.GPUs
		if size <= min(largest, mostSlots) {
			kept = append(kept, one)
			continue
		}
		if refused++; refused > namedRefusals {
			continue
		}
		why := fmt.Sprintf("the largest node has %d", largest)
		if size > mostSlots && size <= largest {
			why = fmt.Sprintf("an item may take %d slots", mostSlots)
		}
		s.Notes = append(s.Notes, fmt.Sprintf("refused: %s wants %d GPUs, %s", one.id, size, why))
	}
	if refused > namedRefusals {
		s.Notes = append(s.Notes, fmt.Sprintf("refused: %d more items want more GPUs than a node has", refused-namedRefusals))
	}
	slices.SortStableFunc(kept, func(a, b *recordedItem) int { return a.created.Compare(b.created) })
	return kept
}

// arrivalsOf returns the arrivals of items, and how many of their runs it cut to podLimit.
func arrivalsOf(items []*recordedItem, last time.Time) (arrivals []Arrival, cut int) {
	for _, one := range items {
		arrival, short := one.arrival(last)
		if short {
			cut++
		}
		arrivals = append(arrivals, arrival)
	}
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

// firstMachines keeps the first n machines with GPUs and the first n without.
func firstMachines(machines []Machine, n int) []Machine {
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

// typeOf returns the task type of items with a number of GPUs.
func typeOf(gpus int) string { return fmt.Sprintf("pod_%dgpu", gpus) }

func gpuWord(n int) string { return fmt.Sprintf("gpus-%d", n) }

// arrival converts a recorded item. One that was still running at the end of the
// recording, or that its owner deleted, is cancelled after the time it ran; one
// that never ran is cancelled when it was deleted, or at the end of the recording.
func (p *recordedItem) arrival(last time.Time) (Arrival, bool) {
	size := p.asked.GPUs
	add := workcmd.AddTask{TaskID: p.id, TaskType: typeOf(size), MaxAttempts: 1, TimeoutSeconds: domain.Seconds((podLimit + 12*time.Hour).Seconds())}
	switch {
	case size > 1:
		add.Requires = []string{gpuWord(size)}
	case size == 1:
		add.Requires = []string{"gpu"}
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
