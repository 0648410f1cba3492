package script

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ringrift/rift/domain"
)

// aSuccession promotes a model and measures its successor against it.
const aSuccession = `
http POST /events
{"type":"EVALUATION_COMPLETED","payload":{"config_key":"hex8_2p","model_id":"m1","games_played":200,"results":[{"opponent":"random","wins":95,"losses":5,"draws":0},{"opponent":"heuristic","wins":70,"losses":30,"draws":0}]}}
----

drain
----

tick 10m
----

http POST /events
{"type":"TRAINING_COMPLETED","payload":{"config_key":"hex8_2p","task_id":"t2","model_id":"m2","success":true}}
----

drain
----

http POST /events
{"type":"EVALUATION_COMPLETED","payload":{"config_key":"hex8_2p","model_id":"m2","games_played":600,"results":[{"opponent":"random","wins":97,"losses":3,"draws":0},{"opponent":"heuristic","wins":80,"losses":20,"draws":0},{"opponent":"m1","wins":300,"losses":100,"draws":0}]}}
----

drain
----
`

// A command that reads the read models is decided again on their state at that position, so
// that the whole payload of its events is compared, not only their types.
func TestCheckDecidesAgainWhatConsultsReadModels(t *testing.T) {
	velocity := eventsOf(t, scripts+"/elo/velocity.txt")
	succession := told(t, aSuccession)
	for name, c := range map[string]struct {
		events               []domain.Envelope
		kind, command        string
		recorded, replayable string
	}{
		"a gate of a promotion": {succession, "MODEL_PROMOTED", "training.decide_promotion", `"input":0.96`, `"input":0.95`},
		"whom it replaces":      {succession, "MODEL_PROMOTED", "training.decide_promotion", `"previous":"m2"`, `"previous":"m1"`},
		"the model in use":      {succession, "GAUNTLET_STARTED", "gauntlet.execute", `"in_use":"m3"`, `"in_use":"m1"`},
		"its opponents":         {succession, "GAUNTLET_STARTED", "gauntlet.execute", `"heuristic","m3"`, `"heuristic","m1"`},
		"the item of a model":   {succession, "TASK_SPAWNED", "work.add", `"priority":99`, `"priority":85`},
		"a velocity":            {velocity, "ELO_VELOCITY_CHANGED", "training.measure_velocity", `"velocity":117.25`, `"velocity":117.24`},
		"how many points":       {velocity, "ELO_VELOCITY_CHANGED", "training.measure_velocity", `"points":2`, `"points":3`},
	} {
		t.Run(name, func(t *testing.T) {
			events := append([]domain.Envelope{}, c.events...)
			doctored := false
			for i, e := range events {
				if e.Type == c.kind && bytes.Contains(e.Data, []byte(c.replayable)) {
					events[i].Data = bytes.Replace(e.Data, []byte(c.replayable), []byte(c.recorded), 1)
					doctored = true
					break
				}
			}
			if !doctored {
				t.Fatalf("no %s with %s among the events", c.kind, c.replayable)
			}
			checked := checkEvents(t, events)
			if checked.Differing == 0 {
				t.Fatalf("want a difference, found %+v", checked)
			}
			first := checked.Differences[0]
			if first.Kind != OtherOutcome || first.Command != c.command || !holds(first.Recorded, c.recorded) || !holds(first.Replayed, c.replayable) {
				t.Errorf("want %s with %s on the log and %s on replay, found %s of %s, %s and %s", c.command, c.recorded, c.replayable, first.Kind, first.Command, first.Recorded, first.Replayed)
			}
		})
	}
}

func holds(outcomes []Outcome, text string) bool {
	for _, o := range outcomes {
		if strings.Contains(string(o.Data), text) {
			return true
		}
	}
	return false
}

// In the logs of all scripts, only commands over several streams are compared by event type
// alone.
func TestCheckComparesWholePayloads(t *testing.T) {
	var sum Checked
	for _, path := range scriptFiles(t) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if area := filepath.Base(filepath.Dir(path)); area != "gauntlet" && area != "elo" || bytes.Contains(text, []byte("HANDLER_FAILED")) {
			continue
		}
		checked := checkEvents(t, eventsOf(t, path))
		sum.Same, sum.ByID, sum.Unproven = sum.Same+checked.Same, sum.ByID+checked.ByID, sum.Unproven+checked.Unproven
	}
	if sum.Same < 20 || sum.ByID > 0 || sum.Unproven > 0 {
		t.Errorf("%d compared whole, %d by name, %d not at all", sum.Same, sum.ByID, sum.Unproven)
	}
}
