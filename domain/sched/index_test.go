package sched_test

import (
	"cmp"
	"fmt"
	"slices"
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
	if x.Remove("b") || x.Queued() != 1 || x.QueuedOf("stray") != 1 || x.QueuedOf("play") != 0 {
		t.Errorf("want one stray item pending, found %d", x.Queued())
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

// A flow that was charged after a decision was made is charged on top.
func TestDecisionsOfOneMomentAreChargedOneAfterTheOther(t *testing.T) {
	x := smallIndex(t, sched.Node{ID: "n1"}, sched.Node{ID: "n2"})
	mustAdd(t, x, sched.Item{ID: "first", Type: "stray", Config: "a", Pin: "n1"}, sched.Item{ID: "second", Type: "stray", Config: "a", Pin: "n2"})
	first, _ := x.Pick("n1", epoch)
	second, _ := x.Pick("n2", epoch)
	for i, d := range []sched.Decision{first, second} {
		if err := x.Lease(d, epoch); err != nil {
			t.Fatal(err)
		}
		want := sched.FlowShare{Class: "normal", Config: "a", Finish: uint64(i+1) << 30, Served: uint64(i + 1)}
		if share := x.Share("normal", "", "a"); share != want || !slices.Equal(x.Flows(), []sched.FlowShare{want}) {
			t.Errorf("after %s: want %+v, found %+v", d.Item, want, share)
		}
	}
	if turns := x.Turns(); !slices.Equal(turns, []sched.Count{{Name: "normal", N: 2}}) {
		t.Errorf("want two turns of class normal, found %+v", turns)
	}
}

// An item has room on the node that kept it last.
func TestOneNodeKeepsRoomForAnItem(t *testing.T) {
	policy := smallPolicy()
	policy.Reservations = 3
	x := sched.New(compile(t, policy), nil)
	mustAdd(t, x, sched.Item{ID: "a", Type: "stray"})
	for _, node := range []string{"n2", "n1"} {
		x.Keep("a", node, epoch.Add(time.Minute))
		if kept := x.Kept(epoch.UnixMicro()); len(kept) != 1 || kept[0].Node != node {
			t.Errorf("want room on %s alone, found %+v", node, kept)
		}
	}
}

// Who was asked to give way and got its place again may be asked again.
func TestAskedAgainAfterRelease(t *testing.T) {
	node := sched.Node{ID: "n1", Slots: sched.Known(1)}
	x := smallIndex(t, node)
	mustAdd(t, x, sched.Item{ID: "low", Type: "stray"}, sched.Item{ID: "high", Type: "stray", Priority: 90})
	for _, want := range []int{1, 0, 1} { // at first, once asked, and when it holds the node again
		switch item, state, _ := x.Find("low"); {
		case state == sched.Queued:
			if err := x.Hold(item.ID, "n1", 1, epoch); err != nil {
				t.Fatal(err)
			}
		case want == 0:
			x.Ask("low")
		default:
			if err := x.Release("low"); err != nil {
				t.Fatal(err)
			}
			if err := x.Hold("low", "n1", 1, epoch); err != nil {
				t.Fatal(err)
			}
		}
		if found := x.Exchanges(epoch, 0, func(string) (sched.Node, bool) { return node, true }); len(found) != want {
			t.Errorf("want %d to give way, found %+v", want, found)
		}
	}
}

// A flow that its class did not serve for very long is forgotten, one turn earlier
// it is not; one that has items queued starts level with the others.
func TestForgottenFlows(t *testing.T) {
	const turns = sched.ForgottenTurns + 2*sched.SweepTurns
	x := smallIndex(t, sched.Node{ID: "n1"})
	mustAdd(t, x, sched.Item{ID: "other", Type: "stray", Config: "b"}, sched.Item{ID: "queued", Type: "stray", Config: "queued", Pin: "n2"})
	flow := func(config string, served uint64) sched.FlowShare {
		return sched.FlowShare{Class: "normal", Config: config, Finish: 7, Served: served}
	}
	for _, share := range []sched.FlowShare{flow("just", turns-sched.ForgottenTurns), flow("long", turns-sched.ForgottenTurns-1), flow("queued", 1)} {
		x.SetFlow(share)
	}
	other := flow("long", 1)
	other.Class = "bulk"
	x.SetFlow(other)
	x.SetTurns("normal", turns-1)
	decision, found := x.Pick("n1", epoch)
	if !found || decision.Turn != turns-1 {
		t.Fatalf("want a pick at turn %d, found %+v", turns-1, decision)
	}
	if err := x.Lease(decision, epoch); err != nil {
		t.Fatal(err)
	}
	served := sched.FlowShare{Class: "normal", Config: "b", Finish: decision.Finish, Served: turns}
	if want := []sched.FlowShare{other, served, flow("just", turns-sched.ForgottenTurns)}; !slices.Equal(x.Flows(), want) {
		t.Errorf("want %+v, found %+v", want, x.Flows())
	}
	if share := x.Share("normal", "", "queued"); share.Finish != 0 || share.Served != 0 {
		t.Errorf("queued: want it level with the others, found %+v", share)
	}
	x.Check(t.Errorf)
}

// What a claim says is free bounds what the node gets, until it claims again.
func TestFreeSlotsOfAClaim(t *testing.T) {
	claim := sched.Node{ID: "n1", Slots: sched.Known(8), Free: sched.Known(2)}
	x := smallIndex(t, claim)
	for i := range 9 {
		mustAdd(t, x, sched.Item{ID: fmt.Sprint(i), Type: "stray"})
	}
	leases := func(want int) {
		t.Helper()
		for n := range want + 1 {
			decision, found := x.Pick("n1", epoch)
			if found != (n < want) {
				t.Fatalf("lease %d: want %v, found %+v", n, n < want, decision)
			}
			if !found {
				return
			}
			if err := x.Lease(decision, epoch); err != nil {
				t.Fatal(err)
			}
		}
	}
	leases(2)
	leases(0)
	x.Remove("0")
	leases(0) // it said nothing of the slot that came free
	if err := x.SetNode(claim); err != nil {
		t.Fatal(err)
	}
	if err := x.Adopt(sched.Decision{Item: "8", Node: "n1", Cost: 3}, epoch); err != nil {
		t.Fatal(err)
	}
	leases(0) // more was taken than was free
	claim.Free = sched.Maybe[int]{}
	if err := x.SetNode(claim); err != nil {
		t.Fatal(err)
	}
	leases(4) // one is held, three slots are taken
}

// Every gate that a pick asks is counted, with the items that it kept out.
func TestClosedGatesAreCounted(t *testing.T) {
	rules := smallPolicy()
	rules.ReservedEvery, rules.Reservations, rules.ReserveAfter, rules.ReserveSeconds = 2, 1, 0, 100
	rules.CPUOnlyPrefixes = []string{"cpu"}
	halts, most := sched.TypePolicy{Type: "halts", Class: "normal", Slots: 1, HaltsOnDisk: true}, 0
	rules.Types = append(rules.Types, halts, sched.TypePolicy{Type: "off", Class: "normal", Slots: 1, RunningCap: &most})
	type try struct {
		node  sched.Node
		item  sched.Item
		after func(x *sched.Index)
	}
	cases := map[string]try{
		sched.GateNode:       {node: sched.Node{Closed: "breaker"}},
		sched.GateWanted:     {node: sched.Node{Wants: []string{"play"}}},
		sched.GatePolicy:     {node: sched.Node{ID: "big"}, item: sched.Item{Type: "merge"}},
		sched.GateRequires:   {item: sched.Item{Words: []string{"x"}}},
		sched.GateExpression: {item: sched.Item{Expr: "fast"}},
		sched.GateAccepts:    {node: sched.Node{Accepts: "a"}, item: sched.Item{Config: "b"}},
		sched.GateGPU:        {node: sched.Node{HasGPU: sched.Known(false)}, item: sched.Item{GPU: true}},
		sched.GateGPUMemory:  {node: sched.Node{GPUMemoryMB: sched.Known(1000)}, item: sched.Item{Type: "play"}},
		sched.GateGPUBusy:    {node: sched.Node{GPUPercent: sched.Known(9999)}, item: sched.Item{Type: "play"}},
		sched.GateDisk:       {node: sched.Node{DiskPercent: sched.Known(9999)}, item: sched.Item{Type: "halts"}},
		sched.GateSlots: {item: sched.Item{Type: "merge"}, after: func(x *sched.Index) {
			hold(t, x, sched.Item{ID: "held", Type: "merge"}, "n1", 2)
		}},
		sched.GateReserved: {item: sched.Item{Queued: epoch.Add(time.Second)}, after: func(x *sched.Index) {
			hold(t, x, sched.Item{ID: "held", Type: "stray"}, "n1", 2)
			mustAdd(t, x, sched.Item{ID: "large", Type: "merge", Queued: epoch.Add(-time.Hour)})
			x.SetLeases("n1", 1)
		}},
		sched.GateOnePerNode: {item: sched.Item{Type: "play", Config: "a"}, after: func(x *sched.Index) {
			hold(t, x, sched.Item{ID: "held", Type: "play", Config: "a"}, "n1", 1)
		}},
		sched.GateExcluded: {item: sched.Item{Excluded: []sched.Exclusion{{Node: "n1"}}}},
		sched.GatePaused:   {after: func(x *sched.Index) { x.SetPauses(map[string]string{sched.AllKinds: "operator"}) }},
		sched.GateRunning:  {item: sched.Item{Type: "off"}},
	}
	for gate, c := range cases {
		x := sched.New(compile(t, rules), wordMatcher{})
		c.node.ID, c.item.Type = cmp.Or(c.node.ID, "n1"), cmp.Or(c.item.Type, "stray")
		c.node.Slots = sched.Known(3)
		if err := x.SetNode(c.node); err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{"a", "b"} {
			c.item.ID = id
			mustAdd(t, x, c.item)
		}
		if c.after != nil {
			c.after(x)
		}
		counted := map[string]int{}
		x.CountClosed(func(gate string, items int) { counted[gate] += items })
		if decision, found := x.Pick(c.node.ID, epoch.Add(time.Second)); found {
			t.Errorf("%s: want nothing, found %s", gate, decision.Item)
		}
		if len(counted) != 1 || counted[gate] < 2 {
			t.Errorf("%s: want its items counted and no other gate's, found %v", gate, counted)
		}
	}
	for _, gate := range sched.GateNames() { // nobody asks about what is meant for another node
		if _, tried := cases[gate]; !tried && gate != sched.GatePinned {
			t.Errorf("%s: want it tried", gate)
		}
	}
}

func hold(t *testing.T, x *sched.Index, item sched.Item, node string, cost int) {
	t.Helper()
	mustAdd(t, x, item)
	if err := x.Hold(item.ID, node, cost, epoch); err != nil {
		t.Fatal(err)
	}
}
