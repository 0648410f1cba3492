package transport

import (
	"encoding/json"
	"testing"

	"github.com/ringrift/rift/domain"
)

// An event is one line of JSON whatever bytes another program stored as its payload.
func TestEveryPayloadMakesALineOfJSON(t *testing.T) {
	for payload, want := range map[string]string{
		"":                  `null`,
		`{"a": 1}`:          `{"a": 1}`,
		"{\r\n \"a\": 1\n}": `{"a":1}`,
		`{"a":`:             `"{\"a\":"`,
		"{\"a\":\"\xff\"}":  `"{\"a\":\"\ufffd\"}"`,
		"two\nlines":        `"two\nlines"`,
		`[1, 2]`:            `[1,2]`,
	} {
		line := appendEvent(nil, &domain.Envelope{Position: 1, Stream: "other-1", Type: "Other", Data: []byte(payload)})
		var event struct{ Data json.RawMessage }
		if err := json.Unmarshal(line, &event); err != nil || string(event.Data) != want {
			t.Errorf("payload %q: want %s, found %s, %v", payload, want, line, err)
		}
	}
}
