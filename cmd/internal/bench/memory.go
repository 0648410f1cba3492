package bench

import (
	"context"
	"fmt"
	"runtime"

	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
)

// memoryItems is how many items wait in the queue whose memory is measured.
const memoryItems = 100_000

// memoryFigure measures what an item that waits takes of the queue in memory. Its
// payload stands in the log and does not count.
func memoryFigure(ctx context.Context, s *suite) ([]Row, error) {
	items := min(memoryItems, s.options.Events)
	values, err := s.rounds(ctx, "memory", peer{"queue", func(context.Context, int) (float64, error) { return bytesOfItem(items) }})
	if err != nil {
		return nil, err
	}
	return []Row{row("memory", fmt.Sprintf("memory of an item in the queue's state, its payload aside, %d items queued", items), "bytes", values["queue"], "", nil, valueAtMost(1024))}, nil
}

// bytesOfItem folds items into a queue, each event decoded from bytes of its own
// as a node does it: what the state keeps of them stays.
func bytesOfItem(items int) (float64, error) {
	catalog, err := wiring.Catalog()
	if err != nil {
		return 0, err
	}
	state, err := work.New(nil, nil)
	if err != nil {
		return 0, err
	}
	before := liveHeap()
	position := domain.Position(0)
	for e, err := range queue(items) {
		if err != nil {
			return 0, err
		}
		position++
		if e.Type, e.Version, e.Data, err = catalog.Encode(e.Event); err != nil {
			return 0, err
		}
		e.Position, e.Event = position, nil
		if err := catalog.Fill(&e); err != nil {
			return 0, err
		}
		if err := state.Apply(e); err != nil {
			return 0, err
		}
	}
	used := liveHeap() - before
	if state.Len() != items {
		return 0, domain.Errorf(domain.Internal, "bench: want %d items in the queue, found %d", items, state.Len())
	}
	return float64(used) / float64(items), nil
}

// liveHeap is the memory of what can be reached, in bytes.
func liveHeap() int64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}
