package logtest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// OneByOne is an AppendMany made of calls of Append, for wrappers that change
// what Append does.
func OneByOne(ctx context.Context, log interface {
	Append(context.Context, domain.StreamID, domain.Revision, ...eventlog.Proposed) (eventlog.Receipt, error)
}, writes []eventlog.Write,
) []eventlog.Written {
	written := make([]eventlog.Written, len(writes))
	for i, w := range writes {
		if written[i].Err = eventlog.Holds(writes, written, i); written[i].Err != nil {
			continue
		}
		written[i].Receipt, written[i].Err = log.Append(ctx, w.Stream, w.Expected, w.Events...)
	}
	return written
}

func write(stream domain.StreamID, expected domain.Revision, events ...eventlog.Proposed) eventlog.Write {
	return eventlog.Write{Stream: stream, Expected: expected, Events: events}
}

func appendMany(t testing.TB, log eventlog.Log, writes ...eventlog.Write) []eventlog.Written {
	t.Helper()
	written := log.AppendMany(testContext(t), writes)
	if len(written) != len(writes) {
		t.Fatalf("append of many: want %d outcomes, found %d", len(writes), len(written))
	}
	for i, w := range written {
		if w.Err != nil && !reflect.DeepEqual(w.Receipt, eventlog.Receipt{}) {
			t.Fatalf("write %d: want no receipt beside the error %v, found %+v", i, w.Err, w.Receipt)
		}
	}
	return written
}

func wantReceipt(t testing.TB, what string, want eventlog.Receipt, found eventlog.Written) {
	t.Helper()
	if found.Err != nil || !reflect.DeepEqual(found.Receipt, want) {
		t.Fatalf("%s: want %+v, found %+v, %v", what, want, found.Receipt, found.Err)
	}
}

// manyAppends has every kind of write fail in the middle of a list.
func manyAppends(t *testing.T, open func(testing.TB) eventlog.Log) {
	log := open(t)
	if written := log.AppendMany(testContext(t), nil); len(written) != 0 {
		t.Fatalf("want nothing of an empty list, found %v", written)
	}
	mustAppend(t, log, "task-a", domain.NoStream, events("base", 2)...) // 1 and 2
	if err := curator(t, log).SetStreamMeta(testContext(t), "task-gone", eventlog.StreamMeta{Tombstone: true}); err != nil {
		t.Fatal(err)
	}
	large := event("large")
	large.Data = make([]byte, eventlog.MaxEventBytes+1)
	untyped := event("untyped")
	untyped.Type = ""
	written := appendMany(t, log,
		write("task-b", domain.NoStream, events("first", 2)...),
		write("task-a", 7, event("conflict")),
		write("task-a", 1, event("fits")),
		write("task-b", 1, event("invalid"), untyped),
		write("task-b", 1, event("sees the first")),
		write("task-c", domain.AnyRevision, event("small"), large),
		write("task-c", domain.AnyRevision, events("too many", eventlog.MaxBatch+1)...),
		write("task", domain.AnyRevision, event("no stream")),
		write("task-c", domain.StreamExists, event("no stream yet")),
		write("task-gone", domain.AnyRevision, event("buried")),
		write("task-c", domain.NoStream),
		write("task-b", 1, event("late")),
		write("task-c", domain.NoStream, event("last")),
	)
	wantReceipt(t, "the first write", eventlog.Receipt{First: 3, Last: 4, Revision: 1}, written[0])
	if c := wantConflict(t, "a conflict in the middle", written[1].Err); *c != (eventlog.Conflict{Stream: "task-a", Expected: 7, Found: 1}) {
		t.Fatalf("want revision 7 expected and 1 found, found %+v", c)
	}
	wantReceipt(t, "a write behind a conflict", eventlog.Receipt{First: 5, Last: 5, Revision: 2}, written[2])
	wantCode(t, "an event without type", written[3].Err, domain.Invalid)
	wantReceipt(t, "the second write to a stream", eventlog.Receipt{First: 6, Last: 6, Revision: 2}, written[4])
	wantCode(t, "too large an event", written[5].Err, domain.TooLarge)
	wantCode(t, "too many events", written[6].Err, domain.TooLarge)
	wantCode(t, "a name that is no stream's", written[7].Err, domain.Invalid)
	_ = wantConflict(t, "a stream that only comes later", written[8].Err)
	wantCode(t, "a tombstoned stream", written[9].Err, eventlog.Gone)
	wantCode(t, "no event", written[10].Err, domain.Invalid)
	if c := wantConflict(t, "the revision before the second write", written[11].Err); c.Found != 2 {
		t.Fatalf("want revision 2 found, found %+v", c)
	}
	wantReceipt(t, "the last write", eventlog.Receipt{First: 7, Last: 7}, written[12])
	want := []domain.Envelope{
		stored("task-b", 3, 0, event("first/0")), stored("task-b", 4, 1, event("first/1")), stored("task-a", 5, 2, event("fits")),
		stored("task-b", 6, 2, event("sees the first")), stored("task-c", 7, 0, event("last")),
	}
	sameEvents(t, "what many appends stored", want, readAll(t, log, 3, eventlog.Forward, eventlog.Filter{}))
}

