package store

import (
	"encoding/binary"
	"strings"

	"github.com/ringrift/rift/domain"
)

// The first byte of a key says what it holds:
//
//	m  the store itself: keyFormat, keyCheckpoint
//	u  name 00 generation(4)                    a generation of a projection: how far it is, whether it serves
//	r  name                                  a reactor: after which position it reacts
//	c  projection 00 generation(4) handler      counters of a projection's handler
//	c  00 handler                            counters of a reactor, and of decoding
//	o  position(8) reactor 00 index(4)       an outbox entry
//	t  projection 00 generation(4) table 00 key a row
//
// A generation is rebuilds(2) version(2). Numbers are big endian, so that keys
// sort as their numbers do.
const (
	spaceProjector = 'u'
	spaceReactor   = 'r'
	spaceCounter   = 'c'
	spaceOutbox    = 'o'
	spaceRows      = 't'
)

var (
	keyFormat     = []byte("mformat")
	keyCheckpoint = []byte("mcheckpoint")
)

// formatVersion is raised when an older build could misread the keys or values. Format 1
// stored outbox entries as JSON; format 2 had no generations. Both can still be read.
const formatVersion = 3

// generation identifies a stored build of a projection.
type generation struct {
	version  int // of its code; 0: there is none
	rebuilds int // requested rebuilds of that version
}

// The bounds of the halves of the number of a generation.
const (
	versionMax  = 1<<16 - 1
	rebuildsMax = 1<<16 - 1
)

// next returns the next generation of the same version.
func (e generation) next() generation {
	return generation{e.version, (e.rebuilds + 1) % (rebuildsMax + 1)}
}

func (e generation) number() uint32 { return uint32(e.rebuilds)<<16 | uint32(e.version) }

func generationOf(number uint32) generation {
	return generation{int(number & versionMax), int(number >> 16)}
}

func projectorKey(space byte, name string, e generation) []byte {
	key := append([]byte{space}, name...)
	key = append(key, 0)
	return binary.BigEndian.AppendUint32(key, e.number())
}

func tablePrefix(projection string, e generation, table string) []byte {
	key := append(projectorKey(spaceRows, projection, e), table...)
	return append(key, 0)
}

func reactorKey(name string) []byte { return append([]byte{spaceReactor}, name...) }

func outboxKey(c Cursor) []byte {
	key := binary.BigEndian.AppendUint64([]byte{spaceOutbox}, uint64(c.Position))
	key = append(key, c.Reactor...)
	key = append(key, 0)
	return binary.BigEndian.AppendUint32(key, uint32(c.Index))
}

// keyAfter returns the smallest key after all keys with the prefix, nil if there is none.
func keyAfter(prefix []byte) []byte {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] != 0xff {
			after := append([]byte(nil), prefix[:i+1]...)
			after[i]++
			return after
		}
	}
	return nil
}

// nameFault says what is wrong with the name of a projection, table or reactor. Names are
// parts of keys and are separated by zero bytes.
func nameFault(name string) string {
	switch {
	case name == "":
		return "want a name"
	case len(name) > 255:
		return "want a name of at most 255 bytes"
	case strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return "want a name without spaces and control characters"
	}
	return ""
}

// checkpoint is the position of a store and the event there, by which a log that is not
// the one the store was built from is recognized.
type checkpoint struct {
	position domain.Position
	micros   int64 // the event's time
	event    domain.EventID
}

func (c checkpoint) encode() []byte {
	value := binary.BigEndian.AppendUint64(make([]byte, 0, 32), uint64(c.position))
	value = binary.BigEndian.AppendUint64(value, uint64(c.micros))
	return append(value, c.event[:]...)
}

func decodeCheckpoint(value []byte) (checkpoint, error) {
	var c checkpoint
	if len(value) != 32 {
		return c, domain.Errorf(domain.Corrupt, "checkpoint: want 32 bytes, found %d", len(value))
	}
	c.position = domain.Position(binary.BigEndian.Uint64(value))
	c.micros = int64(binary.BigEndian.Uint64(value[8:]))
	copy(c.event[:], value[16:])
	return c, nil
}

// projectorRecord is the stored state of a generation of a projection.
type projectorRecord struct {
	serving  bool            // queries are answered from it
	inStep   bool            // its position is the checkpoint of the store; position is not used
	position domain.Position // of the last event in its rows
	begun    domain.Position // about the end of the log when its first event was folded
}

func (r projectorRecord) encode() []byte {
	var flags byte
	if r.serving {
		flags |= 1
	}
	if r.inStep {
		flags |= 2
	}
	value := binary.BigEndian.AppendUint64(append(make([]byte, 0, 17), flags), uint64(r.position))
	return binary.BigEndian.AppendUint64(value, uint64(r.begun))
}

func decodeProjectorRecord(value []byte) (projectorRecord, error) {
	if len(value) != 9 && len(value) != 17 {
		return projectorRecord{}, domain.Errorf(domain.Corrupt, "projection record: want 17 bytes, or the 9 of an earlier rift, found %d", len(value))
	}
	record := projectorRecord{
		serving: value[0]&1 != 0, inStep: value[0]&2 != 0,
		position: domain.Position(binary.BigEndian.Uint64(value[1:])),
	}
	if len(value) == 17 {
		record.begun = domain.Position(binary.BigEndian.Uint64(value[9:]))
	}
	return record, nil
}

// counters are the counters of a handler.
type counters struct {
	runs, failures, letters, overflow uint64
	last                              domain.Position
}

func (c counters) encode() []byte {
	value := make([]byte, 0, 40)
	for _, n := range [...]uint64{c.runs, c.failures, c.letters, c.overflow, uint64(c.last)} {
		value = binary.BigEndian.AppendUint64(value, n)
	}
	return value
}

func decodeCounters(value []byte) (counters, error) {
	if len(value) != 40 {
		return counters{}, domain.Errorf(domain.Corrupt, "handler counters: want 40 bytes, found %d", len(value))
	}
	n := func(i int) uint64 { return binary.BigEndian.Uint64(value[i*8:]) }
	return counters{runs: n(0), failures: n(1), letters: n(2), overflow: n(3), last: domain.Position(n(4))}, nil
}
