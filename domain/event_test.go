package domain_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ringrift/rift/domain"
)

// The identity of every stored event rests on these values. They never change:
// a build that derives others appends a retried command a second time.
func TestDerivedIdentitiesNeverChange(t *testing.T) {
	for _, c := range []struct {
		cause string
		index int
		want  string
	}{
		{"", 0, "db3426e8-7806-8d28-9269-b6c87172322c"},
		{"c1", 0, "5e78a1b0-7a69-8b44-be8c-f99d2995562d"},
		{"c1", 1, "c6dcd843-b15c-8b7a-9f2e-eddd3a9013e4"},
		{"c1", -1, "d32fe720-3a2e-8409-bfb6-58d4df88009a"},
		{"c1\x000", 0, "644cd496-c781-8f05-9f63-a5d8f5536913"},
		{"0190b5a0-7e1c-7cc3-98c4-dc0c0c07398f", 4095, "d582b02a-402d-89fe-a495-3c131b0f1e30"},
	} {
		id := domain.DeriveID(c.cause, c.index)
		if id.String() != c.want {
			t.Errorf("%q, %d: want %s, found %s", c.cause, c.index, c.want, id)
		}
		if id[6]>>4 != 8 || id[8]>>6 != 2 {
			t.Errorf("%s: want a UUID of version 8, variant 10", id)
		}
		if back, err := domain.ParseEventID(id.String()); err != nil || back != id {
			t.Errorf("want %s read back, found %s, %v", id, back, err)
		}
	}
	if (domain.Facts{Command: "c1"}).ID(1) != domain.DeriveID("c1", 1) {
		t.Error("want the ids of a decision derived from its command")
	}
}

func TestDerivedIdentitiesDiffer(t *testing.T) {
	seen := map[domain.EventID]string{}
	for _, cause := range []string{"", "a", "a1", "a\x00", "a\x001", "b"} {
		for index := range 300 {
			id, what := domain.DeriveID(cause, index), fmt.Sprintf("%q %d", cause, index)
			if other, taken := seen[id]; taken {
				t.Fatalf("%s and %s have one identity", what, other)
			}
			seen[id] = what
		}
	}
}

func TestEventIDsAreStrictAboutTheirForm(t *testing.T) {
	for _, text := range []string{"", "c1", strings.Repeat("0", 36), "0123456789abcdef-0123-4567-89ab-cdef0", "g1234567-89ab-8def-8123-456789abcdef", " 1234567-89ab-8def-8123-456789abcdef", "{1234567-89ab-8def-8123-456789abcde}"} {
		if id, err := domain.ParseEventID(text); domain.CodeOf(err) != domain.Invalid || !id.IsZero() {
			t.Errorf("%q: want it refused, found %v, %v", text, id, err)
		}
	}
	var in struct {
		ID domain.EventID `json:"id"`
	}
	if err := json.Unmarshal([]byte(`{"id":"01234567-89AB-8DEF-8123-456789ABCDEF"}`), &in); err != nil {
		t.Fatal(err)
	}
	if out, err := json.Marshal(in); err != nil || string(out) != `{"id":"01234567-89ab-8def-8123-456789abcdef"}` {
		t.Errorf("want lower case, found %s, %v", out, err)
	}
}

func TestStreamIDs(t *testing.T) {
	for text, want := range map[string][2]string{
		"task-t1":                {"task", "t1"},
		"daemon-gpu-1:auto_sync": {"daemon", "gpu-1:auto_sync"},
		"node--":                 {"node", "-"},
		"model-é":                {"model", "é"},
	} {
		id, err := domain.ParseStreamID(text)
		if err != nil || id.Category() != want[0] || id.ID() != want[1] {
			t.Errorf("%q: want %q, found %q %q, %v", text, want, id.Category(), id.ID(), err)
		}
	}
	for text, says := range map[string]string{
		"":          "want <category>-<id>",
		"task":      "want <category>-<id>",
		"task-":     "want <category>-<id>",
		"-t1":       "want <category>-<id>",
		"Task-t1":   "letters a to z",
		"task2-t1":  "letters a to z",
		"$all-t1":   "letters a to z",
		"task-t 1":  "no spaces or control characters",
		"task-t\n1": "no spaces or control characters",
		"task-\x7f": "no spaces or control characters",
		"task-\xff": "UTF-8",
		"task-" + strings.Repeat("x", domain.MaxStreamID): "want at most 512 bytes, found 517",
	} {
		if _, err := domain.ParseStreamID(text); domain.CodeOf(err) != domain.Invalid || !strings.Contains(err.Error(), says) {
			t.Errorf("%.20q: want it refused with %q, found %v", text, says, err)
		}
	}
}

