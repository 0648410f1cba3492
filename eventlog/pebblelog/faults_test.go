package pebblelog

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/logtest"
)

func TestReadFaultsAreSaid(t *testing.T) {
	logtest.RunFaults(t, func(t testing.TB, fill func(eventlog.Log)) (eventlog.Log, func(int64)) {
		disk := vfs.NewMem()
		log, err := Open("log", Options{FS: disk, Small: true})
		if err != nil {
			t.Fatal(err)
		}
		fill(log)
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
		var left atomic.Int64
		left.Store(-1)
		faulty := errorfs.Wrap(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind.ReadOrWrite() != errorfs.OpIsRead || left.Load() < 0 {
				return nil
			}
			for {
				n := left.Load()
				switch {
				case n < 0:
					return nil
				case n == 0:
					return syscall.EIO
				case left.CompareAndSwap(n, n-1):
					return nil
				}
			}
		}))
		// Opening it again moves everything to tables. With a cache of one byte, every
		// read reads the tables.
		log, err = Open("log", Options{FS: faulty, Small: true, CacheBytes: 1})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := log.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		})
		return log, left.Store
	})
}

func numberedData(n int) string {
	return fmt.Sprintf(`{"n":%d,"pad":"%s"}`, n, strings.Repeat("x", n%500))
}

func numbered(n int) eventlog.Proposed {
	return eventlog.Proposed{
		ID: domain.DeriveID("numbered", n), Type: "NUMBERED", Version: 1,
		Time: time.UnixMicro(int64(n)), Data: []byte(numberedData(n)),
	}
}

// checkNumbered checks a log of numbered events: it has every acknowledged event, no event
// that was not appended, and each once.
func checkNumbered(t *testing.T, log *Log, acknowledged []int, appended int) {
	t.Helper()
	report, err := log.Verify(t.Context(), nil)
	if err != nil || !report.OK() {
		t.Fatalf("verify: %v, %+v", err, report)
	}
	there := map[string]bool{}
	next := domain.Position(1)
	for e, err := range log.ReadAll(t.Context(), 0, eventlog.Forward, eventlog.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Position != next || there[string(e.Data)] {
			t.Fatalf("want each event once and no hole, found %v at %d", e, next)
		}
		next++
		there[string(e.Data)] = true
	}
	for _, n := range acknowledged {
		if !there[numberedData(n)] {
			t.Fatalf("event %d was acknowledged and is lost", n)
		}
	}
	for n := range appended {
		delete(there, numberedData(n))
	}
	if len(there) > 0 {
		t.Fatalf("want nothing that was never appended, found %v", there)
	}
}

// eventually repeats try until it succeeds, or fails after 20 seconds.
func eventually(t *testing.T, what string, try func() error) {
	t.Helper()
	var err error
	for start := time.Now(); time.Since(start) < 20*time.Second; runtime.Gosched() {
		if err = try(); err == nil {
			return
		}
	}
	t.Fatalf("%s: %v", what, err)
}

