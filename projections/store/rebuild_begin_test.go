package store_test

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/logtest"
	"github.com/ringrift/rift/projections"
	"github.com/ringrift/rift/projections/store"
	"github.com/ringrift/rift/projections/store/crashdisk"
)

// wanting is a small store that builds a projection again when words name it.
func wanting(fs vfs.FS) store.Options {
	options := small(fs)
	options.RebuildTypes = []string{nobodyCares{}.EventType()}
	options.Rebuilds = func(e domain.Envelope) (string, bool) {
		words, ok := e.Event.(nobodyCares)
		return words.Text, ok && words.Text != "hm"
	}
	return options
}

func TestReadModelIsBuiltAgainBesideTheOneThatServes(t *testing.T) {
	fs := vfs.NewMem()
	log := shopLog(t, 4000)
	options := wanting(fs)
	options.BatchMax = 100
	options.Snapshots = store.SnapshotPolicy{Every: 1000, Keep: 4}
	s := open(t, options, models(), reactors())
	catchUp(t, s, log)
	issued := entries(t, s)
	let := make(chan struct{})
	stop := live(t, s, logtest.Gated(log, 2000, let))
	wish := add(t, log, nobodyCares{"shop"})
	wait(t, s, wish)
	half := untilRebuild(t, s, "shop", func(stat store.ProjectionStat) bool {
		return stat.Rebuild != nil && stat.Rebuild.Position >= 1000
	})
	if r := half.Rebuild; r.From != 1 || r.To != 1 || r.Generation != 1 || r.Position > 2000 || r.Target < wish || r.Handled == 0 || r.Began.IsZero() {
		t.Errorf("want version 1 built again up to 2000 at most, found %+v", r)
	}
	// The one that serves goes on, and neither asking again nor asking for what
	// there is not begins another.
	last := add(t, log, append(mixed(300), nobodyCares{"shop"}, nobodyCares{"counts"}, nobodyCares{"nothing"})...)
	wait(t, s, last)
	if p := projection(t, s, "shop"); p.Position != last || p.Generation != 0 || p.Rebuild == nil {
		t.Errorf("want generation 0 to answer at %d, found %+v", last, p)
	}
	if p := projection(t, s, "counts"); p.Rebuild == nil || !p.Rebuild.Waits {
		t.Errorf("want the second one to wait for the first, found %+v", p.Rebuild)
	}
	if got, want := digest(t, s), fresh(t, log, models()); !reflect.DeepEqual(got, want) {
		t.Error("want the serving rows untouched while others are built")
	}
	close(let)
	for _, name := range []string{"shop", "counts"} {
		untilRebuild(t, s, name, func(stat store.ProjectionStat) bool { return stat.Rebuild == nil && stat.Generation == 1 })
	}
	stop()
	add(t, log, mixed(200)...)
	catchUp(t, s, log)
	want := fresh(t, log, models())
	if got := digest(t, s); !reflect.DeepEqual(got, want) {
		t.Errorf("digest\n got %v\nwant %v", got, want)
	}
	if got := entries(t, s); len(got) <= len(issued) || !reflect.DeepEqual(got[:len(issued)], issued) {
		t.Error("want a rebuild to issue nothing and settle nothing")
	}
	reference := reference(t, log)
	letters, err := s.DeadLetters()
	if parked, other := reference.DeadLetters(); errors.Join(err, other) != nil || len(parked) == 0 || !reflect.DeepEqual(letters, parked) {
		t.Errorf("want the dead letters of the new generation, found %d", len(letters))
	}
	if a, b := stat(t, s, "shop.PARCEL_CAME").Runs, stat(t, s, "counts.PARCEL_CAME").Runs; a != b {
		t.Errorf("want each event handled once by the generation that serves, found %d and %d", a, b)
	}
	// A question about the past is answered, and so is one after a restart.
	asOf(t, s, log, 1500)
	closeStore(t, s)
	s = open(t, options, models(), reactors())
	defer closeStore(t, s)
	if p := projection(t, s, "shop"); p.Generation != 1 || p.Rebuild != nil {
		t.Errorf("want generation 1 to stay, found %+v", p)
	}
	catchUp(t, s, log)
	if got := digest(t, s); !reflect.DeepEqual(got, want) {
		t.Error("want the same rows after a restart")
	}
	asOf(t, s, log, 2500)
}

