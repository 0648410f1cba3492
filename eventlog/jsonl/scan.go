package jsonl

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/ringrift/rift/domain"
)

// scanner reads lines as Writer writes them: keys in that order, no spaces, plain strings.
// Any other line is read by the general parser, which is several times slower and names
// faults. The scanner reads a line that it accepts as the parser does; a fuzz test checks
// that.
type scanner struct {
	rest []byte
	ok   bool
}

// scanLine reads a whole line; false says that the general parser has to.
func scanLine(line []byte) (domain.Envelope, bool) {
	s := scanner{rest: line, ok: true}
	var e domain.Envelope
	s.literal(`{"position":`)
	e.Position = domain.Position(s.number())
	s.literal(`,"stream":`)
	stream := s.plain()
	s.literal(`,"revision":`)
	e.Revision = domain.Revision(s.number())
	s.literal(`,"id":`)
	id := s.plain()
	s.literal(`,"type":`)
	e.Type = s.plain()
	s.literal(`,"version":`)
	e.Version = int(s.number())
	s.literal(`,"time":`)
	at := s.plain()
	s.literal(`,"data":`)
	data := s.value()
	s.literal(`,"meta":`)
	s.meta(&e.Meta)
	s.literal(`}`)
	if !s.ok || len(s.rest) > 0 || e.Type == "" || e.Version < 1 || e.Revision < 0 || !json.Valid(data) {
		return domain.Envelope{}, false
	}
	parsed, err := domain.ParseStreamID(stream)
	if err != nil {
		return domain.Envelope{}, false
	}
	e.Stream = parsed
	if e.ID, err = domain.ParseEventID(id); err != nil || e.ID.IsZero() {
		return domain.Envelope{}, false
	}
	moment, err := time.Parse(time.RFC3339, at)
	if err != nil || !plainTime(at) {
		return domain.Envelope{}, false
	}
	e.Time = domain.Instant(moment)
	e.Data = bytes.Clone(data)
	return e, true
}

// plainTime reports whether a time has the one form that both readers read alike.
func plainTime(text string) bool {
	return len(text) >= len("2006-01-02T15:04:05Z") && len(text) <= len("2006-01-02T15:04:05.000000Z") && text[len(text)-1] == 'Z' && text[10] == 'T' &&
		text[13] == ':' && (text[19] == 'Z' || text[19] == '.')
}

func (s *scanner) literal(text string) {
	if rest, found := bytes.CutPrefix(s.rest, []byte(text)); found {
		s.rest = rest
	} else {
		s.ok = false
	}
}

// number reads a non-negative integer in its shortest form.
func (s *scanner) number() uint64 {
	n := 0
	for n < len(s.rest) && s.rest[n] >= '0' && s.rest[n] <= '9' {
		n++
	}
	value, err := strconv.ParseUint(string(s.rest[:n]), 10, 63)
	if err != nil || n > 1 && s.rest[0] == '0' {
		s.ok = false
		return 0
	}
	s.rest = s.rest[n:]
	return value
}

// plain reads a string without escapes.
func (s *scanner) plain() string {
	if len(s.rest) == 0 || s.rest[0] != '"' {
		s.ok = false
		return ""
	}
	end := bytes.IndexByte(s.rest[1:], '"')
	if end < 0 {
		s.ok = false
		return ""
	}
	text := s.rest[1 : end+1]
	for _, c := range text {
		if c < ' ' || c == '\\' || c >= utf8.RuneSelf {
			s.ok = false
			return ""
		}
	}
	s.rest = s.rest[end+2:]
	return string(text)
}

// value returns an object or array without spaces between its parts. It does not check
// that it is valid JSON.
func (s *scanner) value() []byte {
	depth, quoted := 0, false
	for i := 0; i < len(s.rest); i++ {
		c := s.rest[i]
		switch {
		case quoted:
			switch c {
			case '\\':
				i++
			case '"':
				quoted = false
			}
		case c == '"':
			quoted = true
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			if depth--; depth == 0 {
				value := s.rest[:i+1]
				s.rest = s.rest[i+1:]
				return value
			}
		case c <= ' ':
			s.ok = false
			return nil
		}
		if depth == 0 && !quoted {
			break
		}
	}
	s.ok = false
	return nil
}

// meta reads the keys of a Meta, in any order and each at most once.
func (s *scanner) meta(m *domain.Meta) {
	s.literal(`{`)
	if bytes.HasPrefix(s.rest, []byte(`}`)) {
		s.rest = s.rest[1:]
		return
	}
	seen := 0
	for s.ok {
		key := s.plain()
		s.literal(`:`)
		bit := 0
		switch key {
		case "command":
			m.Command, bit = s.plain(), 1
		case "$causationId":
			m.Causation, bit = s.plain(), 2
		case "$correlationId":
			m.Correlation, bit = s.plain(), 4
		case "actor":
			m.Actor, bit = s.plain(), 8
		case "node":
			m.Node, bit = s.plain(), 16
		case "policy":
			m.Policy, bit = s.plain(), 32
		case "term":
			m.Term, bit = s.number(), 64
		case "request":
			m.Request, bit = s.plain(), 128
		case "custom":
			m.Custom, bit = s.plain(), 256
		}
		if bit == 0 || seen&bit != 0 || len(s.rest) == 0 {
			s.ok = false
			return
		}
		seen |= bit
		next := s.rest[0]
		s.rest = s.rest[1:]
		switch next {
		case ',':
		case '}':
			return
		default:
			s.ok = false
		}
	}
}
