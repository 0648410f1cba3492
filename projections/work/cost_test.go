package work_test

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/projections"
	workview "github.com/ringrift/rift/projections/work"
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

// writes is a Tx that counts the rows written, by table.
type writes struct {
	projections.Tx
	rows map[string]int
}

func (w writes) Put(table, key string, cell *projections.Cell) error {
	w.rows[table]++
	return w.Tx.Put(table, key, cell)
}

func (w writes) Delete(table, key string) error {
	w.rows[table]++
	return w.Tx.Delete(table, key)
}

// countedWork is the read model of the queue, with the rows it writes counted.
func countedWork(rows map[string]int) projections.Projection {
	work := workview.Projection()
	for i, handler := range work.Handlers {
		work.Handlers[i].Apply = func(tx projections.Tx, e domain.Envelope) error { return handler.Apply(writes{tx, rows}, e) }
	}
	return work
}

// What an event writes is bounded: the item, its rows in the indexes that it
// moves in, and the counts. The counts, the pressure and the shares are the same
// few rows for all items, so that events committed together write them once.
func TestRowsPerEvent(t *testing.T) {
	rows := map[string]int{}
	q := newQueue(t, countedWork(rows))
	decided := &work.ClaimDecision{Class: "normal", Slots: 1, Weight: 100}
	q.say(t, "t0", work.Spawned{TaskID: "t0", TaskType: "selfplay", TimeoutSeconds: 60, MaxAttempts: 3})
	q.say(t, "t0", work.Cancelled{TaskID: "t0"}) // its moment is marked
	for _, step := range []struct {
		event domain.Event
		cold  int // item, indexes
		hot   int // counts, pressure, shares
	}{
		{work.Spawned{TaskID: "t1", TaskType: "selfplay", ConfigKey: "hex8_2p", TimeoutSeconds: 60, MaxAttempts: 3}, 2, 2},
		{work.Claimed{TaskID: "t1", Lease: 1, NodeID: "n1", Deadline: q.now, Decision: decided}, 4, 5},
		{work.Started{TaskID: "t1", Lease: 1, NodeID: "n1"}, 1, 1},
		{work.Heartbeat{TaskID: "t1", Lease: 1, NodeID: "n1", Deadline: q.now}, 1, 0},
		{work.CompletionRejected{TaskID: "t1", Lease: 2, Verb: "complete", Reason: "stale", State: work.StateRunning}, 1, 0},
		{work.Completed{TaskID: "t1", Lease: 1, NodeID: "n1"}, 7, 1},
	} {
		clear(rows)
		q.say(t, "t1", step.event)
		hot := rows["work.counts"] + rows["work.pressure"] + rows["work.shares"]
		all := 0
		for _, n := range rows {
			all += n
		}
		if all-hot != step.cold || hot != step.hot {
			t.Errorf("%s writes %d rows and %d shared ones, want %d and %d: %v", step.event.EventType(), all-hot, hot, step.cold, step.hot, rows)
		}
	}
}

// filled is a queue of n items of nine kinds, one in three queued, held and done,
// which ended a second apart.
func filled(t *testing.T, n int) *rowsOfQueue {
	q := newQueue(t, workview.Projection())
	for i := range n {
		id := domain.TaskID(fmt.Sprintf("t-%05d", i*7919%n)) // in no order
		q.now = q.now.Add(time.Second)
		q.say(t, id, work.Spawned{
			TaskID: id, TaskType: someTypes[i%3], ConfigKey: someConfigs[i/3%3], TimeoutSeconds: 60, MaxAttempts: 3,
		})
		if i/9%3 > 0 {
			q.say(t, id, work.Claimed{TaskID: id, Lease: 1, NodeID: someNodes[i%2], Deadline: q.now})
		}
		if i/9%3 > 1 {
			q.say(t, id, work.Completed{TaskID: id, Lease: 1, NodeID: someNodes[i%2]})
		}
	}
	return q
}

