package pebblelog

import (
	"encoding/binary"
	"hash/crc32"
	"math/bits"
	"strings"
	"time"
	"unsafe"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// A record is one event as it is stored, numbers little endian:
//
//	 0 u32 CRC32C from offset 13 on, combined with a hash of the bytes between and of the position
//	 4 u8  layout of the record, recordLayout
//	 5 u64 revision
//	13 i64 time, microseconds since 1970 UTC
//	21     event id, 16 bytes
//	37 u16 schema version
//	39 u8  bit set of the metadata fields that are there
//	40 u16 length of the stream id
//	42 u8  length of the type
//	43     lengths of the metadata strings that are there, the term and the length of the request text, uvarints
//	…      one area of text: stream id, type, metadata strings, request text
//	…      payload, to the end
//
// The bytes before offset 13 are added to the checksum last, because the sequencer assigns
// revision and position last. So the goroutine of the caller computes the checksum of the
// rest.
const (
	recordLayout = 1
	sealedSize   = 13 // what seal writes
	fixedSize    = 43
	metaStrings  = 6
	termBit      = 1 << metaStrings
	requestBit   = termBit << 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// encodeRecord appends the record of an event to dst. seal completes it.
func encodeRecord(dst []byte, stream domain.StreamID, event *eventlog.Proposed) []byte {
	start := len(dst)
	var head [fixedSize]byte
	head[4] = recordLayout
	binary.LittleEndian.PutUint64(head[13:], uint64(event.Time.UnixMicro()))
	copy(head[21:], event.ID[:])
	binary.LittleEndian.PutUint16(head[37:], uint16(event.Version))
	texts := metaTexts(&event.Meta)
	for i, text := range texts {
		if *text != "" {
			head[39] |= 1 << i
		}
	}
	if event.Meta.Term != 0 {
		head[39] |= termBit
	}
	request := requestText(&event.Meta)
	if request != "" {
		head[39] |= requestBit
	}
	binary.LittleEndian.PutUint16(head[40:], uint16(len(stream)))
	head[42] = uint8(len(event.Type))
	dst = append(dst, head[:]...)
	for _, text := range texts {
		if *text != "" {
			dst = binary.AppendUvarint(dst, uint64(len(*text)))
		}
	}
	if event.Meta.Term != 0 {
		dst = binary.AppendUvarint(dst, event.Meta.Term)
	}
	if request != "" {
		dst = binary.AppendUvarint(dst, uint64(len(request)))
	}
	dst = append(append(dst, stream...), event.Type...)
	for _, text := range texts {
		dst = append(dst, *text...)
	}
	dst = append(append(dst, request...), event.Data...)
	binary.LittleEndian.PutUint32(dst[start:], crc32.Checksum(dst[start+sealedSize:], castagnoli))
	return dst
}

// recordSize returns an upper bound of the size of a record in bytes.
func recordSize(stream domain.StreamID, event *eventlog.Proposed) int {
	size := fixedSize + len(stream) + len(event.Type) + len(event.Data) + len(event.Meta.Request) + len(event.Meta.Custom) + 1 + 10*(metaStrings+2)
	for _, text := range metaTexts(&event.Meta) {
		size += len(*text)
	}
	return size
}

func metaTexts(meta *domain.Meta) [metaStrings]*string {
	return [metaStrings]*string{&meta.Command, &meta.Causation, &meta.Correlation, &meta.Actor, &meta.Node, &meta.Policy}
}

// requestText returns the text that the last bit of the metadata fields stands for: the
// request and, after a line feed, the custom metadata if there is any. It is empty if
// there is no request.
func requestText(meta *domain.Meta) string {
	if meta.Custom == "" {
		return meta.Request
	}
	return meta.Request + "\n" + meta.Custom
}

// seal writes the revision, the position and the checksum of a record. A sealed record
// must be encoded again before it is sealed for another place.
func seal(record []byte, revision domain.Revision, position domain.Position) {
	sum := binary.LittleEndian.Uint32(record)
	binary.LittleEndian.PutUint64(record[5:], uint64(revision))
	binary.LittleEndian.PutUint32(record, sealSum(sum, record, position))
}

// sealSum adds the position, and the bytes before sealedSize, to the checksum of the other
// bytes.
func sealSum(sum uint32, record []byte, position domain.Position) uint32 {
	place := mix(uint64(recordRevision(record)) + uint64(record[4])<<56)
	return sum ^ uint32(mix(place+uint64(position))>>32)
}

// checkRecord verifies the checksum, and the lengths that recordKeys and readers of the
// fixed fields rely on.
func checkRecord(record []byte, position domain.Position) error {
	if len(record) < fixedSize {
		return domain.Errorf(domain.Corrupt, "event %d: want a record of at least %d bytes, found %d", position, fixedSize, len(record))
	}
	want := binary.LittleEndian.Uint32(record)
	found := sealSum(crc32.Checksum(record[sealedSize:], castagnoli), record, position)
	if want != found {
		return domain.Errorf(domain.Corrupt, "event %d: want checksum %08x, found %08x", position, want, found)
	}
	if record[4] != recordLayout {
		return domain.Errorf(domain.Corrupt, "event %d: want record layout %d, found %d", position, recordLayout, record[4])
	}
	return nil
}

func recordRevision(record []byte) domain.Revision {
	return domain.Revision(binary.LittleEndian.Uint64(record[5:]))
}

func recordMicros(record []byte) int64 { return int64(binary.LittleEndian.Uint64(record[13:])) }

func recordID(record []byte) domain.EventID { return domain.EventID(record[21:37]) }

// recordKeys returns the stream and the type of a checked record, for filters, without
// decoding the rest. The strings are views of the record.
func recordKeys(record []byte, position domain.Position) (stream domain.StreamID, eventType string, err error) {
	at := fixedSize
	for range bits.OnesCount8(record[39]) {
		_, n := binary.Uvarint(record[at:])
		if n <= 0 {
			return "", "", malformed(position, "a length in the metadata")
		}
		at += n
	}
	streamEnd := at + int(binary.LittleEndian.Uint16(record[40:]))
	typeEnd := streamEnd + int(record[42])
	if typeEnd > len(record) {
		return "", "", malformed(position, "the text")
	}
	return domain.StreamID(view(record[at:streamEnd])), view(record[streamEnd:typeEnd]), nil
}

// decodeRecord fills an envelope from a checked record without copying: the strings and
// Data are views of the record, which must not change afterwards.
func decodeRecord(e *domain.Envelope, record []byte, position domain.Position, types *typeNames) error {
	e.Position = position
	e.Revision = recordRevision(record)
	e.ID = recordID(record)
	e.Version = int(binary.LittleEndian.Uint16(record[37:]))
	e.Time = time.UnixMicro(recordMicros(record)).UTC()
	e.Event = nil
	at, there := fixedSize, record[39]
	var lengths [metaStrings]int
	streamSize, typeSize := int(binary.LittleEndian.Uint16(record[40:])), int(record[42])
	text := streamSize + typeSize
	for rest := there & (termBit - 1); rest != 0; rest &= rest - 1 {
		length, n := uvarint(record[at:])
		if n <= 0 || length > uint64(len(record)) {
			return malformed(position, "a length in the metadata")
		}
		at += n
		lengths[bits.TrailingZeros8(rest)] = int(length)
		text += int(length)
	}
	e.Meta.Term = 0
	if there&termBit != 0 {
		term, n := uvarint(record[at:])
		if n <= 0 {
			return malformed(position, "the term")
		}
		at += n
		e.Meta.Term = term
	}
	request := 0
	if there&requestBit != 0 {
		length, n := uvarint(record[at:])
		if n <= 0 || length > uint64(len(record)) {
			return malformed(position, "a length in the metadata")
		}
		at += n
		request = int(length)
		text += request
	}
	if at+text > len(record) {
		return malformed(position, "the text")
	}
	e.Data = record[at+text : len(record) : len(record)]
	words := view(record[at : at+text])
	stream, words := words[:streamSize], words[streamSize:]
	e.Stream = domain.StreamID(stream)
	name, words := words[:typeSize], words[typeSize:]
	if e.Type != name { // successive events often have the same type
		e.Type = types.intern(name)
	}
	m := &e.Meta
	m.Command, words = words[:lengths[0]], words[lengths[0]:]
	m.Causation, words = words[:lengths[1]], words[lengths[1]:]
	m.Correlation, words = words[:lengths[2]], words[lengths[2]:]
	m.Actor, words = words[:lengths[3]], words[lengths[3]:]
	m.Node, words = words[:lengths[4]], words[lengths[4]:]
	m.Policy = words[:lengths[5]]
	m.Request, m.Custom, _ = strings.Cut(words[lengths[5]:lengths[5]+request], "\n")
	return nil
}

// uvarint is binary.Uvarint with a fast path for short numbers.
func uvarint(b []byte) (uint64, int) {
	if len(b) > 0 && b[0] < 0x80 {
		return uint64(b[0]), 1
	}
	return binary.Uvarint(b)
}

func malformed(position domain.Position, what string) error {
	return domain.Errorf(domain.Corrupt, "event %d: %s reaches beyond the record", position, what)
}

// view returns a string that shares the bytes, which must not change afterwards.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
