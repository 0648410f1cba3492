package projections_test

import (
	"fmt"
	"iter"
	"testing"

	"pgregory.net/rapid"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
	"github.com/ringrift/rift/projections/store"
)

// RawAll finds what lookups find, whether the keys are close to each other or not, and
// reads few rows beside them.
func TestRawAll(t *testing.T) {
	games := projections.Projection{
		Name: "games", Version: 1, About: "how often each model won", Tables: []string{wins.Name},
		Handlers: []projections.Handler{projections.On(func(tx projections.Tx, e domain.Envelope, won gameWon) error {
			return wins.Put(tx, won.Model, winsRow{Wins: int(e.Position)})
		})},
	}
	catalog, err := domain.NewCatalog(nil, []domain.Def{domain.Define[gameWon](1, "game", "a model won a game")})
	if err != nil {
		t.Fatal(err)
	}
	models, err := store.NewMemory([]projections.Projection{games}, nil, catalog, store.Options{Strict: true})
	if err != nil {
		t.Fatal(err)
	}
	const rows = 300 // the even ones of 600 names
	for i := range rows {
		event := gameWon{fmt.Sprintf("m%03d", 2*i)}
		if err := models.Apply(domain.Envelope{Position: domain.Position(i + 1), Stream: "game-1", Type: event.EventType(), Event: event}); err != nil {
			t.Fatal(err)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		far := rapid.SampledFrom([]int{1, 2, 3, 10, 40, 90}).Draw(t, "farthest neighbour")
		var keys []string
		for at := rapid.IntRange(0, 2*rows).Draw(t, "first"); at < 2*rows+20 && len(keys) < 100; at += rapid.IntRange(1, far).Draw(t, "distance") {
			keys = append(keys, fmt.Sprintf("m%03d", at))
		}
		if err := models.View(func(v projections.View) error {
			counted := &countedView{View: v}
			found, err := wins.RawAll(counted, keys)
			if err != nil {
				return err
			}
			if len(found) != len(keys) {
				t.Fatalf("want %d rows, found %d", len(keys), len(found))
			}
			for i, key := range keys {
				if want, _, err := wins.Raw(v, key); err != nil || string(found[i]) != string(want) {
					t.Errorf("%s: want %s, found %s, %v", key, want, found[i], err)
				}
			}
			beyond := 0 // the scan ends before these
			for _, key := range keys {
				if key > "m598" {
					beyond++
				}
			}
			if far <= 3 && len(keys) > 1 && counted.lookups > beyond {
				t.Errorf("want neighbours read by the scan, found %d lookups for %d keys", counted.lookups, len(keys))
			}
			if most := 10 * (len(keys) + 1); counted.rows > most {
				t.Errorf("want at most %d rows read for %d keys, found %d", most, len(keys), counted.rows)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	})
}

// countedView counts the rows that are read, and those of them that are looked up.
type countedView struct {
	projections.View
	rows, lookups int
}

func (c *countedView) Get(table, key string) (*projections.Cell, bool, error) {
	c.rows++
	c.lookups++
	return c.View.Get(table, key)
}

func (c *countedView) Scan(table string, span projections.Span) iter.Seq2[projections.Row, error] {
	return func(yield func(projections.Row, error) bool) {
		for row, err := range c.View.Scan(table, span) {
			c.rows++
			if !yield(row, err) {
				return
			}
		}
	}
}
