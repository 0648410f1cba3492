package store_test

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections"
	"github.com/ringrift/rift/projections/store"
)

func stat(t testing.TB, s *store.Store, name string) store.HandlerStat {
	t.Helper()
	for _, stat := range s.Handlers() {
		if stat.Name == name {
			return stat
		}
	}
	t.Fatalf("no handler %s", name)
	return store.HandlerStat{}
}

func TestFailedHandlerIsUndoneAndParkedAndTheRestGoesOn(t *testing.T) {
	log := eventlog.NewMemory()
	add(t, log, parcelCame{"p1", 3, "s1"}, parcelGone{"p1", true}, parcelCame{"p2", 4, "s1"})
	var told []store.Failure
	var at domain.Position
	var s *store.Store
	options := small(vfs.NewMem())
	options.OnFailure = func(f store.Failure) {
		told, at = append(told, f), s.Position()
	}
	s = open(t, options, models(), reactors())
	defer closeStore(t, s)
	catchUp(t, s, log)
	if row, found := get(t, s, parcels, "p1"); !found || row.Shelf != "s1" {
		t.Errorf("want the row that the failed handler deleted, found %v %v", row, found)
	}
	if _, found := get(t, s, places, "s1\x00p1"); !found {
		t.Error("want the index row that the failed handler deleted")
	}
	if row, _ := get(t, s, counts, "gone"); row.Count != 1 {
		t.Errorf("want the other projection to go on, found %v", row)
	}
	if _, found := get(t, s, parcels, "p2"); !found {
		t.Error("want the next event handled")
	}
	found := letter(t, s, "shop.PARCEL_GONE@2")
	want := store.DeadLetter{
		ID: "shop.PARCEL_GONE@2", Handler: "shop.PARCEL_GONE", Kind: store.KindProjection, Projection: "shop", EventPosition: 2,
		EventID: found.EventID, EventType: "PARCEL_GONE", Stream: "shop-1", Error: "parcel p1 left in anger", Code: domain.Conflict,
		Attempts: 1, First: dawn.Add(time.Second), Last: dawn.Add(time.Second),
	}
	if found != want {
		t.Errorf("dead letter\n got %+v\nwant %+v", found, want)
	}
	if len(told) != 1 || told[0].Handler != want.Handler || told[0].Position != 2 || at != 3 {
		t.Errorf("want one failure told after its commit at 3, found %v at %d", told, at)
	}
	if h := stat(t, s, "shop.PARCEL_GONE"); h.Runs != 1 || h.Failures != 1 || h.DeadLetters != 1 || h.Last != 2 || h.Position != 3 || h.Lag != 0 {
		t.Errorf("counters: %+v", h)
	}
}

func TestPanicsAndUnencodableRowsAreFailures(t *testing.T) {
	odd := projections.Table[float64]{Name: "odd.rows"}
	model := projections.Projection{Name: "odd", Version: 1, Tables: []string{odd.Name}, Handlers: []projections.Handler{
		projections.On(func(tx projections.Tx, _ domain.Envelope, came parcelCame) error {
			switch came.Parcel {
			case "panic":
				panic("out of string")
			case "nan":
				return odd.Put(tx, "k", math.NaN())
			}
			return odd.Update(tx, "k", func(sum *float64) { *sum += float64(came.Weight) })
		}),
	}}
	log := eventlog.NewMemory()
	for range 3 {
		add(t, log, parcelCame{"a", 1, "s"}, parcelCame{"nan", 1, "s"}, parcelCame{"b", 2, "s"}, parcelCame{"panic", 1, "s"})
	}
	for _, batch := range []int{1, 2, 5, 4096} {
		options := small(vfs.NewMem())
		options.BatchMax = batch
		s := open(t, options, []projections.Projection{model, counting()}, nil)
		catchUp(t, s, log)
		if sum, _ := get(t, s, odd, "k"); sum != 9 {
			t.Errorf("batch %d: want the sum of the good events, found %v", batch, sum)
		}
		if l := letter(t, s, "odd.PARCEL_CAME@2"); l.Code != domain.Internal || !strings.Contains(l.Error, "NaN") {
			t.Errorf("batch %d: %+v", batch, l)
		}
		if l := letter(t, s, "odd.PARCEL_CAME@4"); !strings.Contains(l.Error, "out of string") {
			t.Errorf("batch %d: %+v", batch, l)
		}
		if h := stat(t, s, "odd.PARCEL_CAME"); h.Runs != 12 || h.Failures != 6 || h.DeadLetters != 6 {
			t.Errorf("batch %d: counters %+v", batch, h)
		}
		if row, _ := get(t, s, counts, "came"); row.Count != 12 {
			t.Errorf("batch %d: want 12 counted, found %d", batch, row.Count)
		}
		closeStore(t, s)
	}
}

