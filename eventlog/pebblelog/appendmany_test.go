package pebblelog

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// numberedWrites returns writes of 1, 2, 3, 1, 2, 3 … numbered events to a few streams.
func numberedWrites(n int) []eventlog.Write {
	writes, next := make([]eventlog.Write, n), 0
	for i := range writes {
		events := make([]eventlog.Proposed, 1+i%3)
		for k := range events {
			events[k] = numbered(next)
			events[k].Data = fmt.Appendf(nil, "%d", i)
			next++
		}
		writes[i] = eventlog.Write{Stream: domain.Stream("task", fmt.Sprint(i%5)), Expected: domain.AnyRevision, Events: events}
	}
	return writes
}

// storedWrites checks that a log has a prefix of the list, each write whole, and returns
// its length.
func storedWrites(t *testing.T, log *Log, writes []eventlog.Write) int {
	t.Helper()
	if report, err := log.Verify(t.Context(), nil); err != nil || !report.OK() {
		t.Fatalf("verify: %v, %+v", err, report)
	}
	write, event := 0, 0
	for e, err := range log.ReadAll(t.Context(), 0, eventlog.Forward, eventlog.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		if want := writes[write].Events[event]; e.ID != want.ID || e.Stream != writes[write].Stream {
			t.Fatalf("position %d: want event %d of write %d, found %v", e.Position, event, write, e)
		}
		if event++; event == len(writes[write].Events) {
			write, event = write+1, 0
		}
	}
	if event != 0 {
		t.Fatalf("write %d: want it whole, found %d of its events", write, event)
	}
	return write
}

func isWALSync(op errorfs.Op) bool {
	return (op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData) && strings.HasSuffix(op.Path, ".log")
}

func TestAppendManySyncsOnce(t *testing.T) {
	var syncs atomic.Int64
	disk := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if isWALSync(op) {
			syncs.Add(1)
		}
		return nil
	}))
	log := openWith(t, "log", Options{FS: disk})
	writes := numberedWrites(100) // fits in pebble's first buffer; pebble also syncs its log when it changes buffers
	before := syncs.Load()
	for i, w := range log.AppendMany(t.Context(), writes) {
		if w.Err != nil {
			t.Fatalf("write %d: %v", i, w.Err)
		}
	}
	if n := syncs.Load() - before; n != 1 {
		t.Fatalf("want one sync for a list that fits one group, found %d", n)
	}
	if n := storedWrites(t, log, writes); n != len(writes) {
		t.Fatalf("want %d writes, found %d", len(writes), n)
	}
}

// TestAppendManyCrash clones the disk before every sync of a long list, as a loss of power
// may leave it.
func TestAppendManyCrash(t *testing.T) {
	for name, pipelineAt := range map[string]int{"one batch at a time": 1 << 30, "commits pipelined": alwaysPipelined} {
		t.Run(name, func(t *testing.T) {
			mem := vfs.NewCrashableMem()
			var clones []*vfs.MemFS
			var armed atomic.Bool
			random := rand.New(rand.NewPCG(3, 4))
			disk := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
				if armed.Load() && isWALSync(op) { // pebble syncs its log on one goroutine
					for _, percent := range []int{0, 60} {
						clones = append(clones, mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: random}))
					}
				}
				return nil
			}))
			log := openWith(t, "log", Options{FS: disk, pipelineAt: pipelineAt})
			writes := numberedWrites(2*groupRequests + 100)
			armed.Store(true)
			for i, w := range log.AppendMany(t.Context(), writes) {
				if w.Err != nil {
					t.Fatalf("write %d: %v", i, w.Err)
				}
			}
			armed.Store(false)
			partial := 0
			for _, clone := range clones {
				survivor := openSmall(t, "log", clone)
				n := storedWrites(t, survivor, writes)
				if n > 0 && n < len(writes) {
					partial++
				}
				for i, w := range survivor.AppendMany(t.Context(), writes) {
					if w.Err != nil || w.Receipt.Duplicate != (i < n) {
						t.Fatalf("write %d again after a crash that left %d: found %+v, %v", i, n, w.Receipt, w.Err)
					}
				}
				if n := storedWrites(t, survivor, writes); n != len(writes) {
					t.Fatalf("want the list complete after the second time, found %d writes", n)
				}
			}
			if partial == 0 && pipelineAt > 0 {
				t.Fatal("want a crash that leaves a part of the list, found none")
			}
		})
	}
}

