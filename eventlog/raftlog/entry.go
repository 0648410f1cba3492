package raftlog

import (
	"encoding/binary"
	"encoding/json"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/pebblelog"
)

// The bounds of an entry. A section that is larger has an entry of its own.
const (
	maxSections     = 1024
	entryBytes      = 1 << 20
	maxSectionBytes = 48 << 20 // of one append in total
)

// entryLayout is the version of what an entry holds:
//
//	0 u8 entryLayout
//	1 u64 proposer, little endian: the opening of a log that proposed it
//	9 uvarint number of the entry among the proposer's
//	… sections: uvarint length, then changes to the end of the section
//
// A section is what one call appends. Each of its changes is
//
//	u8 kind
//	text stream: uvarint length, bytes
//	limits: text, JSON
//	append: varint expected revision, uvarint After, uvarint events, and of each event
//	  16 bytes id, text type, uvarint version, varint microseconds since 1970,
//	  8 texts and uvarint term of the metadata, text payload
const entryLayout = 1

const (
	kindAppend = 1
	kindLimits = 2
)

// entry is a decoded entry.
type entry struct {
	proposer, number uint64
	sections         []int // number of changes of each
	changes          []pebblelog.Change
}

// appendEntryHead appends the head of an entry.
func appendEntryHead(dst []byte, proposer, number uint64) []byte {
	dst = binary.LittleEndian.AppendUint64(append(dst, entryLayout), proposer)
	return binary.AppendUvarint(dst, number)
}

// appendSection appends a section that was made by appendChange.
func appendSection(dst, section []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(section))), section...)
}

func appendText[T ~string | ~[]byte](dst []byte, text T) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(text))), text...)
}

func appendChange(dst []byte, c *pebblelog.Change) ([]byte, error) {
	if c.Limits != nil {
		text, err := json.Marshal(c.Limits)
		if err != nil {
			return dst, domain.Errorf(domain.Invalid, "metadata of %s: %w", c.Stream, err)
		}
		return appendText(appendText(append(dst, kindLimits), c.Stream), text), nil
	}
	dst = appendText(append(dst, kindAppend), c.Stream)
	dst = binary.AppendVarint(dst, int64(c.Expected))
	dst = binary.AppendUvarint(dst, uint64(c.After))
	dst = binary.AppendUvarint(dst, uint64(len(c.Events)))
	for i := range c.Events {
		dst = appendEvent(dst, &c.Events[i])
	}
	return dst, nil
}

func appendEvent(dst []byte, e *eventlog.Proposed) []byte {
	dst = appendText(append(dst, e.ID[:]...), e.Type)
	dst = binary.AppendUvarint(dst, uint64(e.Version))
	dst = binary.AppendVarint(dst, e.Time.UnixMicro())
	for _, text := range metaTexts(&e.Meta) {
		dst = appendText(dst, *text)
	}
	return appendText(binary.AppendUvarint(dst, e.Meta.Term), e.Data)
}

func metaTexts(m *domain.Meta) [8]*string {
	return [8]*string{&m.Command, &m.Causation, &m.Correlation, &m.Actor, &m.Node, &m.Policy, &m.Request, &m.Custom}
}

// decoder reads values from the front of a slice and notes whether one was malformed.
type decoder struct {
	left []byte
	bad  bool
}

func (d *decoder) fail() { d.bad, d.left = true, nil }

func (d *decoder) uvarint() uint64 {
	value, n := binary.Uvarint(d.left)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.left = d.left[n:]
	return value
}

func (d *decoder) varint() int64 {
	value, n := binary.Varint(d.left)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.left = d.left[n:]
	return value
}

func (d *decoder) bytes(n uint64) []byte {
	if n > uint64(len(d.left)) {
		d.fail()
		return nil
	}
	taken := d.left[:n:n]
	d.left = d.left[n:]
	return taken
}

func (d *decoder) text() string { return string(d.bytes(d.uvarint())) }

// count reads the number of values that follow, each of at least size bytes.
func (d *decoder) count(size int) int {
	n := d.uvarint()
	if n > uint64(len(d.left)/size) {
		d.fail()
		return 0
	}
	return int(n)
}

// decodeEntry decodes an entry. Payloads share memory with data. It does not check
// whether a log would store the changes.
func decodeEntry(data []byte) (e entry, err error) {
	if len(data) < 10 || data[0] != entryLayout {
		return e, domain.Errorf(domain.Corrupt, "entry of the replicated log: want layout %d and 10 bytes or more, found %d bytes", entryLayout, len(data))
	}
	e.proposer = binary.LittleEndian.Uint64(data[1:])
	d := decoder{left: data[9:]}
	e.number = d.uvarint()
	for len(d.left) > 0 {
		section := decoder{left: d.bytes(d.uvarint())}
		before := len(e.changes)
		for len(section.left) > 0 {
			e.changes = append(e.changes, section.change())
		}
		d.bad = d.bad || section.bad
		for i := before; i < len(e.changes) && before > 0; i++ {
			if c := &e.changes[i]; c.After > 0 {
				c.After += before
			}
		}
		e.sections = append(e.sections, len(e.changes)-before)
	}
	if d.bad {
		return entry{}, domain.Errorf(domain.Corrupt, "entry of the replicated log: a part of its %d bytes reaches beyond them or is no number", len(data))
	}
	return e, nil
}

func (d *decoder) change() (c pebblelog.Change) {
	kind := d.bytes(1)
	c.Stream = domain.StreamID(d.text())
	switch {
	case len(kind) == 1 && kind[0] == kindLimits:
		c.Limits = &eventlog.StreamMeta{}
		if err := json.Unmarshal(d.bytes(d.uvarint()), c.Limits); err != nil {
			d.fail()
		}
	case len(kind) == 1 && kind[0] == kindAppend:
		c.Expected = domain.Revision(d.varint())
		after := d.uvarint()
		if after > uint64(len(d.left)) {
			d.fail()
			return c
		}
		c.After = int(after)
		c.Events = make([]eventlog.Proposed, d.count(16+12))
		for i := range c.Events {
			d.event(&c.Events[i])
		}
	default:
		d.fail()
	}
	return c
}

func (d *decoder) event(e *eventlog.Proposed) {
	copy(e.ID[:], d.bytes(16))
	e.Type = d.text()
	e.Version = int(min(d.uvarint(), 1<<31-1))
	e.Time = time.UnixMicro(d.varint()).UTC()
	for _, text := range metaTexts(&e.Meta) {
		*text = d.text()
	}
	e.Meta.Term = d.uvarint()
	e.Data = d.bytes(d.uvarint())
}