func TestEventsThatDoNotDecodeAreParkedOnce(t *testing.T) {
	log := eventlog.NewMemory()
	broken := proposed(t, 101, parcelCame{})
	broken.Data = []byte(`{"parcel":7}`)
	foreign := proposed(t, 102, parcelCame{})
	foreign.Type = "FROM_THE_FUTURE"
	ignored := proposed(t, 103, nobodyCares{})
	ignored.Data = []byte(`garbage nobody reads`)
	addRaw(t, log, broken, foreign, ignored)
	add(t, log, parcelCame{"p", 1, "s"})
	s := open(t, small(vfs.NewMem()), models(), reactors())
	defer closeStore(t, s)
	catchUp(t, s, log)
	list, err := s.DeadLetters()
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 2 || list[0].ID != "decode@1" || list[0].Code != domain.Corrupt || list[1].ID != "decode@2" || list[1].Code != domain.NotFound {
		t.Fatalf("want one letter for each of the two events, found %+v", list)
	}
	if _, found := get(t, s, parcels, "p"); !found {
		t.Error("want the store to go on")
	}
}

func TestStrictStopsBeforeTheEventThatFailed(t *testing.T) {
	log := eventlog.NewMemory()
	add(t, log, parcelCame{"p1", 3, "s1"}, parcelCame{"p2", 3, "s1"}, parcelGone{"p1", true}, parcelCame{"p3", 4, "s1"})
	options := small(vfs.NewMem())
	options.Strict = true
	// The counting projection runs first: what it wrote for the event must go too.
	s := open(t, options, []projections.Projection{counting(), shop(1)}, reactors())
	defer closeStore(t, s)
	for range 2 {
		err := s.Run(t.Context(), log, store.Until{CaughtUp: true})
		if !errors.Is(err, domain.ErrConflict) || !strings.Contains(err.Error(), "shop.PARCEL_GONE at 3") {
			t.Fatalf("want the handler's error, found %v", err)
		}
		if s.Position() != 2 {
			t.Fatalf("want the two events before applied, found %d", s.Position())
		}
		if _, found := get(t, s, counts, "gone"); found {
			t.Error("want nothing of the failed event")
		}
		if h := stat(t, s, "counts.PARCEL_GONE"); h.Runs != 0 {
			t.Errorf("want no run counted, found %+v", h)
		}
	}
}

func TestProjectionsTouchOnlyTheirTables(t *testing.T) {
	greedy := projections.Projection{Name: "greedy", Version: 1, Tables: []string{"greedy.rows"}, Handlers: []projections.Handler{
		projections.On(func(tx projections.Tx, _ domain.Envelope, came parcelCame) error {
			switch came.Parcel {
			case "get":
				_, _, err := counts.Get(tx, "came")
				return err
			case "scan":
				for _, err := range counts.Scan(tx, projections.Span{}) {
					return err
				}
			case "letters":
				return tx.Delete(store.DeadLetterTable, "x")
			}
			return counts.Put(tx, "came", countRow{})
		}),
	}}
	reactor := projections.When("greedy.writer", "", nil, func(v projections.View, _ domain.Envelope, _ parcelCame) ([]domain.Command, error) {
		return nil, counts.Delete(v.(projections.Tx), "came")
	})
	log := eventlog.NewMemory()
	add(t, log, parcelCame{"get", 1, ""}, parcelCame{"scan", 1, ""}, parcelCame{"put", 1, ""}, parcelCame{"letters", 1, ""})
	s := open(t, small(vfs.NewMem()), []projections.Projection{greedy, counting()}, []projections.Reactor{reactor})
	defer closeStore(t, s)
	catchUp(t, s, log)
	list, err := s.DeadLetters()
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 8 {
		t.Errorf("want 4 failures of each, found %d", len(list))
	}
	for _, l := range list {
		if l.Code != domain.Internal || !strings.Contains(l.Error, "table") {
			t.Errorf("want an internal error about a table, found %+v", l)
		}
	}
	if row, _ := get(t, s, counts, "came"); row.Count != 4 {
		t.Errorf("want the owner's rows untouched, found %v", row)
	}
}

func TestOpenNamesEveryFault(t *testing.T) {
	bad := []projections.Projection{
		{Name: "a", Version: 0, Tables: []string{"t", "t"}},
		{Name: "a", Version: 1, Tables: []string{"t", store.DeadLetterTable, "x y"}, Handlers: []projections.Handler{{Type: "NO_SUCH"}}},
		{Name: "", Version: 1},
	}
	worse := []projections.Reactor{{Name: "r", Type: "PARCEL_CAME"}, {Name: "r", Type: "NO_SUCH"}}
	_, err := store.Open("store", bad, worse, shopCatalog(t), small(vfs.NewMem()))
	var coded *domain.Error
	if !errors.As(err, &coded) || coded.Code != domain.Invalid {
		t.Fatalf("want an invalid error, found %v", err)
	}
	for _, want := range []string{
		"version of at least 1", "table t already belongs to a", "belongs to the store itself", `table "x y"`, "defined twice",
		"NO_SUCH is not in the catalogue", "want a name", "reactor r: defined twice", "want a function",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("want %q in %v", want, err)
		}
	}
	if _, err := store.NewMemory(bad, worse, shopCatalog(t), store.Options{}); !errors.Is(err, domain.ErrInvalid) {
		t.Errorf("want memory to refuse them too, found %v", err)
	}
}
