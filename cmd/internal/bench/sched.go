package bench

import (
	"container/heap"
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/sched"
)

// What the scheduler is measured with.
const (
	schedItems = 100_000 // queued, all along
	schedNodes = 400
	schedHeld  = 4 // leases of each node, of its eight slots
	// All have one priority, so that every item of a class gets its turn: if some
	// went first for ever, the rest would not be touched.
	schedPriority = 50
)

// schedFigure holds the scheduler's picks against a heap that only sorts, and a
// claim over HTTP against a request that does nothing.
func schedFigure(ctx context.Context, s *suite) (rows []Row, err error) {
	if s.wanted("sched.picks") {
		picks, err := s.schedPicks(ctx)
		if err != nil {
			return rows, err
		}
		rows = append(rows, picks)
	}
	if s.wanted("sched.claim") {
		claims, err := s.schedClaims(ctx)
		return append(rows, claims...), err
	}
	return rows, nil
}

func (s *suite) schedPicks(ctx context.Context) (Row, error) {
	f, err := newFleet(schedNodes, schedItems)
	if err != nil {
		return Row{}, err
	}
	sorted := newSorted(schedItems)
	values, err := s.rounds(ctx, "sched.picks",
		peer{"index", func(ctx context.Context, _ int) (float64, error) { return s.turns(ctx, f.turn) }},
		peer{"heap", func(ctx context.Context, _ int) (float64, error) { return s.turns(ctx, sorted.turn) }})
	if err != nil {
		return Row{}, err
	}
	about := fmt.Sprintf("pick, book, done and the arrival of another item; %d queued of every type and config, %d nodes, one goroutine", schedItems, schedNodes)
	return row("sched.picks", about, "picks/s", values["index"], "pop and push of a plain heap", values["heap"], valueAtLeast(200_000)), nil
}

func valueAtLeast(limit float64) *Target { return &Target{"value", ">=", limit} }

// turns repeats an operation on this goroutine for the time of a cell and gives
// how often it was done a second.
func (s *suite) turns(ctx context.Context, turn func() error) (float64, error) {
	rate, err := repeat(ctx, 1, s.warmTime(), s.cellTime(), func(context.Context, int, int) error {
		for range turnsAtOnce {
			if err := turn(); err != nil {
				return err
			}
		}
		return nil
	})
	return turnsAtOnce * rate, err
}

// turnsAtOnce is how many turns pass between two looks at the clock, so that
// looking does not count.
const turnsAtOnce = 64

// fleet is a scheduler with a long queue and busy nodes.
type fleet struct {
	index *sched.Index
	nodes []string
	held  [][]string // by node, oldest first
	at    int        // whose turn it is
	now   time.Time
}

func newFleet(nodes, items int) (*fleet, error) {
	policy := sched.DefaultPolicy()
	rules, err := sched.Compile(policy)
	if err != nil {
		return nil, domain.Errorf(domain.Internal, "bench: %w", err)
	}
	f := &fleet{index: sched.New(rules, nil), now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	names := []string{"gpu-h100", "vast-4090", "node", "lab-a100", "mac-studio"}
	cards := []string{"NVIDIA H100 PCIe", "GeForce RTX 4090", "", "A100-SXM4-80GB", ""}
	for i := range nodes {
		id := fmt.Sprintf("%s-%03d", names[i%len(names)], i)
		err := f.index.SetNode(sched.Node{
			ID: id, Slots: sched.Known(2 * schedHeld), HasGPU: sched.Known(true), GPUName: cards[i%len(names)],
			GPUMemoryPercent: sched.Known(1000), GPUPercent: sched.Known(2000), DiskPercent: sched.Known(5000),
		})
		if err != nil {
			return nil, err
		}
		f.nodes = append(f.nodes, id)
	}
	for i := range items {
		f.now = f.now.Add(time.Millisecond)
		err := f.index.Add(sched.Item{
			ID: "t-" + strconv.Itoa(i), Type: policy.Types[i%len(policy.Types)].Type, Config: policy.Weights[i/len(policy.Types)%len(policy.Weights)].Config,
			Priority: schedPriority, Queued: f.now,
		})
		if err != nil {
			return nil, err
		}
	}
	f.held = make([][]string, nodes)
	for range schedHeld {
		for f.at = range nodes {
			if err := f.take(); err != nil {
				return nil, err
			}
		}
	}
	return f, nil
}

// take picks for the node whose turn it is, and books it.
func (f *fleet) take() error {
	picked, found := f.index.Pick(f.nodes[f.at], f.now)
	if !found {
		return domain.Errorf(domain.Internal, "bench: want an item for node %s, found none", f.nodes[f.at])
	}
	f.held[f.at] = append(f.held[f.at], picked.Item)
	return f.index.Lease(picked, f.now)
}

// turn ends the oldest lease of a node, lets an item like the one that ended
// arrive, and gives the node another.
func (f *fleet) turn() error {
	held := f.held[f.at]
	ended, _, _ := f.index.Find(held[0])
	f.held[f.at] = append(held[:0], held[1:]...)
	f.index.Remove(ended.ID)
	ended.Queued = f.now
	if err := f.index.Add(ended); err != nil {
		return err
	}
	if err := f.take(); err != nil {
		return err
	}
	f.now = f.now.Add(5 * time.Microsecond)
	f.at = (f.at + 1) % len(f.nodes)
	return nil
}

// sorted is the least that a queue by priority and age does: a heap without
// gates, nodes or shares.
type sorted struct {
	items heapItems
	next  int64
}

type heapItem struct {
	id       string
	priority int
	queued   int64
}

type heapItems []*heapItem

func (h heapItems) Len() int      { return len(h) }
func (h heapItems) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h heapItems) Less(i, j int) bool {
	if h[i].priority != h[j].priority {
		return h[i].priority > h[j].priority
	}
	return h[i].queued < h[j].queued
}
func (h *heapItems) Push(item any) { *h = append(*h, item.(*heapItem)) }
func (h *heapItems) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

func newSorted(items int) *sorted {
	s := &sorted{}
	for i := range items {
		heap.Push(&s.items, &heapItem{"t-" + strconv.Itoa(i), schedPriority, int64(i)})
	}
	s.next = int64(items)
	return s
}

func (s *sorted) turn() error {
	item := heap.Pop(&s.items).(*heapItem)
	item.queued = s.next
	s.next++
	heap.Push(&s.items, item)
	return nil
}
