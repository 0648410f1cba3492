package store_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections"
	"github.com/ringrift/rift/projections/store"
)

// TestMain fails when a goroutine outlives its store. Of a database that could
// not be opened Pebble itself leaves one behind; an open one has others besides.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// The events of a small shop: parcels come, move and go.
type parcelCame struct {
	Parcel string `json:"parcel"`
	Weight int    `json:"weight"`
	Shelf  string `json:"shelf"`
}

type parcelMoved struct {
	Parcel string `json:"parcel"`
	Shelf  string `json:"shelf"`
}

type parcelGone struct {
	Parcel string `json:"parcel"`
	Angry  bool   `json:"angry,omitempty"`
}

type shelfCleared struct {
	Shelf string `json:"shelf"`
}

type doneUpTo struct {
	Position domain.Position `json:"position"`
}

type letterDealtWith store.LetterAct

type nobodyCares struct {
	Text string `json:"text"`
}

func (parcelCame) EventType() string      { return "PARCEL_CAME" }
func (parcelMoved) EventType() string     { return "PARCEL_MOVED" }
func (parcelGone) EventType() string      { return "PARCEL_GONE" }
func (shelfCleared) EventType() string    { return "SHELF_CLEARED" }
func (doneUpTo) EventType() string        { return "DONE_UP_TO" }
func (letterDealtWith) EventType() string { return "LETTER_DEALT_WITH" }
func (nobodyCares) EventType() string     { return "NOBODY_CARES" }

func shopCatalog(t testing.TB) *domain.Catalog {
	t.Helper()
	catalog, err := domain.NewCatalog(nil, []domain.Def{
		domain.Define[parcelCame](1, "parcel", "a parcel came"),
		domain.Define[parcelMoved](1, "parcel", "a parcel moved"),
		domain.Define[parcelGone](1, "parcel", "a parcel went"),
		domain.Define[shelfCleared](1, "shelf", "a shelf was cleared"),
		domain.Define[letterDealtWith](1, "shop", "somebody dealt with a dead letter"),
		domain.Define[doneUpTo](1, "shop", "the boss has read the outbox up to here"),
		domain.Define[nobodyCares](1, "shop", "words"),
	})
	if err != nil {
		t.Fatal(err)
	}
	return catalog
}

type parcelRow struct {
	Parcel string          `json:"parcel"`
	Weight int             `json:"weight"`
	Shelf  string          `json:"shelf"`
	Moves  int             `json:"moves"`
	At     domain.Position `json:"at"`
}

type placeRow struct {
	Parcel string `json:"parcel"`
}

type countRow struct {
	Count  int `json:"count"`
	Weight int `json:"weight"`
}

var (
	parcels = projections.Table[parcelRow]{Name: "shop.parcels"}
	places  = projections.Table[placeRow]{Name: "shop.places"}
	counts  = projections.Table[countRow]{Name: "counts.rows"}
)

// shop keeps parcels and an index of shelves; clearing a shelf scans it.
func shop(version int) projections.Projection {
	put := func(tx projections.Tx, before string, row parcelRow) error {
		if before != "" {
			if err := places.Delete(tx, before+"\x00"+row.Parcel); err != nil {
				return err
			}
		}
		if err := places.Put(tx, row.Shelf+"\x00"+row.Parcel, placeRow{row.Parcel}); err != nil {
			return err
		}
		row.Weight *= version
		return parcels.Put(tx, row.Parcel, row)
	}
	return projections.Projection{
		Name: "shop", Version: version, About: "parcels and where they are",
		Tables: []string{parcels.Name, places.Name},
		Handlers: []projections.Handler{
			projections.On(func(tx projections.Tx, e domain.Envelope, came parcelCame) error {
				return put(tx, "", parcelRow{Parcel: came.Parcel, Weight: came.Weight, Shelf: came.Shelf, At: e.Position})
			}),
			projections.On(func(tx projections.Tx, e domain.Envelope, moved parcelMoved) error {
				row, found, err := parcels.Get(tx, moved.Parcel)
				if err != nil || !found {
					return err
				}
				before := row.Shelf
				row.Shelf, row.At = moved.Shelf, e.Position
				row.Moves++
				row.Weight /= version
				return put(tx, before, row)
			}),
			projections.On(func(tx projections.Tx, _ domain.Envelope, gone parcelGone) error {
				row, found, err := parcels.Get(tx, gone.Parcel)
				if err != nil || !found {
					return err
				}
				if err := places.Delete(tx, row.Shelf+"\x00"+row.Parcel); err != nil {
					return err
				}
				if err := parcels.Delete(tx, gone.Parcel); err != nil {
					return err
				}
				if gone.Angry {
					return domain.Errorf(domain.Conflict, "parcel %s left in anger", gone.Parcel)
				}
				return nil
			}),
			projections.On(func(tx projections.Tx, e domain.Envelope, cleared shelfCleared) error {
				for row, err := range places.Scan(tx, projections.Span{Prefix: cleared.Shelf + "\x00", Reverse: e.Position%2 == 0}) {
					if err != nil {
						return err
					}
					if err := places.Delete(tx, row.Key); err != nil {
						return err
					}
					if err := parcels.Delete(tx, row.Row.Parcel); err != nil {
						return err
					}
				}
				return nil
			}),
		},
	}
}

