package domain_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/ringrift/rift/domain"
)

// FuzzCatalog passes arbitrary bytes to both ways into the catalogue. Neither
// panics; what Decode accepted can be encoded and decoded again without a change;
// what Translate accepted is canonical: it encodes, and translating it again
// changes nothing.
func FuzzCatalog(f *testing.F) {
	catalog := wholeCatalog(f)
	for _, eventType := range slices.Sorted(maps.Keys(canonical)) {
		f.Add(eventType, 1, []byte(canonical[eventType]))
	}
	f.Add("sync_started", 2, []byte(`{"host":"gpu-1","sync_id":"s1","sync_type":null}`))
	f.Add("EVALUATION_COMPLETED", 1, []byte(`{"config":"hex8_2p","model_id":"m","games":1,"opponents":{"random":{"wins":1}}}`))
	f.Add("EVALUATION_COMPLETED", 1, []byte(`{"opponents":["random"],"wins":1,"losses":1e0}`))
	f.Add("TASK_SPAWNED", 1, []byte(`{"task_id":"t1","payload":{"a":[1,{"b":null}]},"timeout_seconds":1e308}`))
	f.Add("PLATEAU_DETECTED", 0, []byte(`{"":{"":{"":1,"":2}},"config":[[[`))
	f.Fuzz(func(t *testing.T, name string, version int, payload []byte) {
		if event, err := catalog.Decode(name, version, payload); err == nil {
			readsBack(t, catalog, event)
		}
		got, err := catalog.Translate(name, payload)
		if err != nil {
			if domain.CodeOf(err) != domain.Invalid {
				t.Fatalf("want whatever is wrong with a payload called invalid, found %v", err)
			}
			return
		}
		eventType, _, data, err := catalog.Encode(got.Event)
		if err != nil {
			t.Fatalf("took %s but cannot store it: %v", payload, err)
		}
		again, err := catalog.Translate(eventType, data)
		if err != nil || len(again.Translated) > 0 {
			t.Fatalf("want %s canonical, found it changed: %+v, %v", data, again, err)
		}
		if _, _, rewritten, err := catalog.Encode(again.Event); err != nil || !bytes.Equal(rewritten, data) {
			t.Fatalf("wrote\n%s\nand then\n%s, %v", data, rewritten, err)
		}
		readsBack(t, catalog, got.Event)
	})
}

// readsBack checks that an event survives being stored, byte for byte.
func readsBack(t *testing.T, catalog *domain.Catalog, event domain.Event) {
	t.Helper()
	def, _ := catalog.Lookup(event.EventType())
	written, err := json.Marshal(event)
	if err != nil {
		return // a raw value accepted by Decode may contain what JSON cannot represent
	}
	back, err := catalog.Decode(def.Type, def.Version, written)
	if err != nil {
		t.Fatalf("wrote %s and cannot read it: %v", written, err)
	}
	rewritten, err := json.Marshal(back)
	if err != nil || !bytes.Equal(written, rewritten) {
		t.Fatalf("wrote\n%s\nand then\n%s, %v", written, rewritten, err)
	}
}

// FuzzStreamID: an accepted name splits into its two parts and joins again, and
// contains nothing that breaks a line, a path segment of a log, or a key.
func FuzzStreamID(f *testing.F) {
	for _, text := range []string{"task-t1", "daemon-gpu-1:auto_sync", "-", "task-", "-t1", "Task-t1", "task-a b", "task-\x00", "task-é", "a-" + strings.Repeat("x", domain.MaxStreamID)} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		id, err := domain.ParseStreamID(text)
		if err != nil {
			if domain.CodeOf(err) != domain.Invalid {
				t.Fatalf("want the code invalid, found %v", err)
			}
			return
		}
		if string(id) != text || domain.Stream(id.Category(), id.ID()) != id {
			t.Fatalf("want %q whole again, found %q and %q", text, id.Category(), id.ID())
		}
		if id.Category() == "" || id.ID() == "" || len(text) > domain.MaxStreamID || strings.ContainsAny(text, " \t\r\n\x00\x7f") {
			t.Fatalf("want %q refused", text)
		}
		if !utf8.ValidString(text) {
			t.Fatalf("want %q refused: JSON cannot say it", text)
		}
	})
}

// FuzzConfigKey: every accepted key is one of the twelve.
func FuzzConfigKey(f *testing.F) {
	for _, text := range []string{"hex8_2p", "hex_2p", "square8_2", "square19_5p", "hexagonal_04p", "all", "node:gpu-1", "_p", "hex8_p", "hex8_", "hex8_22p", "hex8_2", "hex8_2p_3p"} {
		f.Add(text)
	}
	keys := domain.ConfigKeys()
	f.Fuzz(func(t *testing.T, text string) {
		key, err := domain.ParseConfigKey(text)
		if (err == nil) != slices.Contains(keys, domain.ConfigKey(text)) {
			t.Fatalf("want %q taken only as one of the twelve, found %v", text, err)
		}
		if err == nil && domain.Config(key.Board(), key.Players()) != key {
			t.Fatalf("want %q whole again, found %s and %d", text, key.Board(), key.Players())
		}
	})
}

// FuzzEventID: the canonical form is the only one that reads and writes.
func FuzzEventID(f *testing.F) {
	f.Add(domain.DeriveID("c", 0).String())
	f.Add("01234567-89AB-8def-8123-456789abcdef")
	f.Add("0123456789abcdef0123456789abcdef0123")
	f.Fuzz(func(t *testing.T, text string) {
		id, err := domain.ParseEventID(text)
		if err == nil && id.String() != strings.ToLower(text) {
			t.Fatalf("want %q written as it was read, found %s", text, id)
		}
	})
}
