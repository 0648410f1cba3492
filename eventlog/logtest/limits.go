package logtest

import (
	"fmt"
	"testing"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

func curator(t testing.TB, log eventlog.Log) eventlog.Curator {
	t.Helper()
	c, ok := log.(eventlog.Curator)
	if !ok {
		t.Fatalf("want %T to limit streams, it is no Curator", log)
	}
	return c
}

func deletion(t *testing.T, open func(testing.TB) eventlog.Log) {
	log := open(t)
	limit := curator(t, log)
	now := time.Now()
	var all []domain.Envelope
	for i := range 20 {
		e := event(fmt.Sprint("limited", i))
		// The first ten are two hours old, the rest are of the future.
		e.Time = now.Add(-2 * time.Hour)
		if i >= 10 {
			e.Time = now.Add(2 * time.Hour)
		}
		receipt := mustAppend(t, log, "task-a", domain.Revision(i-1), e)
		all = append(all, stored("task-a", receipt.First, receipt.Revision, e))
		mustAppend(t, log, "task-b", domain.AnyRevision, e)
	}
	if meta, err := limit.StreamMeta(testContext(t), "task-a"); err != nil || meta != (eventlog.StreamMeta{}) {
		t.Fatalf("want no limits at first, found %+v, %v", meta, err)
	}
	whole := readAll(t, log, 0, eventlog.Forward, eventlog.Filter{})
	for name, c := range map[string]struct {
		meta eventlog.StreamMeta
		want []domain.Envelope
	}{
		"max count":                {eventlog.StreamMeta{MaxCount: 3}, all[17:]},
		"max count of more":        {eventlog.StreamMeta{MaxCount: 300}, all},
		"truncate before":          {eventlog.StreamMeta{TruncateBefore: 6}, all[6:]},
		"truncate before the end":  {eventlog.StreamMeta{TruncateBefore: 1 << 40}, nil},
		"max age":                  {eventlog.StreamMeta{MaxAge: 3600}, all[10:]},
		"max age of fractions":     {eventlog.StreamMeta{MaxAge: 7000.5}, all[10:]},
		"max age of more":          {eventlog.StreamMeta{MaxAge: 1e6}, all},
		"max age and truncation":   {eventlog.StreamMeta{MaxAge: 3600, TruncateBefore: 15}, all[15:]},
		"all three":                {eventlog.StreamMeta{MaxAge: 3600, TruncateBefore: 12, MaxCount: 9}, all[12:]},
		"count less than the rest": {eventlog.StreamMeta{TruncateBefore: 2, MaxCount: 4}, all[16:]},
		"no limit":                 {eventlog.StreamMeta{}, all},
	} {
		if err := limit.SetStreamMeta(testContext(t), "task-a", c.meta); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if meta, err := limit.StreamMeta(testContext(t), "task-a"); err != nil || meta != c.meta {
			t.Fatalf("%s: want %+v, found %+v, %v", name, c.meta, meta, err)
		}
		sameEvents(t, name, c.want, readStream(t, log, "task-a", 0, eventlog.Forward))
		sameEvents(t, name+" backward", reversed(c.want), readStream(t, log, "task-a", eventlog.EndRevision, eventlog.Backward))
		for _, from := range []domain.Revision{5, 14, 19} {
			sameEvents(t, fmt.Sprintf("%s from %d", name, from),
				only(c.want, func(e domain.Envelope) bool { return e.Revision >= from }), readStream(t, log, "task-a", from, eventlog.Forward))
			sameEvents(t, fmt.Sprintf("%s backward from %d", name, from),
				reversed(only(c.want, func(e domain.Envelope) bool { return e.Revision <= from })), readStream(t, log, "task-a", from, eventlog.Backward))
		}
		if n := len(readStream(t, log, "task-b", 0, eventlog.Forward)); n != 20 {
			t.Fatalf("%s: want the other stream untouched, found %d events", name, n)
		}
		sameEvents(t, name+": the log as a whole", whole, readAll(t, log, 0, eventlog.Forward, eventlog.Filter{}))
		if _, there, err := log.Find(testContext(t), "task-a", all[0].ID); err != nil || !there {
			t.Fatalf("%s: want a hidden event still known by its id, found %v, %v", name, there, err)
		}
	}
	// Limits hide, they do not renumber; and a limit may come before the stream.
	if err := limit.SetStreamMeta(testContext(t), "task-a", eventlog.StreamMeta{MaxCount: 1}); err != nil {
		t.Fatal(err)
	}
	if receipt := mustAppend(t, log, "task-a", 19, event("after")); receipt.Revision != 20 {
		t.Fatalf("want revision 20 behind hidden events, found %d", receipt.Revision)
	}
	if found := readStream(t, log, "task-a", 0, eventlog.Forward); len(found) != 1 || found[0].Revision != 20 {
		t.Fatalf("want only the newest event, found %d", len(found))
	}
	if err := limit.SetStreamMeta(testContext(t), "task-early", eventlog.StreamMeta{MaxCount: 2}); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, log, "task-early", domain.NoStream, events("early", 5)...)
	if n := len(readStream(t, log, "task-early", 0, eventlog.Forward)); n != 2 {
		t.Fatalf("want the limit set before the first event to hold, found %d events", n)
	}
	for name, meta := range map[string]eventlog.StreamMeta{
		"count": {MaxCount: -1}, "age": {MaxAge: -1}, "truncation": {TruncateBefore: -1}, "endless age": {MaxAge: 1e300},
	} {
		wantCode(t, "limits with a bad "+name, limit.SetStreamMeta(testContext(t), "task-a", meta), domain.Invalid)
	}
	wantCode(t, "limits of no stream", limit.SetStreamMeta(testContext(t), "task", eventlog.StreamMeta{}), domain.Invalid)
}

