package pebblelog

import (
	"encoding/binary"

	"github.com/cockroachdb/pebble/v2"
)

// idFilter says of most identities that are not in the log that they are not,
// without asking the database: nearly every event appended is new, and a
// look-up for each would be half the work of the sequencer. It may say yes to
// an identity that is not there, never no to one that is.
//
// It is a list of Bloom filters of 16 bits for each entry, one cache line for
// each question, every next one twice as large. At its bound the last one fills
// up and more questions go to the database.
type idFilter struct {
	layers  []idLayer
	largest int // entries of the largest layer
}

type idLayer struct {
	lines    [][8]uint64
	capacity int
	count    int
}

const entriesPerLine = 512 / 16

func newIDFilter(entries, largest int) *idFilter {
	f := &idFilter{largest: largest}
	f.grow(min(entries, largest))
	return f
}

func (f *idFilter) grow(entries int) {
	lines := max(1, (entries+entriesPerLine-1)/entriesPerLine)
	f.layers = append(f.layers, idLayer{lines: make([][8]uint64, lines), capacity: lines * entriesPerLine})
}

func (f *idFilter) add(hash uint64) {
	last := &f.layers[len(f.layers)-1]
	if last.count >= last.capacity && last.capacity < f.largest {
		f.grow(2 * last.capacity)
		last = &f.layers[len(f.layers)-1]
	}
	last.count++
	line, bits := last.line(hash)
	for range 6 {
		line[bits>>6&7] |= 1 << (bits & 63)
		bits >>= 9
	}
}

// mayHold is false for what was never added.
func (f *idFilter) mayHold(hash uint64) bool {
	for i := len(f.layers) - 1; i >= 0; i-- {
		if f.layers[i].mayHold(hash) {
			return true
		}
	}
	return false
}

func (l *idLayer) mayHold(hash uint64) bool {
	line, bits := l.line(hash)
	for range 6 {
		if line[bits>>6&7]&(1<<(bits&63)) == 0 {
			return false
		}
		bits >>= 9
	}
	return true
}

// line picks the cache line of a hash and the 54 bits that choose within it.
func (l *idLayer) line(hash uint64) (*[8]uint64, uint64) {
	at := (hash >> 32) * uint64(len(l.lines)) >> 32
	return &l.lines[at], mix(hash)
}

// gatherIDs makes a filter of every identity in the database.
func gatherIDs(db *pebble.DB, entries, largest int, stop <-chan struct{}) (f *idFilter, err error) {
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte{identityPrefix}, UpperBound: []byte{identityPrefix + 1}})
	if err != nil {
		return nil, err
	}
	defer closeAfter(it, &err)
	f = newIDFilter(entries+entries/2, largest)
	n := 0
	for valid := it.First(); valid; valid = it.Next() {
		if n++; n%4096 == 0 {
			select {
			case <-stop:
				return nil, errClosed()
			default:
			}
		}
		if key := it.Key(); len(key) == 9 {
			f.add(binary.BigEndian.Uint64(key[1:]))
		}
	}
	return f, it.Error()
}
