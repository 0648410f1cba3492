package store_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections"
	"github.com/ringrift/rift/projections/store"
)

func letter(t testing.TB, s *store.Store, id string) store.DeadLetter {
	t.Helper()
	list, err := s.DeadLetters()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(list, func(l store.DeadLetter) bool { return l.ID == id })
	if i < 0 {
		t.Fatalf("no dead letter %s among %v", id, list)
	}
	return list[i]
}

// What an event says of a dead letter is done where it is folded: by a store that
// follows the log, by one that comes later, and by a version that is built beside.
func TestRetryRunsOneHandlerAgainAndDiscardDropsTheLetter(t *testing.T) {
	for _, running := range []bool{false, true} {
		log := eventlog.NewMemory()
		add(t, log, parcelCame{"p1", 3, "s1"}, parcelGone{"p1", true}, parcelCame{"p2", 4, "s1"}, parcelGone{"p2", true})
		var healed atomic.Bool
		model := shop(1)
		inner := model.Handlers[2].Apply
		model.Handlers[2].Apply = func(tx projections.Tx, e domain.Envelope) error {
			if err := inner(tx, e); err != nil && !healed.Load() {
				return err
			}
			return nil
		}
		options := small(vfs.NewMem())
		var told []store.Failure
		options.OnFailure = func(f store.Failure) { told = append(told, f) }
		s := open(t, options, []projections.Projection{model, counting()}, reactors())
		catchUp(t, s, log)
		stop := func() {}
		if running {
			stop = live(t, s, log)
		}
		const name = "shop.PARCEL_GONE"
		act := func(acts ...domain.Event) {
			at := add(t, log, acts...)
			if running {
				wait(t, s, at)
			} else {
				catchUp(t, s, log)
			}
		}
		act(letterDealtWith{Handler: name, Position: 2, Retry: true})
		if l := letter(t, s, name+"@2"); l.Attempts != 2 || !l.Last.Equal(dawn.Add(4*time.Second)) || !l.First.Equal(dawn.Add(time.Second)) {
			t.Errorf("after a failed retry: %+v", l)
		}
		if _, found := get(t, s, parcels, "p1"); !found {
			t.Error("want a failed retry undone")
		}
		healed.Store(true)
		act(letterDealtWith{Handler: name, Position: 2, Retry: true})
		if _, found := get(t, s, parcels, "p1"); found {
			t.Error("want the retried handler's delete")
		}
		if row, _ := get(t, s, counts, "gone"); row.Count != 2 {
			t.Errorf("want no other handler run, found %v", row)
		}
		act(letterDealtWith{Handler: name, Position: 4})
		if list, err := s.DeadLetters(); err != nil || len(list) != 0 {
			t.Errorf("want no letters left, found %v, %v", list, err)
		}
		before := stat(t, s, name)
		if before.DeadLetters != 0 || before.Failures != 3 || before.Runs != 4 {
			t.Errorf("counters: %+v", before)
		}
		// Letters that are not there, handlers and positions that nobody knows.
		act(letterDealtWith{Handler: name, Position: 2, Retry: true}, letterDealtWith{Handler: name, Position: 99}, letterDealtWith{Handler: "nobody", Position: 2, Retry: true}, letterDealtWith{})
		before.Position += 4
		if after := stat(t, s, name); after != before {
			t.Errorf("want nothing done, found %+v", after)
		}
		stop()
		if len(told) != 3 || told[2].Attempts != 2 || told[2].Position != 2 {
			t.Errorf("want the retry's failure told, found %+v", told)
		}
		closeStore(t, s)
	}
}

