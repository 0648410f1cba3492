package pebblelog

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// TestOneHashOfTwoIdentities appends events whose ids have the same hash, in one group and
// in the next: each is found by its own id.
func TestOneHashOfTwoIdentities(t *testing.T) {
	log := openSmall(t, "log", vfs.NewMem())
	made := func(stream domain.StreamID, n int) *request {
		events := []eventlog.Proposed{numbered(n)}
		size, err := CheckAppend(stream, events)
		if err != nil {
			t.Fatal(err)
		}
		r := &request{stream: stream, expected: domain.AnyRevision, size: size}
		r.encode(events, r.one[:], make([]byte, 0, size))
		r.events[0].hash = 7
		return r
	}
	var sent []*request
	send := func(requests ...*request) {
		g, err := log.queue.put(t.Context(), 1000, requests...)
		if err != nil {
			t.Fatal(err)
		}
		<-g.done
		sent = append(sent, requests...)
	}
	send(made("task-a", 0), made("task-a", 1), made("task-b", 0), made("task-a", 0), made("task-b", 0), made("task-a", 1))
	send(made("task-a", 1), made("task-b", 0), made("task-b", 1))
	first := []domain.Position{1, 2, 3, 1, 3, 2, 2, 3, 4}
	for i, r := range sent {
		again := i >= 3 && i < 8
		if r.err != nil || r.receipt.First != first[i] || r.receipt.Duplicate != again {
			t.Errorf("append %d: want position %d, a repetition %v, found %+v, %v", i, first[i], again, r.receipt, r.err)
		}
	}
}
