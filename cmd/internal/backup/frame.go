package backup

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"iter"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog/raftlog"
)

// A file of events is a sequence of frames. A frame is, numbers little endian,
//
//	 0 8 bytes that name the format
//	 8 u64 position of the first event
//	16 u32 number of events
//	20 u32 bytes of the records
//	24 u32 bytes of the packed records
//	28 u32 CRC32C of the packed records
//	32 u32 CRC32C of the bytes before
//	36 the records, packed by zstd
//
// and the records are, of each event, its length as an uvarint and raftlog.AppendRecord.
const (
	frameMagic = "riftbak1"
	headSize   = 36
)

// A frame ends with the record that reaches frameBytes, so it never has more than
// maxRecords bytes of records.
const (
	frameBytes = 1 << 20
	maxRecords = frameBytes + binary.MaxVarintLen64 + raftlog.MaxRecordBytes
	maxPacked  = maxRecords + 64<<10
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var packer = sync.OnceValues(func() (*zstd.Encoder, error) {
	return zstd.NewWriter(nil, zstd.WithEncoderConcurrency(2), zstd.WithEncoderCRC(false)) // a frame has a checksum of its own
})

var unpacker = sync.OnceValues(func() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(2), zstd.WithDecoderMaxMemory(maxRecords))
})

// head is the part of a frame before its records.
type head struct {
	first          domain.Position
	events         uint32
	size, packed   uint32
	sumOfThePacked uint32
}

// last returns the position of the last event.
func (h head) last() domain.Position { return h.first + domain.Position(h.events) - 1 }

// appendFrame appends a frame of records that begin at a position.
func appendFrame(dst []byte, first domain.Position, events int, records []byte) ([]byte, error) {
	zip, err := packer()
	if err != nil {
		return dst, domain.Errorf(domain.Internal, "pack events: %w", err)
	}
	start := len(dst)
	dst = zip.EncodeAll(records, append(dst, make([]byte, headSize)...))
	b, packed := dst[start:start+headSize], dst[start+headSize:]
	copy(b, frameMagic)
	binary.LittleEndian.PutUint64(b[8:], uint64(first))
	binary.LittleEndian.PutUint32(b[16:], uint32(events))
	binary.LittleEndian.PutUint32(b[20:], uint32(len(records)))
	binary.LittleEndian.PutUint32(b[24:], uint32(len(packed)))
	binary.LittleEndian.PutUint32(b[28:], crc32.Checksum(packed, castagnoli))
	binary.LittleEndian.PutUint32(b[32:], crc32.Checksum(b[:32], castagnoli))
	return dst, nil
}

// decodeHead reads the first headSize bytes of a frame.
func decodeHead(b []byte) (head, error) {
	if string(b[:8]) != frameMagic {
		return head{}, domain.Errorf(domain.Corrupt, "want a frame that begins with %q, found %q", frameMagic, b[:8])
	}
	want, found := binary.LittleEndian.Uint32(b[32:]), crc32.Checksum(b[:32], castagnoli)
	if want != found {
		return head{}, domain.Errorf(domain.Corrupt, "want checksum %08x of a frame's head, found %08x", want, found)
	}
	h := head{
		first:  domain.Position(binary.LittleEndian.Uint64(b[8:])),
		events: binary.LittleEndian.Uint32(b[16:]), size: binary.LittleEndian.Uint32(b[20:]),
		packed: binary.LittleEndian.Uint32(b[24:]), sumOfThePacked: binary.LittleEndian.Uint32(b[28:]),
	}
	if h.first == 0 || h.events == 0 || h.events > h.size || h.size > maxRecords || h.packed > maxPacked {
		return head{}, domain.Errorf(domain.Corrupt, "want a frame of at most %d bytes of events, found %d events from position %d in %d bytes, %d packed", maxRecords, h.events, h.first, h.size, h.packed)
	}
	return h, nil
}

// unpack returns the records of a frame.
func (h head) unpack(packed []byte) ([]byte, error) {
	if found := crc32.Checksum(packed, castagnoli); found != h.sumOfThePacked {
		return nil, domain.Errorf(domain.Corrupt, "want checksum %08x of a frame's events, found %08x", h.sumOfThePacked, found)
	}
	unzip, err := unpacker()
	if err != nil {
		return nil, domain.Errorf(domain.Internal, "unpack events: %w", err)
	}
	records, err := unzip.DecodeAll(packed, make([]byte, 0, h.size))
	if err != nil {
		return nil, domain.Errorf(domain.Corrupt, "unpack events: %w", err)
	}
	if len(records) != int(h.size) {
		return nil, domain.Errorf(domain.Corrupt, "want %d bytes of events in a frame, found %d", h.size, len(records))
	}
	return records, nil
}

// record is an event of a frame, with its bytes there.
type record struct {
	event domain.Envelope
	bytes []byte
}

// each yields the events of unpacked records, whose memory they share.
func (h head) each(records []byte) iter.Seq2[record, error] {
	return func(yield func(record, error) bool) {
		at := h.first
		for ; len(records) > 0; at++ {
			length, n := binary.Uvarint(records)
			if n <= 0 || length > uint64(len(records)-n) {
				yield(record{}, domain.Errorf(domain.Corrupt, "event %d reaches beyond its frame", at))
				return
			}
			one := records[n : n+int(length)]
			records = records[n+int(length):]
			e, err := raftlog.DecodeRecord(one)
			if err == nil && e.Position != at {
				err = domain.Errorf(domain.Corrupt, "want event %d, found event %d", at, e.Position)
			}
			if !yield(record{e, one}, err) || err != nil {
				return
			}
		}
		if at != h.last()+1 {
			yield(record{}, domain.Errorf(domain.Corrupt, "want a frame of %d events, found %d", h.events, at-h.first))
		}
	}
}

// openFrame returns the head and the records of a whole frame.
func openFrame(frame []byte) (head, []byte, error) {
	if len(frame) < headSize {
		return head{}, nil, domain.Errorf(domain.Corrupt, "want a frame of at least %d bytes, found %d", headSize, len(frame))
	}
	h, err := decodeHead(frame[:headSize])
	if err != nil {
		return h, nil, err
	}
	if found := len(frame) - headSize; found != int(h.packed) {
		return h, nil, domain.Errorf(domain.Corrupt, "want %d bytes in a frame after its head, found %d", h.packed, found)
	}
	records, err := h.unpack(frame[headSize:])
	return h, records, err
}

// chain is the digest of a log up to an event; the zero value is that of an empty log.
type chain [sha256.Size]byte

// add continues the digest. scratch is memory to use, and is returned.
func (c *chain) add(record, scratch []byte) []byte {
	scratch = append(append(scratch[:0], c[:]...), record...)
	*c = sha256.Sum256(scratch)
	return scratch
}

// String returns the digest in hexadecimal.
func (c chain) String() string { return hex.EncodeToString(c[:]) }

// parseChain reads what String returns.
func parseChain(text string) (c chain, err error) {
	if n, err := hex.Decode(c[:], []byte(text[:min(len(text), 2*len(c))])); err != nil || n != len(c) || len(text) != 2*len(c) {
		return chain{}, domain.Errorf(domain.Corrupt, "want a digest of %d hexadecimal digits, found %q", 2*len(c), domain.Clip(text, 80))
	}
	return c, nil
}
