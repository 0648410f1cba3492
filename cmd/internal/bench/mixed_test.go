package bench

import (
	"reflect"
	"testing"

	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/projections/store"
)

func collect(t *testing.T, n int, seed uint64) []domain.Envelope {
	t.Helper()
	var events []domain.Envelope
	for e, err := range Mixed(n, seed) {
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}
	return events
}

func TestMixedIsDeterministic(t *testing.T) {
	first, again, other, longer := collect(t, 3000, 1), collect(t, 3000, 1), collect(t, 3000, 2), collect(t, 4000, 1)
	if !reflect.DeepEqual(first, again) {
		t.Error("want the same events from the same seed")
	}
	if reflect.DeepEqual(first, other) {
		t.Error("want other events from another seed")
	}
	if !reflect.DeepEqual(first, longer[:3000]) {
		t.Error("want fewer events to be the beginning of more")
	}
}

// The events are those of a cluster that could be: every payload is valid and
// about as long as said, places have no gaps, and strict read models take them.
func TestMixedIsALog(t *testing.T) {
	catalog, err := wiring.Catalog()
	if err != nil {
		t.Fatal(err)
	}
	models, err := store.NewMemory(wiring.Projections(), wiring.Reactors(), catalog, store.Options{Codec: wiring.FastCodec{}, Strict: true})
	if err != nil {
		t.Fatal(err)
	}
	const n = 30_000
	bytes, types, ids := 0, map[string]int{}, map[domain.EventID]bool{}
	next := map[domain.StreamID]domain.Revision{}
	tasks := map[domain.StreamID]work.Task{}
	for i, e := range collect(t, n, mixedSeed) {
		if e.Position != domain.Position(i+1) || e.Revision != next[e.Stream] {
			t.Fatalf("event %d: want position %d and revision %d, found %v", i, i+1, next[e.Stream], e)
		}
		next[e.Stream]++
		bytes += len(e.Data)
		types[e.Type]++
		ids[e.ID] = true
		if e.Stream.Category() == "task" {
			before := tasks[e.Stream]
			after := before.Evolve(e)
			if before.State.Final() || e.Type != (work.Heartbeat{}).EventType() && before.State == after.State {
				t.Fatalf("event %d: %s changes nothing of an item that is %s", i, e, before.State)
			}
			tasks[e.Stream] = after
		}
		e.Event = nil
		if err := models.Apply(e); err != nil {
			t.Fatal(err)
		}
	}
	if mean := bytes / n; mean < 236 || mean > 276 {
		t.Errorf("want payloads of about 256 bytes, found %d", mean)
	}
	if len(ids) != n {
		t.Errorf("want %d ids, found %d", n, len(ids))
	}
	if len(types) < 20 {
		t.Errorf("want at least 20 types of events, found %v", types)
	}
	for _, much := range []string{"TASK_SPAWNED", "TASK_HEARTBEAT", "TASK_COMPLETED", "HOST_ONLINE", "TRAINING_COMPLETED"} {
		if types[much] < n/500 {
			t.Errorf("want more of %s, found %d of %d", much, types[much], n)
		}
	}
}