// A page costs what is on it, however many items there are: with every filter,
// at the beginning and in the middle.
func TestAPageReadsItsItemsWhateverTheQueue(t *testing.T) {
	const limit = 20
	short, long := filled(t, 2400), filled(t, 7200)
	middle := func(q *rowsOfQueue) (id, position, moment string) {
		at := q.now.Add(-time.Duration(len(q.revision)/2) * time.Second)
		return fmt.Sprintf("t-%05d", len(q.revision)/2), fmt.Sprintf("%020d", q.position/2), at.Format(time.RFC3339Nano)
	}
	pages := map[string]func(projections.View, *rowsOfQueue) (workview.TasksAnswer, error){}
	for _, f := range []workview.ManyTasks{
		{State: "queued"},
		{State: "done"},
		{Type: "training"},
		{Config: "hex8_2p"},
		{Node: "n1"},
		{State: "done", Node: "n1"},
		{State: "queued", Type: "training"},
		{State: "leased", Type: "training", Config: "hex8_2p"},
		{Type: "export", Node: "n2", Config: "hex8_3p"},
	} {
		pages[fmt.Sprintf("%+v", f)] = func(v projections.View, q *rowsOfQueue) (workview.TasksAnswer, error) {
			f.From, _, _ = middle(q)
			f.Limit = limit
			return workview.ListTasks(v, f)
		}
	}
	for _, f := range []workview.FinishedTasks{
		{},
		{State: "done"},
		{Type: "training"},
		{Config: "hex8_2p"},
		{Node: "n1"},
		{Type: "export", Node: "n2", Config: "hex8_3p"},
		{Until: "middle"},
		{Since: "middle"},
		{Until: "middle", Node: "n1"},
	} {
		pages[fmt.Sprintf("history %+v", f)] = func(v projections.View, q *rowsOfQueue) (workview.TasksAnswer, error) {
			_, position, moment := middle(q)
			if f.Until != "" {
				f.Until = moment
			} else {
				f.Before = position
			}
			if f.Since != "" {
				f.Since, f.Before = moment, ""
			}
			f.Limit = limit
			return workview.TaskHistory(v, f)
		}
	}
	reads := func(q *rowsOfQueue, page func(projections.View, *rowsOfQueue) (workview.TasksAnswer, error)) (rows int) {
		q.view(t, func(v projections.View) error {
			answer, err := page(counted{v, &rows}, q)
			if len(answer.Items) != limit {
				t.Errorf("want %d items, found %d", limit, len(answer.Items))
			}
			return err
		})
		return rows
	}
	for _, name := range slices.Sorted(maps.Keys(pages)) {
		few, many := reads(short, pages[name]), reads(long, pages[name])
		if many > few+limit || few > 10*limit {
			t.Errorf("%s: a page of %d reads %d rows of 2400 items, and %d of 7200", name, limit, few, many)
		}
	}
}

// A page that takes more of one kind than was read ahead goes on where reading
// ended, both ways.
func TestPagesOfKindsThatFollowEachOther(t *testing.T) {
	q := newQueue(t, workview.Projection())
	var want []domain.TaskID
	for i := range 300 {
		id := domain.TaskID(fmt.Sprintf("t-%03d", i))
		q.say(t, id, work.Spawned{TaskID: id, TaskType: someTypes[i/100], ConfigKey: someConfigs[i/10%3], TimeoutSeconds: 60, MaxAttempts: 3})
		q.say(t, id, work.Cancelled{TaskID: id})
		want = append(want, id)
	}
	q.view(t, func(v projections.View) error {
		answer, err := workview.ListTasks(v, workview.ManyTasks{State: "cancelled", From: "t-010", Limit: 280})
		if err != nil {
			return err
		}
		if found := idsOf(t, answer); !slices.Equal(found, want[10:290]) || answer.Next != "t-290" {
			t.Errorf("found %v, next %q", found, answer.Next)
		}
		answer, err = workview.TaskHistory(v, workview.FinishedTasks{Limit: 280})
		slices.Reverse(want)
		if found := idsOf(t, answer); !slices.Equal(found, want[:280]) || answer.Next == "" {
			t.Errorf("history: found %v, next %q", found, answer.Next)
		}
		return err
	})
}
