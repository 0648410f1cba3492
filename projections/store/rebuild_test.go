package store_test

import (
	"context"
	"errors"
	"iter"
	"reflect"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections"
	"github.com/ringrift/rift/projections/store"
	"github.com/ringrift/rift/projections/store/crashdisk"
)

// fresh is the digest of a store that is built at once by the given models.
func fresh(t testing.TB, log eventlog.Log, models []projections.Projection) store.Digest {
	t.Helper()
	s := open(t, small(vfs.NewMem()), models, nil)
	defer closeStore(t, s)
	catchUp(t, s, log)
	return digest(t, s)
}

func projection(t testing.TB, s *store.Store, name string) store.ProjectionStat {
	t.Helper()
	for _, stat := range s.Projections() {
		if stat.Name == name {
			return stat
		}
	}
	t.Fatalf("no projection %s", name)
	return store.ProjectionStat{}
}

func TestRaisedVersionIsBuiltBesideTheServingOneAndSwitched(t *testing.T) {
	fs := vfs.NewMem()
	log := shopLog(t, 3000)
	s := open(t, small(fs), models(), reactors())
	catchUp(t, s, log)
	issued := entries(t, s)
	old := digest(t, s)
	closeStore(t, s)

	next := []projections.Projection{shop(2), counting()}
	s = open(t, small(fs), next, reactors())
	if got := digest(t, s); !reflect.DeepEqual(got, old) {
		t.Error("want the old version to serve until the switch")
	}
	if p := projection(t, s, "shop"); p.Version != 1 || p.Rebuild == nil || p.Rebuild.To != 2 || p.Position != 3000 {
		t.Errorf("before the rebuild: %+v", p)
	}
	catchUp(t, s, log)
	if p := projection(t, s, "shop"); p.Version != 2 || p.Rebuild != nil || p.Position != 3000 {
		t.Errorf("after the rebuild: %+v", p)
	}
	want := fresh(t, log, next)
	if got := digest(t, s); !reflect.DeepEqual(got, want) {
		t.Errorf("digest\n got %v\nwant %v", got, want)
	}
	if want.Total == old.Total {
		t.Error("want a new version that differs")
	}
	if got := entries(t, s); !reflect.DeepEqual(got, issued) {
		t.Error("want a rebuild to issue nothing and settle nothing")
	}
	letters, err := s.DeadLetters()
	if err != nil {
		t.Fatal(err)
	}
	reference := reference(t, log)
	if want, err := reference.DeadLetters(); err != nil || len(want) == 0 || !reflect.DeepEqual(letters, want) {
		t.Errorf("want the new version's dead letters in the place of the old one's, found %d of %d", len(letters), len(want))
	}
	// It goes on as one of the others, also over a restart.
	add(t, log, mixed(200)...)
	catchUp(t, s, log)
	closeStore(t, s)
	s = open(t, small(fs), next, reactors())
	defer closeStore(t, s)
	add(t, log, mixed(200)...)
	catchUp(t, s, log)
	if got := digest(t, s); !reflect.DeepEqual(got, fresh(t, log, next)) {
		t.Error("want the same rows after the switch and a restart")
	}
}

// haltingLog ends the reading of history after a number of events.
type haltingLog struct {
	eventlog.Log
	left int
}

var errHalt = errors.New("the disk of the log is gone")

