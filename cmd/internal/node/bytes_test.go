package node

import (
	"fmt"
	"strings"
	"testing"

	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/eventlog"
)

// The memory of live items is bounded. Over the bound callers cannot add items, forced or
// not, alone or in a batch, until items end. A repeated add of an accepted item is
// answered.
func TestTheMemoryOfTheQueueIsBounded(t *testing.T) {
	const most = 40 << 10
	n := running(t, eventlog.NewMemory(), func(c *Config) { c.QueueBytes = most })
	item := func(name string, i int) workcmd.AddTask {
		return workcmd.AddTask{
			TaskID: domain.TaskID(fmt.Sprint(name, i)), TaskType: "export", Force: true, UniqueKey: fmt.Sprint(name, i, strings.Repeat("k", 100)),
			DependsOn: []domain.TaskID{"later"}, Requires: []string{"disk"},
		}
	}
	var items []workcmd.AddTask
	for i := range 60 {
		items = append(items, item("b", i))
	}
	batch := workcmd.AddTasks{Items: items}
	answer, ok := do(t, n, "batch", batch).Answer.(workcmd.TasksAdded)
	if !ok || answer.Added < 10 || answer.Added > 40 || answer.Added+answer.Refused != len(items) {
		t.Fatalf("want as many items added as have room, found %+v", answer)
	}
	if refused := answer.Items[answer.Added]; refused.Code != domain.TooMany || !strings.Contains(refused.Detail, "at most 40 KiB") {
		t.Errorf("want the first one too many refused with the bound, found %+v", refused)
	}
	one := Order{ID: "one", Command: item("one", 0)}
	if _, err := n.Do(t.Context(), one); domain.CodeOf(err) != domain.TooMany {
		t.Errorf("want one more refused, found %v", err)
	}
	one.Dry = true
	if _, err := n.Do(t.Context(), one); domain.CodeOf(err) != domain.TooMany {
		t.Errorf("want it refused when it is tried as well, found %v", err)
	}
	one.Dry = false
	do(t, n, "cancel", workcmd.CancelTask{TaskID: "b0"})
	do(t, n, one.ID, one.Command)
	if _, err := n.Do(t.Context(), Order{ID: "two", Command: item("two", 0)}); domain.CodeOf(err) != domain.TooMany {
		t.Errorf("want the next refused, found %v", err)
	}
	if again := do(t, n, one.ID, one.Command); !again.Duplicate {
		t.Errorf("want a repetition answered though there is no room, found %+v", again)
	}
	loaded, err := n.work.load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Queue(t.Context(), func(kept *work.Queue) error {
		if kept.Bytes() > most || loaded.Bytes() != kept.Bytes() {
			t.Errorf("want at most %d bytes, and as many in the loaded queue, found %d and %d", most, kept.Bytes(), loaded.Bytes())
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	do(t, n, "all", workcmd.CancelTasks{TaskType: "export"})
	if err := n.Queue(t.Context(), func(kept *work.Queue) error {
		if kept.Bytes() != 0 {
			t.Errorf("want an empty queue to take nothing, found %d bytes of %d items", kept.Bytes(), kept.Len())
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}
