package pebblelog

import (
	"maps"
	"strings"
	"sync/atomic"
	"unsafe"
)

// chunk hands out copies of records from larger pieces of memory: one
// allocation for hundreds of events. A piece is never written to again where it
// was handed out, so the copies stay valid for as long as anyone holds them. A
// Builder makes the pieces because it does not clear memory that is about to be
// written to, which was a twentieth of a scan.
type chunk struct {
	piece strings.Builder
	size  int
}

// A short read should not pay for a long one: pieces grow from the first to the
// second size.
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

// typeNames keeps one string for each event type, so that a consumer who keeps
// types does not keep the memory of the events around them. It is read without
// a lock; there are a few hundred types at most, beyond its bound it copies.
type typeNames struct {
	known atomic.Pointer[map[string]string]
	// quick has most of them where their letters say, which is found sooner.
	quick [256]atomic.Pointer[string]
}

const maxTypeNames = 4096

// intern gives the string that is kept of a view.
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
