package domain

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// AppendPayload appends a payload to a line of JSON. JSON in UTF-8 stays JSON, compact where
// it has line breaks; other bytes become a string, in which those that are not UTF-8 are
// U+FFFD; no payload is null. It reports whether the line has the bytes of the payload: if
// not, whoever keeps the line has to keep them too.
func AppendPayload(line, payload []byte) (_ []byte, exact bool) {
	switch {
	case len(payload) == 0:
		return append(line, "null"...), false
	case !json.Valid(payload) || !utf8.Valid(payload):
		text, _ := json.Marshal(string(payload)) // a string always encodes
		return append(line, text...), false
	case payload[0] == '{' && payload[len(payload)-1] == '}' && bytes.IndexByte(payload, '\n') < 0 && bytes.IndexByte(payload, '\r') < 0:
		return append(line, payload...), true
	}
	var compact bytes.Buffer
	_ = json.Compact(&compact, payload) // it is valid
	return append(line, compact.Bytes()...), compact.Len() == len(payload)
}
