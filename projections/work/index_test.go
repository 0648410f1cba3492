package work_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/projections"
	workview "github.com/ringrift/rift/projections/work"
)

// Whatever happened, the indexes and the counts are those that the items' rows
// would give if they were made anew, and a row is as of its stream's last event.
func TestIndexesAreThoseOfTheRows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := anyQueue(t)
		want := map[string][]string{}
		counts, rooms := map[string]int{}, map[domain.NodeID]int{}
		for _, row := range q.items(t) {
			for table, key := range workview.TaskIndexKeys(row) {
				if key != "" {
					want[table] = append(want[table], key)
				}
			}
			counts[fmt.Sprintf("%s|%s|%d", row.TaskType, row.ConfigKey, slices.Index(work.TaskStates, row.State))]++
			if stream := row.TaskID.Stream(); row.Revision != q.revision[stream]-1 || row.Position != q.last[row.TaskID] {
				t.Fatalf("item %s is as of revision %d at %d, want %d at %d", row.TaskID, row.Revision, row.Position, q.revision[stream]-1, q.last[row.TaskID])
			}
			if task := q.tasks[row.TaskID]; row.State != task.State || row.Ended != q.ended[row.TaskID] || row.Retryable != task.Retryable {
				t.Fatalf("item %+v, want %+v, ended at %d", row, task, q.ended[row.TaskID])
			}
			if row.Room != nil {
				if rooms[row.Room.NodeID]++; rooms[row.Room.NodeID] > 1 {
					t.Fatalf("%s keeps its room for %s and for another item", row.Room.NodeID, row.TaskID)
				}
			}
		}
		q.view(t, func(v projections.View) error {
			for table := range workview.TaskIndexKeys(workview.TaskRow{}) {
				slices.Sort(want[table])
				var found []string
				for row, err := range v.Scan(table, projections.Span{}) {
					if err != nil {
						return err
					}
					found = append(found, row.Key)
				}
				if !slices.Equal(found, want[table]) {
					t.Fatalf("%s: found %q, want %q", table, found, want[table])
				}
			}
			for entry, err := range (projections.Table[workview.CountRow]{Name: "work.counts"}).Scan(v, projections.Span{}) {
				if err != nil {
					return err
				}
				for i, n := range entry.Row.Items {
					key := fmt.Sprintf("%s|%s|%d", entry.Row.TaskType, entry.Row.ConfigKey, i)
					if n != counts[key] {
						t.Fatalf("%s: %d counted, want %d", key, n, counts[key])
					}
					delete(counts, key)
				}
			}
			if len(counts) > 0 {
				t.Fatalf("not counted: %v", counts)
			}
			return nil
		})
	})
}

// Every page of every filter gives what a look at all items would.
func TestFilteredPagesAreThoseOfALookAtAllItems(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := anyQueue(t)
		asked := workview.ManyTasks{
			State:  rapid.SampledFrom(append([]string{""}, names(work.TaskStates)...)).Draw(t, "state"),
			Type:   rapid.SampledFrom(append([]string{""}, someTypes...)).Draw(t, "type"),
			Config: rapid.SampledFrom(someConfigs).Draw(t, "config"),
			Node:   rapid.SampledFrom(append([]string{""}, names(someNodes)...)).Draw(t, "node"),
			Limit:  rapid.IntRange(1, 7).Draw(t, "limit"),
		}
		var want, found []domain.TaskID
		for _, row := range q.items(t) {
			if is(asked.State, row.State) && is(asked.Type, row.TaskType) && is(asked.Config, row.ConfigKey) && is(asked.Node, row.NodeID) {
				want = append(want, row.TaskID)
			}
		}
		for pages := 0; pages == 0 || asked.From != ""; pages++ {
			q.view(t, func(v projections.View) error {
				answer, err := workview.ListTasks(v, asked)
				if len(answer.Items) > asked.Limit || answer.Next != "" && len(answer.Items) < asked.Limit {
					t.Fatalf("a page of %d items, %+v, goes on from %q", len(answer.Items), asked, answer.Next)
				}
				found = append(found, idsOf(t, answer)...)
				asked.From = answer.Next
				return err
			})
		}
		if !slices.Equal(found, want) {
			t.Fatalf("%+v: found %v, want %v", asked, found, want)
		}
	})
}

