package foreign

import (
	"strings"
	"unicode/utf8"

	"github.com/ringrift/rift/domain"
)

// Prefix begins the stream ids of names that are no stream ids themselves.
const Prefix = "esdb-"

const hexDigits = "0123456789ABCDEF"

// StreamID gives the id under which the log keeps the stream that others call name.
func StreamID(name string) (domain.StreamID, error) {
	if name == "" {
		return "", domain.Errorf(domain.Invalid, "stream name: want at least one character")
	}
	if !utf8.ValidString(name) {
		return "", domain.Errorf(domain.Invalid, "stream name %q: want UTF-8", name)
	}
	// The error of ParseStreamID costs more than the rest, and names such as $$orders-1 are
	// asked for with every append.
	if c := name[0]; c >= 'a' && c <= 'z' && !strings.HasPrefix(name, Prefix) {
		if id, err := domain.ParseStreamID(name); err == nil {
			return id, nil
		}
	}
	id := Escape(name)
	if len(id) > domain.MaxStreamID {
		return "", domain.Errorf(domain.Invalid, "stream name: want at most %d bytes, found %d", domain.MaxStreamID, len(id))
	}
	return domain.StreamID(id), nil
}

// Escape gives the id of a stream whose name is no id itself. That of a prefix
// of its name is a prefix of it.
func Escape(name string) string {
	var b strings.Builder
	b.Grow(len(Prefix) + len(name))
	b.WriteString(Prefix)
	for _, c := range []byte(name) {
		if c <= ' ' || c == '%' || c == 0x7f {
			b.WriteByte('%')
			b.WriteByte(hexDigits[c>>4])
			b.WriteByte(hexDigits[c&15])
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}

// StreamName is the inverse of StreamID. An id that StreamID cannot have given
// is its own name.
func StreamName(id domain.StreamID) string {
	rest, escaped := strings.CutPrefix(string(id), Prefix)
	if !escaped {
		return string(id)
	}
	if strings.IndexByte(rest, '%') < 0 {
		return rest
	}
	name := make([]byte, 0, len(rest))
	for i := 0; i < len(rest); i++ {
		if rest[i] != '%' {
			name = append(name, rest[i])
			continue
		}
		if i+2 >= len(rest) {
			return string(id)
		}
		high, low := strings.IndexByte(hexDigits, rest[i+1]), strings.IndexByte(hexDigits, rest[i+2])
		if high < 0 || low < 0 {
			return string(id)
		}
		name = append(name, byte(high<<4|low))
		i += 2
	}
	return string(name)
}
