package projections

import (
	"time"

	"github.com/ringrift/rift/domain"
)

// Pair joins two names into one key; no name holds a NUL.
func Pair(a, b string) string { return a + "\x00" + b }

// KeyDigits is how many digits PositionKey and TimeKey write.
const KeyDigits = 20

// PositionKey makes keys sort as positions do.
func PositionKey(p domain.Position) string {
	var digits [KeyDigits]byte
	for i := len(digits) - 1; i >= 0; i-- {
		digits[i] = byte('0' + p%10)
		p /= 10
	}
	return string(digits[:])
}

// TimeKey makes keys sort as moments do, to the microsecond that events keep.
func TimeKey(t time.Time) string { return MicroKey(t.UnixMicro()) }

// MicroKey orders microseconds, before 1970 too, as text.
func MicroKey(micros int64) string {
	return PositionKey(domain.Position(micros) + 1<<62) // moved up, so that none is below zero
}
