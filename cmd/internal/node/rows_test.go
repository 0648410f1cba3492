package node

import (
	"testing"
	"time"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections"
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
