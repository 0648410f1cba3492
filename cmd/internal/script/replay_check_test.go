package script

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/ringrift/rift/cmd/internal/race"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// told runs the directives of a script and returns the events of the log.
func told(t *testing.T, text string) []domain.Envelope {
	t.Helper()
	env, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := env.Close(); err != nil {
			t.Error(err)
		}
	}()
	datadriven.RunTestFromString(t, text, func(_ *testing.T, d *datadriven.TestData) string {
		d.Expected = env.Run(t.Context(), d)
		return d.Expected
	})
	return allOf(t, env.Log())
}

func allOf(t *testing.T, log eventlog.Log) []domain.Envelope {
	t.Helper()
	var events []domain.Envelope
	for e, err := range log.ReadAll(t.Context(), 1, eventlog.Forward, eventlog.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		e.Data = bytes.Clone(e.Data)
		events = append(events, e)
	}
	return events
}

func checkEvents(t *testing.T, events []domain.Envelope) Checked {
	t.Helper()
	checked, err := Check(t.Context(), logOf(t, events), filepath.Join(t.TempDir(), "models"), ReplayOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return checked
}

// aRetry has an item that fails and is retried until it is dead, and one that depends on
// another.
const aRetry = `
command work.add id=c1
{"task_id":"t1","task_type":"demo","max_attempts":2}
----

command work.add id=c2
{"task_id":"t2","task_type":"demo","depends_on":["t1"]}
----

command work.claim id=c3
{"node_id":"gpu-1"}
----

command work.fail id=c4
{"task_id":"t1","lease":1,"error":"out of memory"}
----

drain
----

tick 10m
----

drain
----

command work.claim id=c5
{"node_id":"gpu-1"}
----

command work.complete id=c6
{"task_id":"t1","lease":2,"result":{"games":3}}
----

drain
----
`

func find(t *testing.T, events []domain.Envelope, kind string) int {
	t.Helper()
	for i, e := range events {
		if e.Type == kind {
			return i
		}
	}
	t.Fatalf("no %s among the events", kind)
	return 0
}

func TestCheckConfirmsWhatHappened(t *testing.T) {
	checked := checkEvents(t, told(t, aRetry))
	if checked.Differing != 0 || checked.Same < 2 || checked.Commands < checked.Same {
		t.Errorf("found %+v", checked)
	}
}

func TestCheckFindsWhatWasDoctored(t *testing.T) {
	for name, c := range map[string]struct {
		doctor func([]domain.Envelope) []domain.Envelope
		kind   string
		event  string // that was answered
		want   []string
	}{
		"the event that was answered": {func(events []domain.Envelope) []domain.Envelope {
			at := find(t, events, "TASK_FAILED")
			events[at].Data = bytes.Replace(events[at].Data, []byte(`"retryable":true`), []byte(`"retryable":false`), 1)
			return events
		}, OtherOutcome, "TASK_FAILED", []string{"TASK_RETRY_SCHEDULED", "TASK_DEAD"}},
		"what it came to": {func(events []domain.Envelope) []domain.Envelope {
			at := find(t, events, "TASK_RETRY_SCHEDULED")
			events[at].Data = bytes.Replace(events[at].Data, []byte(`"attempts":1`), []byte(`"attempts":0`), 1)
			return events
		}, OtherOutcome, "TASK_FAILED", []string{`"attempts":0`, `"attempts":1`}},
		"what it came to is gone": {func(events []domain.Envelope) []domain.Envelope {
			at := find(t, events, "TASK_RETRY_SCHEDULED")
			// and what followed from it, except for the other item
			kept := append([]domain.Envelope{}, events[:at]...)
			for _, e := range events[at+1:] {
				if e.Type == "TASK_UNBLOCKED" {
					kept = append(kept, e)
				}
			}
			return kept
		}, UnexpectedCommand, "", []string{"TASK_UNBLOCKED"}},
		"a command that nobody gave": {func(events []domain.Envelope) []domain.Envelope {
			forged := events[find(t, events, "TASK_RETRY_SCHEDULED")]
			forged.Stream, forged.Type, forged.Data = "task-t2", "TASK_CANCELLED", []byte(`{"task_id":"t2","reason":"x"}`)
			forged.ID, forged.Meta.Command = domain.DeriveID("forged", 0), "forged"
			return append(events, forged)
		}, UnexpectedCommand, "TASK_FAILED", []string{"TASK_CANCELLED"}},
	} {
		t.Run(name, func(t *testing.T) {
			checked := checkEvents(t, c.doctor(told(t, aRetry)))
			if checked.Differing == 0 || len(checked.Differences) == 0 {
				t.Fatalf("want a difference, found %+v", checked)
			}
			first := checked.Differences[0]
			text := ""
			for _, o := range append(append([]Outcome{}, first.Recorded...), first.Replayed...) {
				text += o.Type + string(o.Data) + "\n"
			}
			if first.Kind != c.kind || c.event != "" && first.Event != c.event {
				t.Errorf("found %+v\n%s", first, text)
			}
			for _, want := range c.want {
				if !strings.Contains(text, want) {
					t.Errorf("want %q among\n%s", want, text)
				}
			}
		})
	}
}

// The effect of a command is missing if later commands were run; at the end of the log it is
// pending.
func TestCheckTellsMissingFromPending(t *testing.T) {
	events := told(t, aRetry)
	at := find(t, events, "TASK_RETRY_SCHEDULED")
	if cut := checkEvents(t, events[:at]); cut.Pending != 1 || cut.Differing != 0 {
		t.Errorf("cut off: found %+v", cut)
	}
	more := told(t, aRetry+`
command work.add id=d1
{"task_id":"u1","task_type":"demo"}
----

command work.claim id=d2
{"node_id":"gpu-1","limit":2}
----

command work.fail id=d3
{"task_id":"u1","lease":1,"error":"again"}
----

drain
----
`)
	kept := append([]domain.Envelope{}, more[:at]...)
	for _, e := range more[at+1:] {
		if e.Stream == "task-u1" {
			kept = append(kept, e)
		}
	}
	lost := checkEvents(t, kept)
	if lost.Differing != 1 || lost.Differences[0].Kind != MissingOutcome || lost.Differences[0].Replayed[0].Type != "TASK_RETRY_SCHEDULED" {
		t.Errorf("taken out: found %+v", lost)
	}
}

// On replay, reactors issue the commands whose effects are on the log of each script. The
// race detector tries one script of ten.
func TestCheckOfEveryScript(t *testing.T) {
	for _, path := range race.Some(scriptFiles(t), 10) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(text, []byte("HANDLER_FAILED")) {
			continue // an event that a handler could not take is answered otherwise on replay
		}
		t.Run(filepath.Base(path), func(t *testing.T) {
			if checked := checkEvents(t, eventsOf(t, path)); checked.Differing != 0 {
				t.Errorf("found %+v", checked.Differences[0])
			}
		})
	}
}

