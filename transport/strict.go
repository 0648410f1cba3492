package transport

import (
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/ringrift/rift/domain"
)

// Limits of a body besides its size.
const (
	maxDepth  = 100 // nesting depth, so that the caller cannot exhaust the decoder's stack
	maxFaults = 32  // most faults in one answer
)

// checkBody checks a body against a shape in one pass and returns every
// fault: text that is not strict JSON (RFC 8259, UTF-8), data after the
// end, unknown or duplicate keys, values of the wrong kind.
func checkBody(body []byte, s *shape) []domain.Fault {
	if !utf8.Valid(body) {
		return []domain.Fault{{Field: "body", Reason: "want UTF-8"}}
	}
	w := walker{data: body}
	w.path = w.short[:0]
	w.space()
	if w.at == len(w.data) {
		return []domain.Fault{{Field: "body", Reason: "want a JSON object, found nothing"}}
	}
	if s.kind == object && w.data[w.at] != '{' {
		start := w.at
		if w.skip(0) {
			w.at = start
			w.wrong("an object")
		}
		return w.faults
	}
	if !w.value(s, 0) {
		return w.faults
	}
	w.space()
	if w.at != len(w.data) {
		w.fault("body", fmt.Sprintf("want nothing after the value, found %s at byte %d", w.seen(), w.at))
	}
	return w.faults
}

// walker is a position in a body. Its methods return false when the text is
// not JSON; the last fault then says where, and the rest of the body is not
// checked.
type walker struct {
	data   []byte
	at     int
	path   []string
	short  [8]string // initial space for path, enough unless it is deep
	faults []domain.Fault
}

func (w *walker) fault(field, reason string) {
	if len(w.faults) < maxFaults {
		w.faults = append(w.faults, domain.Fault{Field: field, Reason: reason})
	}
}

// broken adds the fault that the text is not JSON from here on.
func (w *walker) broken(want string) bool {
	w.fault("body", fmt.Sprintf("want strict JSON: want %s at byte %d, found %s", want, w.at, w.seen()))
	return false
}

// wrong adds the fault that the value here is not of the kind its key
// needs.
func (w *walker) wrong(want string) {
	w.fault(w.field(), "want "+want+", found "+w.found())
}

func (w *walker) field() string {
	if len(w.path) == 0 {
		return "body"
	}
	n := 0
	for _, part := range w.path {
		n += len(part) + 1
	}
	name := make([]byte, 0, n)
	for i, part := range w.path {
		if i > 0 && part[0] != '[' {
			name = append(name, '.')
		}
		name = append(name, part...)
	}
	return string(name)
}

func (w *walker) seen() string {
	if w.at >= len(w.data) {
		return "the end"
	}
	r, _ := utf8.DecodeRune(w.data[w.at:])
	return strconv.QuoteRune(r)
}

// found returns the kind of the value that starts here, for a fault.
func (w *walker) found() string {
	if w.at >= len(w.data) {
		return "the end"
	}
	switch w.data[w.at] {
	case '{':
		return "an object"
	case '[':
		return "a list"
	case '"':
		return "a string"
	case 't', 'f':
		return "true or false"
	case 'n':
		return "null"
	}
	start := w.at
	end := start
	for end < len(w.data) && end < start+24 && isNumberByte(w.data[end]) {
		end++
	}
	return string(w.data[start:end])
}

func isNumberByte(c byte) bool {
	return c >= '0' && c <= '9' || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E'
}

func (w *walker) space() {
	for w.at < len(w.data) {
		switch w.data[w.at] {
		case ' ', '\t', '\n', '\r':
			w.at++
		default:
			return
		}
	}
}

// value checks the value here against the shape.
func (w *walker) value(s *shape, depth int) bool {
	if s.kind == anything {
		return w.skip(depth)
	}
	if depth > maxDepth {
		return w.deep()
	}
	if w.at >= len(w.data) {
		return w.broken("a value")
	}
	c := w.data[w.at]
	switch {
	case c == '{' && s.kind == object:
		return w.object(s, depth)
	case c == '{' && s.kind == dictionary:
		return w.members(depth, func(quoted []byte) bool {
			key, ok := unquoted(quoted)
			if !ok {
				return w.broken("a key")
			}
			w.path = append(w.path, key)
			ok = w.value(s.elem, depth+1)
			w.path = w.path[:len(w.path)-1]
			return ok
		})
	case c == '[' && s.kind == list:
		return w.list(s, depth)
	case c == '"' && s.kind == text:
		return w.string()
	case (c == 't' || c == 'f') && s.kind == boolean:
		return w.word()
	case (c == '-' || c >= '0' && c <= '9') && (s.kind == integer || s.kind == natural || s.kind == number):
		return w.number(s)
	}
	w.wrong(wanted[s.kind])
	return w.skip(depth)
}

