package esdbserver

import (
	"encoding/binary"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog/foreign"
)

// The keys of an event's metadata in the protocol.
const (
	keyType        = "type"
	keyContentType = "content-type"
	keyCreated     = "created"

	contentJSON   = "application/json"
	contentBinary = "application/octet-stream"
)

// maxRevision is the revision that clients see for a tombstone.
const maxRevision = 1<<63 - 1

// record is an event as clients see it.
type record struct {
	foreign.Event
	stream   string
	revision uint64
	position uint64
	created  time.Time
}

func recordOf(e *domain.Envelope) record {
	r := record{Event: foreign.Of(e), stream: foreign.StreamName(e.Stream), revision: uint64(e.Revision), position: uint64(e.Position), created: e.Time}
	if foreign.IsTombstone(e) {
		r.revision = maxRevision
	}
	return r
}

// metadata returns the metadata of an event in the protocol.
func (r *record) metadata() map[string]string {
	content := contentJSON
	if !r.JSON {
		content = contentBinary
	}
	return map[string]string{keyType: r.Type, keyContentType: content, keyCreated: ticks(r.created)}
}

// ticks returns a time in the protocol's form: units of 100 ns since 1970.
func ticks(at time.Time) string { return strconv.FormatInt(at.UnixMicro()*10, 10) }

// proposed converts and checks an event of a client.
func proposed(id *shared.UUID, metadata map[string]string, userMeta, data []byte) (foreign.Event, error) {
	content, described := metadata[keyContentType]
	event := foreign.Event{Type: metadata[keyType], JSON: content == contentJSON, UserMeta: userMeta, Data: data}
	if err := checkProposed(&event, described); err != nil {
		return event, err
	}
	var err error
	event.ID, err = parseUUID(id)
	return event, err
}

// checkProposed checks an event except its id; described says whether its content type was
// given.
func checkProposed(event *foreign.Event, described bool) error {
	if event.Type == "" || !described {
		return errMissingMetadata()
	}
	if !utf8.ValidString(event.Type) || len(event.Type) > 255 {
		return invalid("event type: want at most 255 bytes of UTF-8, found %d", len(event.Type))
	}
	return nil
}

func parseUUID(id *shared.UUID) (domain.EventID, error) {
	var parsed domain.EventID
	switch value := id.GetValue().(type) {
	case *shared.UUID_Structured_:
		binary.BigEndian.PutUint64(parsed[:8], uint64(value.Structured.GetMostSignificantBits()))
		binary.BigEndian.PutUint64(parsed[8:], uint64(value.Structured.GetLeastSignificantBits()))
	case *shared.UUID_String_:
		var err error
		if parsed, err = domain.ParseEventID(strings.ToLower(value.String_)); err != nil {
			return parsed, err
		}
	}
	if parsed.IsZero() {
		return parsed, invalid("event id: want a UUID other than zero")
	}
	return parsed, nil
}

// uuidOf returns an id in the form that a client requested.
func uuidOf(id domain.EventID, structured bool) *shared.UUID {
	if !structured {
		return &shared.UUID{Value: &shared.UUID_String_{String_: id.String()}}
	}
	return &shared.UUID{Value: &shared.UUID_Structured_{Structured: &shared.UUID_Structured{
		MostSignificantBits:  int64(binary.BigEndian.Uint64(id[:8])),
		LeastSignificantBits: int64(binary.BigEndian.Uint64(id[8:])),
	}}}
}

// identifier returns a stream's name in the protocol's form.
func identifier(name string) *shared.StreamIdentifier {
	return &shared.StreamIdentifier{StreamName: []byte(name)}
}