// A node may stop between the commands that answer one event: those that were run and those
// that were not are no differences.
func TestCheckOfALogThatEndsAmongAnswers(t *testing.T) {
	events := told(t, `
http POST /events
{"type":"TRAINING_COMPLETED","payload":{"config_key":"hex8_2p","task_id":"t1","model_id":"m1","success":true}}
----

drain
----
`)
	cut := find(t, events, "GAUNTLET_STARTED") + 1
	if cut == len(events) {
		t.Fatalf("want more answers than one, found %d events", len(events))
	}
	if checked := checkEvents(t, events[:cut]); checked.Differing != 0 || checked.Pending < 2 {
		t.Errorf("found %+v, want what comes after to be pending", checked)
	}
}

// A node runs commands of several streams at once. One that stops may have run a later
// command without an earlier one, but not within one stream.
func TestCheckOfALogThatEndsAmongStreams(t *testing.T) {
	events := told(t, `
append
training-hex8_2p QUALITY_DEGRADED {"config_key":"hex8_2p","quality_score":0.2,"threshold":0.6}
training-square8_2p QUALITY_DEGRADED {"config_key":"square8_2p","quality_score":0.2,"threshold":0.6}
training-hex8_2p PLATEAU_DETECTED {"config_key":"hex8_2p","plateau_type":"data_limited"}
----

drain
----
`)
	without := func(causes ...int) (kept []domain.Envelope) {
		lost := map[string]bool{}
		for _, at := range causes {
			lost[events[at].ID.String()] = true
		}
		for _, e := range events {
			if lost[e.Meta.Causation] {
				lost[e.ID.String()] = true
				continue
			}
			kept = append(kept, e)
		}
		return kept
	}
	other := checkEvents(t, without(0, 2))
	if other.Differing != 0 || other.Pending != 2 {
		t.Errorf("another stream's command was run: found %+v, want the two of this one pending", other)
	}
	behind := checkEvents(t, without(0))
	if behind.Differing == 0 {
		t.Errorf("a later command of the stream was run: found %+v, want a difference", behind)
	}
}
