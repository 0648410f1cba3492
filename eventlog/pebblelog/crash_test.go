package pebblelog

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// TestCrash clones the disk as a loss of power may leave it, repeatedly under load, and
// checks each clone.
func TestCrash(t *testing.T) {
	t.Run("one batch at a time", func(t *testing.T) { crash(t, 0) })
	t.Run("commits pipelined", func(t *testing.T) { crash(t, alwaysPipelined) })
}

func crash(t *testing.T, pipelineAt int) {
	const clones = 30
	disk := vfs.NewCrashableMem()
	log := openWith(t, "data/log", Options{FS: disk, Small: true, pipelineAt: pipelineAt})
	var next atomic.Int64
	var mu sync.Mutex
	var acknowledged []int
	// Each round lets the writers make a number of appends and clones the disk at
	// a random one of them.
	round := func(clone func() *vfs.MemFS, at int) (survivor *vfs.MemFS, safe []int) {
		var writers sync.WaitGroup
		var appends atomic.Int64
		reached := make(chan struct{})
		for w := range crashWriters {
			writers.Go(func() {
				stream := domain.Stream("task", fmt.Sprint(w))
				done := func(batch []eventlog.Proposed, err error) {
					if err != nil {
						t.Errorf("append: %v", err)
					}
					mu.Lock()
					for _, e := range batch {
						acknowledged = append(acknowledged, int(e.Time.UnixMicro()))
					}
					mu.Unlock()
					if int(appends.Add(1)) == at {
						close(reached)
					}
				}
				for size := 1; size <= 3; size++ {
					batch := nextNumbered(&next, size)
					_, err := log.Append(t.Context(), stream, domain.AnyRevision, batch...)
					done(batch, err)
				}
				var writes []eventlog.Write
				for size := 1; size <= 3; size++ {
					writes = append(writes, eventlog.Write{Stream: stream, Expected: domain.AnyRevision, Events: nextNumbered(&next, size)})
				}
				for i, written := range log.AppendMany(t.Context(), writes) {
					done(writes[i].Events, written.Err)
				}
			})
		}
		<-reached
		mu.Lock()
		safe = slices.Clone(acknowledged)
		mu.Unlock()
		survivor = clone()
		writers.Wait()
		return survivor, safe
	}
	for seed := range uint64(clones) {
		random := rand.New(rand.NewPCG(seed, 2))
		clone, safe := round(func() *vfs.MemFS {
			return disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: int(seed*7) % 101, RNG: random})
		}, 1+random.IntN(crashWriters*5))
		submitted := int(next.Load())
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			survivor := openSmall(t, "data/log", clone)
			checkNumbered(t, survivor, safe, submitted)
			checkWholeAppends(t, survivor)
			head, _ := survivor.Head(t.Context())
			receipt, err := survivor.Append(t.Context(), "task-after", domain.AnyRevision, numbered(1<<30))
			if err != nil || receipt.First != head+1 {
				t.Fatalf("append after the crash: want position %d, found %+v, %v", head+1, receipt, err)
			}
			n := safe[random.IntN(len(safe))] // an acknowledged event is still found by its id
			found := false
			for w := range crashWriters {
				again, err := survivor.Append(t.Context(), domain.Stream("task", fmt.Sprint(w)), 1<<40, numbered(n))
				found = found || err == nil && again.Duplicate
			}
			if !found {
				t.Fatalf("event %d was acknowledged and its id is forgotten", n)
			}
		})
		if t.Failed() {
			break
		}
	}
}

const crashWriters = 6

// nextNumbered returns the next events of all writers together.
func nextNumbered(next *atomic.Int64, size int) (batch []eventlog.Proposed) {
	first := int(next.Add(int64(size))) - size
	for k := range size {
		batch = append(batch, numbered(first+k))
	}
	return batch
}

