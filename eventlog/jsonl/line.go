package jsonl

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ringrift/rift/domain"
)

// MaxLine bounds a line in bytes, without its line feed.
const MaxLine = 8 << 20

// wire is the JSON of a line. In a log that was written by hand everything but stream,
// type, time and payload may be missing.
type wire struct {
	Position *domain.Position `json:"position"`
	Stream   string           `json:"stream"`
	Revision *domain.Revision `json:"revision"`
	ID       *domain.EventID  `json:"id"`
	Type     string           `json:"type"`
	Version  *int             `json:"version"`
	Time     *time.Time       `json:"time"`
	Data     json.RawMessage  `json:"data"`
	Base64   *string          `json:"data_base64"`
	Meta     domain.Meta      `json:"meta"`
}

// derive fills in what a line lacks: the next position, the next revision of its stream,
// and an id derived from its content.
type derive struct {
	position  domain.Position
	revisions map[domain.StreamID]domain.Revision // the next one, of streams with derived revisions only
	ordinals  Ordinals
}

// read reads one line. The error names all faults.
func (d *derive) read(line []byte) (domain.Envelope, error) {
	if e, ok := scanLine(line); ok && utf8.Valid(e.Data) && e.Position > d.position {
		d.position = e.Position
		if _, mixed := d.revisions[e.Stream]; mixed {
			d.revisions[e.Stream] = e.Revision + 1
		}
		return e, nil
	}
	return d.parse(line)
}

// parse reads a line in any form of JSON.
func (d *derive) parse(line []byte) (domain.Envelope, error) {
	if !utf8.Valid(line) {
		return domain.Envelope{}, domain.Errorf(domain.Invalid, "want UTF-8, found other bytes")
	}
	var w wire
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&w); err != nil {
		return domain.Envelope{}, domain.Errorf(domain.Invalid, "want one JSON object with the keys of an event: %w", err)
	}
	if key, twice := repeatedKey(line); twice {
		return domain.Envelope{}, domain.Errorf(domain.Invalid, "want every key of an event once, found %q twice", key)
	}
	if rest := bytes.TrimSpace(line[decoder.InputOffset():]); len(rest) > 0 {
		return domain.Envelope{}, domain.Errorf(domain.Invalid, "want nothing behind the event, found %.40q", rest)
	}
	var faults []domain.Fault
	fault := func(field, reason string) { faults = append(faults, domain.Fault{Field: field, Reason: reason}) }

	stream, err := domain.ParseStreamID(w.Stream)
	if err != nil {
		fault("stream", err.Error())
	}
	if w.Type == "" {
		fault("type", "required")
	}
	if w.Time == nil {
		fault("time", "required")
	}
	if w.Position != nil && *w.Position <= d.position {
		fault("position", "want more than "+d.position.String()+", found "+w.Position.String())
	}
	if w.Revision != nil && *w.Revision < 0 {
		fault("revision", "want at least 0, found "+strconv.FormatInt(int64(*w.Revision), 10))
	}
	if w.Version != nil && *w.Version < 1 {
		fault("version", "want at least 1, found "+strconv.Itoa(*w.Version))
	}
	data, err := w.payload()
	if err != nil {
		fault("data", err.Error())
	}
	if err := domain.Faulty("event", faults); err != nil {
		return domain.Envelope{}, err
	}

	e := domain.Envelope{
		Position: d.position + 1, Stream: stream, Type: w.Type, Version: 1,
		Time: domain.Instant(*w.Time), Meta: w.Meta, Data: data,
	}
	if w.Position != nil {
		e.Position = *w.Position
	}
	d.position = e.Position
	if w.Version != nil {
		e.Version = *w.Version
	}
	if w.Revision != nil {
		e.Revision = *w.Revision
		if _, mixed := d.revisions[stream]; mixed {
			d.revisions[stream] = e.Revision + 1
		}
	} else {
		if d.revisions == nil {
			d.revisions = map[domain.StreamID]domain.Revision{}
		}
		e.Revision = d.revisions[stream]
		d.revisions[stream] = e.Revision + 1
	}
	if w.ID != nil {
		e.ID = *w.ID
	}
	if e.ID.IsZero() {
		if e.ID, err = d.identity(&e); err != nil {
			return domain.Envelope{}, err
		}
	}
	return e, nil
}