// manyThatRest has writes that fit by their revision and rest on one that failed.
func manyThatRest(t *testing.T, open func(testing.TB) eventlog.Log) {
	log := open(t)
	mustAppend(t, log, "task-a", domain.NoStream, event("elsewhere"))
	after := func(nth int, w eventlog.Write) eventlog.Write {
		w.After = nth
		return w
	}
	untyped := event("untyped")
	untyped.Type = ""
	written := appendMany(t, log,
		write("task-a", domain.NoStream, event("conflict")),
		after(1, write("task-a", 0, event("fits"))),
		after(2, write("task-b", domain.NoStream, event("rests on what rests"))),
		write("task-b", domain.NoStream, event("first")),
		after(4, write("task-b", 0, event("second"))),
		write("task-c", domain.NoStream, untyped),
		after(6, write("task-c", domain.AnyRevision, event("rests on what no log takes"))),
		after(8, write("task-c", domain.AnyRevision, event("rests on itself"))),
		after(-1, write("task-c", domain.AnyRevision, event("rests on nothing"))),
		write("task-c", domain.NoStream, event("last")),
	)
	_ = wantConflict(t, "the write that others rest on", written[0].Err)
	_ = wantConflict(t, "a write that fits", written[1].Err)
	_ = wantConflict(t, "a write that rests on it", written[2].Err)
	wantReceipt(t, "an independent write", eventlog.Receipt{First: 2, Last: 2}, written[3])
	wantReceipt(t, "a write that rests on a stored one", eventlog.Receipt{First: 3, Last: 3, Revision: 1}, written[4])
	wantCode(t, "an event without type", written[5].Err, domain.Invalid)
	_ = wantConflict(t, "a write that rests on an invalid one", written[6].Err)
	wantCode(t, "a write that rests on itself", written[7].Err, domain.Invalid)
	wantCode(t, "a write that rests on none", written[8].Err, domain.Invalid)
	wantReceipt(t, "the last write", eventlog.Receipt{First: 4, Last: 4}, written[9])
}

// manyIdentities repeats writes across calls and within one.
func manyIdentities(t *testing.T, open func(testing.TB) eventlog.Log) {
	log := open(t)
	batch := events("once", 3)
	first := mustAppend(t, log, "task-a", domain.NoStream, batch...)
	first.Duplicate = true
	written := appendMany(t, log,
		write("task-a", 9, batch...),
		write("task-b", domain.NoStream, batch...),
		write("task-b", 5, batch[1:]...),
		write("task-b", 2, event("new"), batch[0]),
		write("task-b", 2, event("new")),
		write("task-b", domain.NoStream, batch[2], event("new")),
		write("task-b", domain.NoStream, event("new"), batch[2]),
	)
	wantReceipt(t, "a repetition of what was there", first, written[0])
	wantReceipt(t, "the same ids in another stream", eventlog.Receipt{First: 4, Last: 6, Revision: 2}, written[1])
	wantReceipt(t, "a repetition within the call", eventlog.Receipt{First: 5, Last: 6, Revision: 2, Duplicate: true}, written[2])
	_ = wantConflict(t, "a part that is there", written[3].Err)
	wantReceipt(t, "the rest alone", eventlog.Receipt{First: 7, Last: 7, Revision: 3}, written[4])
	wantReceipt(t, "a repetition of two writes", eventlog.Receipt{First: 6, Last: 7, Revision: 3, Duplicate: true}, written[5])
	_ = wantConflict(t, "another order", written[6].Err)
	if head, err := log.Head(testContext(t)); err != nil || head != 7 {
		t.Fatalf("want 7 events, found %d, %v", head, err)
	}
}

