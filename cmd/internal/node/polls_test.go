package node

import (
	"context"
	"fmt"
	"testing"
	"time"

	admincmd "github.com/ringrift/rift/commands/admin"
	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// waitingFor returns a claim that waits for a number of seconds.
func waitingFor(id, node string, seconds domain.Seconds) Order {
	return Order{ID: id, Command: workcmd.ClaimTasks{NodeID: domain.NodeID(node), Wait: &seconds}}
}

func (p *polls) held() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.waiting
}

func took(t *testing.T, o Outcome) []domain.TaskID {
	t.Helper()
	if o.Err != nil {
		t.Fatal(o.Err)
	}
	var ids []domain.TaskID
	for _, item := range o.Result.Answer.(workcmd.TasksClaimed).Items {
		ids = append(ids, item.TaskID)
	}
	return ids
}

// A claim that waits writes nothing until an item is added, and gets that item. A
// repetition under its key gets the same item, with the wait or without.
func TestAClaimWaitsForAnItem(t *testing.T) {
	n := running(t, eventlog.NewMemory())
	told := start(t.Context(), n, waitingFor("c-1", "n1", 30))
	waitsFor(t, func() bool { return n.polls.held() == 1 })
	before, err := n.log.Head(t.Context())
	if err != nil || before != 0 {
		t.Fatalf("want nothing written while a claim waits, found position %d, %v", before, err)
	}
	do(t, n, "add-a", workcmd.AddTask{TaskID: "a", TaskType: "selfplay"})
	if ids := took(t, <-told); len(ids) != 1 || ids[0] != "a" {
		t.Fatalf("want item a, found %v", ids)
	}
	for _, again := range []Order{waitingFor("c-1", "n1", 30), {ID: "c-1", Command: workcmd.ClaimTasks{NodeID: "n1"}}} {
		if ids := took(t, <-start(t.Context(), n, again)); len(ids) != 1 || ids[0] != "a" {
			t.Errorf("want item a again, found %v", ids)
		}
	}
	if n.polls.held() != 0 {
		t.Errorf("want nobody waiting, found %d", n.polls.held())
	}
}

// Each of many waiting claims gets one of the items that are added, once.
func TestManyClaimsWait(t *testing.T) {
	n := running(t, eventlog.NewMemory())
	const many = 100
	var told []<-chan Outcome
	for i := range many {
		told = append(told, start(t.Context(), n, waitingFor(fmt.Sprint("c-", i), fmt.Sprint("n", i), 30)))
	}
	waitsFor(t, func() bool { return n.polls.held() == many })
	var batch workcmd.AddTasks
	for i := range many {
		batch.Items = append(batch.Items, workcmd.AddTask{TaskID: domain.TaskID(fmt.Sprint("t-", i)), TaskType: "selfplay"})
	}
	do(t, n, "add-all", batch)
	seen := map[domain.TaskID]bool{}
	for _, one := range told {
		for _, id := range took(t, <-one) {
			seen[id] = true
		}
	}
	if len(seen) != many {
		t.Errorf("want %d items, each once, found %d", many, len(seen))
	}
}

// The end of a pause wakes waiting claims as a new item does.
func TestAClaimWaitsForThePauseToEnd(t *testing.T) {
	n := running(t, eventlog.NewMemory())
	do(t, n, "add-a", workcmd.AddTask{TaskID: "a", TaskType: "selfplay"})
	do(t, n, "pause", admincmd.PauseKind{Kind: "selfplay", Reason: "test"})
	told := start(t.Context(), n, waitingFor("c-1", "n1", 30))
	waitsFor(t, func() bool { return n.polls.held() == 1 })
	do(t, n, "resume", admincmd.ResumeKind{Kind: "selfplay", Reason: "test"})
	if ids := took(t, <-told); len(ids) != 1 {
		t.Errorf("want the item, found %v", ids)
	}
}

// Nothing is claimed for a caller that has gone away, and a wait without an item ends with
// an empty answer.
func TestAWaitEnds(t *testing.T) {
	n := running(t, eventlog.NewMemory())
	ctx, leave := context.WithCancel(t.Context())
	gone := start(ctx, n, waitingFor("c-1", "n1", 30))
	waitsFor(t, func() bool { return n.polls.held() == 1 })
	leave()
	if o := <-gone; o.Err == nil {
		t.Errorf("want an error for a caller that is gone, found %+v", o.Result)
	}
	if ids := took(t, <-start(t.Context(), n, waitingFor("c-2", "n1", 0.05))); len(ids) != 0 {
		t.Errorf("want nothing, found %v", ids)
	}
	do(t, n, "add-a", workcmd.AddTask{TaskID: "a", TaskType: "selfplay"})
	if ids := took(t, <-start(t.Context(), n, waitingFor("c-3", "n2", 30))); len(ids) != 1 {
		t.Errorf("want the item that nobody has, found %v", ids)
	}
	if o := <-start(t.Context(), n, waitingFor("c-4", "n2", -1)); domain.CodeOf(o.Err) != domain.Invalid {
		t.Errorf("want a negative wait refused, found %v", o.Err)
	}
}

// The number of waiting claims is bounded, and they are refused when the node stops.
func TestWaitsAreBoundedAndStop(t *testing.T) {
	n := running(t, eventlog.NewMemory())
	n.polls.most = 1
	told := start(t.Context(), n, waitingFor("c-1", "n1", 30))
	waitsFor(t, func() bool { return n.polls.held() == 1 })
	if o := <-start(t.Context(), n, waitingFor("c-2", "n2", 30)); domain.CodeOf(o.Err) != domain.TooMany {
		t.Errorf("want too_many, found %v", o.Err)
	}
	n.StopClaims()
	if o := <-told; domain.CodeOf(o.Err) != domain.Unavailable {
		t.Errorf("want unavailable from a node that stops, found %v, %v", o.Result, o.Err)
	}
}

// A wait ends before its caller gives up.
func TestAWaitEndsBeforeItsCaller(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	if wait := pollEnd(ctx, 2*time.Hour); wait > time.Hour-time.Second/2 {
		t.Errorf("want less than the caller waits, found %s", wait)
	}
	if wait := pollEnd(ctx, time.Minute); wait != time.Minute {
		t.Errorf("want the wait itself, found %s", wait)
	}
}
