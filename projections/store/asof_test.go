package store_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections"
	"github.com/ringrift/rift/projections/store"
)

// dump writes every row of the tables down.
func dump(v projections.View) (string, error) {
	text := fmt.Sprintln(v.Position())
	for _, table := range []string{parcels.Name, places.Name, counts.Name} {
		for row, err := range v.Scan(table, projections.Span{}) {
			if err != nil {
				return "", err
			}
			text += fmt.Sprintf("%s %q %s\n", table, row.Key, row.Value)
		}
	}
	return text, nil
}

func dumpAt(t testing.TB, log eventlog.Log, at domain.Position) string {
	t.Helper()
	m, err := store.NewMemory(models(), nil, shopCatalog(t), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if at > 0 {
		if err := m.Replay(t.Context(), log, at); err != nil {
			t.Fatal(err)
		}
	}
	var text string
	if err := m.View(func(v projections.View) (err error) {
		text, err = dump(v)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return text
}

func askAt(ctx context.Context, s *store.Store, log eventlog.Log, at domain.Position) (text string, err error) {
	err = s.At(ctx, log, at, func(v projections.View) (err error) {
		text, err = dump(v)
		return err
	})
	return text, err
}

func keeping(t testing.TB, fs vfs.FS, every, keep int) *store.Store {
	t.Helper()
	options := small(fs)
	options.BatchMax = 10
	options.Snapshots = store.SnapshotPolicy{Every: every, Keep: keep}
	return open(t, options, models(), reactors())
}

func snapshotsOn(t testing.TB, fs vfs.FS) []string {
	t.Helper()
	names, err := fs.List("store/snapshots")
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestAtAnswersAsOfAnyPosition(t *testing.T) {
	fs := vfs.NewMem()
	log := shopLog(t, 1200)
	s := keeping(t, fs, 100, 4)
	defer closeStore(t, s)
	stop := live(t, s, log)
	wait(t, s, 1200)
	for i := range 10 { // by hundreds, so that snapshots have time to be taken
		wait(t, s, add(t, log, mixed(100)...))
		if i%2 == 0 {
			if _, err := askAt(t.Context(), s, log, 1200); err != nil {
				t.Fatal(err)
			}
		}
	}
	var group sync.WaitGroup
	for _, at := range []domain.Position{0, 1, 99, 100, 640, 1100, 1199, 1200, 1777, 2150, 2200, 640, 99} {
		group.Go(func() {
			got, err := askAt(context.Background(), s, log, at)
			if err != nil {
				t.Error(err)
			} else if want := dumpAt(t, log, at); got != want {
				t.Errorf("at %d:\n got %s\nwant %s", at, got, want)
			}
		})
	}
	for range 5 {
		add(t, log, mixed(100)...)
	}
	group.Wait()
	stop()
	if n := len(snapshotsOn(t, fs)); n < 1 || n > 4 {
		t.Errorf("want one to four snapshots kept, found %d", n)
	}
}

func TestSnapshotsOutliveTheProcessAndShortenReplays(t *testing.T) {
	fs := vfs.NewMem()
	log := shopLog(t, 1000)
	s := keeping(t, fs, 400, 8)
	stop := live(t, s, log)
	for len(namesIn(fs, "store/snapshots")) == 0 {
		wait(t, s, add(t, log, mixed(10)...))
	}
	stop()
	closeStore(t, s) // waits for the snapshot
	if len(snapshotsOn(t, fs)) == 0 {
		t.Fatal("want a snapshot")
	}
	s = keeping(t, fs, 400, 8)
	defer closeStore(t, s)
	counted := &countingLog{Log: log}
	at := s.Position() - 1
	got, err := askAt(t.Context(), s, counted, at)
	if err != nil || got != dumpAt(t, log, at) {
		t.Fatalf("at %d: %v, %s", at, err, got)
	}
	if counted.read >= uint64(at) {
		t.Errorf("want a replay from the snapshot, found %d of %d events read", counted.read, at)
	}
	before := counted.read
	if _, err := askAt(t.Context(), s, counted, at); err != nil || counted.read != before {
		t.Errorf("want the second ask answered from the first one's replay, found %d events read, %v", counted.read-before, err)
	}
}

func namesIn(fs vfs.FS, dir string) []string {
	names, err := fs.List(dir)
	if err != nil {
		return nil
	}
	return names
}

func TestSnapshotsOfOtherVersionsAreNotUsed(t *testing.T) {
	fs := vfs.NewMem()
	log := shopLog(t, 1000)
	s := keeping(t, fs, 300, 8)
	stop := live(t, s, log)
	for len(namesIn(fs, "store/snapshots")) == 0 {
		wait(t, s, add(t, log, mixed(10)...))
	}
	stop()
	closeStore(t, s)
	next := []projections.Projection{shop(2), counting()}
	s = open(t, small(fs), next, nil)
	defer closeStore(t, s)
	catchUp(t, s, log)
	m, err := store.NewMemory(next, nil, shopCatalog(t), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Replay(t.Context(), log, 900); err != nil {
		t.Fatal(err)
	}
	var want string
	if err := m.View(func(v projections.View) (err error) { want, err = dump(v); return err }); err != nil {
		t.Fatal(err)
	}
	if got, err := askAt(t.Context(), s, log, 900); err != nil || got != want {
		t.Errorf("at 900: %v\n got %s\nwant %s", err, got, want)
	}
	if left := snapshotsOn(t, fs); len(left) != 0 {
		t.Errorf("want the old version's snapshots gone, found %v", left)
	}
}

func TestAtRefusesWhatIsNotThereAndTooManyAsks(t *testing.T) {
	log := shopLog(t, 200)
	options := small(vfs.NewMem())
	options.AsksMax = 1
	s := open(t, options, models(), nil)
	defer closeStore(t, s)
	catchUp(t, s, log)
	if _, err := askAt(t.Context(), s, log, 201); !errors.Is(err, domain.ErrNotFound) {
		t.Errorf("past the log's end: want not found, found %v", err)
	}
	add(t, log, mixed(1)...)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := askAt(ctx, s, log, 201); !errors.Is(err, domain.ErrTimeout) {
		t.Errorf("not applied yet: want a timeout, found %v", err)
	}
	if _, err := askAt(ctx, s, log, 100); !errors.Is(err, domain.ErrTimeout) {
		t.Errorf("no time for a replay: want a timeout, found %v", err)
	}
	if _, err := askAt(t.Context(), s, log, 100); err != nil {
		t.Errorf("want an ask that gave up to leave nothing behind, found %v", err)
	}
	err := s.At(t.Context(), log, 50, func(projections.View) error {
		_, err := askAt(t.Context(), s, log, 60)
		return err
	})
	if !errors.Is(err, domain.ErrTooMany) {
		t.Errorf("want a second ask refused, found %v", err)
	}
	for at := range domain.Position(12) { // more than are kept
		if got, err := askAt(t.Context(), s, log, at*7); err != nil || got != dumpAt(t, log, at*7) {
			t.Errorf("at %d: %v", at*7, err)
		}
	}
}

func TestViewsAreOfOneMoment(t *testing.T) {
	log := shopLog(t, 100)
	s := open(t, small(vfs.NewMem()), models(), nil)
	catchUp(t, s, log)
	old, err := s.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	before, err := dump(old)
	if err != nil {
		t.Fatal(err)
	}
	stop := live(t, s, log)
	for range 20 {
		last := add(t, log, mixed(10)...)
		wait(t, s, last)
		err := s.View(func(v projections.View) error {
			if v.Position() < last {
				t.Errorf("want a view at %d or later once it was waited for, found %d", last, v.Position())
			}
			text, err := dump(v)
			if want := dumpAt(t, log, v.Position()); text != want {
				t.Errorf("view at %d\n got %s\nwant %s", v.Position(), text, want)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	stop()
	after, err := dump(old)
	if err != nil || after != before {
		t.Errorf("want a snapshot to stay as it was: %v", err)
	}
	closed := make(chan error)
	go func() { closed <- s.Close() }()
	for {
		other, err := s.Snapshot()
		if err != nil {
			if !errors.Is(err, domain.ErrUnavailable) {
				t.Errorf("want a closing store to be unavailable, found %v", err)
			}
			break
		}
		other.Close()
	}
	if again, err := dump(old); err != nil || again != before {
		t.Errorf("want Close to wait for the snapshot: %v", err)
	}
	old.Close()
	old.Close()
	if err := <-closed; err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("want a second Close to answer like the first, found %v", err)
	}
	if _, err := s.Digest(t.Context()); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("want a closed store to be unavailable, found %v", err)
	}
}

func TestViewsScanLikeMemory(t *testing.T) {
	log := shopLog(t, 700)
	s := open(t, small(vfs.NewMem()), models(), nil)
	defer closeStore(t, s)
	catchUp(t, s, log)
	m := reference(t, log)
	for _, span := range []projections.Span{
		{},
		{Reverse: true},
		{Prefix: "s0"},
		{Prefix: "s0", Reverse: true},
		{From: "s07"},
		{From: "s07", Reverse: true},
		{Prefix: "s1", From: "s12"},
		{Prefix: "s1", From: "s12\x00p", Reverse: true},
		{Prefix: "s1", From: "s0"},
		{Prefix: "s1", From: "s0", Reverse: true},
		{Prefix: "s1", From: "s9"},
		{Prefix: "s1", From: "s9", Reverse: true},
		{Prefix: "none"},
	} {
		list := func(v projections.View) (rows []string) {
			for row, err := range v.Scan(places.Name, span) {
				if err != nil {
					t.Fatal(err)
				}
				rows = append(rows, row.Key+string(row.Value))
			}
			return rows
		}
		var got, want []string
		if err := s.View(func(v projections.View) error { got = list(v); return nil }); err != nil {
			t.Fatal(err)
		}
		if err := m.View(func(v projections.View) error { want = list(v); return nil }); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%+v\n got %q\nwant %q", span, got, want)
		}
	}
}

// Read models in memory take one event that no log has, before all others.
func TestMemoryBeginsWithAnEventOfItsOwn(t *testing.T) {
	m, err := store.NewMemory(models(), nil, shopCatalog(t), store.Options{Strict: true})
	if err != nil {
		t.Fatal(err)
	}
	at := func(position domain.Position, parcel string) error {
		return m.Apply(domain.Envelope{
			Position: position, Stream: domain.Stream("parcel", parcel), ID: domain.DeriveID(parcel, 0), Type: parcelCame{}.EventType(), Version: 1,
			Event: parcelCame{Parcel: parcel},
		})
	}
	for _, one := range []struct {
		position domain.Position
		taken    bool
	}{{0, true}, {0, false}, {1, true}, {0, false}, {1, false}, {2, true}} {
		if err := at(one.position, "p"+one.position.String()); (err == nil) != one.taken {
			t.Errorf("position %d: want it taken: %t, found %v", one.position, one.taken, err)
		}
	}
	if err := m.View(func(v projections.View) error {
		text, err := dump(v)
		if !strings.Contains(text, `"p0"`) || v.Position() != 2 {
			t.Errorf("want the parcel of position 0 and position 2, found %d\n%s", v.Position(), text)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}
