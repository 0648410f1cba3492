package projections

import (
	"time"

	"github.com/ringrift/rift/domain"
)

// Pair joins two names to one key; names do not contain NUL.
func Pair(a, b string) string { return a + "\x00" + b }

// KeyDigits is the number of digits of PositionKey and TimeKey.
const KeyDigits = 20

// PositionKey returns a key that sorts by position.
func PositionKey(p domain.Position) string {
	var digits [KeyDigits]byte
	for i := len(digits) - 1; i >= 0; i-- {
		digits[i] = byte('0' + p%10)
		p /= 10
	}
	return string(digits[:])
}

// TimeKey returns a key that sorts by time, to the microsecond of events.
func TimeKey(t time.Time) string { return MicroKey(t.UnixMicro()) }

// MicroKey returns a key that sorts by microseconds, including those before 1970.
func MicroKey(micros int64) string {
	return PositionKey(domain.Position(micros) + 1<<62) // offset, so that none is negative
}