func asOf(t testing.TB, s *store.Store, log eventlog.Log, at domain.Position) {
	t.Helper()
	err := s.At(t.Context(), log, at, func(v projections.View) error {
		_, found, err := counts.Get(v, "came")
		if err == nil && (!found || v.Position() != at) {
			t.Errorf("want rows as of %d, found some as of %d", at, v.Position())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// untilRebuild looks at a projection again after every build step until it is as
// wanted.
func untilRebuild(t testing.TB, s *store.Store, name string, as func(store.ProjectionStat) bool) store.ProjectionStat {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		stat := projection(t, s, name)
		if as(stat) {
			return stat
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s: found %+v %+v", name, stat, stat.Rebuild)
		}
	}
}

func TestWishToBuildAgainSurvivesACrash(t *testing.T) {
	for name, flushed := range map[string]bool{"nothing of it on disk": false, "half of it on disk": true} {
		t.Run(name, func(t *testing.T) {
			fs := crashdisk.New()
			log := shopLog(t, 6000)
			options := wanting(fs)
			options.BatchMax = 100
			s := open(t, options, models(), reactors())
			catchUp(t, s, log)
			if err := s.Flush(); err != nil {
				t.Fatal(err)
			}
			add(t, log, nobodyCares{"shop"})
			halting := &haltingLog{log, 2001}
			if !flushed {
				halting.left = 11
			}
			if err := s.Run(t.Context(), halting, store.Until{CaughtUp: true}); !errors.Is(err, errHalt) {
				t.Fatalf("want the log's error, found %v", err)
			}
			if flushed {
				if err := s.Flush(); err != nil {
					t.Fatal(err)
				}
			}
			fs = fs.CrashClone(vfs.CrashCloneCfg{})
			closeStore(t, s)
			options.FS = fs
			s = open(t, options, models(), reactors())
			defer closeStore(t, s)
			p := projection(t, s, "shop")
			if flushed && (p.Rebuild == nil || p.Rebuild.Position < 1000 || p.Position != 6001) {
				t.Errorf("want it half built again beside the one that serves, found %+v %+v", p, p.Rebuild)
			}
			if !flushed && (p.Rebuild != nil || s.Position() != 6000) {
				t.Errorf("want the wish forgotten with its event, found %+v at %d", p, s.Position())
			}
			catchUp(t, s, log)
			if p := projection(t, s, "shop"); p.Generation != 1 || p.Rebuild != nil {
				t.Errorf("want generation 1, found %+v", p)
			}
			if got := digest(t, s); !reflect.DeepEqual(got, fresh(t, log, models())) {
				t.Error("want the same rows as before")
			}
			for _, h := range []string{"shop.PARCEL_CAME", "counts.PARCEL_CAME"} {
				if a, b := stat(t, s, h).Runs, stat(t, s, "counts.PARCEL_CAME").Runs; a != b {
					t.Errorf("%s ran %d times, want %d", h, a, b)
				}
			}
		})
	}
}

// A store that begins later than the wish has new rows anyway, and so has a
// version that was raised since.
func TestOldWishesAreFulfilled(t *testing.T) {
	log := shopLog(t, 2000)
	add(t, log, nobodyCares{"shop"})
	add(t, log, mixed(100)...)
	fs := vfs.NewMem()
	s := open(t, wanting(fs), models(), nil)
	if err := s.Run(t.Context(), log, store.Until{Position: 1000}); err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)
	s = open(t, wanting(fs), models(), nil)
	catchUp(t, s, log)
	if p := projection(t, s, "shop"); p.Generation != 0 || p.Rebuild != nil {
		t.Errorf("want nothing built again, found %+v", p)
	}
	// Asked for, and then raised before it was built: one build, of the new version.
	add(t, log, nobodyCares{"shop"})
	if err := s.Run(t.Context(), &haltingLog{log, 301}, store.Until{CaughtUp: true}); !errors.Is(err, errHalt) {
		t.Fatalf("want the log's error, found %v", err)
	}
	closeStore(t, s)
	next := []projections.Projection{shop(2), counting()}
	s = open(t, wanting(fs), next, nil)
	defer closeStore(t, s)
	if p := projection(t, s, "shop"); p.Rebuild == nil || p.Rebuild.To != 2 || p.Rebuild.Generation != 0 || p.Rebuild.Position != 0 {
		t.Errorf("want the new version built from the start, found %+v", p.Rebuild)
	}
	catchUp(t, s, log)
	if p := projection(t, s, "shop"); p.Version != 2 || p.Generation != 0 || p.Rebuild != nil {
		t.Errorf("want version 2, found %+v", p)
	}
	if got := digest(t, s); !reflect.DeepEqual(got, fresh(t, log, next)) {
		t.Error("want the rows of the new version")
	}
}
