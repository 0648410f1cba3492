package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	policycmd "github.com/ringrift/rift/commands/policy"
	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/eventlog"
)

// No more items of a type are leased than its cap allows, although the claims are decided
// in one group, and whichever writes fail.
func TestTheRunningCapHolds(t *testing.T) {
	for _, is := range append([]fault{healthy}, faults...) {
		t.Run(is.String(), func(t *testing.T) {
			log := &faultyLog{Log: eventlog.NewMemory()}
			n := followedOnly(t, log)
			const running = 3
			do(t, n, "policy", policycmd.SetPolicy{
				Name: domain.PolicyDefaultName, Reason: "few at once",
				Change: fmt.Appendf(nil, `{"work":{"scheduling":{"types":{"selfplay":{"running_cap":%d}}}}}`, running),
			})
			var orders []Order
			for i := range 8 {
				do(t, n, fmt.Sprint("add", i), workcmd.AddTask{TaskID: domain.TaskID(fmt.Sprint("t", i)), TaskType: "selfplay"})
				orders = append(orders, Order{ID: fmt.Sprint("claim", i), Command: workcmd.ClaimTasks{NodeID: domain.NodeID(fmt.Sprint("w", i/2))}})
			}
			first := log.writes
			log.set(func(nth int, _ eventlog.Write) fault {
				if nth == first+1 {
					return is
				}
				return healthy
			})
			n.DoAll(t.Context(), orders)
			log.set(nil)
			n.DoAll(t.Context(), orders) // claims that got nothing are repeated
			held := func() (ids []domain.TaskID) {
				for id, item := range audit(t, n, true).items {
					if item.State.Held() {
						ids = append(ids, id)
					}
				}
				return ids
			}
			ids := held()
			if len(ids) != running {
				t.Fatalf("want %d items leased, found %q", running, ids)
			}
			do(t, n, "done", workcmd.CompleteTask{Report: workcmd.Report{TaskID: ids[0], Lease: 1}})
			do(t, n, "next", workcmd.ClaimTasks{NodeID: "w9", Limit: 8})
			if ids := held(); len(ids) != running {
				t.Errorf("want %d items leased once one is done, found %q", running, ids)
			}
			sameAsLoaded(t, n)
		})
	}
}

// A command whose events are in the log, though the node did not know that when it
// decided, is answered as a repetition, with the positions of the first time.
func TestAWriteThatWasStoredBeforeIsARepetition(t *testing.T) {
	log := &faultyLog{Log: eventlog.NewMemory()}
	n := followedOnly(t, log)
	do(t, n, "add-a", addOrder("a").Command)
	var first eventlog.Receipt
	log.before = func(ctx context.Context, w eventlog.Write) {
		if first.Last > 0 {
			return
		}
		var err error
		if first, err = log.Log.Append(ctx, w.Stream, w.Expected, w.Events...); err != nil {
			t.Error(err)
		}
	}
	result := do(t, n, "add-b", addOrder("b").Command)
	if !result.Duplicate || result.Position != first.Last || len(result.Events) != 1 {
		t.Errorf("want the event at %d again as a repetition, found %+v", first.Last, result)
	}
	audit(t, n, true)
	sameAsLoaded(t, n)
}