// The same of the history, newest first.
func TestPagesOfTheHistoryAreThoseOfALookAtAllItems(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := anyQueue(t)
		moment := func(name string) (text string, at time.Time) {
			if rapid.Bool().Draw(t, name) {
				return "", at
			}
			at = q.now.Add(time.Duration(rapid.IntRange(-600, 60).Draw(t, name+" seconds"))*time.Second + time.Duration(rapid.IntRange(0, 1).Draw(t, name+" ns")))
			return at.Format(time.RFC3339Nano), at
		}
		since, from := moment("since")
		until, to := moment("until")
		asked := workview.FinishedTasks{
			State:  rapid.SampledFrom([]string{"", "", "done", "dead", "cancelled", "expired"}).Draw(t, "state"),
			Type:   rapid.SampledFrom(append([]string{"", ""}, someTypes...)).Draw(t, "type"),
			Config: rapid.SampledFrom(someConfigs).Draw(t, "config"),
			Node:   rapid.SampledFrom(append([]string{"", ""}, names(someNodes)...)).Draw(t, "node"),
			Batch:  rapid.SampledFrom(someBatches).Draw(t, "batch"),
			Since:  since, Until: until, Limit: rapid.IntRange(1, 7).Draw(t, "limit"),
		}
		var ended []workview.TaskRow
		for _, row := range q.items(t) {
			if row.State.Final() && is(asked.State, row.State) && is(asked.Type, row.TaskType) && is(asked.Config, row.ConfigKey) && is(asked.Node, row.NodeID) &&
				is(asked.Batch, row.Batch) && (from.IsZero() || !row.EndedAt.Before(from)) && (to.IsZero() || row.EndedAt.Before(to)) {
				ended = append(ended, row)
			}
		}
		slices.SortFunc(ended, func(a, b workview.TaskRow) int { return cmp.Compare(b.Ended, a.Ended) })
		var want, found []domain.TaskID
		for _, row := range ended {
			want = append(want, row.TaskID)
		}
		for pages := 0; pages == 0 || asked.Before != ""; pages++ {
			q.view(t, func(v projections.View) error {
				answer, err := workview.TaskHistory(v, asked)
				found = append(found, idsOf(t, answer)...)
				asked.Before = answer.Next
				return err
			})
		}
		if !slices.Equal(found, want) {
			t.Fatalf("%+v: found %v, want %v", asked, found, want)
		}
	})
}

// Questions about a time are answered exactly, also where clocks ran back.
func TestTheHistoryOfATime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := newQueue(t, workview.Projection())
		var times []time.Time
		for i := range rapid.IntRange(1, 40).Draw(t, "items") {
			q.now = q.now.Add(time.Duration(rapid.IntRange(-25, 25).Draw(t, "seconds")) * time.Second)
			id := domain.TaskID(fmt.Sprintf("t%02d", i))
			q.say(t, id, work.Spawned{TaskID: id, TaskType: someTypes[i%2], TimeoutSeconds: 60, MaxAttempts: 3})
			q.say(t, id, work.Cancelled{TaskID: id})
			times = append(times, q.now)
		}
		since := rapid.SampledFrom(times).Draw(t, "since").Add(time.Duration(rapid.IntRange(0, 1).Draw(t, "since ns")))
		until := rapid.SampledFrom(times).Draw(t, "until").Add(time.Duration(rapid.IntRange(0, 1).Draw(t, "until ns")))
		asked := workview.FinishedTasks{Limit: 100}
		if rapid.Bool().Draw(t, "has since") {
			asked.Since = since.Format(time.RFC3339Nano)
		}
		if rapid.Bool().Draw(t, "has until") {
			asked.Until = until.Format(time.RFC3339Nano)
		}
		var want []domain.TaskID
		for i, at := range slices.Backward(times) {
			if (asked.Since == "" || !at.Before(since)) && (asked.Until == "" || at.Before(until)) {
				want = append(want, domain.TaskID(fmt.Sprintf("t%02d", i)))
			}
		}
		q.view(t, func(v projections.View) error {
			answer, err := workview.TaskHistory(v, asked)
			if found := idsOf(t, answer); !slices.Equal(found, want) {
				t.Fatalf("%+v: found %v, want %v of %v", asked, found, want, times)
			}
			return err
		})
	})
}

