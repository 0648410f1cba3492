package logtest

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// fill appends a known history over three streams and gives what must be read.
func fill(t testing.TB, log eventlog.Log, n int) []domain.Envelope {
	t.Helper()
	var all []domain.Envelope
	revisions := map[domain.StreamID]domain.Revision{}
	for i := 0; len(all) < n; i++ {
		stream := []domain.StreamID{"task-a", "task-b", "node-a:1"}[i%3]
		batch := events(fmt.Sprintf("fill%d", i), 1+i%4)
		mustAppend(t, log, stream, revisions[stream]-1, batch...)
		for _, e := range batch {
			all = append(all, stored(stream, domain.Position(len(all)+1), revisions[stream], e))
			revisions[stream]++
		}
	}
	return all
}

func only(all []domain.Envelope, keep func(domain.Envelope) bool) []domain.Envelope {
	var kept []domain.Envelope
	for _, e := range all {
		if keep(e) {
			kept = append(kept, e)
		}
	}
	return kept
}

func order(t *testing.T, open func(testing.TB) eventlog.Log) {
	log := open(t)
	if head, err := log.Head(testContext(t)); err != nil || head != 0 {
		t.Fatalf("want head 0 of an empty log, found %d, %v", head, err)
	}
	if found := readAll(t, log, 0, eventlog.Forward, eventlog.Filter{}); len(found) != 0 {
		t.Fatalf("want nothing in an empty log, found %d events", len(found))
	}
	if found := readStream(t, log, "task-none", 0, eventlog.Forward); len(found) != 0 {
		t.Fatalf("want a stream that does not exist to be empty, found %d events", len(found))
	}
	all := fill(t, log, 50)
	head, err := log.Head(testContext(t))
	if err != nil || head != domain.Position(len(all)) {
		t.Fatalf("want head %d, found %d, %v", len(all), head, err)
	}
	sameEvents(t, "everything", all, readAll(t, log, 0, eventlog.Forward, eventlog.Filter{}))
	sameEvents(t, "everything backward", reversed(all), readAll(t, log, eventlog.End, eventlog.Backward, eventlog.Filter{}))
	sameEvents(t, "from position 7", all[6:], readAll(t, log, 7, eventlog.Forward, eventlog.Filter{}))
	sameEvents(t, "backward from position 7", reversed(all[:7]), readAll(t, log, 7, eventlog.Backward, eventlog.Filter{}))
	sameEvents(t, "behind the end", nil, readAll(t, log, head+1, eventlog.Forward, eventlog.Filter{}))
	sameEvents(t, "backward from 0", nil, readAll(t, log, 0, eventlog.Backward, eventlog.Filter{}))
	for _, stream := range []domain.StreamID{"task-a", "task-b", "node-a:1"} {
		mine := only(all, func(e domain.Envelope) bool { return e.Stream == stream })
		sameEvents(t, "stream", mine, readStream(t, log, stream, 0, eventlog.Forward))
		sameEvents(t, "stream backward", reversed(mine), readStream(t, log, stream, eventlog.EndRevision, eventlog.Backward))
		sameEvents(t, "stream from 3", mine[3:], readStream(t, log, stream, 3, eventlog.Forward))
		sameEvents(t, "stream backward from 3", reversed(mine[:4]), readStream(t, log, stream, 3, eventlog.Backward))
		sameEvents(t, "stream behind its end", nil, readStream(t, log, stream, 1000, eventlog.Forward))
		sameEvents(t, "stream backward from behind its end", reversed(mine), readStream(t, log, stream, 1000, eventlog.Backward))
	}
	sameEvents(t, "a stream whose name begins another's", nil, readStream(t, log, "node-a", 0, eventlog.Forward))
}

func concurrentOrder(t *testing.T, open func(testing.TB) eventlog.Log) {
	log := open(t)
	const writers, appends = 8, 25
	receipts := make([][]eventlog.Receipt, writers)
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			for i := range appends {
				stream := domain.Stream("task", fmt.Sprint(w%3)) // some share a stream
				receipt, err := log.Append(testContext(t), stream, domain.AnyRevision, events(fmt.Sprintf("w%d/%d", w, i), 1+i%3)...)
				if err != nil {
					t.Errorf("append: %v", err)
					return
				}
				receipts[w] = append(receipts[w], receipt)
			}
		})
	}
	group.Wait()
	all := readAll(t, log, 0, eventlog.Forward, eventlog.Filter{})
	revisions := map[domain.StreamID]domain.Revision{}
	for i, e := range all {
		if e.Position != domain.Position(i+1) || e.Revision != revisions[e.Stream] {
			t.Fatalf("want position %d and revision %d of %s, found %d and %d", i+1, revisions[e.Stream], e.Stream, e.Position, e.Revision)
		}
		revisions[e.Stream]++
	}
	for w := range receipts {
		for i, receipt := range receipts[w] {
			if i > 0 && receipt.First <= receipts[w][i-1].Last {
				t.Fatalf("writer %d: append %d stands before the one it followed", w, i)
			}
			for n, at := 0, receipt.First; at <= receipt.Last; n, at = n+1, at+1 {
				if want := domain.DeriveID(fmt.Sprintf("w%d/%d/%d", w, i, n), 0); all[at-1].ID != want {
					t.Fatalf("position %d: want the event that its receipt names", at)
				}
			}
			if all[receipt.Last-1].Revision != receipt.Revision {
				t.Fatalf("want revision %d at position %d as its receipt says, found %d", receipt.Revision, receipt.Last, all[receipt.Last-1].Revision)
			}
		}
	}
	for range 2 {
		sameEvents(t, "a second reader", all, readAll(t, log, 0, eventlog.Forward, eventlog.Filter{}))
	}
}