// manyAtOnce is longer and larger than any group of an engine, and reaches one
// stream again and again.
func manyAtOnce(t *testing.T, open func(testing.TB) eventlog.Log) {
	log := open(t)
	const n, streams = 3000, 7
	writes, payloads := make([]eventlog.Write, n), 0
	var want []domain.Envelope
	for i := range writes {
		e := event(fmt.Sprint("long", i))
		if i%500 == 0 {
			e.Data = make([]byte, 1<<20)
		}
		payloads += len(e.Data)
		stream := domain.Stream("task", fmt.Sprint(i%streams))
		revision := domain.Revision(i / streams)
		writes[i] = write(stream, revision-1, e)
		want = append(want, stored(stream, domain.Position(i+1), revision, e))
	}
	for i, w := range appendMany(t, log, writes...) {
		at := domain.Position(i + 1)
		wantReceipt(t, fmt.Sprint("write ", i), eventlog.Receipt{First: at, Last: at, Revision: want[i].Revision}, w)
	}
	sameEvents(t, "a long list", want, readAll(t, log, 0, eventlog.Forward, eventlog.Filter{}))
	again, some := writes[:0:0], want[:0:0]
	for i := 0; i < n; i += 29 { // each costs an engine a look-up or two
		again, some = append(again, writes[i]), append(some, want[i])
	}
	for i, w := range appendMany(t, log, again...) {
		at := some[i].Position
		wantReceipt(t, fmt.Sprintf("position %d again", at), eventlog.Receipt{First: at, Last: at, Revision: some[i].Revision, Duplicate: true}, w)
	}
}

// manyAmongOthers has callers of AppendMany and of Append at the same time.
func manyAmongOthers(t *testing.T, open func(testing.TB) eventlog.Log) {
	log := open(t)
	const callers, calls, list, each = 4, 10, 20, 2
	ctx, stop := context.WithCancel(testContext(t))
	defer stop()
	var reader, group sync.WaitGroup
	reader.Go(func() { // sees whole writes only
		for ctx.Err() == nil {
			seen := 0
			for _, err := range log.ReadAll(testContext(t), 0, eventlog.Forward, eventlog.Filter{}) {
				if err != nil {
					t.Errorf("read: %v", err)
					return
				}
				seen++
			}
			if seen%each != 0 {
				t.Errorf("want whole writes of %d events, found %d events", each, seen)
				return
			}
		}
	})
	for c := range callers {
		group.Go(func() {
			last := domain.Position(0)
			for k := range calls {
				writes := make([]eventlog.Write, list)
				for i := range writes {
					stream := domain.Stream("task", fmt.Sprintf("%d/%d", c, i))
					writes[i] = write(stream, domain.Revision(each*k-1), events(fmt.Sprintf("c%d/%d/%d", c, k, i), each)...)
				}
				for i, w := range log.AppendMany(ctx, writes) {
					if w.Err != nil || w.Receipt.First <= last || w.Receipt.Last-w.Receipt.First != each-1 {
						t.Errorf("caller %d, call %d, write %d: want it whole behind %d, found %+v, %v", c, k, i, last, w.Receipt, w.Err)
						return
					}
					last = w.Receipt.Last
				}
				if head, err := log.Head(ctx); err != nil || head < last {
					t.Errorf("want a head of at least %d, found %d, %v", last, head, err)
				}
			}
		})
		group.Go(func() {
			for k := range calls {
				if _, err := log.Append(ctx, domain.Stream("single", fmt.Sprint(c)), domain.Revision(each*k-1), events(fmt.Sprintf("s%d/%d", c, k), each)...); err != nil {
					t.Errorf("append: %v", err)
				}
			}
		})
	}
	group.Wait()
	stop()
	reader.Wait()
	if n := len(readAll(t, log, 0, eventlog.Forward, eventlog.Filter{})); n != callers*calls*(list+1)*each {
		t.Fatalf("want all writes stored, found %d events", n)
	}
}

func manyOfAnEndedContext(t *testing.T, open func(testing.TB) eventlog.Log) {
	log := open(t)
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	var writes []eventlog.Write
	for i := range 5 {
		writes = append(writes, write(domain.Stream("task", fmt.Sprint(i)), domain.NoStream, event(fmt.Sprint("ended", i))))
	}
	written := log.AppendMany(ended, writes)
	if len(written) != len(writes) {
		t.Fatalf("want %d outcomes, found %d", len(writes), len(written))
	}
	for i, w := range written {
		if !errors.Is(w.Err, context.Canceled) {
			t.Fatalf("write %d: want an error that is %v, found %v", i, context.Canceled, w.Err)
		}
		wantCode(t, "a write whose context had ended", w.Err, domain.Unavailable)
	}
	if head, err := log.Head(testContext(t)); err != nil || head != 0 {
		t.Fatalf("want nothing stored, found %d, %v", head, err)
	}
}