// checkWholeAppends checks that each append is stored whole. It relies on the load above:
// the events of an append have successive numbers, and each writer appends 1, 2, 3, 1, 2,
// 3 … events.
func checkWholeAppends(t *testing.T, log *Log) {
	t.Helper()
	for w := range crashWriters {
		size, left := 0, 0
		for e, err := range log.Read(t.Context(), domain.Stream("task", fmt.Sprint(w)), 0, eventlog.Forward) {
			if err != nil {
				t.Fatal(err)
			}
			if left == 0 {
				size = size%3 + 1
				left = size
			}
			left--
			_ = e
		}
		if left != 0 {
			t.Fatalf("writer %d: want whole appends, found one of %d events with %d missing", w, size, left)
		}
	}
}

// TestProcessDeath copies the folder of an open log, as a killed process leaves it:
// nothing is flushed, and the write-ahead log ends with zeros.
func TestProcessDeath(t *testing.T) {
	dir := t.TempDir()
	log, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	var acknowledged []int
	for n := range 300 {
		if _, err := log.Append(t.Context(), "task-a", domain.AnyRevision, numbered(n)); err != nil {
			t.Fatal(err)
		}
		acknowledged = append(acknowledged, n)
		if n%100 != 50 {
			continue
		}
		copied := t.TempDir()
		if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		wals, err := filepath.Glob(filepath.Join(copied, "*.log"))
		if err != nil || len(wals) == 0 {
			t.Fatalf("want a write-ahead log in the copy, found %v, %v", wals, err)
		}
		survivor := openSmall(t, copied, nil)
		checkNumbered(t, survivor, acknowledged, n+1)
		if head, _ := survivor.Head(t.Context()); head != domain.Position(n+1) {
			t.Fatalf("want %d events, found %d", n+1, head)
		}
	}
}

func TestCloseCommitsWhatWasAccepted(t *testing.T) {
	disk := vfs.NewMem()
	log, err := Open("log", Options{FS: disk, Small: true})
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var acknowledged []int
	var next atomic.Int64
	var group sync.WaitGroup
	started := make(chan struct{}, 8)
	for w := range 8 {
		group.Go(func() {
			for i := 0; ; i++ {
				n := int(next.Add(1)) - 1
				_, err := log.Append(t.Context(), domain.Stream("task", fmt.Sprint(w)), domain.AnyRevision, numbered(n))
				if err != nil {
					if !errors.Is(err, domain.ErrUnavailable) {
						t.Errorf("want unavailable after the end, found %v", err)
					}
					return
				}
				mu.Lock()
				acknowledged = append(acknowledged, n)
				mu.Unlock()
				if i == 10 {
					started <- struct{}{}
				}
			}
		})
	}
	for range 8 {
		<-started
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	group.Wait()
	checkNumbered(t, openSmall(t, "log", disk), acknowledged, int(next.Load()))
}

// TestNothingIsSeenBeforeItsSync delays the sync of an append and looks for the append
// everywhere: it is in the database already, and must not be visible.
func TestNothingIsSeenBeforeItsSync(t *testing.T) {
	for name, pipelineAt := range map[string]int{"one batch at a time": 0, "commits pipelined": alwaysPipelined} {
		t.Run(name, func(t *testing.T) {
			var held atomic.Pointer[chan struct{}]
			disk := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
				if gate := held.Load(); gate != nil && (op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData) {
					<-*gate
				}
				return nil
			}))
			log := openWith(t, "log", Options{FS: disk, Small: true, pipelineAt: pipelineAt})
			fillNumbered(t, log, 21) // seven events in each of three streams
			gate := make(chan struct{})
			held.Store(&gate)
			appended := make(chan error, 1)
			late := numbered(100)
			go func() {
				_, err := log.Append(t.Context(), "task-0", domain.AnyRevision, late, numbered(101))
				appended <- err
			}()
			eventually(t, "the append in the database", func() error {
				_, closer, err := log.current.db.Get(appendRecordKey(nil, 23))
				if err == nil {
					err = closer.Close()
				}
				return err
			})
			count := func() map[string]int {
				seen := map[string]int{}
				for direction, name := range map[eventlog.Direction]string{eventlog.Forward: "forward", eventlog.Backward: "backward"} {
					from, fromRevision := domain.Position(0), domain.Revision(0)
					if direction == eventlog.Backward {
						from, fromRevision = eventlog.End, eventlog.EndRevision
					}
					for _, err := range log.ReadAll(t.Context(), from, direction, eventlog.Filter{}) {
						if err != nil {
							t.Fatal(err)
						}
						seen["all "+name]++
					}
					for _, err := range log.Read(t.Context(), "task-0", fromRevision, direction) {
						if err != nil {
							t.Fatal(err)
						}
						seen["stream "+name]++
					}
				}
				for item, err := range log.Subscribe(t.Context(), 0, eventlog.Filter{}) {
					if err != nil {
						t.Fatal(err)
					}
					if item.CaughtUp {
						break
					}
					seen["subscription"]++
				}
				if _, found, err := log.Find(t.Context(), "task-0", late.ID); err != nil {
					t.Fatal(err)
				} else if found {
					seen["found"]++
				}
				head, err := log.Head(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				seen["head"] = int(head)
				return seen
			}
			want := map[string]int{"all forward": 21, "all backward": 21, "stream forward": 7, "stream backward": 7, "subscription": 21, "head": 21}
			if seen := count(); !maps.Equal(seen, want) {
				t.Fatalf("before the sync: want %v, found %v", want, seen)
			}
			held.Store(nil)
			close(gate)
			if err := <-appended; err != nil {
				t.Fatal(err)
			}
			want = map[string]int{"all forward": 23, "all backward": 23, "stream forward": 9, "stream backward": 9, "subscription": 23, "found": 1, "head": 23}
			if seen := count(); !maps.Equal(seen, want) {
				t.Fatalf("after the sync: want %v, found %v", want, seen)
			}
		})
	}
}