func atomicity(t *testing.T, open func(testing.TB) eventlog.Log) {
	log := open(t)
	ctx, stop := context.WithCancel(testContext(t))
	defer stop()
	var group sync.WaitGroup
	group.Go(func() { // readers meanwhile see whole appends or nothing of them
		for ctx.Err() == nil {
			n := 0
			for _, err := range log.ReadAll(testContext(t), 0, eventlog.Forward, eventlog.Filter{}) {
				if err != nil {
					t.Errorf("read: %v", err)
					return
				}
				n++
			}
			if n%5 != 0 {
				t.Errorf("want whole appends of 5 events, found %d events", n)
				return
			}
		}
	})
	for i := range 40 {
		receipt := mustAppend(t, log, domain.Stream("task", fmt.Sprint(i%4)), domain.AnyRevision, events(fmt.Sprint("batch", i), 5)...)
		if receipt.Last-receipt.First != 4 {
			t.Fatalf("want 5 places next to each other, found %d to %d", receipt.First, receipt.Last)
		}
	}
	bad := events("bad", 3)
	bad[2].Type = ""
	_, err := log.Append(testContext(t), "task-0", domain.AnyRevision, bad...)
	wantCode(t, "an append with one event that is no good", err, domain.Invalid)
	stop()
	group.Wait()
	if n := len(readAll(t, log, 0, eventlog.Forward, eventlog.Filter{})); n != 200 {
		t.Fatalf("want nothing of a refused append, found %d events", n)
	}
}

func acknowledged(t *testing.T, open func(testing.TB) eventlog.Log) {
	log := open(t)
	for i := range 20 {
		e := event(fmt.Sprint("ack", i))
		receipt := mustAppend(t, log, "task-a", domain.Revision(i-1), e)
		if receipt.Duplicate || receipt.Revision != domain.Revision(i) {
			t.Fatalf("want a first receipt at revision %d, found %+v", i, receipt)
		}
		head, err := log.Head(testContext(t))
		if err != nil || head < receipt.Last {
			t.Fatalf("want a head of at least %d, found %d, %v", receipt.Last, head, err)
		}
		found, there, err := log.Find(testContext(t), "task-a", e.ID)
		if err != nil || !there {
			t.Fatalf("want the event found by its id, found %v, %v", there, err)
		}
		want := stored("task-a", receipt.Last, receipt.Revision, e)
		if diff := differ(want, found); diff != "" {
			t.Fatalf("found by id: %s", diff)
		}
		sameEvents(t, "the last event", []domain.Envelope{want}, readAll(t, log, receipt.First, eventlog.Forward, eventlog.Filter{}))
	}
	if _, there, err := log.Find(testContext(t), "task-a", domain.DeriveID("never", 0)); there || err != nil {
		t.Fatalf("want nothing for an unknown id, found %v, %v", there, err)
	}
	if _, there, err := log.Find(testContext(t), "task-b", domain.DeriveID("ack1", 0)); there || err != nil {
		t.Fatalf("want nothing in another stream, found %v, %v", there, err)
	}
}

func neverBeyondHead(t *testing.T, open func(testing.TB) eventlog.Log) {
	log := open(t)
	const total = 300
	var group sync.WaitGroup
	for w := range 3 {
		group.Go(func() {
			for i := range total / 3 {
				if _, err := log.Append(testContext(t), domain.Stream("task", fmt.Sprint(w)), domain.Revision(i-1), event(fmt.Sprintf("head%d/%d", w, i))); err != nil {
					t.Errorf("append: %v", err)
				}
			}
		})
	}
	for item, err := range log.Subscribe(testContext(t), 0, eventlog.Filter{}) {
		if err != nil {
			t.Fatalf("subscription: %v", err)
		}
		head, err := log.Head(testContext(t))
		if err != nil || item.Position > head {
			t.Fatalf("want no event beyond the head %d, found %d, %v", head, item.Position, err)
		}
		if item.Position == total {
			break
		}
	}
	group.Wait()
}

