package transport

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"strconv"

	"github.com/ringrift/rift/domain"
)

func (w *walker) word() bool {
	for _, word := range [...]string{"true", "false", "null"} {
		if len(w.data)-w.at >= len(word) && string(w.data[w.at:w.at+len(word)]) == word {
			w.at += len(word)
			return true
		}
	}
	return w.broken("a value")
}

func (w *walker) string() bool {
	for i := w.at + 1; i < len(w.data); i++ {
		for len(w.data)-i >= 8 {
			special := specials(binary.LittleEndian.Uint64(w.data[i:]))
			if special != 0 {
				i += bits.TrailingZeros64(special) / 8
				break
			}
			i += 8
		}
		if i == len(w.data) {
			break
		}
		switch c := w.data[i]; {
		case c == '"':
			w.at = i + 1
			return true
		case c < ' ':
			w.at = i
			return w.broken("no bare control character")
		case c == '\\':
			i++
			if i >= len(w.data) {
				break
			}
			switch w.data[i] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			case 'u':
				for range 4 {
					i++
					if i >= len(w.data) || !isHex(w.data[i]) {
						w.at = min(i, len(w.data))
						return w.broken("four hexadecimal digits")
					}
				}
			default:
				w.at = i
				return w.broken("an escape of JSON")
			}
		}
	}
	w.at = len(w.data)
	return w.broken("the end of the string")
}

// specials marks the bytes among eight that need special handling in a
// string: quotes, backslashes, control characters. The lowest set bit marks
// the first one exactly; bits above it may be wrong.
func specials(eight uint64) uint64 {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	quote, slash := eight^(ones*'"'), eight^(ones*'\\')
	return (eight-ones*' ') & ^eight & tops | (quote-ones) & ^quote & tops | (slash-ones) & ^slash & tops
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// number walks a number and checks that it fits the shape, if there is one.
func (w *walker) number(s *shape) bool {
	start := w.at
	whole := true
	if w.data[w.at] == '-' {
		w.at++
	}
	if w.at < len(w.data) && w.data[w.at] == '0' {
		w.at++
	} else if !w.digits() {
		return false
	}
	if w.at < len(w.data) && w.data[w.at] == '.' {
		whole = false
		w.at++
		if !w.digits() {
			return false
		}
	}
	if w.at < len(w.data) && (w.data[w.at] == 'e' || w.data[w.at] == 'E') {
		whole = false
		w.at++
		if w.at < len(w.data) && (w.data[w.at] == '+' || w.data[w.at] == '-') {
			w.at++
		}
		if !w.digits() {
			return false
		}
	}
	if s == nil {
		return true
	}
	literal := string(w.data[start:w.at])
	var err error
	switch {
	case s.kind == number:
		var f float64
		if f, err = strconv.ParseFloat(literal, s.bits); err == nil && s.most > 0 && !(f >= -s.most && f <= s.most) {
			err = strconv.ErrRange
		}
	case !whole:
		err = strconv.ErrSyntax
	case s.kind == integer:
		var n int64
		if n, err = strconv.ParseInt(literal, 10, s.bits); err == nil && s.most > 0 && (n > domain.MaxWhole || n < -domain.MaxWhole) {
			err = strconv.ErrRange
		}
	default:
		_, err = strconv.ParseUint(literal, 10, s.bits)
	}
	if err != nil {
		if len(literal) > 24 {
			literal = literal[:24] + "…"
		}
		w.fault(w.field(), "want "+wanted[s.kind]+rangeOf(s)+", found "+literal)
	}
	return true
}

func rangeOf(s *shape) string {
	switch {
	case s.most > 0:
		return fmt.Sprintf(" of at most %.0f", s.most)
	case s.kind == number:
		return " in the range of a double"
	}
	return fmt.Sprintf(" of %d bits", s.bits)
}

func (w *walker) digits() bool {
	start := w.at
	for w.at < len(w.data) && w.data[w.at] >= '0' && w.data[w.at] <= '9' {
		w.at++
	}
	if w.at == start {
		return w.broken("a digit")
	}
	return true
}
