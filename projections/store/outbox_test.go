package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections"
	"github.com/ringrift/rift/projections/store"
)

func entries(t testing.TB, s *store.Store) []store.OutboxEntry {
	t.Helper()
	list, err := s.Outbox(t.Context(), store.Cursor{}, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// goes makes a log in which n parcels go, at the even positions.
func goes(t testing.TB, n int) *eventlog.Memory {
	t.Helper()
	log := eventlog.NewMemory()
	for i := range n {
		add(t, log, parcelCame{fmt.Sprint("p", i), 1, "s"}, parcelGone{Parcel: fmt.Sprint("p", i)})
	}
	return log
}

func TestReactorsSeeTheRowsOfTheirEventAndNameTheirCommands(t *testing.T) {
	log := goes(t, 3)
	s := open(t, small(vfs.NewMem()), models(), reactors())
	defer closeStore(t, s)
	catchUp(t, s, log)
	list := entries(t, s)
	if len(list) != 3 || s.OutboxLen() != 3 {
		t.Fatalf("want 3 entries, found %d, %d", len(list), s.OutboxLen())
	}
	for i, entry := range list {
		at := domain.Position(2*i + 2)
		var command apologize
		if err := json.Unmarshal(entry.Command, &command); err != nil {
			t.Fatal(err)
		}
		if command.Parcel != fmt.Sprint("p", i) || command.Weight != i+1 {
			t.Errorf("want the count as of the event, this one included, found %+v", command)
		}
		if entry.Position != at || entry.Reactor != "shop.apologies" || entry.Index != 0 || entry.CommandType != "shop.apologize" ||
			entry.Causation != entry.EventID.String() || entry.Correlation != entry.EventID.String() ||
			entry.CommandID != store.CommandID(entry.EventID, "shop.apologies", 0) {
			t.Errorf("entry %+v", entry)
		}
	}
	page, err := s.Outbox(t.Context(), list[0].Cursor(), 1)
	if err != nil || len(page) != 1 || page[0].Position != 4 {
		t.Errorf("want the entry after the first, found %v, %v", page, err)
	}
	if err := s.Settle(list[0], list[0], list[2]); err != nil {
		t.Fatal(err)
	}
	if err := s.Settle(list[0]); err != nil {
		t.Fatal(err)
	}
	if left := entries(t, s); len(left) != 1 || left[0].Position != 4 || s.OutboxLen() != 1 {
		t.Errorf("want one entry left, found %v", left)
	}
}

func TestReactorsThatIssueWhatTheyDoNotListFail(t *testing.T) {
	log := goes(t, 1)
	reactor := apologies()
	reactor.Issues = []string{"shop.rejoice"}
	s := open(t, small(vfs.NewMem()), models(), []projections.Reactor{reactor})
	defer closeStore(t, s)
	catchUp(t, s, log)
	if n := s.OutboxLen(); n != 0 {
		t.Errorf("want nothing issued, found %d", n)
	}
	if l := letter(t, s, "shop.apologies@2"); l.Kind != store.KindReactor || l.Projection != "" {
		t.Errorf("letter %+v", l)
	}
}

func TestWaitOutboxWakesOnTheNextEntry(t *testing.T) {
	log := eventlog.NewMemory()
	s := open(t, small(vfs.NewMem()), models(), reactors())
	defer closeStore(t, s)
	defer live(t, s, log)()
	done := make(chan error, 1)
	go func() { done <- s.WaitOutbox(context.Background(), store.Cursor{}) }()
	add(t, log, parcelCame{"p", 1, "s"}, parcelGone{Parcel: "p"})
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	list := entries(t, s)
	if len(list) != 1 {
		t.Fatalf("want one entry, found %d", len(list))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.WaitOutbox(ctx, list[0].Cursor()); !errors.Is(err, domain.ErrTimeout) {
		t.Errorf("want a timeout when nothing comes, found %v", err)
	}
}

func TestFullOutboxHoldsRunUntilEntriesAreSettled(t *testing.T) {
	log := goes(t, 10)
	options := small(vfs.NewMem())
	options.OutboxMax = 4
	s := open(t, options, models(), reactors())
	defer closeStore(t, s)
	stop := live(t, s, log)
	defer func() { stop() }()
	for s.OutboxWaits() == 0 {
		<-time.After(time.Millisecond)
	}
	if s.Position() != 8 {
		t.Errorf("want Run to wait at the fourth entry, found it at %d", s.Position())
	}
	settled := 0
	after := store.Cursor{}
	for settled < 10 {
		if err := s.WaitOutbox(t.Context(), after); err != nil {
			t.Fatal(err)
		}
		if n := s.OutboxLen(); n > 4 {
			t.Fatalf("want at most 4 entries, found %d", n)
		}
		list, err := s.Outbox(t.Context(), after, 1)
		if err != nil {
			t.Fatal(err)
		}
		after = list[0].Cursor()
		if err := s.Settle(list...); err != nil {
			t.Fatal(err)
		}
		settled++
	}
	wait(t, s, 20)
	stop()
	stop = live(t, s, log)
	if n := s.OutboxLen(); n != 0 {
		t.Errorf("want nothing issued again, found %d", n)
	}
}

func settling(options store.Options) store.Options {
	options.SettleTypes = []string{"DONE_UP_TO"}
	options.Settles = func(e domain.Envelope) (domain.Position, bool) {
		done, ok := e.Event.(doneUpTo)
		return done.Position, ok
	}
	return options
}

func TestSettlementsInTheLogDeleteEntries(t *testing.T) {
	for _, batch := range []int{1, 3, 4096} {
		log := goes(t, 5)
		add(t, log, doneUpTo{6})
		options := settling(small(vfs.NewMem()))
		options.BatchMax = batch
		s := open(t, options, models(), reactors())
		catchUp(t, s, log)
		if left := entries(t, s); len(left) != 2 || left[0].Position != 8 || s.OutboxLen() != 2 {
			t.Errorf("batch %d: want entries 8 and 10 left, found %v, length %d", batch, left, s.OutboxLen())
		}
		closeStore(t, s)
	}
}

// A node that drains nothing must come past more entries than its outbox holds:
// the log says further on that they are settled.
func TestFullOutboxLooksAheadForSettlements(t *testing.T) {
	log := goes(t, 20)
	options := settling(small(vfs.NewMem()))
	options.OutboxMax = 3
	s := open(t, options, models(), reactors())
	defer closeStore(t, s)
	stop := live(t, s, log)
	defer stop()
	wait(t, s, 6)
	add(t, log, doneUpTo{40})
	wait(t, s, 41)
	if n := s.OutboxLen(); n != 0 {
		t.Errorf("want everything settled, found %d", n)
	}
}

func TestReactorsStartWhereTheyWereFirstOpened(t *testing.T) {
	fs := vfs.NewMem()
	log := goes(t, 2)
	s := open(t, small(fs), models(), nil)
	catchUp(t, s, log)
	closeStore(t, s)

	late := apologies()
	late.Name = "shop.late"
	s = open(t, small(fs), models(), []projections.Reactor{late})
	add(t, log, parcelCame{"x", 1, "s"}, parcelGone{Parcel: "x"})
	catchUp(t, s, log)
	if list := entries(t, s); len(list) != 1 || list[0].Position != 6 {
		t.Errorf("want only the event after its first open, found %v", list)
	}
	closeStore(t, s)

	s = open(t, small(fs), models(), nil)
	add(t, log, parcelCame{"y", 1, "s"}, parcelGone{Parcel: "y"})
	catchUp(t, s, log)
	closeStore(t, s)
	s = open(t, small(fs), models(), []projections.Reactor{late})
	catchUp(t, s, log)
	if list := entries(t, s); len(list) != 1 {
		t.Errorf("want nothing for what happened while it was away, found %v", list)
	}
	closeStore(t, s)

	options := small(fs)
	options.ReactFrom = func(string, domain.Position) domain.Position { return 2 }
	third := apologies()
	third.Name = "shop.third"
	if _, err := store.Open("store", models(), []projections.Reactor{third}, shopCatalog(t), options); !errors.Is(err, domain.ErrInvalid) {
		t.Errorf("want a start before the store refused, found %v", err)
	}
	options.ReactFrom = func(_ string, opened domain.Position) domain.Position { return opened + 2 }
	s = open(t, options, models(), []projections.Reactor{late, third})
	defer closeStore(t, s)
	add(t, log, parcelCame{"z", 1, "s"}, parcelGone{Parcel: "z"}, parcelCame{"z", 1, "s"}, parcelGone{Parcel: "z"})
	catchUp(t, s, log)
	found := map[string]int{}
	for _, entry := range entries(t, s) {
		found[entry.Reactor]++
	}
	if found["shop.late"] != 3 || found["shop.third"] != 1 {
		t.Errorf("want 3 and 1 entries, found %v", found)
	}
}
