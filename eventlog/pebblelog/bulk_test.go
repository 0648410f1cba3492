package pebblelog

import (
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// Many events of many streams keep their order, and a second time nothing is
// stored.
func TestAppendAllKeepsTheOrderAndAppendsOnce(t *testing.T) {
	log, err := Open("log", Options{FS: vfs.NewMem(), Small: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	}()
	var streams []domain.StreamID
	var events []eventlog.Proposed
	for i := range 3000 {
		streams = append(streams, domain.Stream("task", fmt.Sprint(i%7)))
		events = append(events, eventlog.Proposed{ID: domain.DeriveID("many", i), Type: "COUNTED", Version: 1, Time: time.Unix(int64(i), 0), Data: fmt.Appendf(nil, "%d", i)})
	}
	if appended, duplicates, err := log.AppendAll(t.Context(), streams[:2000], events[:2000]); err != nil || appended != 2000 || duplicates != 0 {
		t.Fatalf("want 2000 appended, found %d, %d duplicates, %v", appended, duplicates, err)
	}
	if appended, duplicates, err := log.AppendAll(t.Context(), streams, events); err != nil || appended != 1000 || duplicates != 2000 {
		t.Fatalf("want 1000 appended and 2000 there, found %d, %d, %v", appended, duplicates, err)
	}
	next := 0
	for e, err := range log.ReadAll(t.Context(), 1, eventlog.Forward, eventlog.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		if string(e.Data) != fmt.Sprint(next) || e.Stream != streams[next] || e.Position != domain.Position(next+1) {
			t.Fatalf("want event %d of %s at %d, found %v", next, streams[next], next+1, e)
		}
		next++
	}
	if next != 3000 {
		t.Fatalf("want 3000 events, found %d", next)
	}
	if _, _, err := log.AppendAll(t.Context(), streams[:2], events[:1]); domain.CodeOf(err) != domain.Internal {
		t.Fatalf("want a refusal of lists that do not match, found %v", err)
	}
}