// counting is not idempotent: an event folded twice or not at all shows.
func counting() projections.Projection {
	count := func(tx projections.Tx, key string, weight int) error {
		return counts.Update(tx, key, func(row *countRow) { row.Count++; row.Weight += weight })
	}
	return projections.Projection{
		Name: "counts", Version: 1, Tables: []string{counts.Name},
		Handlers: []projections.Handler{
			projections.On(func(tx projections.Tx, _ domain.Envelope, came parcelCame) error {
				return count(tx, "came", came.Weight)
			}),
			projections.On(func(tx projections.Tx, _ domain.Envelope, moved parcelMoved) error {
				return count(tx, "moved to "+moved.Shelf, 0)
			}),
			projections.On(func(tx projections.Tx, _ domain.Envelope, _ parcelGone) error {
				return count(tx, "gone", 0)
			}),
		},
	}
}

type apologize struct {
	Parcel string `json:"parcel"`
	Weight int    `json:"weight"`
}

func (apologize) CommandType() string { return "shop.apologize" }

// apologies answers parcels that went, with what the counts say at that moment.
func apologies() projections.Reactor {
	return projections.When("shop.apologies", "says sorry", []string{"shop.apologize"},
		func(v projections.View, _ domain.Envelope, gone parcelGone) ([]domain.Command, error) {
			row, _, err := counts.Get(v, "gone")
			if err != nil {
				return nil, err
			}
			return []domain.Command{apologize{gone.Parcel, row.Count}}, nil
		})
}

func models() []projections.Projection { return []projections.Projection{shop(1), counting()} }

func reactors() []projections.Reactor { return []projections.Reactor{apologies()} }

var dawn = time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)

// proposed makes an event to append; n names it.
func proposed(t testing.TB, n int, event domain.Event) eventlog.Proposed {
	t.Helper()
	data, err := json.Marshal(event)
	if err != nil {
		t.Fatal(err)
	}
	return eventlog.Proposed{
		ID: domain.DeriveID(fmt.Sprint("test ", n), 0), Type: event.EventType(), Version: 1,
		Time: dawn.Add(time.Duration(n) * time.Second), Data: data,
	}
}

func add(t testing.TB, log eventlog.Log, events ...domain.Event) domain.Position {
	t.Helper()
	head, err := log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	list := make([]eventlog.Proposed, len(events))
	for i, event := range events {
		list[i] = proposed(t, int(head)+i, event)
	}
	return addRaw(t, log, list...)
}

func addRaw(t testing.TB, log eventlog.Log, list ...eventlog.Proposed) domain.Position {
	t.Helper()
	receipt, err := log.Append(t.Context(), "shop-1", domain.AnyRevision, list...)
	if err != nil {
		t.Fatal(err)
	}
	return receipt.Last
}

// mixed makes n events that come, move, go and clear, the same for the same n;
// every fiftieth handler run fails.
func mixed(n int) []domain.Event {
	events := make([]domain.Event, n)
	for i := range events {
		parcel := fmt.Sprintf("p%04d", (i*7919)%(n/3+1))
		shelf := fmt.Sprintf("s%02d", (i*31)%17)
		switch {
		case i%97 == 96:
			events[i] = shelfCleared{shelf}
		case i%50 == 49:
			events[i] = parcelGone{parcel, true}
		case i%11 == 10:
			events[i] = parcelGone{Parcel: parcel}
		case i%13 == 12:
			events[i] = nobodyCares{"hm"}
		case i%3 == 2:
			events[i] = parcelMoved{parcel, shelf}
		default:
			events[i] = parcelCame{parcel, i % 100, shelf}
		}
	}
	return events
}

func shopLog(t testing.TB, n int) *eventlog.Memory {
	t.Helper()
	log := eventlog.NewMemory()
	events := mixed(n)
	for len(events) > 0 {
		chunk := min(len(events), 1000)
		add(t, log, events[:chunk]...)
		events = events[chunk:]
	}
	return log
}

func small(fs vfs.FS) store.Options {
	return store.Options{
		FS: fs, Small: true, Snapshots: store.SnapshotPolicy{Every: -1}, ActTypes: []string{letterDealtWith{}.EventType()},
		Acts: func(e domain.Envelope) (store.LetterAct, bool) {
			act, ok := e.Event.(letterDealtWith)
			return store.LetterAct(act), ok
		},
	}
}

func open(t testing.TB, options store.Options, models []projections.Projection, reactors []projections.Reactor) *store.Store {
	t.Helper()
	s, err := store.Open("store", models, reactors, shopCatalog(t), options)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func closeStore(t testing.TB, s *store.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func catchUp(t testing.TB, s *store.Store, log eventlog.Log) {
	t.Helper()
	if err := s.Run(t.Context(), log, store.Until{CaughtUp: true}); err != nil {
		t.Fatal(err)
	}
}

func digest(t testing.TB, s interface {
	Digest(context.Context) (store.Digest, error)
},
) store.Digest {
	t.Helper()
	d, err := s.Digest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// live runs the store in the background until the returned function is called.
func live(t testing.TB, s *store.Store, log eventlog.Log) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, log, store.Until{}) }()
	return func() {
		t.Helper()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func wait(t testing.TB, s *store.Store, p domain.Position) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := s.WaitFor(ctx, p); err != nil {
		t.Fatal(err)
	}
}

func get[R any](t testing.TB, s *store.Store, table projections.Table[R], key string) (row R, found bool) {
	t.Helper()
	err := s.View(func(v projections.View) (err error) {
		row, found, err = table.Get(v, key)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return row, found
}
