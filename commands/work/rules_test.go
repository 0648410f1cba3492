package work_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	policycmd "github.com/ringrift/rift/commands/policy"
	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
)

// must runs a command that has to be taken.
func (b *bench) must(t *testing.T, c domain.Command) any {
	t.Helper()
	result, err := b.do(c)
	if err != nil {
		t.Fatalf("%+v: %v", c, err)
	}
	return result.Answer
}

// Whoever reports under a lease that is not the live one, or as another node than
// the holder, is refused, whatever they report; the holder is not.
func TestOnlyTheHolderReports(t *testing.T) {
	for verb, as := range map[string]func(workcmd.Report) domain.Command{
		"start":     func(r workcmd.Report) domain.Command { return workcmd.StartTask{Report: r} },
		"heartbeat": func(r workcmd.Report) domain.Command { return workcmd.HeartbeatTask{Report: r} },
		"complete":  func(r workcmd.Report) domain.Command { return workcmd.CompleteTask{Report: r} },
		"fail":      func(r workcmd.Report) domain.Command { return workcmd.FailTask{Report: r, Error: "broken"} },
		"release":   func(r workcmd.Report) domain.Command { return workcmd.ReleaseTask{Report: r} },
	} {
		t.Run(verb, func(t *testing.T) {
			b := newBench(t)
			b.must(t, workcmd.AddTask{TaskID: "a", TaskType: "selfplay"})
			b.must(t, workcmd.LeaseTask{TaskID: "a", NodeID: "n1"})
			b.must(t, workcmd.ReleaseTask{Report: workcmd.Report{TaskID: "a", Lease: 1}})
			b.must(t, workcmd.LeaseTask{TaskID: "a", NodeID: "n1"})
			for what, r := range map[string]workcmd.Report{
				"an earlier lease":            {TaskID: "a", Lease: 1},
				"a later lease":               {TaskID: "a", Lease: 3},
				"the live lease, as another":  {TaskID: "a", Lease: 2, NodeID: "n2"},
				"an earlier lease, as holder": {TaskID: "a", Lease: 1, NodeID: "n1"},
			} {
				if _, err := b.do(as(r)); !errors.Is(err, domain.ErrStaleLease) {
					t.Errorf("under %s: want stale_lease, found %v", what, err)
				}
			}
			b.must(t, as(workcmd.Report{TaskID: "a", Lease: 2, NodeID: "n1"}))
		})
	}
}

// A lease ends when its deadline has come, not before, and no other one ends with it.
func TestALeaseEndsAtItsDeadline(t *testing.T) {
	b := newBench(t)
	b.must(t, workcmd.AddTask{TaskID: "a", TaskType: "selfplay"})
	b.must(t, workcmd.LeaseTask{TaskID: "a", NodeID: "n1"})
	deadline := b.task(t, "a").Deadline
	ends := func(at time.Time, lease uint64) bool {
		t.Helper()
		b.now = at
		b.must(t, workcmd.ExpireLease{TaskID: "a", Lease: lease})
		return !b.task(t, "a").State.Held()
	}
	switch {
	case ends(deadline.Add(-time.Microsecond), 1):
		t.Error("want the lease live before its deadline")
	case ends(deadline.Add(time.Hour), 2), ends(deadline.Add(time.Hour), 0):
		t.Error("want another lease's end to leave it alone")
	case !ends(deadline, 1):
		t.Error("want the lease ended at its deadline")
	}
}

// Every bound of an add holds for items that come alone and for those of a batch,
// which count with those before them.
func TestBoundsOfAdds(t *testing.T) {
	add := func(name, taskType, key string) workcmd.AddTask {
		return workcmd.AddTask{TaskID: domain.TaskID(name), TaskType: taskType, UniqueKey: key}
	}
	for _, c := range []struct {
		name, policy string
		items        []workcmd.AddTask
		taken        int // of the items, from the first on
		code         domain.Code
	}{
		{
			"hard limit", `{"work":{"recovery_limit":1,"soft_limit":2,"hard_limit":3}}`,
			[]workcmd.AddTask{add("a", "selfplay", ""), add("b", "training", ""), add("c", "export", ""), add("d", "selfplay", "")},
			3, domain.TooMany,
		},
		{
			"pending cap", `{"work":{"scheduling":{"types":{"export":{"pending_cap":2}}}}}`,
			[]workcmd.AddTask{add("a", "export", ""), add("b", "export", ""), add("c", "export", "")},
			2, domain.TooMany,
		},
		{
			"unique key", `{"work":{"hard_limit":1000}}`,
			[]workcmd.AddTask{add("a", "selfplay", "k"), add("b", "selfplay", "k")},
			1, domain.Conflict,
		},
	} {
		set := policycmd.SetPolicy{Name: domain.PolicyDefaultName, Change: json.RawMessage(c.policy), Reason: "few"}
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			b.must(t, set)
			for i, item := range c.items {
				_, err := b.do(item)
				if taken := i < c.taken; taken != (err == nil) || !taken && domain.CodeOf(err) != c.code {
					t.Errorf("item %s: want it taken: %v, found %v", item.TaskID, taken, err)
				}
			}
			for _, item := range c.items[:c.taken] {
				b.must(t, workcmd.CancelTask{TaskID: item.TaskID})
			}
			b.must(t, c.items[len(c.items)-1]) // there is room again
		})
		t.Run(c.name+" in a batch", func(t *testing.T) {
			b := newBench(t)
			b.must(t, set)
			answer := b.must(t, workcmd.AddTasks{Items: c.items}).(workcmd.TasksAdded)
			for i, item := range answer.Items {
				want := c.code
				if i < c.taken {
					want = ""
				}
				if item.Code != want {
					t.Errorf("item %s: want %q, found %q: %s", item.TaskID, want, item.Code, item.Detail)
				}
			}
			if want := fmt.Sprint(c.taken, len(c.items)-c.taken); fmt.Sprint(answer.Added, answer.Refused) != want {
				t.Errorf("want %s added and refused, found %+v", want, answer)
			}
		})
	}
}

// What the cluster adds by itself follows from what has happened, and is taken however
// long the queue is; no caller is taken for the cluster.
func TestTheClusterAddsToAFullQueue(t *testing.T) {
	b := newBench(t)
	b.must(t, policycmd.SetPolicy{Name: domain.PolicyDefaultName, Change: json.RawMessage(`{"work":{"recovery_limit":1,"soft_limit":1,"hard_limit":1}}`), Reason: "few"})
	b.must(t, workcmd.AddTask{TaskID: "a", TaskType: "selfplay"})
	for i, c := range []struct {
		actor string
		taken bool
	}{{"", false}, {"somebody", false}, {"reactor", false}, {"clocks", false}, {"reactor:training_completed", true}, {"clock", true}} {
		facts := domain.Facts{Now: b.now, Command: fmt.Sprint("as", i), Policy: b.policy, Node: "n1", Actor: c.actor}
		_, err := b.bus.Do(t.Context(), facts, workcmd.AddTask{TaskID: domain.TaskID(fmt.Sprint("b", i)), TaskType: "selfplay"})
		if c.taken != (err == nil) || !c.taken && !errors.Is(err, domain.ErrTooMany) {
			t.Errorf("added by %q: want it taken: %v, found %v", c.actor, c.taken, err)
		}
	}
}
