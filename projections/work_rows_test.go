package projections_test

import (
	"fmt"
	"iter"
	"testing"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
)

// counted counts the rows that a view is asked for.
type counted struct {
	projections.View
	rows *int
}

func (c counted) Get(table, key string) (*projections.Cell, bool, error) {
	*c.rows++
	return c.View.Get(table, key)
}

func (c counted) Scan(table string, span projections.Span) iter.Seq2[projections.Row, error] {
	return func(yield func(projections.Row, error) bool) {
		for row, err := range c.View.Scan(table, span) {
			*c.rows++
			if !yield(row, err) {
				return
			}
		}
	}
}

// Row 21: thousands of waiting, failed and timed-out items made every claim
// slower, for each looked at all of them. A claim reads as many rows from a
// queue of fifty items as from one of two thousand, and what ended costs nothing.
func TestRow21ALongQueueSlowsNoClaim(t *testing.T) {
	reads := map[int]int{}
	for _, length := range []int{50, 2000} {
		x := exchangeUnder(t, domain.DefaultPolicy().Work)
		for i := range length {
			id := domain.TaskID(fmt.Sprintf("t-%05d", i))
			x.say(t, id.Stream(), domain.TaskSpawned{
				TaskID: id, TaskType: []string{"selfplay", "export"}[i%2], ConfigKey: "hex8_2p", Priority: i % 7, TimeoutSeconds: 60, MaxAttempts: 3,
			})
			if i%3 == 0 {
				x.say(t, id.Stream(), domain.TaskCancelled{TaskID: id})
			}
		}
		rows := 0
		err := x.models.View(func(v projections.View) error {
			picked, err := projections.PickTasks(counted{v, &rows}, projections.Claimant{Node: "n", Limit: 4}, projections.Market{Rules: x.rules, Now: x.now})
			if err == nil && len(picked) != 4 {
				err = fmt.Errorf("want 4 items, found %d", len(picked))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		reads[length] = rows
	}
	if reads[50] == 0 || reads[2000] > reads[50]+8 {
		t.Errorf("a claim of four reads %d rows of fifty items, and %d of two thousand", reads[50], reads[2000])
	}
}
