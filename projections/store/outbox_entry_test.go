package store

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/ringrift/rift/domain"
)

func TestAnOutboxEntrySurvivesBeingStored(t *testing.T) {
	event := domain.DeriveID("an event", 0)
	for name, entry := range map[string]OutboxEntry{
		"plain":          {Position: 7, EventID: event, Reactor: "work.retry", CommandType: "work.retry", Command: json.RawMessage(`{"task_id":"t-1"}`), Correlation: "c-1"},
		"no correlation": {Position: 1 << 40, EventID: event, Reactor: "r", Index: 3, CommandType: "x", Command: json.RawMessage(`{}`)},
	} {
		want := entry
		want.derive()
		got, err := decodeEntry(outboxKey(entry.Cursor()), entry.appendTo(nil))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !reflect.DeepEqual(want, got) {
			t.Errorf("%s: want the entry as it was, %+v, found %+v", name, want, got)
		}
		if want.Correlation == "" || got.Causation != event.String() || got.CommandID != CommandID(event, entry.Reactor, entry.Index) {
			t.Errorf("%s: want it named after its event, found %+v", name, got)
		}
		old, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		if got, err = decodeEntry(outboxKey(entry.Cursor()), old); err != nil || !reflect.DeepEqual(want, got) {
			t.Errorf("%s: want an entry of format 1 read, found %+v, %v", name, got, err)
		}
	}
}

func TestABrokenOutboxEntryIsCorrupt(t *testing.T) {
	entry := OutboxEntry{Position: 7, Reactor: "work.retry", CommandType: "work.retry", Command: json.RawMessage(`{}`), Correlation: "c"}
	key, value := outboxKey(entry.Cursor()), entry.appendTo(nil)
	for at := range len(value) - len(entry.Command) {
		if _, err := decodeEntry(key, value[:at]); domain.CodeOf(err) != domain.Corrupt {
			t.Errorf("%d bytes: want corrupt, found %v", at, err)
		}
	}
	for at := range key {
		if _, err := decodeEntry(key[:at], value); domain.CodeOf(err) != domain.Corrupt {
			t.Errorf("key %q: want corrupt, found %v", key[:at], err)
		}
	}
	if _, err := decodeEntry(key, []byte(`{"position":`)); domain.CodeOf(err) != domain.Corrupt {
		t.Errorf("want broken JSON corrupt, found %v", err)
	}
}
