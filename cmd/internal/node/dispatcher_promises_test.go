package node

import (
	"context"
	"fmt"
	"testing"

	policycmd "github.com/ringrift/rift/commands/policy"
	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// No more items of a type are leased than its cap allows, though those who ask
// are decided in one group, and whatever becomes of the writes.
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
			n.DoAll(t.Context(), orders) // those that came to nothing ask again
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

// What is in the log already, though nobody here knew when it was decided, is
// answered as what it is: a repetition, with the places of the first time.
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
