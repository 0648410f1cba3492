package script

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/ringrift/rift/domain/nodes"
)

// The metrics show how long each thing has been silent, and whether its alarm is raised.
func TestSilencesAreMetrics(t *testing.T) {
	env, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = env.Close() }()
	scrape := func() string {
		status, body := env.Ask(t.Context(), "/metrics")
		if status != http.StatusOK {
			t.Fatalf("found %d %s", status, body)
		}
		return string(body)
	}
	if text := scrape(); strings.Contains(text, `rift_seconds_since_last{kind="dispatch"}`) {
		t.Error("nothing has asked for a claim yet, and there is a silence already")
	}
	for _, step := range []string{"command work.add\n{\"task_id\":\"t1\",\"task_type\":\"selfplay\"}\n----\n", "tick 1800s\n----\n"} {
		datadriven.RunTestFromString(t, step, func(t *testing.T, d *datadriven.TestData) string {
			env.Run(t.Context(), d)
			return d.Expected
		})
	}
	text := scrape()
	for _, want := range []string{
		"rift_seconds_since_last{kind=\"dispatch\"} 1800\n", "rift_silence_alarm{kind=\"dispatch\"} 1\n", "rift_silence_alarm{kind=\"training\"} 0\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("want %q among the metrics", want)
		}
	}
}

// tell runs a directive and fails the test unless it succeeds.
func (env *Env) tell(t *testing.T, step string) string {
	t.Helper()
	var out string
	datadriven.RunTestFromString(t, step+"\n----\n", func(t *testing.T, d *datadriven.TestData) string {
		out = env.Run(t.Context(), d)
		return d.Expected
	})
	if strings.Contains(out, "error: ") || strings.Contains(out, "urn:rift:problem") {
		t.Fatalf("%s\n%s", step, out)
	}
	return out
}

// Each of the seven silences begins with the first demand and ends with a success. A query
// and a metric show it, and it raises an alarm when it exceeds its limit.
func TestEverySilenceIsAQueryAMetricAndAnAlarm(t *testing.T) {
	event := func(kind, payload string) string {
		return "http POST /events\n{\"type\":\"" + kind + "\",\"payload\":" + payload + "}"
	}
	add, claim := "command work.add\n{\"task_id\":\"t1\",\"task_type\":\"selfplay\"}", "command work.claim\n{\"node_id\":\"n1\"}"
	trained := event("TRAINING_COMPLETED", `{"config_key":"hex8_2p","task_id":"t1","model_id":"m1","success":true}`)
	measured := func(model string, games int) string {
		return event("EVALUATION_COMPLETED", fmt.Sprintf(`{"config_key":"hex8_2p","model_id":%q,"games_played":%d,"results":[{"opponent":"random","wins":%d,"losses":%d,"draws":0},{"opponent":"heuristic","wins":%d,"losses":%d,"draws":0}]}`,
			model, 2*games, games-1, 1, games-2, 2))
	}
	stories := map[nodes.SilenceKind]struct{ demand, success []string }{
		nodes.SilentDispatch:   {[]string{add}, []string{claim}},
		nodes.SilentCompletion: {[]string{add, claim}, []string{"drain", "tick 1h", claim, "command work.complete\n{\"task_id\":\"t1\",\"lease\":2}"}},
		nodes.SilentSync:       {[]string{event("DATA_SYNC_STARTED", `{"sync_id":"s1","node_id":"n1","sync_type":"games"}`)}, []string{event("DATA_SYNC_COMPLETED", `{"sync_id":"s1","node_id":"n1","sync_type":"games"}`)}},
		nodes.SilentExport:     {[]string{event("DATA_SYNC_STARTED", `{"sync_id":"s1","node_id":"n1","sync_type":"npz"}`)}, []string{event("DATA_SYNC_COMPLETED", `{"sync_id":"s1","node_id":"n1","sync_type":"npz"}`)}},
		nodes.SilentTraining:   {[]string{event("DATA_SYNC_COMPLETED", `{"sync_id":"s1","node_id":"n1","sync_type":"games","config_key":"hex8_2p","games_synced":500}`), "drain"}, []string{trained}},
		nodes.SilentEvaluation: {[]string{trained}, []string{measured("m1", 20)}},
		nodes.SilentPromotion:  {[]string{measured("m1", 10), "drain"}, []string{measured("m2", 100), "drain"}},
	}
	if len(stories) != len(nodes.SilenceKinds) {
		t.Fatalf("want a story for each of %v", nodes.SilenceKinds)
	}
	for _, kind := range nodes.SilenceKinds {
		t.Run(string(kind), func(t *testing.T) {
			env, err := New(Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = env.Close() }()
			state := func() (state string, silent *float64) {
				status, body := env.Ask(t.Context(), "/alarms")
				var answer struct {
					Alarms []struct {
						Kind          nodes.SilenceKind `json:"kind"`
						State         string            `json:"state"`
						SilentSeconds *float64          `json:"silent_seconds"`
					} `json:"alarms"`
				}
				if err := json.Unmarshal(body, &answer); err != nil || status != http.StatusOK {
					t.Fatalf("%d %s %v", status, body, err)
				}
				for _, alarm := range answer.Alarms {
					if alarm.Kind == kind {
						return alarm.State, alarm.SilentSeconds
					}
				}
				t.Fatalf("%s has no row", kind)
				return "", nil
			}
			metric := func(name, value string) {
				t.Helper()
				if _, body := env.Ask(t.Context(), "/metrics"); !strings.Contains(string(body), fmt.Sprintf("%s{kind=%q} %s\n", name, kind, value)) {
					t.Errorf("want %s of %s to be %s", name, kind, value)
				}
			}
			if got, silent := state(); got != "idle" || silent != nil {
				t.Fatalf("nobody has asked for a success, and it is %s for %v", got, silent)
			}
			for _, step := range stories[kind].demand {
				env.tell(t, step)
			}
			limit := nodes.DefaultAlarmsPolicy().Limit(kind)
			env.now = env.now.Add(limit.Duration() - time.Second)
			env.tell(t, "tick 0s")
			if got, silent := state(); got != "ok" || silent == nil || *silent != float64(limit)-1 {
				t.Fatalf("a second before the limit of %v it is %s for %v", limit, got, silent)
			}
			if told := env.tell(t, "tick 1s"); !speaks(told, "SILENCE_ALARM_RAISED", kind) {
				t.Fatalf("want the alarm, found\n%s", told)
			}
			metric("rift_silence_alarm", "1")
			metric("rift_seconds_since_last", strconv.FormatFloat(float64(limit), 'g', -1, 64))
			if got, _ := state(); got != "alarm" {
				t.Errorf("want an alarm, found %s", got)
			}
			for _, step := range stories[kind].success {
				env.tell(t, step)
			}
			if told := env.tell(t, "tick 1s"); !speaks(told, "SILENCE_ALARM_CLEARED", kind) {
				t.Fatalf("want the end of the alarm, found\n%s", told)
			}
			metric("rift_silence_alarm", "0")
			if got, silent := state(); got != "ok" || silent == nil || *silent > 1 {
				t.Errorf("want it over, found %s for %v", got, silent)
			}
		})
	}
}

// speaks reports whether the output of a directive has an event of a kind of silence.
func speaks(told, event string, kind nodes.SilenceKind) bool {
	return regexp.MustCompile(event + ` \{\s*"kind":\s*"` + string(kind)).MatchString(told)
}
