package store_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringrift/rift/projections"
	"github.com/ringrift/rift/projections/store"
)

// hold reads every row of the shop, the parcels one by one while their places
// are scanned, and tells what it holds only after everything was read.
func hold(v projections.View) (string, error) {
	var rows []projections.Row
	for row, err := range v.Scan(places.Name, projections.Span{}) {
		if err != nil {
			return "", err
		}
		_, parcel, _ := strings.Cut(row.Key, "\x00")
		raw, _, err := parcels.Raw(v, parcel) // gone, and come again elsewhere: its old place stays
		if err != nil {
			return "", err
		}
		rows = append(rows, row, projections.Row{Key: parcel, Value: raw})
	}
	var text strings.Builder
	for _, row := range rows {
		fmt.Fprintf(&text, "%q %s\n", row.Key, row.Value)
	}
	return text.String(), nil
}

// TestBriefViewsKeepTheirRows lets many read at once, so that memory goes from
// view to view, while commits come between: within a view nothing it was given
// changes, and outside a brief one nothing ever does.
func TestBriefViewsKeepTheirRows(t *testing.T) {
	log := shopLog(t, 200)
	s := open(t, small(vfs.NewMem()), models(), nil)
	catchUp(t, s, log)
	var kept []projections.Row
	if err := s.View(func(v projections.View) error {
		for row, err := range v.Scan(places.Name, projections.Span{}) {
			if err != nil {
				return err
			}
			kept = append(kept, row)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	before := fmt.Sprintf("%q", kept)
	stop := live(t, s, log)
	var readers sync.WaitGroup
	done := make(chan struct{})
	for range 2 {
		readers.Go(func() {
			for round := 0; ; round++ {
				select {
				case <-done:
					return
				default:
				}
				show := s.Brief
				if round%5 == 4 {
					show = s.View
				}
				if err := show(func(v projections.View) error {
					first, err := hold(v)
					if err != nil {
						return err
					}
					second, err := hold(v)
					if err == nil && first != second {
						return fmt.Errorf("at %d: want the same rows twice, found\n%s\n%s", v.Position(), first, second)
					}
					return err
				}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 25 {
		last := add(t, log, mixed(10)...)
		wait(t, s, last)
		if err := s.Brief(func(v projections.View) error {
			if v.Position() < last {
				t.Errorf("want a view at %d or later once it was waited for, found %d", last, v.Position())
			}
			got, err := hold(v)
			if v.Position() == last && err == nil {
				var want string
				m := reference(t, log)
				if err := m.View(func(v projections.View) (err error) { want, err = hold(v); return err }); err != nil {
					return err
				}
				if got != want {
					t.Errorf("at %d\n got %s\nwant %s", last, got, want)
				}
			}
			return err
		}); err != nil {
			t.Error(err)
		}
	}
	close(done)
	readers.Wait()
	if after := fmt.Sprintf("%q", kept); after != before {
		t.Errorf("want rows of a view to stay, found\n%s\nbefore\n%s", after, before)
	}
	stop()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestBriefViewsOfMuch holds more rows than there is memory to lend.
func TestBriefViewsOfMuch(t *testing.T) {
	wide := projections.Projection{
		Name: "wide", Version: 1, Tables: []string{parcels.Name},
		Handlers: shop(1).Handle(parcelCame{}.EventType()),
	}
	wide.Tables = shop(1).Tables
	log := shopLog(t, 0)
	for i := range 60 {
		add(t, log, parcelCame{Parcel: fmt.Sprintf("p%02d", i), Shelf: strings.Repeat("s", 30_000)})
	}
	s := open(t, store.Options{FS: vfs.NewMem(), Small: true}, []projections.Projection{wide}, nil)
	defer closeStore(t, s)
	catchUp(t, s, log)
	for range 2 {
		if err := s.Brief(func(v projections.View) error {
			first, err := hold(v)
			if err != nil {
				return err
			}
			if len(first) < 2*60*30_000 || strings.Count(first, "p59") < 2 {
				t.Errorf("want 120 rows of 30,000 bytes, found %d bytes", len(first))
			}
			second, err := hold(v)
			if first != second {
				t.Error("want the same rows twice")
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
}
