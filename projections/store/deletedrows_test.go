package store_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections"
	"github.com/ringrift/rift/projections/store"
)

// firstOf lists the first rows of a span.
func firstOf(t testing.TB, s interface {
	View(func(projections.View) error) error
}, span projections.Span, n int,
) (rows []string) {
	t.Helper()
	if err := s.View(func(v projections.View) error {
		for row, err := range places.RawScan(v, span) {
			if err != nil {
				return err
			}
			if rows = append(rows, row.Key); len(rows) == n {
				return nil
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return rows
}

// TestScansBehindDeletedRowsAgreeWithMemory takes from the head of a queue, puts
// before, at and behind it, and looks with every kind of span, while the store
// remembers where nothing is.
func TestScansBehindDeletedRowsAgreeWithMemory(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	log := eventlog.NewMemory()
	m, err := store.NewMemory(models(), nil, shopCatalog(t), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, small(vfs.NewMem()), models(), nil)
	defer closeStore(t, s)
	defer live(t, s, log)()
	var queue []domain.Event
	for i := range 400 {
		queue = append(queue, parcelCame{fmt.Sprintf("p%04d", i), 1, []string{"a", "b"}[i%2]})
	}
	add(t, log, queue...)
	for round := range 700 {
		var event domain.Event
		switch n := random.IntN(10); {
		case n < 7: // the head goes
			rows := firstOf(t, m, projections.Span{Prefix: []string{"a", "b"}[round%2]}, 1)
			if len(rows) == 0 {
				continue
			}
			event = parcelGone{Parcel: rows[0][2:]}
		case n < 9: // somewhere
			event = parcelCame{fmt.Sprintf("p%04d", random.IntN(500)), 1, []string{"a", "b"}[random.IntN(2)]}
		default: // in front of everything
			event = parcelCame{fmt.Sprintf("p%04d", 0), 1, "a"}
		}
		last := add(t, log, event)
		wait(t, s, last)
		if err := m.Replay(t.Context(), log, 0); err != nil {
			t.Fatal(err)
		}
		for _, span := range []projections.Span{
			{}, {Prefix: "a"}, {Prefix: "b"}, {Prefix: "a", From: "a\x00p0100"}, {From: "a\x00p02"}, {Prefix: "b", Reverse: true}, {Reverse: true},
		} {
			got, want := firstOf(t, s, span, 3), firstOf(t, m, span, 3)
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatalf("round %d, after %v, %+v: got %q, want %q", round, event, span, got, want)
			}
		}
	}
}

// BenchmarkQueueHead measures looking at the head of a queue after so many rows
// were taken from it, before Pebble has cleared them away.
func BenchmarkQueueHead(b *testing.B) {
	for _, taken := range []int{100, 50_000} {
		b.Run(fmt.Sprint("taken-", taken), func(b *testing.B) {
			log := eventlog.NewMemory()
			s := open(b, store.Options{FS: vfs.NewMem()}, []projections.Projection{shop(1)}, nil)
			defer closeStore(b, s)
			var came, gone []domain.Event
			for i := range taken + 10 {
				came = append(came, parcelCame{fmt.Sprintf("p%08d", i), 1, "a"})
				gone = append(gone, parcelGone{Parcel: fmt.Sprintf("p%08d", i)})
			}
			gone = gone[:taken]
			for _, list := range [][]domain.Event{came, gone} {
				for len(list) > 0 {
					n := min(1000, len(list))
					add(b, log, list[:n]...)
					list = list[n:]
				}
			}
			catchUp(b, s, log)
			start := time.Now()
			n := 0
			for b.Loop() {
				n++
				if rows := firstOf(b, s, projections.Span{Prefix: "a"}, 1); len(rows) != 1 {
					b.Fatal("want the head")
				}
			}
			b.ReportMetric(float64(time.Since(start).Nanoseconds())/float64(n), "ns/look")
		})
	}
}