// A decision depends on the earlier writes of its group. If another writer brings an item
// to the revision that such a write was to bring it to, what depends on the write is not
// stored either, and both are decided again.
func TestAWriteRestsOnTheOneBeforeIt(t *testing.T) {
	inner := eventlog.NewMemory()
	log := &faultyLog{Log: inner}
	n := followedOnly(t, log)
	do(t, n, "add", addOrder("a").Command)
	do(t, n, "claim", workcmd.ClaimTasks{NodeID: "gpu-1"})
	came := false
	log.before = func(ctx context.Context, w eventlog.Write) {
		if came {
			return
		}
		came = true
		foreign := proposedOf(t, "foreign", work.CompletionRejected{TaskID: "a", Lease: 9, Reason: "elsewhere"})
		if _, err := inner.Append(ctx, w.Stream, domain.StreamExists, foreign); err != nil {
			t.Error(err)
		}
	}
	report := workcmd.Report{TaskID: "a", Lease: 1}
	for i, outcome := range n.DoAll(t.Context(), []Order{
		{ID: "beat", Command: workcmd.HeartbeatTask{Report: report}}, {ID: "done", Command: workcmd.CompleteTask{Report: report}},
	}) {
		if outcome.Err != nil || len(outcome.Result.Events) != 1 || outcome.Result.Duplicate {
			t.Errorf("command %d: want it to have happened, found %+v", i, outcome)
		}
	}
	var order []string
	for e, err := range inner.Read(t.Context(), domain.TaskID("a").Stream(), 2, eventlog.Forward) {
		if err != nil {
			t.Fatal(err)
		}
		order = append(order, e.Meta.Command)
	}
	if want := []string{"foreign", "beat", "done"}; !slices.Equal(order, want) {
		t.Errorf("want %q on the log, found %q", want, order)
	}
	sameAsLoaded(t, n)
}

// Items that a group has ended are known to the later decisions of the group, so that
// nothing has to be decided twice.
func TestAGroupKnowsWhatItEnded(t *testing.T) {
	log := &faultyLog{Log: eventlog.NewMemory()}
	n := followedOnly(t, log)
	do(t, n, "add", addOrder("a").Command)
	do(t, n, "claim", workcmd.ClaimTasks{NodeID: "gpu-1"})
	calls := len(log.calls)
	report := workcmd.Report{TaskID: "a", Lease: 1}
	outcomes := n.DoAll(t.Context(), []Order{
		{ID: "done", Command: workcmd.CompleteTask{Report: report}}, {ID: "ghost", Command: workcmd.CompleteTask{Report: report}},
	})
	if outcomes[0].Err != nil || !errors.Is(outcomes[1].Err, domain.ErrStaleLease) {
		t.Errorf("want the second refused as stale, found %v and %v", outcomes[0].Err, outcomes[1].Err)
	}
	if took := log.calls[calls:]; !slices.Equal(took, []int{2}) {
		t.Errorf("want both in one call, found %d", took)
	}
	sameAsLoaded(t, n)
}

// A group is at most what a log stores with one sync: larger lists of commands are divided
// into several calls.
func TestAGroupIsBounded(t *testing.T) {
	const most, batches, each = 1024, 4, 400
	log := &faultyLog{Log: eventlog.NewMemory()}
	n := followedOnly(t, log)
	do(t, n, "policy", policycmd.SetPolicy{Name: domain.PolicyDefaultName, Reason: "room", Change: []byte(`{"work":{"soft_limit":100000,"hard_limit":100000}}`)})
	earlier := len(log.calls)
	var orders []Order
	for b := range batches {
		var items []workcmd.AddTask
		for i := range each {
			items = append(items, workcmd.AddTask{TaskID: domain.TaskID(fmt.Sprintf("%d-%d", b, i)), TaskType: "selfplay"})
		}
		orders = append(orders, Order{ID: fmt.Sprint("batch", b), Command: workcmd.AddTasks{Items: items}})
	}
	for i, outcome := range n.DoAll(t.Context(), orders) {
		if outcome.Err != nil || len(outcome.Result.Events) != each {
			t.Errorf("batch %d: want %d events, found %d, %v", i, each, len(outcome.Result.Events), outcome.Err)
		}
	}
	calls, writes := log.calls[earlier:], 0
	for _, call := range calls {
		writes += call
		if call > most {
			t.Errorf("want at most %d writes in a call, found %d", most, call)
		}
	}
	if writes != batches*each || len(calls) >= batches {
		t.Errorf("want %d writes, those of several batches in a call, found %d in calls of %d", batches*each, writes, calls)
	}
}