// TestAppendManyAbandoned ends the context of a list whose first group is in progress,
// while other groups are in the queue and the last ones wait for room in it.
func TestAppendManyAbandoned(t *testing.T) {
	log, held, release := heldLog(t)
	writes := numberedWrites(8 * groupRequests)
	ctx, stop := context.WithCancel(t.Context())
	result := make(chan []eventlog.Written, 1)
	go func() { result <- log.AppendMany(ctx, writes) }()
	eventually(t, "a group under way, and a full queue behind it", func() error {
		if held.Load() == 0 {
			return errors.New("no sync waits")
		}
		return waiting(log, log.queue.limit)
	})
	stop()
	taken := 0
	for i, w := range <-result {
		if !errors.Is(w.Err, context.Canceled) || domain.CodeOf(w.Err) != domain.Unavailable || !reflect.DeepEqual(w.Receipt, eventlog.Receipt{}) {
			t.Fatalf("write %d: want canceled and unavailable, found %+v, %v", i, w.Receipt, w.Err)
		}
		switch {
		case strings.Contains(w.Err.Error(), "may be stored"):
			if taken++; taken != i+1 {
				t.Fatalf("write %d: want a prefix under way, found it behind one that is not stored", i)
			}
		case !strings.Contains(w.Err.Error(), "nothing is stored"):
			t.Fatalf("write %d: want it said that nothing is stored, found %v", i, w.Err)
		}
	}
	release()
	if _, err := log.Append(t.Context(), "task-after", domain.NoStream, numbered(1<<30)); err != nil {
		t.Fatal(err)
	}
	stored := storedWrites(t, log, append(writes[:taken:taken], eventlog.Write{Stream: "task-after", Events: []eventlog.Proposed{numbered(1 << 30)}}))
	if taken != groupRequests || stored != taken+1 {
		t.Fatalf("want the %d writes of the first group and the one after, found %d under way and %d stored", groupRequests, taken, stored)
	}
}

// TestAppendManyClosed closes the log while a list waits for room: the writes in the queue
// are stored, the others are refused.
func TestAppendManyClosed(t *testing.T) {
	log, _, release := heldLog(t)
	writes := numberedWrites(8 * groupRequests)
	result, closed := make(chan []eventlog.Written, 1), make(chan error, 1)
	go func() { result <- log.AppendMany(t.Context(), writes) }()
	eventually(t, "a full queue", func() error { return waiting(log, log.queue.limit) })
	go func() { closed <- log.Close() }()
	eventually(t, "a closed queue", func() error {
		log.queue.mu.Lock()
		defer log.queue.mu.Unlock()
		if !log.queue.closed {
			return errors.New("not yet")
		}
		return nil
	})
	release()
	stored := 0
	for i, w := range <-result {
		switch {
		case w.Err == nil && stored == i:
			stored++
		case domain.CodeOf(w.Err) != domain.Unavailable || !strings.Contains(w.Err.Error(), "closed"):
			t.Fatalf("write %d: want unavailable behind the %d that are stored, found %+v, %v", i, stored, w.Receipt, w.Err)
		}
	}
	if err := <-closed; err != nil {
		t.Fatal(err)
	}
	if stored < log.queue.limit {
		t.Fatalf("want what the queue had stored, found %d writes", stored)
	}
	if n := storedWrites(t, openSmall(t, "log", log.options.FS), writes); n != stored {
		t.Fatalf("want the %d acknowledged writes, found %d", stored, n)
	}
}

// heldLog returns a log whose syncs wait for release; held counts the waiting ones.
func heldLog(t *testing.T) (log *Log, held *atomic.Int64, release func()) {
	var closed atomic.Pointer[chan struct{}]
	held = new(atomic.Int64)
	disk := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if gate := closed.Load(); gate != nil && isWALSync(op) {
			held.Add(1)
			<-*gate
		}
		return nil
	}))
	log, err := Open("log", Options{FS: disk, Small: true, pipelineAt: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := log.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	gate := make(chan struct{})
	closed.Store(&gate)
	return log, held, func() { closed.Store(nil); close(gate) }
}

func waiting(log *Log, n int) error {
	log.queue.mu.Lock()
	defer log.queue.mu.Unlock()
	if log.queue.waiting < n {
		return fmt.Errorf("%d wait", log.queue.waiting)
	}
	return nil
}
