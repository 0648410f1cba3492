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
}

const maxTypeNames = 4096

func (t *typeNames) intern(text []byte) string {
	known := t.known.Load()
	if known != nil {
		if name, found := (*known)[string(text)]; found {
			return name
		}
	}
	name := strings.Clone(view(text))
	grown := map[string]string{}
	if known != nil {
		if len(*known) >= maxTypeNames {
			return name
		}
		grown = maps.Clone(*known)
	}
	grown[name] = name
	t.known.CompareAndSwap(known, &grown)
	return name
}
