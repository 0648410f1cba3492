package work_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/sched"
	"github.com/ringrift/rift/domain/work"
)

// asking counts how often it is called to decide whether an item may run on a node.
type asking struct{ times int }

func (a *asking) NodeFits(string, sched.Node) sched.Verdict {
	a.times++
	return sched.Verdict{OK: true}
}

func (a *asking) ItemFits(string, sched.Requirement) sched.Verdict { return sched.Verdict{OK: true} }

// Row 21: thousands of waiting, failed and timed-out items made every claim slower,
// because each claim looked at all of them. A claim makes no more calls on a queue
// of two thousand items than on one of fifty, and ended items are not in it.
func TestRow21ALongQueueSlowsNoClaim(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	asked := map[int]int{}
	for _, length := range []int{50, 2000} {
		matcher := &asking{}
		queue, err := work.New(matcher, nil)
		if err != nil {
			t.Fatal(err)
		}
		position, revision := domain.Position(0), map[domain.TaskID]domain.Revision{}
		say := func(id domain.TaskID, event domain.Event) {
			t.Helper()
			position++
			e := domain.Envelope{Position: position, Stream: id.Stream(), Revision: revision[id], Time: now, Type: event.EventType(), Event: event}
			revision[id]++
			if err := queue.Apply(e); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 2 * length {
			id := domain.TaskID(fmt.Sprintf("t%d", i))
			say(id, work.Spawned{TaskID: id, TaskType: "export", Where: "fast", Priority: i % 7, TimeoutSeconds: 60, MaxAttempts: 3})
			if i%2 == 1 {
				say(id, work.Dead{TaskID: id, Reason: "it failed"})
			}
		}
		if queue.Len() != length {
			t.Fatalf("want %d live items, found %d", length, queue.Len())
		}
		if err := queue.SetNode(sched.Node{ID: "n", Slots: sched.Known(8)}); err != nil {
			t.Fatal(err)
		}
		for range 4 {
			if _, found := queue.Pick("n", now); !found {
				t.Fatal("want an item")
			}
		}
		asked[length] = matcher.times
	}
	if asked[50] == 0 || asked[50] != asked[2000] {
		t.Errorf("want a long queue asked as little as a short one, found %v", asked)
	}
}
