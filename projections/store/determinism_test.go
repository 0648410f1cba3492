package store_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"runtime"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections/store"
	"github.com/ringrift/rift/projections/store/crashdisk"
)

// reference folds a log in memory: what every store must agree with.
func reference(t testing.TB, log eventlog.Log) *store.Memory {
	t.Helper()
	m, err := store.NewMemory(models(), reactors(), shopCatalog(t), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Replay(t.Context(), log, 0); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestDigestIsTheSameAtEveryBatchSizeCacheAndParallelism(t *testing.T) {
	log := shopLog(t, 1500)
	want := reference(t, log)
	wantDigest := digest(t, want)
	wantLetters, err := want.DeadLetters()
	if err != nil {
		t.Fatal(err)
	}
	if len(wantLetters) == 0 || wantDigest.Tables[0].Rows == 0 || wantDigest.Tables[1].Rows == 0 {
		t.Fatalf("want a log that fills every table and parks failures, found %d letters, %v", len(wantLetters), wantDigest.Tables)
	}
	for _, procs := range []int{1, 2} {
		for _, batch := range []int{1, 3, 64, 4096} {
			for _, cache := range []int{1, 50, 100000} {
				t.Run(fmt.Sprintf("procs=%d batch=%d cache=%d", procs, batch, cache), func(t *testing.T) {
					defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
					options := small(vfs.NewMem())
					options.BatchMax, options.CacheRows = batch, cache
					s := open(t, options, models(), reactors())
					defer closeStore(t, s)
					catchUp(t, s, log)
					if got := digest(t, s); !reflect.DeepEqual(got, wantDigest) {
						t.Errorf("digest\n got %v\nwant %v", got, wantDigest)
					}
					letters, err := s.DeadLetters()
					if err != nil {
						t.Fatal(err)
					}
					if !reflect.DeepEqual(letters, wantLetters) {
						t.Errorf("dead letters: got %d, want %d", len(letters), len(wantLetters))
					}
					entries, err := s.Outbox(t.Context(), store.Cursor{}, 1<<20)
					if err != nil {
						t.Fatal(err)
					}
					if !reflect.DeepEqual(entries, want.Outbox()) {
						t.Errorf("outbox: got %d entries, want %d", len(entries), len(want.Outbox()))
					}
					if n := s.OutboxLen(); n != len(entries) {
						t.Errorf("outbox length: got %d, want %d", n, len(entries))
					}
				})
			}
		}
	}
}

// TestCrashLosesNothing kills the disk at random commits, keeping half of what
// was not synced, and opens what is left, until the log is done. The counting
// projection would show an event folded twice or never, the counters of the
// handlers a count that was stored apart from its rows.
func TestCrashLosesNothing(t *testing.T) {
	log := shopLog(t, 1500)
	want := reference(t, log)
	wantDigest := digest(t, want)
	for seed := range uint64(25) {
		random := rand.New(rand.NewPCG(seed, 1))
		fs := crashdisk.New()
		crashes := 0
		for {
			options := small(fs)
			options.BatchMax = 1 + random.IntN(40)
			options.Snapshots.Every = 300
			s := open(t, options, models(), reactors())
			if random.IntN(3) > 0 {
				half := min(s.Position()+domain.Position(1+random.IntN(300)), 1500)
				if err := s.Run(t.Context(), log, store.Until{Position: half}); err != nil {
					t.Fatal(err)
				}
				if err := s.Flush(); err != nil {
					t.Fatal(err)
				}
			}
			stop := min(s.Position()+domain.Position(1+random.IntN(300)), 1500)
			if err := s.Run(t.Context(), log, store.Until{Position: stop}); err != nil {
				t.Fatal(err)
			}
			if s.Position() == 1500 {
				if got := digest(t, s); !reflect.DeepEqual(got, wantDigest) {
					t.Fatalf("seed %d after %d crashes: digest\n got %v\nwant %v", seed, crashes, got, wantDigest)
				}
				entries, err := s.Outbox(t.Context(), store.Cursor{}, 1<<20)
				if err != nil {
					t.Fatal(err)
				}
				if !reflect.DeepEqual(entries, want.Outbox()) {
					t.Fatalf("seed %d: outbox has %d entries, want %d", seed, len(entries), len(want.Outbox()))
				}
				if crashes == 0 {
					t.Errorf("seed %d: want at least one crash", seed)
				}
				checkRuns(t, s, log)
				closeStore(t, s)
				break
			}
			fs = fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: random})
			closeStore(t, s)
			crashes++
		}
	}
}

// checkRuns compares the handlers' counters with the log.
func checkRuns(t testing.TB, s *store.Store, log eventlog.Log) {
	t.Helper()
	types := map[string]uint64{}
	for e, err := range log.ReadAll(t.Context(), 1, eventlog.Forward, eventlog.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		types[e.Type]++
	}
	for _, stat := range s.Handlers() {
		if stat.Kind != store.KindDecode && stat.Runs != types[stat.Event] {
			t.Errorf("%s ran %d times for %d events", stat.Name, stat.Runs, types[stat.Event])
		}
	}
}
