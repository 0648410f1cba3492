package store_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections"
	"github.com/ringrift/rift/projections/store"
)

// Rows that change at every commit are read from memory after a while, and read
// as they would be from disk: by scans of any kind, by key, and after a view was
// taken before the commits that followed.
func TestRowsThatChangeAllTheTimeAgreeWithMemory(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	log := eventlog.NewMemory()
	m, err := store.NewMemory(models(), nil, shopCatalog(t), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, small(vfs.NewMem()), models(), nil)
	defer closeStore(t, s)
	type viewer interface {
		View(func(projections.View) error) error
	}
	told := func(v projections.View) (lines []string) {
		t.Helper()
		for _, span := range []projections.Span{{}, {Prefix: "a"}, {From: "b\x00p02"}, {Prefix: "b", Reverse: true}, {Reverse: true}} {
			for entry, err := range places.Scan(v, span) {
				if err != nil {
					t.Fatal(err)
				}
				row, found, err := parcels.Get(v, entry.Row.Parcel)
				if err != nil {
					t.Fatal(err)
				}
				lines = append(lines, fmt.Sprint(span, entry.Key, entry.Row, found, row))
			}
		}
		return lines
	}
	seen := func(of viewer) (lines []string) {
		t.Helper()
		if err := of.View(func(v projections.View) error { lines = told(v); return nil }); err != nil {
			t.Fatal(err)
		}
		return lines
	}
	atHand := 0
	var older *store.Snapshot
	defer func() {
		if older != nil {
			older.Close() // the store waits for it
		}
	}()
	var was []string
	for round := range 900 {
		parcel := fmt.Sprintf("p%02d", random.IntN(8))
		var event domain.Event = parcelCame{parcel, round, []string{"a", "b"}[random.IntN(2)]}
		if random.IntN(3) == 0 {
			event = parcelGone{Parcel: parcel}
		}
		add(t, log, event)
		catchUp(t, s, log)
		if err := m.Replay(t.Context(), log, 0); err != nil {
			t.Fatal(err)
		}
		got, want := seen(s), seen(m)
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("round %d, after %v: got %q, want %q", round, event, got, want)
		}
		if older != nil {
			if again := told(older); fmt.Sprint(again) != fmt.Sprint(was) {
				t.Fatalf("round %d: a view taken before shows %q, it showed %q", round, again, was)
			}
			older.Close()
		}
		if older, err = s.Snapshot(); err != nil {
			t.Fatal(err)
		}
		was = got
		if typed, ok := projections.View(older).(projections.Typed); ok {
			if _, ok := typed.Cells(places.Name, projections.Span{}); ok {
				atHand++
			}
		}
	}
	if atHand < 100 {
		t.Errorf("want rows that change all the time at hand, found them %d times", atHand)
	}
}
