package pebblelog

import (
	"maps"
	"strings"
	"sync/atomic"
	"unsafe"
)

// chunk allocates copies of records from larger pieces of memory, one allocation for
// hundreds of events. The part of a piece that was handed out is not written to again, so
// that copies stay valid while they are referenced. Pieces are made by a strings.Builder
// because that does not clear the memory first, which took a twentieth of a scan.
type chunk struct {
	piece strings.Builder
	size  int
}

// The first piece is small, so that a short read costs little; pieces grow to the second
// size.
const (
	firstChunk = 4 << 10
	lastChunk  = 128 << 10
)

func (c *chunk) copy(record []byte) []byte {
	start := c.piece.Len()
	if len(record) > c.piece.Cap()-start {
		if len(record) > lastChunk/4 {
			return append([]byte(nil), record...)
		}
		c.size = min(max(2*c.size, firstChunk), lastChunk)
		c.piece.Reset()
		c.piece.Grow(max(c.size, len(record)))
		start = 0
	}
	c.piece.Write(record)
	return unsafe.Slice(unsafe.StringData(c.piece.String()[start:]), len(record))
}

// typeNames keeps one string for each event type, so that a consumer that keeps types does
// not keep the memory of the events. It is read without a lock. It is meant for a few
// hundred types; beyond its bound it copies each time.
type typeNames struct {
	known atomic.Pointer[map[string]string]
	// quick caches names at an index computed from their letters, because a look-up there
	// is faster than in the map.
	quick [256]atomic.Pointer[string]
}

const maxTypeNames = 4096

// intern returns the kept string equal to text, which may be a view of a record.
func (t *typeNames) intern(text string) string {
	slot := &t.quick[slotOf(text)]
	if name := slot.Load(); name != nil && *name == text {
		return *name
	}
	known := t.known.Load()
	if known != nil {
		if name, found := (*known)[text]; found {
			return name
		}
	}
	name := strings.Clone(text)
	grown := map[string]string{}
	if known != nil {
		if len(*known) >= maxTypeNames {
			return name
		}
		grown = maps.Clone(*known)
	}
	grown[name] = name
	if t.known.CompareAndSwap(known, &grown) {
		slot.CompareAndSwap(nil, &name)
	}
	return name
}

func slotOf(text string) uint8 {
	n := len(text)
	if n == 0 {
		return 0
	}
	return uint8(n) + 7*text[n-1] + 31*text[n/2] + 61*text[n/4]
}