func (l *haltingLog) ReadAll(ctx context.Context, from domain.Position, direction eventlog.Direction, filter eventlog.Filter) iter.Seq2[domain.Envelope, error] {
	return func(yield func(domain.Envelope, error) bool) {
		for e, err := range l.Log.ReadAll(ctx, from, direction, filter) {
			if l.left--; l.left < 0 {
				yield(domain.Envelope{}, errHalt)
				return
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

func TestRebuildGoesOnAfterARestart(t *testing.T) {
	for _, crash := range []bool{false, true} {
		fs := crashdisk.New()
		log := shopLog(t, 6000)
		options := small(fs)
		options.BatchMax = 100
		s := open(t, options, models(), nil)
		catchUp(t, s, log)
		closeStore(t, s)

		next := []projections.Projection{shop(2), counting()}
		s = open(t, options, next, nil)
		halting := &haltingLog{log, 2001} // one is read to compare the log with the store
		if err := s.Run(t.Context(), halting, store.Until{CaughtUp: true}); !errors.Is(err, errHalt) {
			t.Fatalf("want the log's error, found %v", err)
		}
		if err := s.Flush(); err != nil {
			t.Fatal(err)
		}
		if crash {
			fs = fs.CrashClone(vfs.CrashCloneCfg{})
			options.FS = fs
		}
		closeStore(t, s)
		s = open(t, options, next, nil)
		if p := projection(t, s, "shop"); p.Version != 1 || p.Rebuild == nil || p.Rebuild.Position < 1000 {
			t.Errorf("want the rebuild half done, found %+v %+v", p, p.Rebuild)
		}
		catchUp(t, s, log)
		if got := digest(t, s); !reflect.DeepEqual(got, fresh(t, log, next)) {
			t.Error("want the rows of the new version")
		}
		for _, h := range []string{"shop.PARCEL_CAME", "counts.PARCEL_CAME"} {
			if a, b := stat(t, s, h).Runs, stat(t, s, "counts.PARCEL_CAME").Runs; a != b {
				t.Errorf("%s ran %d times, want %d", h, a, b)
			}
		}
		closeStore(t, s)
	}
}

func TestNewProjectionIsBuiltFromTheStart(t *testing.T) {
	fs := vfs.NewMem()
	log := shopLog(t, 3000)
	s := open(t, small(fs), []projections.Projection{shop(1)}, nil)
	catchUp(t, s, log)
	closeStore(t, s)
	s = open(t, small(fs), models(), nil)
	defer closeStore(t, s)
	err := s.View(func(v projections.View) error {
		_, _, err := counts.Get(v, "came")
		return err
	})
	if !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("want its tables unavailable until it is built, found %v", err)
	}
	catchUp(t, s, log)
	if got := digest(t, s); !reflect.DeepEqual(got, fresh(t, log, models())) {
		t.Error("want the rows of a store that had it from the start")
	}
}

func TestRebuildWhileEventsCome(t *testing.T) {
	fs := vfs.NewMem()
	log := shopLog(t, 4000)
	s := open(t, small(fs), models(), nil)
	catchUp(t, s, log)
	closeStore(t, s)
	next := []projections.Projection{shop(2), counting()}
	s = open(t, small(fs), next, nil)
	defer closeStore(t, s)
	stop := live(t, s, log)
	var last domain.Position
	for range 40 {
		last = add(t, log, mixed(100)...)
		wait(t, s, last)
	}
	stop()
	catchUp(t, s, log)
	if got := digest(t, s); !reflect.DeepEqual(got, fresh(t, log, next)) || got.Position != last {
		t.Errorf("want the rows of the new version at %d, found %d", last, got.Position)
	}
}

func TestProjectionThatWasAwayCatchesUp(t *testing.T) {
	fs := vfs.NewMem()
	log := shopLog(t, 2000)
	s := open(t, small(fs), models(), nil)
	catchUp(t, s, log)
	closeStore(t, s)
	s = open(t, small(fs), []projections.Projection{shop(1)}, nil)
	add(t, log, mixed(2000)...)
	catchUp(t, s, log)
	closeStore(t, s)
	// It comes back as it was; then it is raised, half built, and lowered again.
	s = open(t, small(fs), models(), nil)
	catchUp(t, s, log)
	if got := digest(t, s); !reflect.DeepEqual(got, fresh(t, log, models())) {
		t.Error("want the rows of a store that always had it")
	}
	closeStore(t, s)
	raised := open(t, small(fs), []projections.Projection{shop(3), counting()}, nil)
	closeStore(t, raised)
	s = open(t, small(fs), models(), nil)
	defer closeStore(t, s)
	catchUp(t, s, log)
	if got := digest(t, s); !reflect.DeepEqual(got, fresh(t, log, models())) {
		t.Error("want the lowered version to serve")
	}
}

// tally is a second counting projection, in a table of its own.
func tally() projections.Projection {
	rows := projections.Table[countRow]{Name: "tally.rows"}
	return projections.Projection{Name: "tally", Version: 1, Tables: []string{rows.Name}, Handlers: []projections.Handler{
		projections.On(func(tx projections.Tx, _ domain.Envelope, moved parcelMoved) error {
			return rows.Update(tx, moved.Shelf, func(row *countRow) { row.Count++ })
		}),
	}}
}

func TestVersionsThatStandApartAreBuiltInOnePass(t *testing.T) {
	fs := vfs.NewMem()
	log := shopLog(t, 6000)
	options := small(fs)
	options.BatchMax = 100
	s := open(t, options, models(), nil)
	catchUp(t, s, log)
	closeStore(t, s)
	s = open(t, options, []projections.Projection{shop(2), counting()}, nil)
	if err := s.Run(t.Context(), &haltingLog{log, 2001}, store.Until{CaughtUp: true}); !errors.Is(err, errHalt) {
		t.Fatalf("want the log's error, found %v", err)
	}
	closeStore(t, s)
	all := []projections.Projection{shop(2), counting(), tally()}
	s = open(t, options, all, nil)
	defer closeStore(t, s)
	if a, b := projection(t, s, "shop").Rebuild, projection(t, s, "tally").Rebuild; a.Position < 1000 || b.Position != 0 || b.From != 0 {
		t.Errorf("want one half built and one not begun, found %+v and %+v", a, b)
	}
	catchUp(t, s, log)
	if got, want := digest(t, s), fresh(t, log, all); !reflect.DeepEqual(got, want) {
		t.Errorf("digest\n got %v\nwant %v", got, want)
	}
	if shopRuns, tallyRuns := stat(t, s, "shop.PARCEL_MOVED").Runs, stat(t, s, "tally.PARCEL_MOVED").Runs; shopRuns != tallyRuns {
		t.Errorf("want every event handled once by each, found %d and %d", shopRuns, tallyRuns)
	}
}
