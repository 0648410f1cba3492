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

// The number of different expressions of live items is bounded, for items alone and in
// batches, and decreases when items end. An expression that a live item has is always
// accepted. The loaded queue counts the same as the one in memory.
func TestExpressionsOfItemsAreBounded(t *testing.T) {
	const most = 256
	n := running(t, eventlog.NewMemory())
	add := func(id, where string) error {
		_, err := n.Do(t.Context(), Order{ID: "add-" + id, Command: workcmd.AddTask{TaskID: domain.TaskID(id), TaskType: "export", Where: where}})
		return err
	}
	var items []workcmd.AddTask
	for i := range most + 4 {
		items = append(items, workcmd.AddTask{TaskID: domain.TaskID(fmt.Sprint("b", i)), TaskType: "export", Where: fmt.Sprintf("cpus > %d", i)})
	}
	items = append(items, workcmd.AddTask{TaskID: "known", TaskType: "export", Where: "cpus > 0"}, workcmd.AddTask{TaskID: "plain", TaskType: "export"})
	result := do(t, n, "batch", workcmd.AddTasks{Items: items})
	answer, ok := result.Answer.(workcmd.TasksAdded)
	if !ok || answer.Added != most+2 || answer.Refused != 4 {
		t.Fatalf("want %d items added and 4 refused, found %+v", most+2, result.Answer)
	}
	if refused := answer.Items[most]; refused.Code != domain.TooMany || !strings.Contains(refused.Detail, "at most 256 different expressions") {
		t.Errorf("want the first one too many refused with the bound, found %+v", refused)
	}
	if err := add("one", "cpus > 1000"); domain.CodeOf(err) != domain.TooMany {
		t.Errorf("want one more refused, found %v", err)
	}
	if err := add("same", "cpus > 7"); err != nil {
		t.Errorf("want an expression that items have taken, found %v", err)
	}
	do(t, n, "cancel", workcmd.CancelTask{TaskID: "b0"})
	if err := add("another", "cpus > 1000"); domain.CodeOf(err) != domain.TooMany {
		t.Errorf("want it refused while another item says it, found %v", err)
	}
	do(t, n, "cancel-other", workcmd.CancelTask{TaskID: "known"})
	if err := add("two", "cpus > 1000"); err != nil {
		t.Errorf("want it taken when the last item that said another ended, found %v", err)
	}
	loaded, err := n.work.load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Queue(t.Context(), func(kept *work.Queue) error {
		if found, _ := kept.Wheres(""); found != most {
			t.Errorf("want %d expressions counted, found %d", most, found)
		}
		if found, known := loaded.Wheres("cpus > 1000"); found != most || !known {
			t.Errorf("want %d expressions in the loaded queue, this one too, found %d, %v", most, found, known)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}
