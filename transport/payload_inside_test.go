package transport

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/ringrift/rift/domain"
)

// An event is one line of JSON whatever bytes another program stored as its payload, and who
// reads the line has these bytes again.
func TestEveryPayloadIsReadAsItWasStored(t *testing.T) {
	for _, payload := range []string{"", `{"a": 1}`, `{"a": 1} `, "{\r\n \"a\": 1\n}", `{"a":`, "{\"a\":\"\xff\"}", "two\nlines", `[1, 2]`, "null"} {
		e := domain.Envelope{Position: 1, Stream: "other-1", Type: "Other", Data: []byte(payload)}
		line := appendEvent(nil, &e)
		var found EventRecord
		if err := json.Unmarshal(line, &found); err != nil {
			t.Errorf("payload %q: want JSON, found %s, %v", payload, line, err)
		}
		if back := found.Envelope(); string(back.Data) != payload {
			t.Errorf("payload %q: found %q in %s", payload, back.Data, line)
		}
		if want := RecordOf(&e); !reflect.DeepEqual(found, want) {
			t.Errorf("payload %q: want %+v, found %+v", payload, want, found)
		}
	}
}