func (w *walker) deep() bool {
	w.fault("body", fmt.Sprintf("want at most %d levels of nesting", maxDepth))
	return false
}

// object checks the object here against the shape of a struct.
func (w *walker) object(s *shape, depth int) bool {
	var few uint64
	var many map[int]bool
	if len(s.fields) > 64 {
		many = map[int]bool{}
	}
	return w.members(depth, func(quoted []byte) bool {
		field, known := s.fields[string(quoted[1:len(quoted)-1])]
		if !known { // the key may be written with escapes
			key, ok := unquoted(quoted)
			if !ok {
				return w.broken("a key")
			}
			if field, known = s.fields[key]; !known {
				w.path = append(w.path, printable(key))
				w.fault(w.field(), "not a known key")
				w.path = w.path[:len(w.path)-1]
				return w.skip(depth + 1)
			}
		}
		w.path = append(w.path, field.name)
		twice := few&(1<<(field.index&63)) != 0
		if many != nil {
			twice = many[field.index]
			many[field.index] = true
		}
		few |= 1 << (field.index & 63)
		if twice {
			w.fault(w.field(), "stands twice")
		}
		null := w.at < len(w.data) && w.data[w.at] == 'n'
		if null && !field.optional && field.shape.kind != anything {
			w.fault(w.field(), "want "+wanted[field.shape.kind]+", found null")
		}
		ok := null && w.word() || !null && w.value(field.shape, depth+1)
		w.path = w.path[:len(w.path)-1]
		return ok
	})
}

// printable shortens a key from a body for an answer.
func printable(key string) string {
	if key == "" {
		return `""`
	}
	if len(key) > 64 {
		return strconv.QuoteToGraphic(key[:64]) + "…"
	}
	return key
}

// members walks an object and calls member with each key, in its quotes, to
// walk its value.
func (w *walker) members(depth int, member func(quoted []byte) bool) bool {
	if depth >= maxDepth {
		return w.deep()
	}
	w.at++
	w.space()
	if w.at < len(w.data) && w.data[w.at] == '}' {
		w.at++
		return true
	}
	for {
		w.space()
		if w.at >= len(w.data) || w.data[w.at] != '"' {
			return w.broken("a key")
		}
		start := w.at
		if !w.string() {
			return false
		}
		quoted := w.data[start:w.at]
		w.space()
		if w.at >= len(w.data) || w.data[w.at] != ':' {
			return w.broken("':'")
		}
		w.at++
		w.space()
		if !member(quoted) {
			return false
		}
		if more, ok := w.more('}', "',' or '}'"); !more {
			return ok
		}
	}
}

// elements walks a list and calls element to walk each value.
func (w *walker) elements(depth int, element func(n int) bool) bool {
	if depth >= maxDepth {
		return w.deep()
	}
	w.at++
	w.space()
	if w.at < len(w.data) && w.data[w.at] == ']' {
		w.at++
		return true
	}
	for n := 0; ; n++ {
		w.space()
		if !element(n) {
			return false
		}
		if more, ok := w.more(']', "',' or ']'"); !more {
			return ok
		}
	}
}

// more consumes the comma after a member or an element, or the end of the
// list or object.
func (w *walker) more(end byte, want string) (more, ok bool) {
	w.space()
	if w.at >= len(w.data) || w.data[w.at] != ',' && w.data[w.at] != end {
		return false, w.broken(want)
	}
	w.at++
	return w.data[w.at-1] == ',', true
}

func unquoted(quoted []byte) (string, bool) {
	inner := quoted[1 : len(quoted)-1]
	for _, c := range inner {
		if c == '\\' {
			var key string
			return key, json.Unmarshal(quoted, &key) == nil
		}
	}
	return string(inner), true
}

func (w *walker) list(s *shape, depth int) bool {
	start, count := w.at, 0
	ok := w.elements(depth, func(n int) bool {
		w.path = append(w.path, "["+strconv.Itoa(n)+"]")
		if !w.value(s.elem, depth+1) {
			return false
		}
		w.path = w.path[:len(w.path)-1]
		count = n + 1
		return true
	})
	if !ok {
		return false
	}
	if s.length > 0 && count != s.length {
		end := w.at
		w.at = start
		w.fault(w.field(), fmt.Sprintf("want %d values, found %d", s.length, count))
		w.at = end
	}
	return true
}

// skip walks a value of any kind.
func (w *walker) skip(depth int) bool {
	if depth > maxDepth {
		return w.deep()
	}
	if w.at >= len(w.data) {
		return w.broken("a value")
	}
	switch c := w.data[w.at]; {
	case c == '{':
		return w.members(depth, func([]byte) bool { return w.skip(depth + 1) })
	case c == '[':
		return w.elements(depth, func(int) bool { return w.skip(depth + 1) })
	case c == '"':
		return w.string()
	case c == '-' || c >= '0' && c <= '9':
		return w.number(nil)
	default:
		return w.word()
	}
}