func prefix(t *testing.T, open func(testing.TB) eventlog.Log) {
	log := open(t)
	all := fill(t, log, 40)
	for _, n := range []int{1, 2, 17, 40} {
		shorter := open(t)
		for _, e := range all[:n] {
			receipt := mustAppend(t, shorter, e.Stream, e.Revision-1, eventlog.Proposed{
				ID: e.ID, Type: e.Type, Version: e.Version, Time: e.Time, Meta: e.Meta, Data: e.Data,
			})
			if receipt.First != e.Position || receipt.Revision != e.Revision {
				t.Fatalf("want event %d at the same place, found %+v", e.Position, receipt)
			}
		}
		sameEvents(t, fmt.Sprintf("the first %d events", n), all[:n], readAll(t, shorter, 0, eventlog.Forward, eventlog.Filter{}))
	}
}

func bounds(t *testing.T, open func(testing.TB) eventlog.Log) {
	log := open(t)
	_, err := log.Append(testContext(t), "task-a", domain.AnyRevision, events("many", eventlog.MaxBatch+1)...)
	wantCode(t, "too many events", err, domain.TooLarge)
	large := event("large")
	large.Data = make([]byte, eventlog.MaxEventBytes+1)
	_, err = log.Append(testContext(t), "task-a", domain.AnyRevision, event("small"), large)
	wantCode(t, "too large an event", err, domain.TooLarge)
	for what, stream := range map[string]domain.StreamID{"no dash": "task", "no id": "task-", "a space": "task-a b", "too long": domain.Stream("task", strings.Repeat("x", domain.MaxStreamID))} {
		_, err := log.Append(testContext(t), stream, domain.AnyRevision, event("x"))
		wantCode(t, "a stream with "+what, err, domain.Invalid)
	}
	_, err = log.Append(testContext(t), "task-a", domain.AnyRevision)
	wantCode(t, "no event", err, domain.Invalid)
	_, err = log.Append(testContext(t), "task-a", domain.AnyRevision, event("x"), event("x"))
	wantCode(t, "an id twice", err, domain.Invalid)
	if head, err := log.Head(testContext(t)); head != 0 || err != nil {
		t.Fatalf("want nothing stored, found head %d, %v", head, err)
	}
	large.Data = bytes.Repeat([]byte{7}, eventlog.MaxEventBytes)
	longest := domain.Stream("task", strings.Repeat("x", domain.MaxStreamID-5))
	mustAppend(t, log, longest, domain.NoStream, large)
	batch := events("most", eventlog.MaxBatch)
	receipt := mustAppend(t, log, "task-a", domain.NoStream, batch...)
	if receipt.First != 2 || receipt.Last != eventlog.MaxBatch+1 {
		t.Fatalf("want the largest batch at 2, found %+v", receipt)
	}
	found := readStream(t, log, longest, 0, eventlog.Forward)
	sameEvents(t, "the largest event", []domain.Envelope{stored(longest, 1, 0, large)}, found)
	if n := len(readStream(t, log, "task-a", 0, eventlog.Forward)); n != eventlog.MaxBatch {
		t.Fatalf("want %d events, found %d", eventlog.MaxBatch, n)
	}
}

func normalForm(t *testing.T, open func(testing.TB) eventlog.Log) {
	log := open(t)
	zone := time.FixedZone("somewhere", 5*3600+1800)
	var want []domain.Envelope
	for i, at := range []time.Time{
		time.Date(2026, 2, 3, 4, 5, 6, 123456789, zone), time.Date(1955, 2, 3, 4, 5, 6, 999999999, time.UTC),
		{},
		time.Date(9999, 12, 31, 23, 59, 59, 1001, zone), time.Now(),
	} {
		e := event(fmt.Sprint("time", i))
		e.Time = at
		if i == 1 {
			e.Data, e.Meta = nil, domain.Meta{}
		}
		if i == 2 {
			e.Meta = domain.Meta{Command: "a", Causation: "b", Correlation: "c", Actor: "d", Node: "e", Policy: "policy-default@3", Term: 1<<64 - 1, Custom: `j:{"$correlationId": "c \u00e9"}`}
			e.Type, e.Version = strings.Repeat("T", 255), 65535
		}
		mustAppend(t, log, "task-a", domain.AnyRevision, e)
		want = append(want, stored("task-a", domain.Position(i+1), domain.Revision(i), e))
	}
	found := readAll(t, log, 0, eventlog.Forward, eventlog.Filter{})
	sameEvents(t, "everything", want, found)
	for _, e := range found {
		if e.Time.Location() != time.UTC || e.Time.Nanosecond()%1000 != 0 || e.Event != nil {
			t.Fatalf("want UTC microseconds and no decoded event, found %v and %v", e.Time, e.Event)
		}
	}
}
