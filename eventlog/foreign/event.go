package foreign

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// Event is what EventStoreDB keeps of an event, its place and time aside.
type Event struct {
	ID       domain.EventID
	Type     string
	JSON     bool   // the content type; it promises nothing about Data
	UserMeta []byte // any bytes
	Data     []byte // any bytes
}

// The letters before the colon of Meta.Custom; the user metadata follow it.
const (
	letterBinary    = 'b' // the content type is not JSON
	letterData      = 'd' // Data is a JSON string with the data in base64
	letterMeta      = 'm' // the user metadata stand in base64
	letterID        = 'i' // the next 36 characters are the event's id, which the envelope's is not
	letterTombstone = 't' // the stream ends with this event
)

// TombstoneType is the type of the event that ends a stream for ever.
const TombstoneType = "$streamDeleted"

const idLength = 36

// Proposed is the form of an event in our log. Its id there is id, which is
// another than the event's own where the stream has that one already; at is
// its time. One of our own events becomes what it was.
func (e *Event) Proposed(id domain.EventID, at time.Time) eventlog.Proposed {
	if id == e.ID && e.JSON {
		if version, at, meta, ok := ParseUserMeta(e.UserMeta); ok {
			return eventlog.Proposed{ID: id, Type: e.Type, Version: version, Time: at, Meta: meta, Data: e.Data}
		}
	}
	return e.proposed(id, at, "")
}

// Tombstone is the event that ends a stream.
func Tombstone(id domain.EventID, at time.Time) eventlog.Proposed {
	e := Event{ID: id, Type: TombstoneType, JSON: true, Data: []byte("{}")}
	return e.proposed(id, at, string(letterTombstone))
}

func (e *Event) proposed(id domain.EventID, at time.Time, letters string) eventlog.Proposed {
	p := eventlog.Proposed{ID: id, Type: e.Type, Version: 1, Time: at, Data: e.Data}
	var short [64]byte // most metadata fit
	custom := short[:0]
	custom = append(custom, letters...)
	if !e.JSON {
		custom = append(custom, letterBinary)
	}
	if !isJSON(e.Data) {
		custom = append(custom, letterData)
		p.Data = make([]byte, 0, base64.StdEncoding.EncodedLen(len(e.Data))+2)
		p.Data = append(p.Data, '"')
		p.Data = base64.StdEncoding.AppendEncode(p.Data, e.Data)
		p.Data = append(p.Data, '"')
	}
	text := utf8.Valid(e.UserMeta)
	if !text {
		custom = append(custom, letterMeta)
	}
	if id != e.ID {
		custom = append(append(custom, letterID), e.ID.String()...)
	}
	custom = append(custom, ':')
	if text {
		custom = append(custom, e.UserMeta...)
	} else {
		custom = base64.StdEncoding.AppendEncode(custom, e.UserMeta)
	}
	p.Meta.Custom = string(custom)
	p.Meta.Causation, p.Meta.Correlation = chain(e.UserMeta)
	return p
}

// chain finds the ids that link events in user metadata.
func chain(meta []byte) (causation, correlation string) {
	if !bytes.Contains(meta, []byte(`"$c`)) {
		return "", ""
	}
	var links struct {
		Causation   any `json:"$causationId"`
		Correlation any `json:"$correlationId"`
	}
	if json.Unmarshal(meta, &links) != nil {
		return "", ""
	}
	causation, _ = links.Causation.(string)
	correlation, _ = links.Correlation.(string)
	return causation, correlation
}

// form reads Meta.Custom; false for one that is no event of EventStoreDB's.
func form(custom string) (letters, meta string, id *domain.EventID, ok bool) {
	rest := custom
	for _, letter := range []byte{letterTombstone, letterBinary, letterData, letterMeta} {
		if rest != "" && rest[0] == letter {
			rest = rest[1:]
		}
	}
	letters = custom[:len(custom)-len(rest)]
	if len(rest) > idLength && rest[0] == letterID {
		parsed, err := domain.ParseEventID(rest[1 : 1+idLength])
		if err != nil {
			return "", "", nil, false
		}
		id, rest = &parsed, rest[1+idLength:]
	}
	meta, ok = strings.CutPrefix(rest, ":")
	return letters, meta, id, ok
}

// Of is what EventStoreDB's clients see of an event in our log. The slices may
// share memory with the envelope's.
func Of(e *domain.Envelope) Event {
	event := Event{ID: e.ID, Type: e.Type, JSON: true, Data: e.Data}
	letters, meta, id, ok := form(e.Meta.Custom)
	if !ok {
		event.UserMeta = AppendUserMeta(nil, e.Version, e.Time, e.Meta)
		return event
	}
	event.UserMeta = []byte(meta)
	if id != nil {
		event.ID = *id
	}
	for _, letter := range []byte(letters) {
		switch letter {
		case letterBinary:
			event.JSON = false
		case letterData:
			if data, ok := unwrapped(e.Data); ok {
				event.Data = data
			}
		case letterMeta:
			if plain, err := base64.StdEncoding.DecodeString(meta); err == nil {
				event.UserMeta = plain
			}
		}
	}
	return event
}

// unwrapped gives the data that stand in a JSON string of base64.
func unwrapped(data []byte) ([]byte, bool) {
	if len(data) < 2 || data[0] != '"' || data[len(data)-1] != '"' {
		return nil, false
	}
	plain, err := base64.StdEncoding.AppendDecode(nil, data[1:len(data)-1])
	return plain, err == nil
}

// ID is the id of an event as Of gives it.
func ID(e *domain.Envelope) domain.EventID {
	if _, _, id, ok := form(e.Meta.Custom); ok && id != nil {
		return *id
	}
	return e.ID
}

// IsTombstone tells the event that ends a stream from one that a client only
// gave its type.
func IsTombstone(e *domain.Envelope) bool {
	letters, _, _, ok := form(e.Meta.Custom)
	return ok && e.Type == TombstoneType && strings.HasPrefix(letters, string(letterTombstone))
}

// Is tells an event of EventStoreDB's in our log from one of ours.
func Is(meta *domain.Meta) bool {
	_, _, _, ok := form(meta.Custom)
	return ok
}
