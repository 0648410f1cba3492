package script

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestReadable(t *testing.T) {
	long := `7 task-a@0 TASK_SPAWNED {"task_id":"a","payload":{"games":50,"words":["` + strings.Repeat("x", 60) + `","` + strings.Repeat("y", 60) + `"]},"priority":75}`
	want := `ok
7 task-a@0 TASK_SPAWNED {
  "task_id": "a",
  "payload": {
    "games": 50,
    "words": [
      "` + strings.Repeat("x", 60) + `",
      "` + strings.Repeat("y", 60) + `"
    ]
  },
  "priority": 75
}
{"short":[1,2]}
` + strings.Repeat("{", 130) + "\n"
	if got := readable("ok\n" + long + "\n" + `{"short":[1,2]}` + "\n" + strings.Repeat("{", 130) + "\n"); got != want {
		t.Errorf("want\n%s\nfound\n%s", want, got)
	}
}

// Breaking a line of JSON changes only its white space.
func TestReadableKeepsTheJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.MapOf(rapid.String(), rapid.SliceOfN(rapid.String(), 0, 8)).Draw(t, "value")
		encoded, err := json.Marshal(map[string]any{"nested": value, "number": 1})
		if err != nil {
			t.Fatal(err)
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, []byte(readable(string(encoded)))); err != nil {
			t.Fatalf("%s: %v", encoded, err)
		}
		if compact.String() != string(encoded) {
			t.Fatalf("want %s, found %s", encoded, compact.String())
		}
	})
}
