package wiring

import "github.com/goccy/go-json"

// FastCodec encodes and decodes the same JSON as the standard library, several
// times faster; decoding is most of the work of a replay. A fuzz test compares the
// two for every event of the catalogue.
type FastCodec struct{}

// Marshal encodes v.
func (FastCodec) Marshal(v any) ([]byte, error) { return json.Marshal(v) }

// Unmarshal decodes data into v.
func (FastCodec) Unmarshal(data []byte, v any) error { return json.Unmarshal(data, v) }
