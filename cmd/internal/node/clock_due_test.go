package node

import (
	"errors"
	"strings"
	"testing"

	"github.com/ringrift/rift/commands"
	admincmd "github.com/ringrift/rift/commands/admin"
	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/admin"
	"github.com/ringrift/rift/eventlog"
)

// A refused command of the clock is recorded as one failure, which is parked and can be
// discarded. A command that is only too late is not recorded, until it has been too late
// ten times in succession.
func TestRefusalsOfTheClockAreRecorded(t *testing.T) {
	log := eventlog.NewMemory()
	n := followedOnly(t, log)
	do(t, n, "add", addOrder("a").Command)
	wrong := commands.Timed{ID: domain.ClockCommands + "wrong", Command: workcmd.AddTask{TaskID: "b", TaskType: "no such type!"}}
	late := commands.Timed{ID: domain.ClockCommands + "late", Command: workcmd.CancelTask{TaskID: "none"}}
	fine := commands.Timed{ID: domain.ClockCommands + "fine", Command: workcmd.AddTask{TaskID: "c", TaskType: "selfplay"}}
	failures := func() (found []admin.HandlerFailed) {
		for e, err := range log.ReadAll(t.Context(), 1, eventlog.Forward, eventlog.Filter{Types: []string{admin.HandlerFailed{}.EventType()}}) {
			if err := errors.Join(err, n.catalog.Fill(&e)); err != nil {
				t.Fatal(err)
			}
			found = append(found, e.Event.(admin.HandlerFailed))
		}
		return found
	}
	tick := func(want int, due ...commands.Timed) {
		t.Helper()
		if happened, err := n.runDue(t.Context(), due); err != nil || happened != want {
			t.Errorf("want %d events, found %d, %v", want, happened, err)
		}
	}
	tick(1, wrong, late, fine)
	for range refusedInTurn - 2 {
		tick(0, wrong, late, fine)
	}
	found := failures()
	if len(found) != 1 || found[0].Handler != "clock" || found[0].Command != "work.add" || found[0].Code != domain.Invalid || !strings.Contains(found[0].Error, "task_type") {
		t.Errorf("want one failure, of the command that is wrong, found %+v", found)
	}
	tick(0, wrong, late)
	if found := failures(); len(found) != 2 || found[1].Command != "work.cancel" || !passing(found[1].Code) {
		t.Errorf("want the command that is always late recorded too, found %+v", found)
	}
	for range refusedInTurn - 1 {
		tick(0, late)
	}
	tick(0)
	tick(0, late)
	if found := failures(); len(found) != 2 {
		t.Errorf("want each recorded once, found %+v", found)
	}
	head, err := log.Head(t.Context())
	if err == nil {
		err = n.upTo(t.Context(), head)
	}
	letters, failed := n.store.DeadLetters()
	if err := errors.Join(err, failed); err != nil || len(letters) != 2 || letters[0].Handler != "clock" {
		t.Fatalf("want both parked, found %+v, %v", letters, err)
	}
	discarded := do(t, n, "discard", admincmd.DiscardLetter{ID: letters[0].ID, Reason: "seen"})
	if err := n.upTo(t.Context(), discarded.Position); err != nil {
		t.Fatal(err)
	}
	if left, err := n.store.DeadLetters(); err != nil || len(left) != 1 {
		t.Errorf("want one left, found %+v, %v", left, err)
	}
}