func TestPositions(t *testing.T) {
	if p, err := domain.ParsePosition("18446744073709551615"); err != nil || p.String() != "18446744073709551615" {
		t.Errorf("want the largest position read and written, found %s, %v", p, err)
	}
	for _, text := range []string{"", "-1", "1.0", "1e3", " 1", "18446744073709551616", "0x10"} {
		if _, err := domain.ParsePosition(text); domain.CodeOf(err) != domain.Invalid {
			t.Errorf("%q: want it refused, found %v", text, err)
		}
	}
}

func TestInstantsKeepMicrosecondsOfUTC(t *testing.T) {
	east := time.FixedZone("east", 3*3600)
	at := domain.Instant(time.Date(2026, 1, 14, 3, 31, 5, 123_456_789, east))
	if got := at.Format(domain.Timestamp); got != "2026-01-14T00:31:05.123456Z" {
		t.Errorf("want UTC and microseconds, found %s", got)
	}
}

func TestTheTwelveGames(t *testing.T) {
	keys := domain.ConfigKeys()
	if len(keys) != 12 || keys[0] != "hex8_2p" || keys[11] != "hexagonal_4p" || len(slices.Compact(slices.Sorted(slices.Values(keys)))) != 12 {
		t.Errorf("want twelve keys, hex8_2p first and hexagonal_4p last, found %v", keys)
	}
	for _, key := range keys {
		if parsed, err := domain.ParseConfigKey(string(key)); err != nil || domain.Config(parsed.Board(), parsed.Players()) != key {
			t.Errorf("want %s taken, found %v, %v", key, parsed, err)
		}
	}
	if domain.ConfigKey("all").Players() != 0 {
		t.Error("want no players for a key that is none")
	}
}

func TestErrorsAreClassedAndNameEverything(t *testing.T) {
	cause := errors.New("disk full")
	err := fmt.Errorf("append: %w", domain.Errorf(domain.Unavailable, "log: %w", cause))
	if !errors.Is(err, domain.ErrUnavailable) || errors.Is(err, domain.ErrConflict) || !errors.Is(err, cause) || domain.CodeOf(err) != domain.Unavailable {
		t.Errorf("want the class and the cause of %v", err)
	}
	if domain.CodeOf(cause) != domain.Internal || domain.CodeOf(nil) != domain.Internal {
		t.Error("want an error without a class internal")
	}
	faulty := domain.Faulty("TASK_SPAWNED", []domain.Fault{{"task_id", "required"}, {"priority", "want 0 to 100, found 101"}})
	if want := "TASK_SPAWNED: task_id: required; priority: want 0 to 100, found 101"; faulty.Error() != want || !errors.Is(faulty, domain.ErrInvalid) {
		t.Errorf("want %q, found %v", want, faulty)
	}
	if domain.Faulty("x", nil) != nil {
		t.Error("want no error of no fault")
	}
	var retryable []domain.Code
	for _, code := range []domain.Code{domain.Invalid, domain.Unauthorized, domain.Forbidden, domain.NotFound, domain.Conflict, domain.StaleLease, domain.TooLarge, domain.TooMany, domain.NotLeader, domain.Unavailable, domain.Timeout, domain.Corrupt, domain.Internal} {
		if code.Retryable() {
			retryable = append(retryable, code)
		}
	}
	if !slices.Equal(retryable, []domain.Code{domain.TooMany, domain.NotLeader, domain.Unavailable, domain.Timeout}) {
		t.Errorf("want what may pass later, found %v", retryable)
	}
}

func TestJitterIsTheSameEverywhere(t *testing.T) {
	facts := domain.Facts{Seed: 42}
	var sum float64
	for salt := range uint64(1000) {
		draw := facts.Jitter(salt)
		if draw < 0 || draw >= 1 || draw != (domain.Facts{Seed: 42}).Jitter(salt) {
			t.Fatalf("want a steady number in [0, 1), found %v", draw)
		}
		sum += draw
	}
	if sum < 450 || sum > 550 {
		t.Errorf("want numbers spread evenly, found a mean of %v", sum/1000)
	}
	for salt, want := range []float64{0.7415648787718233, 0.1599103928769201} {
		if got := facts.Jitter(uint64(salt)); got != want {
			t.Errorf("salt %d: want %v, found %v", salt, want, got)
		}
	}
}