// A store that folds the log later, in batches of any size or as a new version
// beside the old one, has the rows and letters of one that was there.
func TestLettersAreDealtWithWhereverTheLogIsFolded(t *testing.T) {
	log := eventlog.NewMemory()
	add(t, log, parcelCame{"p1", 3, "s1"}, parcelGone{"p1", true}, parcelGone{"p1", true}, parcelCame{"p2", 4, "s1"}, parcelGone{"p2", true})
	const name = "shop.PARCEL_GONE"
	add(t, log, letterDealtWith{Handler: name, Position: 3}, parcelMoved{"p2", "s2"}, letterDealtWith{Handler: name, Position: 2, Retry: true}, parcelCame{"p3", 1, "s3"})
	var want []store.DeadLetter
	var rows store.Digest
	for i, batch := range []int{1, 3, 4096} {
		options := small(vfs.NewMem())
		options.BatchMax = batch
		s := open(t, options, models(), reactors())
		catchUp(t, s, log)
		found, err := s.DeadLetters()
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			want, rows = found, digest(t, s)
		}
		if len(found) != 2 || found[0].Attempts != 2 || !reflect.DeepEqual(found, want) || digest(t, s).Total != rows.Total {
			t.Errorf("batches of %d: found %+v", batch, found)
		}
		closeStore(t, s)
		s = open(t, options, []projections.Projection{shop(2), counting()}, reactors())
		catchUp(t, s, log)
		if again, err := s.DeadLetters(); err != nil || !reflect.DeepEqual(again, want) {
			t.Errorf("built anew: found %+v, %v, want %+v", again, err, want)
		}
		closeStore(t, s)
	}
}

func TestRetryOfAnUndecodedEventRunsEverythingAndIssuesOnce(t *testing.T) {
	log := eventlog.NewMemory()
	add(t, log, parcelCame{"p1", 3, "s1"}, parcelGone{Parcel: "p1"})
	fs := vfs.NewMem()
	young, err := domain.NewCatalog(nil, []domain.Def{domain.Define[parcelCame](1, "parcel", "a parcel came")})
	if err != nil {
		t.Fatal(err)
	}
	model := counting()
	model.Handlers = model.Handlers[:1]
	s, err := store.Open("store", []projections.Projection{model}, nil, young, small(fs))
	if err != nil {
		t.Fatal(err)
	}
	catchUp(t, s, log)
	letter(t, s, "decode@2")
	closeStore(t, s)
	reactor := apologies()
	options := small(fs)
	s = open(t, options, []projections.Projection{counting()}, []projections.Reactor{reactor})
	defer closeStore(t, s)
	add(t, log, letterDealtWith{Handler: store.DecodeHandler, Position: 2, Retry: true})
	catchUp(t, s, log)
	if row, _ := get(t, s, counts, "gone"); row.Count != 1 {
		t.Errorf("want the event handled, found %v", row)
	}
	if n := s.OutboxLen(); n != 0 {
		t.Errorf("a reactor that came after the event answers it not even on a retry, found %d entries", n)
	}
}

func TestDeadLettersAreBounded(t *testing.T) {
	log := eventlog.NewMemory()
	for range 8 {
		add(t, log, parcelCame{"p", 1, "s"}, parcelGone{"p", true})
	}
	options := small(vfs.NewMem())
	options.DeadLetterMax = 3
	s := open(t, options, models(), nil)
	defer closeStore(t, s)
	catchUp(t, s, log)
	list, err := s.DeadLetters()
	if err != nil {
		t.Fatal(err)
	}
	if h := stat(t, s, "shop.PARCEL_GONE"); len(list) != 3 || h.DeadLetters != 3 || h.Failures != 8 || h.Unparked != 5 {
		t.Errorf("want 3 of 8 kept, found %d and %+v", len(list), h)
	}
}

func TestDeadLettersAreRowsOfEveryView(t *testing.T) {
	log := eventlog.NewMemory()
	add(t, log, parcelCame{"p1", 3, "s1"}, parcelGone{"p1", true})
	s := open(t, small(vfs.NewMem()), models(), nil)
	defer closeStore(t, s)
	catchUp(t, s, log)
	err := s.View(func(v projections.View) error {
		for row, err := range v.Scan(store.DeadLetterTable, projections.Span{}) {
			if err != nil {
				return err
			}
			var fields map[string]any
			if err := json.Unmarshal(row.Value, &fields); err != nil {
				return err
			}
			for _, key := range []string{"id", "handler", "event_position", "event_type", "error", "attempts", "first", "last"} {
				if fields[key] == nil {
					t.Errorf("want %s in %s", key, row.Value)
				}
			}
			return nil
		}
		return errors.New("no rows")
	})
	if err != nil {
		t.Fatal(err)
	}
}