// TestAbandonedAppend ends the context of waiting appends, of one that is in progress and
// of one behind it.
func TestAbandonedAppend(t *testing.T) {
	var held atomic.Pointer[chan struct{}]
	disk := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if gate := held.Load(); gate != nil && (op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData) {
			<-*gate
		}
		return nil
	}))
	log := openSmall(t, "log", disk)
	gate := make(chan struct{})
	held.Store(&gate)
	ctx, stop := context.WithCancel(t.Context())
	errs := [2]chan error{make(chan error, 1), make(chan error, 1)}
	try := func(n int) {
		_, err := log.Append(ctx, "task-a", domain.AnyRevision, numbered(n))
		errs[n] <- err
	}
	go try(0)
	eventually(t, "the first append under way", func() error {
		_, closer, err := log.current.db.Get(appendRecordKey(nil, 1))
		if err == nil {
			err = closer.Close()
		}
		return err
	})
	go try(1)
	eventually(t, "the second append waiting", func() error {
		log.queue.mu.Lock()
		defer log.queue.mu.Unlock()
		if log.queue.waiting == 0 {
			return errors.New("not yet")
		}
		return nil
	})
	stop()
	for n, says := range []string{"may be stored", "nothing is stored"} {
		err := <-errs[n]
		if !errors.Is(err, context.Canceled) || !errors.Is(err, domain.ErrUnavailable) || !strings.Contains(err.Error(), says) {
			t.Fatalf("append %d: want canceled, unavailable and %q, found %v", n, says, err)
		}
	}
	held.Store(nil)
	close(gate)
	receipt, err := log.Append(t.Context(), "task-a", domain.AnyRevision, numbered(0))
	if err != nil || !receipt.Duplicate || receipt.First != 1 {
		t.Fatalf("want the append that was under way found, found %+v, %v", receipt, err)
	}
	if receipt, err = log.Append(t.Context(), "task-a", 0, numbered(1)); err != nil || receipt.Duplicate || receipt.First != 2 {
		t.Fatalf("want the append that waited not stored, found %+v, %v", receipt, err)
	}
}
