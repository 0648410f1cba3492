package logtest

import (
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

func expectedRevision(t *testing.T, open func(testing.TB) eventlog.Log) {
	log := open(t)
	try := func(name string, stream domain.StreamID, expected domain.Revision, found domain.Revision, fits bool) {
		t.Helper()
		before, _ := log.Head(testContext(t))
		_, err := log.Append(testContext(t), stream, expected, event(name))
		after, _ := log.Head(testContext(t))
		if fits {
			if err != nil || after != before+1 {
				t.Fatalf("%s: want it stored, found %v", name, err)
			}
			return
		}
		conflict := wantConflict(t, name, err)
		if conflict.Stream != stream || conflict.Expected != expected || conflict.Found != found || after != before {
			t.Fatalf("%s: want %s expected, %s found and nothing stored, found %+v and head %d after %d", name, expected, found, conflict, after, before)
		}
	}
	try("exists on none", "task-a", domain.StreamExists, domain.NoStream, false)
	try("exact on none", "task-a", 0, domain.NoStream, false)
	try("none on none", "task-a", domain.NoStream, 0, true)
	try("none on one", "task-a", domain.NoStream, 0, false)
	try("exact too high", "task-a", 1, 0, false)
	try("exact", "task-a", 0, 0, true)
	try("exact too low", "task-a", 0, 1, false)
	try("exists", "task-a", domain.StreamExists, 1, true)
	try("any", "task-a", domain.AnyRevision, 2, true)
	try("any on none", "task-b", domain.AnyRevision, 2, true)
	try("a number that means nothing", "task-b", -3, 0, false)
}

func oneWinner(t *testing.T, open func(testing.TB) eventlog.Log) {
	log := open(t)
	const writers, rounds = 8, 10
	for round := range rounds {
		var group sync.WaitGroup
		won := make([]bool, writers)
		for w := range writers {
			group.Go(func() {
				_, err := log.Append(testContext(t), "task-a", domain.Revision(round-1), event(fmt.Sprintf("race%d/%d", round, w)))
				if won[w] = err == nil; err != nil && !errors.Is(err, domain.ErrConflict) {
					t.Errorf("want a conflict for who came late, found %v", err)
				}
			})
		}
		group.Wait()
		winners := 0
		for _, w := range won {
			if w {
				winners++
			}
		}
		if winners != 1 {
			t.Fatalf("round %d: want one winner, found %d", round, winners)
		}
	}
}

func identity(t *testing.T, open func(testing.TB) eventlog.Log) {
	log := open(t)
	batch := events("once", 4)
	mustAppend(t, log, "task-z", domain.NoStream, event("before"))
	first := mustAppend(t, log, "task-a", domain.NoStream, batch...)
	for _, expected := range []domain.Revision{domain.NoStream, domain.AnyRevision, domain.StreamExists, 0, 3, 17} {
		again, err := log.Append(testContext(t), "task-a", expected, batch...)
		want := first
		want.Duplicate = true
		if err != nil || !reflect.DeepEqual(again, want) {
			t.Fatalf("repetition expecting %s: want %+v, found %+v, %v", expected, want, again, err)
		}
	}
	part := mustAppend(t, log, "task-a", domain.NoStream, batch[1:3]...)
	if !part.Duplicate || part.First != first.First+1 || part.Last != first.First+2 || part.Revision != 2 {
		t.Fatalf("want the places of the middle events, found %+v", part)
	}
	// What other appends put between does not make it another append.
	mustAppend(t, log, "task-a", 3, event("later"))
	spread := mustAppend(t, log, "task-a", domain.NoStream, batch[3], event("later"))
	if !spread.Duplicate || spread.First != first.Last || spread.Last != first.Last+1 || spread.Revision != 4 {
		t.Fatalf("want the places of two appends, found %+v", spread)
	}
	for name, overlap := range map[string][]eventlog.Proposed{
		"new behind old":  {batch[3], event("new")},
		"old behind new":  {event("new"), batch[0]},
		"old around new":  {batch[0], event("new"), batch[1]},
		"another order":   {batch[1], batch[0]},
		"all but reverse": {batch[3], batch[2], batch[1], batch[0]},
	} {
		for _, expected := range []domain.Revision{domain.AnyRevision, 4} {
			_, err := log.Append(testContext(t), "task-a", expected, overlap...)
			if conflict := wantConflict(t, name, err); conflict.Reason == "" {
				t.Fatalf("%s: want a reason, found %v", name, conflict)
			}
		}
	}
	if n := len(readAll(t, log, 0, eventlog.Forward, eventlog.Filter{})); n != 6 {
		t.Fatalf("want 6 events stored, found %d", n)
	}
}

func identityByStream(t *testing.T, open func(testing.TB) eventlog.Log) {
	log := open(t)
	e := event("shared")
	for _, stream := range []domain.StreamID{"task-a", "task-b", "node-a"} {
		receipt := mustAppend(t, log, stream, domain.NoStream, e)
		if receipt.Duplicate {
			t.Fatalf("%s: want the id to count within its stream only, found a duplicate", stream)
		}
		again := mustAppend(t, log, stream, domain.NoStream, e)
		if !again.Duplicate || again.First != receipt.First {
			t.Fatalf("%s: want its own place, found %+v", stream, again)
		}
	}
	// Concurrent repetitions store one.
	var group sync.WaitGroup
	receipts := make([]eventlog.Receipt, 8)
	for w := range receipts {
		group.Go(func() {
			var err error
			if receipts[w], err = log.Append(testContext(t), "task-c", domain.AnyRevision, e, event("second")); err != nil {
				t.Errorf("repetition: %v", err)
			}
		})
	}
	group.Wait()
	firsts := 0
	for _, receipt := range receipts {
		if !receipt.Duplicate {
			firsts++
		}
		if receipt.First != receipts[0].First || receipt.Last != receipts[0].Last {
			t.Fatalf("want one place for all, found %+v and %+v", receipts[0], receipt)
		}
	}
	if n := len(readStream(t, log, "task-c", 0, eventlog.Forward)); firsts != 1 || n != 2 {
		t.Fatalf("want one append of 2 events to count, found %d of %d", firsts, n)
	}
}