// repeatedKey returns a key that an object has twice, ignoring case. Readers of JSON
// differ in which of the two values counts.
func repeatedKey(object []byte) (key string, twice bool) {
	decoder := json.NewDecoder(bytes.NewReader(object))
	if _, err := decoder.Token(); err != nil {
		return "", false
	}
	seen := map[string]bool{}
	for decoder.More() {
		token, err := decoder.Token()
		key, is := token.(string)
		var value json.RawMessage
		if err != nil || !is || decoder.Decode(&value) != nil {
			return "", false
		}
		if key = strings.ToLower(key); seen[key] {
			return key, true
		}
		seen[key] = true
	}
	return "", false
}

// payload returns the payload's bytes: compact JSON, or those of data_base64. A line of GET
// /events has both where data alone does not have the bytes.
func (w wire) payload() ([]byte, error) {
	if w.Base64 == nil {
		if w.Data == nil {
			return nil, domain.Errorf(domain.Invalid, "required")
		}
		return compact(w.Data)
	}
	data, err := base64.StdEncoding.DecodeString(*w.Base64)
	if err != nil {
		return nil, domain.Errorf(domain.Invalid, "data_base64: %w", err)
	}
	if w.Data == nil {
		return data, nil
	}
	shown, err := compact(w.Data)
	if err != nil {
		return nil, err
	}
	again, _ := domain.AppendPayload(nil, data)
	if again, err = compact(again); err != nil || !bytes.Equal(shown, again) {
		return nil, domain.Errorf(domain.Invalid, "want the payload that data_base64 has, found %.40q: leave out one of them", shown)
	}
	return data, nil
}

func compact(value []byte) ([]byte, error) {
	var out bytes.Buffer
	out.Grow(len(value))
	if err := json.Compact(&out, value); err != nil {
		return nil, domain.Errorf(domain.Invalid, "%w", err)
	}
	return out.Bytes(), nil
}

// appendLine appends one event as a line. A payload that is compact JSON in UTF-8 is
// written unchanged; any other bytes are written as data_base64, so that no payload
// changes.
func appendLine(line []byte, e domain.Envelope, scratch *bytes.Buffer) ([]byte, error) {
	line = append(line, `{"position":`...)
	line = strconv.AppendUint(line, uint64(e.Position), 10)
	line = append(line, `,"stream":`...)
	line, err := appendString(line, string(e.Stream))
	if err != nil {
		return nil, err
	}
	line = append(line, `,"revision":`...)
	line = strconv.AppendInt(line, int64(e.Revision), 10)
	line = append(line, `,"id":"`...)
	line = append(line, e.ID.String()...)
	line = append(line, `","type":`...)
	if line, err = appendString(line, e.Type); err != nil {
		return nil, err
	}
	line = append(line, `,"version":`...)
	line = strconv.AppendInt(line, int64(e.Version), 10)
	line = append(line, `,"time":"`...)
	line = domain.Instant(e.Time).AppendFormat(line, domain.Timestamp)
	line = append(line, '"')
	scratch.Reset()
	if utf8.Valid(e.Data) && json.Compact(scratch, e.Data) == nil && scratch.Len() == len(e.Data) {
		line = append(line, `,"data":`...)
		line = append(line, e.Data...)
	} else {
		line = append(line, `,"data_base64":"`...)
		line = base64.StdEncoding.AppendEncode(line, e.Data)
		line = append(line, '"')
	}
	line = append(line, `,"meta":`...)
	meta, err := json.Marshal(e.Meta)
	if err != nil {
		return nil, domain.Errorf(domain.Internal, "meta of event %d: %w", e.Position, err)
	}
	line = append(line, meta...)
	line = append(line, '}')
	if len(line) > MaxLine {
		return nil, domain.Errorf(domain.TooLarge, "event %d as a line: want at most %d bytes, found %d", e.Position, MaxLine, len(line))
	}
	return append(line, '\n'), nil
}

// appendString quotes text. Plain ASCII, which most names are, needs no encoder.
func appendString(line []byte, text string) ([]byte, error) {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			quoted, err := json.Marshal(text)
			return append(line, quoted...), err
		}
	}
	line = append(line, '"')
	line = append(line, text...)
	return append(line, '"'), nil
}
