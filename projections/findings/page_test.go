package findings_test

import (
	"encoding/json"
	"fmt"
	"iter"
	"testing"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/projections"
	findingsview "github.com/ringrift/rift/projections/findings"
)

// counted counts the rows that a query reads from a view.
type counted struct {
	projections.View
	read int
}

func (c *counted) Get(table, key string) (*projections.Cell, bool, error) {
	c.read++
	return c.View.Get(table, key)
}

func (c *counted) Scan(table string, span projections.Span) iter.Seq2[projections.Row, error] {
	return func(yield func(projections.Row, error) bool) {
		for row, err := range c.View.Scan(table, span) {
			c.read++
			if !yield(row, err) {
				return
			}
		}
	}
}

// The cost of a page does not grow with the queue. All pages together have all findings, the
// worst first.
func TestAPageOfFindingsCostsItsPage(t *testing.T) {
	s := tell(t)
	for n := range 3_000 { // the first 2,500 wait for an item that is there
		id := fmt.Sprintf("item-%04d", n)
		e := spawned(id)
		e.DependsOn = []domain.TaskID{"item-2999"}
		if n >= 2_500 {
			e.DependsOn = []domain.TaskID{"nowhere"}
		}
		if n == 2_999 {
			e.DependsOn = nil
		}
		s.say(domain.StreamID("task-"+id), e)
	}
	s.after(2*time.Hour).say("task-none", work.Cancelled{TaskID: "none"})
	for _, limit := range []int{1, 30, 1000} {
		seen, pages, next := map[string]int{}, 0, ""
		warned := false
		for {
			var answer findingsview.Answer
			err := s.models.View(func(v projections.View) (err error) {
				view := &counted{View: v}
				answer, err = findingsview.Findings(view, findingsview.Query{Limit: limit, From: next})
				if view.read > 9_000 {
					t.Errorf("limit %d, page %d: read %d rows", limit, pages, view.read)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			if len(answer.Findings) > limit {
				t.Errorf("limit %d: found %d on a page", limit, len(answer.Findings))
			}
			for _, raw := range answer.Findings {
				var row findingsview.FindingRow
				if err := json.Unmarshal(raw, &row); err != nil {
					t.Fatal(err)
				}
				seen[row.Kind+" "+row.Subject]++
				if row.Severity == findingsview.Critical && warned {
					t.Errorf("limit %d: want the critical ones first, found %s on page %d", limit, row.Subject, pages)
				}
			}
			for _, raw := range answer.Findings {
				var row findingsview.FindingRow
				if err := json.Unmarshal(raw, &row); err != nil {
					t.Fatal(err)
				}
				warned = warned || row.Severity == findingsview.Warning
			}
			pages++
			if next = answer.Next; next == "" {
				break
			}
		}
		stuck := 0
		for name, times := range seen {
			if times != 1 {
				t.Errorf("limit %d: found %s %d times", limit, name, times)
			}
			if name[:len("item_stuck")] == "item_stuck" {
				stuck++
			}
		}
		if stuck != 499 || seen["item_starved selfplay"] != 1 || pages < 2 {
			t.Errorf("limit %d: want 499 stuck items and the starved one on several pages, found %d and %v on %d", limit, stuck, seen["item_starved selfplay"], pages)
		}
	}
	for _, wrong := range []string{"x", "é", "ff00"} {
		err := s.models.View(func(v projections.View) error {
			_, err := findingsview.Findings(v, findingsview.Query{From: wrong})
			return err
		})
		if domain.CodeOf(err) != domain.Invalid {
			t.Errorf("from %q: want it refused, found %v", wrong, err)
		}
	}
}
