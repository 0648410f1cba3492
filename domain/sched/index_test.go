package sched_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ringrift/rift/domain/sched"
)

func smallIndex(t *testing.T, nodes ...sched.Node) *sched.Index {
	t.Helper()
	x := sched.New(compile(t, smallPolicy()), wordMatcher{})
	for _, node := range nodes {
		if err := x.SetNode(node); err != nil {
			t.Fatal(err)
		}
	}
	return x
}

func mustAdd(t *testing.T, x *sched.Index, items ...sched.Item) {
	t.Helper()
	for _, item := range items {
		if item.Queued.IsZero() {
			item.Queued = epoch
		}
		if err := x.Add(item); err != nil {
			t.Fatal(err)
		}
	}
}

func wantRefusal(t *testing.T, err error, says string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), says) {
		t.Errorf("want a refusal that says %q, found %v", says, err)
	}
}

// A lease is refused where there is no slot for it; one that the log has is
// taken as it is, and no further one is picked until there is room again.
func TestLeasesStayWithinSlots(t *testing.T) {
	x := smallIndex(t, sched.Node{ID: "n1", Slots: sched.Known(1)})
	mustAdd(t, x, sched.Item{ID: "a", Type: "stray"}, sched.Item{ID: "b", Type: "stray"}, sched.Item{ID: "c", Type: "stray"})
	if err := x.Lease(sched.Decision{Item: "a", Node: "n1"}, epoch); err != nil {
		t.Fatal(err)
	}
	wantRefusal(t, x.Lease(sched.Decision{Item: "b", Node: "n1"}, epoch), "1 of 1 slots taken")
	wantRefusal(t, x.Lease(sched.Decision{Item: "b", Node: "n2"}, epoch), "n2 is not known")
	wantRefusal(t, x.Lease(sched.Decision{Item: "a", Node: "n1"}, epoch), "holds it")
	wantRefusal(t, x.Lease(sched.Decision{Item: "z", Node: "n1"}, epoch), "not in the index")
	if err := x.Adopt(sched.Decision{Item: "b", Node: "n1"}, epoch); err != nil {
		t.Fatal(err)
	}
	for _, ended := range []string{"a", "b"} {
		if decision, found := x.Pick("n1", epoch); found {
			t.Errorf("before %s ended: want nothing, found %s", ended, decision.Item)
		}
		x.Remove(ended)
	}
	if decision, found := x.Pick("n1", epoch); !found || decision.Item != "c" {
		t.Errorf("want c, found %+v", decision)
	}
}

func TestRemovedNodeKeepsItsLeases(t *testing.T) {
	x := smallIndex(t, sched.Node{ID: "n1", Slots: sched.Known(2)})
	mustAdd(t, x, sched.Item{ID: "a", Type: "stray"}, sched.Item{ID: "b", Type: "stray"}, sched.Item{ID: "c", Type: "stray", Pin: "n1"})
	if err := x.Lease(sched.Decision{Item: "a", Node: "n1"}, epoch); err != nil {
		t.Fatal(err)
	}
	x.RemoveNode("n1")
	x.RemoveNode("never-seen")
	if decision, found := x.Pick("n1", epoch); found {
		t.Errorf("a node that is gone: want nothing, found %s", decision.Item)
	}
	if err := x.SetNode(sched.Node{ID: "n1", Slots: sched.Known(1)}); err != nil {
		t.Fatal(err)
	}
	if decision, found := x.Pick("n1", epoch); found {
		t.Errorf("its lease is still there: want nothing, found %s", decision.Item)
	}
	x.RemoveNode("n1")
	x.Remove("a")
	x.Remove("c")
	x.Check(t.Errorf)
	if err := x.SetNode(sched.Node{ID: "n1", Slots: sched.Known(1)}); err != nil {
		t.Fatal(err)
	}
	if decision, found := x.Pick("n1", epoch); !found || decision.Item != "b" {
		t.Errorf("want b, found %+v", decision)
	}
}

func TestIndexRefusesWhatCannotBe(t *testing.T) {
	x := smallIndex(t)
	mustAdd(t, x, sched.Item{ID: "a", Type: "stray"})
	wantRefusal(t, x.Add(sched.Item{ID: "a", Type: "stray"}), "already")
	wantRefusal(t, x.Add(sched.Item{Type: "stray"}), "want an id")
	wantRefusal(t, x.Add(sched.Item{ID: "b"}), "a type")
	wantRefusal(t, x.Update(sched.Item{ID: "b", Type: "stray"}), "not in the index")
	wantRefusal(t, x.Update(sched.Item{ID: "a", Type: "play"}), "cannot become")
	wantRefusal(t, x.Release("a"), "nobody holds it")
	wantRefusal(t, x.SetNode(sched.Node{}), "want an id")
	if x.Remove("b") || x.Pending() != 1 || x.PendingOf("stray") != 1 || x.PendingOf("play") != 0 {
		t.Errorf("want one stray item pending, found %d", x.Pending())
	}
}

// Requirements that nobody uses any more are forgotten, and those that are used
// are not.
func TestEmptyGroupsAreForgotten(t *testing.T) {
	x := smallIndex(t, sched.Node{ID: "n1", Slots: sched.Known(1)})
	mustAdd(t, x, sched.Item{ID: "kept", Type: "stray", Words: []string{"x"}})
	for i := range 20_000 {
		id := fmt.Sprintf("t-%d", i)
		mustAdd(t, x, sched.Item{ID: id, Type: "stray", Config: "a", Words: []string{id}})
		x.Remove(id)
	}
	if found := x.Groups(); found > 5000 {
		t.Errorf("want a bounded number of groups, found %d", found)
	}
	mustAdd(t, x, sched.Item{ID: "plain", Type: "stray", Config: "b"})
	if err := x.SetNode(sched.Node{ID: "n1", Words: []string{"x"}}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"kept", "plain"} {
		if decision, found := x.Pick("n1", epoch); !found || decision.Item != want {
			t.Errorf("want %s, found %+v", want, decision)
		}
		x.Remove(want)
	}
}

// Time does not go back: a moment before one that was asked about counts as that one.
func TestTimeDoesNotGoBack(t *testing.T) {
	x := smallIndex(t, sched.Node{ID: "n1"})
	mustAdd(t, x, sched.Item{ID: "later", Type: "stray", NotBefore: epoch.Add(time.Minute)})
	if _, found := x.Pick("n1", epoch); found {
		t.Error("its time has not come")
	}
	for _, at := range []time.Duration{time.Minute, 0} {
		if _, found := x.Pick("n1", epoch.Add(at)); !found {
			t.Errorf("at %v its time has come", at)
		}
	}
}