func tombstone(t *testing.T, open func(testing.TB) eventlog.Log) {
	log := open(t)
	limit := curator(t, log)
	batch := events("buried", 3)
	mustAppend(t, log, "task-a", domain.NoStream, batch...)
	mustAppend(t, log, "task-b", domain.NoStream, event("alive"))
	stone := eventlog.StreamMeta{Tombstone: true}
	for range 2 { // burying twice is the same
		if err := limit.SetStreamMeta(testContext(t), "task-a", stone); err != nil {
			t.Fatal(err)
		}
	}
	for name, expected := range map[string]domain.Revision{"any": domain.AnyRevision, "none": domain.NoStream, "exact": 2, "exists": domain.StreamExists} {
		_, err := log.Append(testContext(t), "task-a", expected, event("late "+name))
		wantCode(t, "append expecting "+name, err, eventlog.Gone)
		_, err = log.Append(testContext(t), "task-a", expected, batch...)
		wantCode(t, "repetition expecting "+name, err, eventlog.Gone)
	}
	if n := len(readStream(t, log, "task-a", 0, eventlog.Forward)) + len(readStream(t, log, "task-a", eventlog.EndRevision, eventlog.Backward)); n != 0 {
		t.Fatalf("want a tombstoned stream to show nothing, found %d events", n)
	}
	if n := len(readAll(t, log, 0, eventlog.Forward, eventlog.Filter{})); n != 4 {
		t.Fatalf("want the log as a whole to keep all 4 events, found %d", n)
	}
	wantCode(t, "lifting a tombstone", limit.SetStreamMeta(testContext(t), "task-a", eventlog.StreamMeta{}), eventlog.Gone)
	if meta, err := limit.StreamMeta(testContext(t), "task-a"); err != nil || meta != stone {
		t.Fatalf("want the tombstone to stay, found %+v, %v", meta, err)
	}
	if receipt := mustAppend(t, log, "task-b", 0, event("next")); receipt.First != 5 {
		t.Fatalf("want position 5 next, found %d", receipt.First)
	}
	if err := limit.SetStreamMeta(testContext(t), "task-never", stone); err != nil {
		t.Fatal(err)
	}
	_, err := log.Append(testContext(t), "task-never", domain.NoStream, event("never"))
	wantCode(t, "append to a stream buried before its birth", err, eventlog.Gone)
}
