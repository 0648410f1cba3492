package simulate

import (
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
)

// An item that has ended costs the audit its name and its state, not the piece
// of the log that its events were read with.
func TestTheAuditKeepsNothingOfTheLog(t *testing.T) {
	scenario, err := Day(1, 1, time.Hour, 1)
	if err != nil {
		t.Fatal(err)
	}
	audit, err := NewAudit(scenario)
	if err != nil {
		t.Fatal(err)
	}
	piece := strings.Repeat("task-t1 ", 1000)
	stream, id := domain.StreamID(piece[:7]), domain.TaskID(piece[5:7])
	for i, event := range []domain.Event{
		work.Spawned{TaskID: id, TaskType: "selfplay", MaxAttempts: 1},
		work.Cancelled{TaskID: id, Reason: "not wanted"},
	} {
		audit.Observe(domain.Envelope{
			Position: domain.Position(i + 1), Stream: stream, Revision: domain.Revision(i), Type: event.EventType(), Time: scenario.Start, Event: event,
		})
	}
	if state, ended := audit.Ended("t1"); !ended || state != work.StateCancelled || audit.Live() != 0 {
		t.Fatalf("want it cancelled, found %s", state)
	}
	from := uintptr(unsafe.Pointer(unsafe.StringData(piece)))
	for kept := range audit.ended {
		if at := uintptr(unsafe.Pointer(unsafe.StringData(string(kept)))); at >= from && at < from+uintptr(len(piece)) {
			t.Errorf("want a copy of %s, found a part of what was read", kept)
		}
	}
}
