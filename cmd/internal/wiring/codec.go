package wiring

import "github.com/goccy/go-json"

// FastCodec writes and reads the same JSON as the standard library, several
// times faster: decoding is most of what a replay does. A fuzz test holds the
// two against each other for every event of the catalogue.
type FastCodec struct{}

// Marshal encodes v.
func (FastCodec) Marshal(v any) ([]byte, error) { return json.Marshal(v) }

// Unmarshal decodes data into v.
func (FastCodec) Unmarshal(data []byte, v any) error { return json.Unmarshal(data, v) }
