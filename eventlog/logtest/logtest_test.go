package logtest

import (
	"errors"
	"testing"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

func TestFaultyFailsTheNthReadAndAllAfter(t *testing.T) {
	memory := eventlog.NewMemory()
	all := fill(t, memory, 10)
	for n := int64(1); n <= 11; n++ {
		found, err := collect(t, Faulty(memory, n).ReadAll(testContext(t), 0, eventlog.Forward, eventlog.Filter{}))
		if !errors.Is(err, ErrFault) || len(found) != int(n-1) {
			t.Fatalf("fault %d: want %d events and then the fault, found %d and %v", n, n-1, len(found), err)
		}
	}
	log := Faulty(memory, 3)
	for n, want := range []error{nil, nil, ErrFault, ErrFault} {
		if _, err := log.Head(testContext(t)); !errors.Is(err, want) {
			t.Fatalf("read %d: want %v, found %v", n+1, want, err)
		}
	}
	if _, _, err := log.Find(testContext(t), all[0].Stream, all[0].ID); !errors.Is(err, ErrFault) {
		t.Fatalf("find: want the fault, found %v", err)
	}
	if _, err := collect(t, log.Subscribe(testContext(t), 0, eventlog.Filter{})); !errors.Is(err, ErrFault) {
		t.Fatalf("subscription: want the fault, found %v", err)
	}
	if _, err := collect(t, log.Read(testContext(t), "task-a", 0, eventlog.Forward)); !errors.Is(err, ErrFault) {
		t.Fatalf("read of a stream: want the fault, found %v", err)
	}
	if _, err := log.Append(testContext(t), "task-a", domain.AnyRevision, event("goes on")); err != nil {
		t.Fatalf("append: want it untouched, found %v", err)
	}
}
