package domain_test

import (
	"encoding/json"
	"testing"

	"github.com/ringrift/rift/domain"
)

// A payload is JSON on a line whatever its bytes are, and is said to have its bytes there only
// if a reader finds them.
func TestAppendPayload(t *testing.T) {
	for payload, want := range map[string]string{
		"":                  `null`,
		`{"a": 1}`:          `{"a": 1}`,
		"{\"a\": 1} ":       `{"a":1}`,
		"{\r\n \"a\": 1\n}": `{"a":1}`,
		`{"a":`:             `"{\"a\":"`,
		"{\"a\":\"\xff\"}":  `"{\"a\":\"\ufffd\"}"`,
		"two\nlines":        `"two\nlines"`,
		`[1, 2]`:            `[1,2]`,
		`[1,2]`:             `[1,2]`,
		`null`:              `null`,
	} {
		line, exact := domain.AppendPayload([]byte(`{"data":`), []byte(payload))
		var event struct {
			Data json.RawMessage `json:"data"`
		}
		if err := json.Unmarshal(append(line, '}'), &event); err != nil || string(event.Data) != want {
			t.Errorf("payload %q: want %s, found %s, %v", payload, want, line, err)
		}
		if exact != (want == payload) {
			t.Errorf("payload %q: found %s, said to be exact: %t", payload, event.Data, exact)
		}
	}
}