func TestFullDisk(t *testing.T) {
	for name, fails := range map[string]func(errorfs.Op) bool{
		"every write":         func(op errorfs.Op) bool { return op.Kind.ReadOrWrite() == errorfs.OpIsWrite },
		"writes, not syncs":   func(op errorfs.Op) bool { return op.Kind == errorfs.OpFileWrite || op.Kind == errorfs.OpCreate },
		"syncs":               func(op errorfs.Op) bool { return op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData },
		"the write-ahead log": func(op errorfs.Op) bool { return op.Kind == errorfs.OpFileWrite && strings.HasSuffix(op.Path, ".log") },
		"the tables":          func(op errorfs.Op) bool { return strings.HasSuffix(op.Path, ".sst") && op.Kind == errorfs.OpFileWrite },
		"the manifest": func(op errorfs.Op) bool {
			return strings.Contains(op.Path, "MANIFEST") && op.Kind == errorfs.OpFileWrite
		},
	} {
		t.Run(name, func(t *testing.T) {
			var full atomic.Bool
			disk := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
				if full.Load() && fails(op) {
					return syscall.ENOSPC
				}
				return nil
			}))
			log := openSmall(t, "log", disk)
			subscribed := make(chan error, 1)
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			go func() { subscribed <- countOnce(ctx, log) }()
			var acknowledged []int
			n := 0
			appendNext := func() error {
				_, err := log.Append(t.Context(), "task-a", domain.AnyRevision, numbered(n))
				if err == nil {
					acknowledged = append(acknowledged, n)
				}
				n++
				return err
			}
			for round := range 3 {
				for range 200 {
					if err := appendNext(); err != nil {
						t.Fatal(err)
					}
				}
				full.Store(true)
				var failure error
				for failure == nil && n < 100_000 { // until the failing file is written
					failure = appendNext()
				}
				if domain.CodeOf(failure) != domain.Unavailable || !errors.Is(failure, domain.ErrUnavailable) {
					t.Fatalf("round %d: want unavailable, found %v", round, failure)
				}
				head, err := log.Head(t.Context())
				if err != nil || head < domain.Position(len(acknowledged)) {
					t.Fatalf("want the head at what is acknowledged, %d, found %d, %v", len(acknowledged), head, err)
				}
				seen := 0
				for _, err := range log.ReadAll(t.Context(), 0, eventlog.Forward, eventlog.Filter{}) {
					if err != nil {
						t.Fatalf("reading while the disk is full: %v", err)
					}
					seen++
				}
				if seen < len(acknowledged) {
					t.Fatalf("want %d events to be read while the disk is full, found %d", len(acknowledged), seen)
				}
				full.Store(false)
				eventually(t, "append when there is space again", appendNext)
			}
			checkNumbered(t, log, acknowledged, n)
			stop()
			if err := <-subscribed; err != nil {
				t.Fatalf("the subscriber: %v", err)
			}
			if err := log.Close(); err != nil {
				t.Fatal(err)
			}
			checkNumbered(t, openSmall(t, "log", disk), acknowledged, n)
		})
	}
}

// countOnce follows a log, and fails when a position is skipped or repeated.
func countOnce(ctx context.Context, log *Log) error {
	next := domain.Position(1)
	for item, err := range log.Subscribe(ctx, 0, eventlog.Filter{}) {
		if err != nil {
			return err
		}
		if item.Envelope.Position == 0 {
			continue
		}
		if item.Position != next {
			return fmt.Errorf("want position %d next, found %d", next, item.Position)
		}
		next++
	}
	return nil
}

// TestRandomWriteErrors makes random writes fail under concurrent load.
func TestRandomWriteErrors(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(seed, 1))
			var broken atomic.Bool
			var mu sync.Mutex
			disk := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
				if !broken.Load() || op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
					return nil
				}
				mu.Lock()
				defer mu.Unlock()
				if random.IntN(50) == 0 {
					return syscall.EIO
				}
				return nil
			}))
			options := Options{FS: disk, Small: true}
			if seed%2 == 1 {
				options.pipelineAt = alwaysPipelined
			}
			log := openWith(t, "log", options)
			broken.Store(true)
			var next atomic.Int64
			var acknowledged []int
			var group sync.WaitGroup
			for w := range 4 {
				group.Go(func() {
					stream := domain.Stream("task", fmt.Sprint(w))
					check := func(n int, receipt eventlog.Receipt, err error) {
						if err != nil {
							if domain.CodeOf(err) != domain.Unavailable {
								t.Errorf("want unavailable, found %v", err)
							}
							return
						}
						if head, _ := log.Head(t.Context()); head < receipt.Last {
							t.Errorf("want a head of at least %d, found %d", receipt.Last, head)
						}
						mu.Lock()
						acknowledged = append(acknowledged, n)
						mu.Unlock()
					}
					for range 100 {
						n := int(next.Add(1)) - 1
						receipt, err := log.Append(t.Context(), stream, domain.AnyRevision, numbered(n))
						check(n, receipt, err)
						first := int(next.Add(5)) - 5
						writes := make([]eventlog.Write, 5)
						for i := range writes {
							writes[i] = eventlog.Write{Stream: stream, Expected: domain.AnyRevision, Events: []eventlog.Proposed{numbered(first + i)}}
						}
						for i, written := range log.AppendMany(t.Context(), writes) {
							check(first+i, written.Receipt, written.Err)
						}
					}
				})
			}
			group.Wait()
			broken.Store(false)
			eventually(t, "append when the disk is well again", func() error {
				n := int(next.Add(1)) - 1
				_, err := log.Append(t.Context(), "task-last", domain.AnyRevision, numbered(n))
				return err
			})
			checkNumbered(t, log, acknowledged, int(next.Load()))
		})
	}
}
