package pebblelog

import (
	"sync/atomic"
)

// filters have the hashes of all ids and streams in the log. Nearly every appended event
// is new, and so is the stream of nearly every command that begins something; the filters
// save the look-ups of these. Pebble's own filters do not, because a Get does not use the
// filters of the lowest level, where most of a log is.
type filters struct {
	ids     *hashFilter // of (stream, event id)
	streams *hashFilter // of streams that have an event
}

// hashFilter reports whether a hash may have been added. It may say yes for a hash that
// was not added, but never no for one that was. One goroutine adds; any number may ask.
//
// It is a list of Bloom filters of 16 bits an entry, in which a look-up reads one cache
// line, and each of which is twice as large as the one before. At the bound the last one
// fills up, and more look-ups go to the database.
type hashFilter struct {
	layers  atomic.Pointer[[]*filterLayer]
	largest int // entries of the largest layer
}

type filterLayer struct {
	lines    [][8]atomic.Uint64
	capacity int
	count    int // used only by the goroutine that adds
}

const entriesPerLine = 512 / 16

func newHashFilter(entries, largest int) *hashFilter {
	f := &hashFilter{largest: largest}
	f.layers.Store(&[]*filterLayer{newFilterLayer(min(entries, largest))})
	return f
}

func newFilterLayer(entries int) *filterLayer {
	lines := max(1, (entries+entriesPerLine-1)/entriesPerLine)
	return &filterLayer{lines: make([][8]atomic.Uint64, lines), capacity: lines * entriesPerLine}
}

func (f *hashFilter) add(hash uint64) {
	layers := *f.layers.Load()
	last := layers[len(layers)-1]
	if last.count >= last.capacity && last.capacity < f.largest {
		last = newFilterLayer(2 * last.capacity)
		grown := append(layers[:len(layers):len(layers)], last)
		f.layers.Store(&grown)
	}
	last.count++
	line, bits := last.line(hash)
	for range 6 {
		line[bits>>6&7].Or(1 << (bits & 63))
		bits >>= 9
	}
}

// mayHold reports false only for hashes that were never added.
func (f *hashFilter) mayHold(hash uint64) bool {
	layers := *f.layers.Load()
	for i := len(layers) - 1; i >= 0; i-- {
		if layers[i].mayHold(hash) {
			return true
		}
	}
	return false
}

func (l *filterLayer) mayHold(hash uint64) bool {
	line, bits := l.line(hash)
	for range 6 {
		if line[bits>>6&7].Load()&(1<<(bits&63)) == 0 {
			return false
		}
		bits >>= 9
	}
	return true
}

// line returns the cache line for a hash, and the 54 bits that select bits within it.
func (l *filterLayer) line(hash uint64) (*[8]atomic.Uint64, uint64) {
	at := (hash >> 32) * uint64(len(l.lines)) >> 32
	return &l.lines[at], mix(hash)
}