// What is live, held, or meant for a node is what the rows say.
func TestLiveItemsAreThoseOfTheRows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := anyQueue(t)
		live, held, pinned := map[domain.TaskID]bool{}, map[domain.NodeID][]domain.TaskID{}, map[domain.NodeID][]domain.TaskID{}
		for _, row := range q.items(t) {
			if !row.State.Final() {
				live[row.TaskID] = true
			}
			if row.State.Held() {
				held[row.NodeID] = append(held[row.NodeID], row.TaskID)
			}
			if row.State == work.StateQueued && row.Pin != nil {
				pinned[row.Pin.NodeID] = append(pinned[row.Pin.NodeID], row.TaskID)
			}
		}
		q.view(t, func(v projections.View) error {
			for row, err := range workview.LiveItems(v) {
				if err != nil {
					return err
				}
				if !live[row.TaskID] {
					t.Fatalf("%s is %s, and yielded as live or yielded twice", row.TaskID, row.State)
				}
				delete(live, row.TaskID)
			}
			if len(live) > 0 {
				t.Fatalf("live, and not yielded: %v", live)
			}
			for _, node := range someNodes {
				rows, err := workview.HeldBy(v, node)
				if err != nil {
					return err
				}
				var found []domain.TaskID
				for _, row := range rows {
					found = append(found, row.TaskID)
				}
				if !slices.Equal(found, held[node]) {
					t.Fatalf("held by %s: found %v, want %v", node, found, held[node])
				}
				found, err = workview.PinnedTo(v, node, 100)
				if err != nil || !slices.Equal(found, pinned[node]) {
					t.Fatalf("meant for %s: found %v, want %v, %v", node, found, pinned[node], err)
				}
			}
			return nil
		})
	})
}

func names[S ~string](list []S) (texts []string) {
	for _, one := range list {
		texts = append(texts, string(one))
	}
	return texts
}

func is[S ~string](want string, found S) bool { return want == "" || want == string(found) }

func idsOf(t rapid.TB, answer workview.TasksAnswer) (ids []domain.TaskID) {
	t.Helper()
	for _, raw := range answer.Items {
		var row workview.TaskRow
		if err := json.NewDecoder(bytes.NewReader(raw)).Decode(&row); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, row.TaskID)
	}
	return ids
}

// A node keeps its room for one item: a later reservation of the node, or of the
// item, takes the place of the one before.
func TestANodeKeepsItsRoomForOneItem(t *testing.T) {
	q := newQueue(t, workview.Projection())
	for _, id := range []domain.TaskID{"a", "b"} {
		q.say(t, id, work.Spawned{TaskID: id, TaskType: "selfplay", TimeoutSeconds: 60, MaxAttempts: 3})
	}
	for _, step := range []struct {
		id   domain.TaskID
		node domain.NodeID
		want string
	}{{"a", "n1", "a on n1"}, {"b", "n1", "b on n1"}, {"a", "n2", "a on n2, b on n1"}, {"b", "n2", "b on n2"}} {
		q.say(t, step.id, work.Reserved{TaskID: step.id, NodeID: step.node, Until: q.now.Add(time.Hour), Slots: 1})
		var kept []string
		for _, row := range q.items(t) {
			if row.Room != nil {
				kept = append(kept, fmt.Sprintf("%s on %s", row.TaskID, row.Room.NodeID))
			}
		}
		if found := strings.Join(kept, ", "); found != step.want {
			t.Errorf("%s on %s: found room for %s, want %s", step.id, step.node, found, step.want)
		}
	}
}
