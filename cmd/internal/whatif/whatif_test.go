package whatif

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/ringrift/rift/cmd/internal/script"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// told runs directives of a script and returns the log.
func told(t *testing.T, text string) eventlog.Log {
	t.Helper()
	env, err := script.New(script.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := env.Close(); err != nil {
			t.Error(err)
		}
	})
	datadriven.RunTestFromString(t, text, func(t *testing.T, d *datadriven.TestData) string {
		d.Expected = env.Run(t.Context(), d)
		if strings.HasPrefix(d.Expected, "error") {
			t.Log(d.Expected)
		}
		return d.Expected
	})
	return env.Log()
}

// ask asks what would be if settings, each KEY=VALUE, were others.
func ask(t *testing.T, log eventlog.Log, settings ...string) Answer {
	t.Helper()
	answer, err := Ask(t.Context(), log, question(t, settings...))
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func question(t *testing.T, settings ...string) (q Question) {
	t.Helper()
	whole := map[string]map[string]json.RawMessage{}
	for _, setting := range settings {
		key, value, _ := strings.Cut(setting, "=")
		section, name, _ := strings.Cut(key, ".")
		q.Alone = append(q.Alone, domain.Setting{Key: key, Value: json.RawMessage(fmt.Sprintf(`{%q:{%q:%s}}`, section, name, value))})
		if whole[section] == nil {
			whole[section] = map[string]json.RawMessage{}
		}
		whole[section][name] = json.RawMessage(value)
	}
	q.Change, _ = json.Marshal(whole)
	return q
}

// aRetry is an item that fails and is retried until it is dead.
const aRetry = `
command work.add id=c1
{"task_id":"t1","task_type":"demo","max_attempts":2}
----

command work.claim id=c2
{"node_id":"gpu-1"}
----

command work.fail id=c3
{"task_id":"t1","lease":1,"error":"out of memory"}
----

drain
----

tick 10m
----

command work.claim id=c4
{"node_id":"gpu-1"}
----

command work.fail id=c5
{"task_id":"t1","lease":2,"error":"out of memory"}
----

drain
----
`

func TestTry(t *testing.T) {
	log := told(t, aRetry)
	for e, err := range log.ReadAll(t.Context(), 1, eventlog.Forward, eventlog.Filter{}) {
		t.Log(e, err, e.Meta.Actor, e.Meta.Command, e.Meta.Policy)
	}
	for _, s := range []string{"work.lease_seconds=30", "work.backoff_base_seconds=1", "work.max_attempts=7"} {
		a := ask(t, log, s)
		text, _ := json.MarshalIndent(a, "", " ")
		t.Log(s, string(text))
	}
}
