package domain_test

import (
	"os"
	"strings"
	"testing"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
)

// Every event name that the original cluster knew is a type, another name of
// one, or retired with the reason; and no name is two of these.
func TestEveryOriginalNameIsKnown(t *testing.T) {
	text, err := os.ReadFile("testdata/original_names.txt")
	if err != nil {
		t.Fatal(err)
	}
	catalog := wholeCatalog(t)
	original := strings.Fields(string(text))
	if len(original) < 352 {
		t.Fatalf("want the 352 names of the original and more, found %d", len(original))
	}
	listed := map[string]bool{}
	for _, name := range original {
		listed[name] = true
		_, known := catalog.Resolve(name)
		if _, retired := domain.Retired(name); !known && !retired {
			t.Errorf("%s is no type, no other name of one, and not retired", name)
		}
	}
	seen := map[string]bool{}
	for _, retired := range domain.RetiredNames() {
		if seen[retired.Name] {
			t.Errorf("%s is retired twice", retired.Name)
		}
		seen[retired.Name] = true
		if eventType, known := catalog.Resolve(retired.Name); known {
			t.Logf("%s is retired, and means %s again: strike it off", retired.Name, eventType)
		}
		if !listed[retired.Name] {
			t.Errorf("%s is retired, and the original had no such name", retired.Name)
		}
		if retired.Reason == "" {
			t.Errorf("%s is retired without a reason", retired.Name)
		}
		if _, known := catalog.Lookup(retired.Successor); !known && retired.Successor != "" && !strings.Contains(retired.Successor, " /") {
			t.Errorf("%s: its successor %q is no type and no endpoint", retired.Name, retired.Successor)
		}
	}
}

// Whoever sends a retired name learns why, and what to send.
func TestRetiredNamesAreRefusedWithTheReason(t *testing.T) {
	catalog := wholeCatalog(t)
	_, err := catalog.Translate("new_games", []byte(`{}`))
	const want = "NEW_GAMES: type: retired: new games are what a completed copy says it brought; instead: DATA_SYNC_COMPLETED"
	if err == nil || err.Error() != want || domain.CodeOf(err) != domain.Invalid {
		t.Errorf("want %q, found %v", want, err)
	}
	_, err = catalog.Translate("EVENT_LOOP_BLOCKED", []byte(`{}`))
	if err == nil || strings.Contains(err.Error(), "instead") {
		t.Errorf("want no successor, found %v", err)
	}
	_, err = catalog.Translate("NEVER_HEARD_OF", []byte(`{}`))
	if err == nil || err.Error() != `event type "NEVER_HEARD_OF" is not in the catalogue` {
		t.Errorf("found %v", err)
	}
}

// The names of the queue's own events: recordings have them, but no tool may append
// what only decisions write.
func TestOldWordsOfItems(t *testing.T) {
	catalog := wholeCatalog(t)
	for _, old := range []struct {
		Name, payload string
		want          domain.Event
	}{
		{
			"TASK_SPAWNED", `{"job_id":"t1","job_type":"selfplay","config":"hex8_2p","priority":5,"timeout_seconds":60,"max_attempts":3}`,
			work.Spawned{TaskID: "t1", TaskType: "selfplay", ConfigKey: "hex8_2p", Priority: 5, TimeoutSeconds: 60, MaxAttempts: 3},
		},
		{
			"work_queued", `{"work_id":"t1","work_type":"selfplay","board_type":"hex8","num_players":2,"priority":5,"timeout_seconds":60,"max_attempts":3}`,
			work.Spawned{TaskID: "t1", TaskType: "selfplay", ConfigKey: "hex8_2p", Priority: 5, TimeoutSeconds: 60, MaxAttempts: 3},
		},
		{"TASK_COMPLETED", `{"job_id":"t1","lease":1,"host":"gpu-1","duration":12}`, work.Completed{TaskID: "t1", Lease: 1, NodeID: "gpu-1"}},
		{"WORK_FAILED", `{"work_id":"t1","lease":1,"host":"gpu-1","error":"x","retryable":true,"attempts":1}`, work.Failed{TaskID: "t1", Lease: 1, NodeID: "gpu-1", Error: "x", Retryable: true, Attempts: 1}},
		{"WORK_STARTED", `{"work_id":"t1","lease":1,"host":"gpu-1"}`, work.Started{TaskID: "t1", Lease: 1, NodeID: "gpu-1"}},
		{"WORK_CANCELLED", `{"work_id":"t1","host":"gpu-1","reason":"x"}`, work.Cancelled{TaskID: "t1", NodeID: "gpu-1", Reason: "x"}},
	} {
		got, err := catalog.Translate(old.Name, []byte(old.payload))
		if err != nil {
			t.Errorf("%s %s: %v", old.Name, old.payload, err)
			continue
		}
		if encode(t, catalog, got.Event) != encode(t, catalog, old.want) {
			t.Errorf("%s %s: want %+v, found %+v", old.Name, old.payload, old.want, got.Event)
		}
	}
}

func encode(t *testing.T, c *domain.Catalog, event domain.Event) string {
	t.Helper()
	eventType, _, data, err := c.Encode(event)
	if err != nil {
		t.Fatal(err)
	}
	return eventType + " " + string(data)
}
