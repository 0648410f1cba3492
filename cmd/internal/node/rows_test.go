package node

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringrift/rift/commands"
	nodescmd "github.com/ringrift/rift/commands/nodes"
	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections"
	"github.com/ringrift/rift/projections/store"
	workview "github.com/ringrift/rift/projections/work"
)

// Row 50: what one process records, another on the same log sees and answers with, because
// facts are nowhere else.
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
	do(t, worker, "add", workcmd.AddTask{TaskID: "t1", TaskType: "selfplay"})
	do(t, worker, "claim", workcmd.ClaimTasks{NodeID: "gpu-1"})
	do(t, worker, "dead", nodescmd.ReportNode{Unhealthy: &nodes.Unhealthy{NodeID: "gpu-1", Reason: "dead"}})
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
		row, found, err := workview.ItemsTable.Get(v, "t1")
		if err == nil && (!found || row.State != work.StateQueued || row.Lease != 1 || row.Attempts != 0) {
			t.Errorf("want the item queued again by the other process, found %+v", row)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Row 33: events were delivered while locks were held, and a callback that made another
// call waited for itself. Here a callback after a command may run commands, claim and
// read, and get callbacks again.
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
			do(t, n, fmt.Sprintf("%s/again-%d", c.CommandType(), told), workcmd.AddTask{TaskType: "selfplay", Priority: new(int)})
			do(t, n, fmt.Sprintf("%s/claim-%d", c.CommandType(), told), workcmd.ClaimTasks{NodeID: domain.NodeID(fmt.Sprintf("gpu-%d", told))})
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
	do(t, n, "first", workcmd.ClaimTasks{NodeID: "gpu-0"})
	if told < 4 {
		t.Errorf("told %d times, want of every command", told)
	}
}

// Row 32: a lock that one thread took and another released failed every exchange. Here no
// lock or reservation in memory outlives a command: different callers may begin and give
// up a command, no item is leased twice, and a retry finds what a command did that was
// given up.
func TestRow32NothingIsHeldBeyondItsCommand(t *testing.T) {
	n := running(t, eventlog.NewMemory())
	const workers, items = 8, 60
	for i := range items {
		do(t, n, fmt.Sprint("add", i), workcmd.AddTask{TaskID: domain.TaskID(fmt.Sprint("t", i)), TaskType: "selfplay"})
	}
	var mu sync.Mutex
	given := map[domain.TaskID][]string{}
	var gaveUp atomic.Int32
	var exchanges sync.WaitGroup
	for worker := range workers {
		exchanges.Go(func() {
			for i := 0; ; i++ {
				id := fmt.Sprintf("claim%d/%d", worker, i)
				claim := Order{ID: id, Command: workcmd.ClaimTasks{NodeID: "w", Limit: 2}}
				ctx, giveUp := context.WithCancel(t.Context())
				if i%2 == 0 {
					giveUp() // mostly before the command is taken
				}
				go giveUp() // by another goroutine than the caller's
				if _, err := n.Do(ctx, claim); err != nil {
					gaveUp.Add(1)
				}
				result, err := n.Do(t.Context(), claim)
				if err != nil {
					t.Error(err)
					return
				}
				took := result.Answer.(workcmd.TasksClaimed).Items
				if len(took) == 0 {
					return
				}
				for _, item := range took {
					mu.Lock()
					given[item.TaskID] = append(given[item.TaskID], id)
					mu.Unlock()
					done := workcmd.CompleteTask{Report: workcmd.Report{TaskID: item.TaskID, Lease: item.Lease}}
					if _, err := n.Do(t.Context(), Order{ID: id + "/" + string(item.TaskID), Command: done}); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	exchanges.Wait()
	if len(given) != items {
		t.Errorf("want all %d items given, found %d", items, len(given))
	}
	for id, claims := range given {
		if len(claims) != 1 {
			t.Errorf("item %s was given to %q", id, claims)
		}
	}
	if gaveUp.Load() == 0 {
		t.Error("want commands given up")
	}
	if err := n.Queue(t.Context(), func(q *work.Queue) error {
		if q.Len() != 0 {
			t.Errorf("want nothing live, found %+v", q.Snapshot())
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}
