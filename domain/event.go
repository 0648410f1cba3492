package domain

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Event is one fact that became true. EventType is its documented wire name
// ("TASK_SPAWNED"), never the name of the Go type, so renaming Go code cannot
// break a recorded log.
type Event interface{ EventType() string }

// Command is a request that a decision turns into events or refuses. CommandType is
// "area.verb" ("work.claim").
type Command interface{ CommandType() string }

// Position is the place of an event in the whole log: 1 for the first event,
// increasing by exactly one. Zero is before the first event.
type Position uint64

// String returns the decimal form used on the wire.
func (p Position) String() string { return strconv.FormatUint(uint64(p), 10) }

// ParsePosition parses the decimal form.
func ParsePosition(text string) (Position, error) {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, Errorf(Invalid, "position %q: want a whole number that is not negative", text)
	}
	return Position(n), nil
}

// Revision is the place of an event in its stream: 0 for the first.
type Revision int64

// Special expected revisions of an append.
const (
	NoStream     Revision = -1 // the stream has no event yet
	AnyRevision  Revision = -2 // no check
	StreamExists Revision = -4 // the stream has at least one event
)

// String returns the number, or the name of a special value.
func (r Revision) String() string {
	switch r {
	case NoStream:
		return "no stream"
	case AnyRevision:
		return "any"
	case StreamExists:
		return "stream exists"
	}
	return strconv.FormatInt(int64(r), 10)
}

// MaxStreamID limits a stream name in bytes, because names are index keys.
const MaxStreamID = 512

// StreamID is "<category>-<id>", split at the first dash.
type StreamID string

// Stream returns the id of a stream from its category and the rest.
func Stream(category, id string) StreamID { return StreamID(category + "-" + id) }

// Category returns the part before the first dash.
func (s StreamID) Category() string {
	category, _, _ := strings.Cut(string(s), "-")
	return category
}

// ID returns the part after the first dash, which may contain dashes itself.
func (s StreamID) ID() string {
	_, id, _ := strings.Cut(string(s), "-")
	return id
}

// ParseStreamID checks a stream name from outside: a category of lower-case
// letters, a dash, and UTF-8 without control characters or spaces.
func ParseStreamID(text string) (StreamID, error) {
	if len(text) > MaxStreamID {
		return "", Errorf(Invalid, "stream id: want at most %d bytes, found %d", MaxStreamID, len(text))
	}
	category, id, found := strings.Cut(text, "-")
	if !found || category == "" || id == "" {
		return "", Errorf(Invalid, "stream id %q: want <category>-<id>", text)
	}
	for _, c := range []byte(category) {
		if c < 'a' || c > 'z' {
			return "", Errorf(Invalid, "stream id %q: want a category of the letters a to z", text)
		}
	}
	if !utf8.ValidString(id) {
		return "", Errorf(Invalid, "stream id %q: want UTF-8", text)
	}
	for _, c := range []byte(id) {
		if c <= ' ' || c == 0x7f {
			return "", Errorf(Invalid, "stream id %q: want no spaces or control characters", text)
		}
	}
	return StreamID(text), nil
}

// EventID is the identity of a fact: a UUID derived from its cause.
type EventID [16]byte

// IsZero reports whether the id is unset.
func (id EventID) IsZero() bool { return id == EventID{} }

// String returns the canonical 8-4-4-4-12 form.
func (id EventID) String() string {
	var text [36]byte
	hex.Encode(text[0:8], id[0:4])
	hex.Encode(text[9:13], id[4:6])
	hex.Encode(text[14:18], id[6:8])
	hex.Encode(text[19:23], id[8:10])
	hex.Encode(text[24:36], id[10:16])
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	return string(text[:])
}

// MarshalText returns the canonical form.
func (id EventID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText parses the canonical form.
func (id *EventID) UnmarshalText(text []byte) error {
	parsed, err := ParseEventID(string(text))
	if err != nil {
		return err
	}
	*id = parsed
	return nil
}

// ParseEventID parses the canonical 8-4-4-4-12 form.
func ParseEventID(text string) (EventID, error) {
	var id EventID
	if len(text) != 36 || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-' {
		return id, Errorf(Invalid, "event id %q: want a UUID", text)
	}
	if _, err := hex.Decode(id[:], []byte(text[0:8]+text[9:13]+text[14:18]+text[19:23]+text[24:36])); err != nil {
		return EventID{}, Errorf(Invalid, "event id %q: want a UUID", text)
	}
	return id, nil
}

// DeriveID returns a UUID (RFC 9562 version 8, SHA-256) for the index-th result of
// cause. The same cause gives the same id on every machine, so that a retried
// command appends its events once.
func DeriveID(cause string, index int) EventID {
	var short [128]byte // large enough for usual names, to avoid an allocation
	sum := sha256.Sum256(strconv.AppendInt(append(append(short[:0], cause...), 0), int64(index), 10))
	var id EventID
	copy(id[:], sum[:16])
	id[6] = id[6]&0x0f | 0x80
	id[8] = id[8]&0x3f | 0x80
	return id
}

// Meta is the origin of an event: who caused it and why.
type Meta struct {
	Command     string `json:"command,omitempty" doc:"id of the command that decided it"`
	Causation   string `json:"$causationId,omitempty" doc:"id of the event whose reaction it is"`
	Correlation string `json:"$correlationId,omitempty" doc:"id shared by a whole chain"`
	Actor       string `json:"actor,omitempty" doc:"the person, tool or reactor that issued the command"`
	Node        string `json:"node,omitempty" doc:"the node that decided"`
	Policy      string `json:"policy,omitempty" doc:"the policy document that decided, \"policy-default@3\""`
	Term        uint64 `json:"term,omitempty" doc:"the leadership term it was decided in"`
	Request     string `json:"request,omitempty" doc:"digest of the command that a caller gave the id to"`
	Custom      string `json:"custom,omitempty" doc:"what the protocol of another system keeps with an event it stored; UTF-8, only that protocol reads it"`
}

// Envelope is an event as the log holds it. Time was set by the deciding node (UTC,
// microseconds) and is data, not a clock. Event is nil until a Catalog has decoded
// Data; logs do not look inside Data.
type Envelope struct {
	Position Position
	Stream   StreamID
	Revision Revision
	ID       EventID
	Type     string
	Version  int
	Time     time.Time
	Meta     Meta
	Data     []byte
	Event    Event
}

// String returns the one-line form used in scripts and error messages.
func (e Envelope) String() string {
	return fmt.Sprintf("%d %s@%d %s %s", e.Position, e.Stream, e.Revision, e.Type, e.Data)
}

// Timestamp is the format of times everywhere: RFC 3339, UTC, microseconds.
const Timestamp = "2006-01-02T15:04:05.999999Z07:00"

// Instant converts a time to the precision and zone of events.
func Instant(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }
