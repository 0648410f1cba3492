package node

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections"
	"github.com/ringrift/rift/projections/store"
)

// Row 50: what one process notes, another on the same log sees and answers, for
// there is no other place where facts are.
func TestRow50ProcessesShareOneLog(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	log := eventlog.NewMemory()
	worker, coordinator := stepped(t, log, &now), stepped(t, log, &now)
	defer func() {
		if err := worker.Close(); err != nil {
			t.Error(err)
		}
		if err := coordinator.Close(); err != nil {
			t.Error(err)
		}
	}()
	do(t, worker, "add", commands.AddTask{TaskID: "t1", TaskType: "selfplay"})
	do(t, worker, "claim", commands.ClaimTasks{NodeID: "gpu-1"})
	do(t, worker, "dead", commands.Bridged("", domain.AnyRevision, domain.NodeUnhealthy{NodeID: "gpu-1", Reason: "dead"}))
	if err := coordinator.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := coordinator.DrainOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := worker.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	err := worker.store.View(func(v projections.View) error {
		row, found, err := projections.WorkItemsTable.Get(v, "t1")
		if err == nil && (!found || row.State != domain.WorkQueued || row.Lease != 1 || row.Attempts != 0) {
			t.Errorf("want the item queued again by the other process, found %+v", row)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Row 33: events were told while locks were held, and whoever answered one with
// another call waited for itself. Here whoever is told of a command, when its
// events are on the log, may run commands, claim, and read, and be told again.
func TestRow33WhoIsToldMayAnswerAtOnce(t *testing.T) {
	var n *Node
	told := 0
	n, err := Open(Config{
		Node: "n1", Log: eventlog.NewMemory(), Manual: true, StoreDir: "models", Store: store.Options{FS: vfs.NewMem(), Small: true},
		Done: func(c domain.Command, result commands.Result) {
			if told++; told > 3 {
				return
			}
			if head, err := n.log.Head(t.Context()); err != nil || head < result.Position {
				t.Errorf("told of %d while the log ends at %d, %v", result.Position, head, err)
			}
			do(t, n, fmt.Sprintf("%s/again-%d", c.CommandType(), told), commands.AddTask{TaskType: "selfplay", Priority: new(int)})
			do(t, n, fmt.Sprintf("%s/claim-%d", c.CommandType(), told), commands.ClaimTasks{NodeID: domain.NodeID(fmt.Sprintf("gpu-%d", told))})
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	do(t, n, "first", commands.ClaimTasks{NodeID: "gpu-0"})
	if told < 4 {
		t.Errorf("told %d times, want of every command", told)
	}
	n.office.mu.Lock()
	defer n.office.mu.Unlock()
	for name, until := range n.office.holds {
		if until == inFlight {
			t.Errorf("hold %s is kept by a command that ended", name)
		}
	}
}

// Row 32: a lock that one thread took and another released failed every exchange.
// A hold belongs to a command, not to a thread: whoever ends the command gives it
// back, at once if it came to nothing, else when everybody can see what it did;
// and nobody gives back what another command holds.
func TestRow32AHoldIsGivenBackByWhoeverEndsTheCommand(t *testing.T) {
	n := running(t, eventlog.NewMemory())
	open := func() (commands.Desk, func(domain.Position)) {
		t.Helper()
		d, end, err := n.office.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var once sync.Once
		ends := func(settled domain.Position) { once.Do(func() { end(settled) }) }
		t.Cleanup(func() { ends(0) })
		return d, ends
	}
	elsewhere := func(end func(domain.Position), settled domain.Position) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			end(settled)
		}()
		<-done
	}
	first, endFirst := open()
	second, endSecond := open()
	if !first.Take("exchange") || second.Take("exchange") {
		t.Fatal("want one of two to hold it")
	}
	elsewhere(endSecond, 0)
	third, endThird := open()
	if third.Take("exchange") {
		t.Fatal("want a command that does not hold it to give nothing back")
	}
	elsewhere(endFirst, 0)
	if !third.Take("exchange") {
		t.Fatal("want it free once the command that held it came to nothing")
	}
	fourth, endFourth := open() // has not seen what the third did
	next := do(t, n, "add", commands.AddTask{TaskID: "t1", TaskType: "selfplay"}).Position
	elsewhere(endThird, next)
	if fourth.Take("exchange") {
		t.Error("want it held from who cannot see yet what the command did")
	}
	elsewhere(endFourth, 0)
	fifth, endFifth := open()
	if !fifth.Take("exchange") {
		t.Error("want it free for who can see what the command did")
	}
	elsewhere(endFifth, 0)

	// Many at once, each ended by another goroutine than began it: never two at a
	// time, and all of them get their turn.
	var inside, turns atomic.Int32
	var exchanges sync.WaitGroup
	for range 16 {
		exchanges.Go(func() {
			for done := false; !done; {
				d, end, err := n.office.Open(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				if done = d.Take("exchange"); done {
					if inside.Add(1) > 1 {
						t.Error("two hold it at once")
					}
					turns.Add(1)
					inside.Add(-1)
				} else {
					runtime.Gosched()
				}
				elsewhere(end, 0)
			}
		})
	}
	exchanges.Wait()
	if turns.Load() != 16 {
		t.Errorf("want 16 turns, found %d", turns.Load())
	}
}
