package script

import (
	"net/http"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// Silence is a metric too, with the alarm beside it.
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
