package node

import (
	"fmt"
	"slices"
	"testing"
	"time"

	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/eventlog"
)

// claimed returns the items that a claim took.
func claimed(t *testing.T, n *Node, id string, limit int) []domain.TaskID {
	t.Helper()
	result := do(t, n, id, workcmd.ClaimTasks{NodeID: "gpu-1", Limit: limit})
	answer, ok := result.Answer.(workcmd.TasksClaimed)
	if !ok {
		t.Fatalf("claim %s: found %+v", id, result.Answer)
	}
	var ids []domain.TaskID
	for _, item := range answer.Items {
		ids = append(ids, item.TaskID)
	}
	return ids
}

// The items that claims took are remembered for as long as commands are retried, even if
// the items have ended, and no longer.
func TestClaimsAreForgottenWhenNobodyTriesAgain(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	n := stepped(t, eventlog.NewMemory(), &now)
	defer func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	}()
	const every = 30 * time.Second
	const back = int(recentLast/every) - 1
	for i := range 2*back + 10 {
		do(t, n, fmt.Sprintf("add%d", i), workcmd.AddTask{TaskID: domain.TaskID(fmt.Sprintf("t%d", i)), TaskType: "selfplay"})
		name := fmt.Sprintf("claim%d", i)
		took := claimed(t, n, name, 1)
		if again := claimed(t, n, name, 1); len(took) != 1 || !slices.Equal(again, took) {
			t.Fatalf("%s took %q, and its repetition %q", name, took, again)
		}
		do(t, n, fmt.Sprintf("cancel%d", i), workcmd.CancelTask{TaskID: took[0], Reason: "done with"})
		if old := i - back; old >= 0 {
			want := []domain.TaskID{domain.TaskID(fmt.Sprintf("t%d", old))}
			if again := claimed(t, n, fmt.Sprintf("claim%d", old), 1); !slices.Equal(again, want) {
				t.Fatalf("claim%d took %q, and its repetition within the hour %q", old, want, again)
			}
		}
		now = now.Add(every)
	}
	if kept := len(n.work.recent.took); kept > back+2 || kept < back || len(n.work.recent.order) != kept {
		t.Errorf("want the %d claims of the last hour, found %d of %d", back, kept, len(n.work.recent.order))
	}
}

// However many commands take items within an hour, the number that is remembered is
// bounded, and the newest are kept.
func TestWhatCommandsTookIsBounded(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	n := stepped(t, eventlog.NewMemory(), &now)
	defer func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	}()
	claimed(t, n, "none", 1) // loads recent, which is empty
	n.work.recent.most = 20
	const claims = 100
	for i := range claims {
		do(t, n, fmt.Sprint("add", i), workcmd.AddTask{TaskID: domain.TaskID(fmt.Sprint("t", i)), TaskType: "selfplay"})
		for range 2 { // the second time it is a repetition
			if took := claimed(t, n, fmt.Sprint("claim", i), 1); len(took) != 1 {
				t.Fatalf("want an item, found %q", took)
			}
		}
		claimed(t, n, fmt.Sprint("nothing", i), 1)
	}
	r := n.work.recent
	if len(r.took) != r.most || len(r.order) != r.most {
		t.Errorf("want %d commands remembered, found %d in an order of %d", r.most, len(r.took), len(r.order))
	}
	for i := range claims {
		took, known := r.took[fmt.Sprint("claim", i)]
		if want := i >= claims-r.most; known != want || known && (len(took) != 1 || took[0] != domain.TaskID(fmt.Sprint("t", i))) {
			t.Errorf("claim%d: want it known: %v, found %v, %q", i, want, known, took)
		}
	}
}

// A node that was restarted answers a repeated claim with the items that it took, even if
// they have ended, and a repeated cancellation of a class with the items that it
// cancelled.
func TestCommandsAreRepeatedAcrossAStart(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	log := eventlog.NewMemory()
	start := func() *Node { return steppedUntilTheEnd(t, log, &now) }
	first := start()
	for i := range 6 {
		do(t, first, fmt.Sprint("add", i), workcmd.AddTask{TaskID: domain.TaskID(fmt.Sprint("t", i)), TaskType: "selfplay"})
	}
	took := claimed(t, first, "claim", 3)
	head := do(t, first, "cancel", workcmd.CancelTasks{State: work.StateQueued}).Answer.(workcmd.TasksCancelled)
	do(t, first, "done", workcmd.CompleteTask{Report: workcmd.Report{TaskID: took[1], Lease: 1}})
	do(t, first, "more", workcmd.AddTask{TaskID: "more", TaskType: "selfplay"})
	second := start()
	if again := claimed(t, second, "claim", 3); len(took) != 3 || !slices.Equal(again, took) {
		t.Errorf("want the claim repeated to give %q, found %q", took, again)
	}
	if order := second.work.recent.order; len(order) != 2 || order[0] != (tookAt{"claim", now}) || order[1] != (tookAt{"cancel", now}) {
		t.Errorf("want the claim and the cancellation remembered, found %v", order)
	}
	again := do(t, second, "cancel", workcmd.CancelTasks{State: work.StateQueued})
	if answer := again.Answer.(workcmd.TasksCancelled); answer.Cancelled != 3 || !slices.Equal(answer.Items, head.Items) || !again.Duplicate {
		t.Errorf("want what was cancelled before, %q, found %+v", head.Items, answer)
	}
	if more := claimed(t, second, "another", 3); !slices.Equal(more, []domain.TaskID{"more"}) {
		t.Errorf("want what a repetition did not cancel left, found %q", more)
	}
	now = now.Add(recentLast + time.Second)
	third := start()
	claimed(t, third, "none", 3)
	if took := third.work.recent.took; len(took) != 0 {
		t.Errorf("want nothing remembered of an hour ago, found %v", took)
	}
}

// An append whose outcome was not known is found in the log when the queue is loaded
// again: its claim, when repeated, gets the item that it took, even if that has ended.
func TestAClaimThatWasStoredAfterAllIsRemembered(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	log := eventlog.NewMemory()
	start := func() *Node { return steppedUntilTheEnd(t, log, &now) }
	first := start()
	claimed(t, first, "none", 1) // loads recent, which is empty
	do(t, first, "add", workcmd.AddTask{TaskID: "t0", TaskType: "selfplay"})
	first.work.queue = nil // as after an append that failed
	second := start()      // as if the append had been stored
	took := claimed(t, second, "claim", 1)
	do(t, second, "done", workcmd.CompleteTask{Report: workcmd.Report{TaskID: took[0], Lease: 1}})
	do(t, second, "more", workcmd.AddTask{TaskID: "t1", TaskType: "selfplay"})
	if again := claimed(t, first, "claim", 1); !slices.Equal(again, took) {
		t.Errorf("want the claim repeated to give %q, found %q", took, again)
	}
	if other := claimed(t, first, "other", 1); !slices.Equal(other, []domain.TaskID{"t1"}) {
		t.Errorf("want another claim to get t1, found %q", other)
	}
}

// steppedUntilTheEnd is stepped; the node is closed when the test ends.
func steppedUntilTheEnd(t *testing.T, log eventlog.Log, now *time.Time) *Node {
	t.Helper()
	n := stepped(t, log, now)
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}
