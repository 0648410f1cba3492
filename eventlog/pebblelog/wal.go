package pebblelog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/batchrepr"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Pebble takes the first part of its newest write-ahead log that it cannot read
// for the log's end, unless a later block says that more was synced. That part may
// be damage: so the log reads these files itself before pebble does, and goes on
// behind what cannot be read.
//
// A file is blocks of 32 KiB of chunks that do not cross from one to the next; a
// batch is one chunk or several. A chunk begins with
//
//	 0 u32 masked CRC32C from offset 6 to its end
//	 4 u16 length of the payload
//	 6 u8  encoding: its format, and which part of a batch it is
//	 7 u32 number of the file, so that what an earlier use left is told apart
//	11 u64 how far the file was synced when the chunk was written (walSync only)
const (
	walBlock       = 32 << 10
	walHeader      = 11
	walSyncHeader  = walHeader + 8
	recyclableFull = 5 // then first, middle, last; then the same of walSync
	walSyncFull    = 9
	walSyncLast    = 12
)

// The parts of a batch, as encodings count them.
const (
	fullPart = iota
	firstPart
	middlePart
	lastPart
)

// walName is one file of pebble's write-ahead log.
type walName struct {
	name   string
	number uint64
}

// walNames lists the write-ahead log in the order in which it was written.
func walNames(fs vfs.FS, dir string) ([]walName, error) {
	names, err := fs.List(dir)
	if err != nil {
		return nil, err
	}
	var found []walName
	for _, name := range names {
		stem, isWAL := strings.CutSuffix(name, ".log")
		if number, err := strconv.ParseUint(stem, 10, 64); isWAL && err == nil {
			found = append(found, walName{name, number})
		}
	}
	slices.SortFunc(found, func(a, b walName) int { return int(int64(a.number) - int64(b.number)) })
	return found, nil
}

// walBatch is a batch as pebble wrote it ahead.
type walBatch struct {
	repr   []byte // valid until the next one is visited
	offset int64  // of its first chunk
	beyond bool   // pebble will not find it: a part of the file before it cannot be read
}

// walEnd is how a file ended.
type walEnd struct {
	broken []walBroken // what cannot be read and is not behind the end
	// tail is where the file ends without the mark of its end: what follows was
	// never written whole, or cannot be read. Negative in a file that was closed.
	tail int64
}

// walBroken is a range of a file that cannot be read.
type walBroken struct {
	from, to int64
	synced   bool // a later chunk says that it was synced
}

// walReader reads one file.
type walReader struct {
	file   vfs.File
	number uint32
	block  [walBlock]byte
	n      int   // bytes of block
	at     int   // the next chunk of block
	base   int64 // offset of block in the file

	batch   []byte
	start   int64 // of batch
	open    bool  // batch lacks parts
	suspect int64 // where what could not be read begins; negative: nowhere
	// promised tells that a chunk behind it says it was synced.
	promised bool
	end      walEnd
}

// readWAL visits every batch of a file that can be read.
func readWAL(fs vfs.FS, dir string, wal walName, visit func(walBatch) error) (end walEnd, err error) {
	file, err := fs.Open(fs.PathJoin(dir, wal.name))
	if err != nil {
		return walEnd{}, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	r := &walReader{file: file, number: uint32(wal.number), suspect: -1}
	for {
		if err := r.fill(); err != nil {
			return r.end, err
		}
		if r.n == 0 {
			r.doubt(r.base)
			r.end.tail = r.suspect
			return r.end, nil
		}
		if done, err := r.chunks(visit); err != nil || done {
			return r.end, err
		}
		r.base += int64(r.n)
	}
}

func (r *walReader) fill() (err error) {
	r.at = 0
	r.n, err = io.ReadFull(r.file, r.block[:])
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return err
}

// chunks visits the batches that end in the block; done tells that the file ends
// here in good order.
func (r *walReader) chunks(visit func(walBatch) error) (done bool, err error) {
	for {
		c := r.chunk(r.at)
		switch {
		case c.ends:
			if r.open {
				r.doubt(r.start)
			}
			r.settle(r.base+int64(r.at), true)
			r.end.tail = -1
			return true, nil
		case c.size > 0:
			if err := r.take(c, visit); err != nil {
				return false, err
			}
			r.at += c.size
			continue
		case r.padding():
			return false, nil
		}
		// Not a chunk: the end, or damage. What follows tells.
		r.doubt(r.base + int64(r.at))
		for r.at++; r.at < r.n; r.at++ {
			if c := r.chunk(r.at); c.size > 0 || c.ends {
				break
			}
		}
		if r.at >= r.n {
			return false, nil
		}
	}
}

// padding tells zeros at the end of a block that are too few for a chunk.
func (r *walReader) padding() bool {
	rest := r.block[r.at:r.n]
	return len(rest) < walSyncHeader && (r.n == walBlock || len(rest) == 0) && len(bytes.Trim(rest, "\x00")) == 0
}

// walChunk is a chunk that can be read; size is 0 when there is none.
type walChunk struct {
	part    int
	payload []byte
	size    int
	synced  int64 // the file was synced up to here
	ends    bool  // the mark of the file's end
}

// chunk reads what begins in the block at an offset.
func (r *walReader) chunk(at int) (c walChunk) {
	rest := r.block[at:r.n]
	if len(rest) < walHeader || rest[6] < recyclableFull || rest[6] > walSyncLast {
		return c
	}
	part, header := int(rest[6])-recyclableFull, walHeader
	if rest[6] >= walSyncFull {
		part, header = int(rest[6])-walSyncFull, walSyncHeader
	}
	number := binary.LittleEndian.Uint32(rest[7:])
	length := header + int(binary.LittleEndian.Uint16(rest[4:]))
	if number != r.number && number != r.number+1 || length > len(rest) ||
		binary.LittleEndian.Uint32(rest) != maskedSum(crc32.Checksum(rest[6:length], castagnoli)) {
		return c
	}
	c = walChunk{part: part, payload: rest[header:length], size: length, ends: number != r.number}
	if header == walSyncHeader {
		c.synced = int64(binary.LittleEndian.Uint64(rest[walHeader:]))
	}
	return c
}

// maskedSum is how pebble stores a CRC32C.
func maskedSum(sum uint32) uint32 { return (sum>>15 | sum<<17) + 0xa282ead8 }

// doubt begins an unreadable range at an offset, or at the start of the batch that
// the offset lies in.
func (r *walReader) doubt(at int64) {
	if r.open {
		at = min(at, r.start)
		r.open = false
	}
	if r.suspect < 0 {
		r.suspect = at
	}
}

// settle ends the unreadable range, if there is one, at an offset.
func (r *walReader) settle(at int64, synced bool) {
	if r.suspect >= 0 {
		r.end.broken = append(r.end.broken, walBroken{r.suspect, at, synced})
		r.suspect = -1
	}
}

// take adds a chunk to its batch, which is visited when it is whole.
func (r *walReader) take(c walChunk, visit func(walBatch) error) error {
	at := r.base + int64(r.at)
	begins := c.part == fullPart || c.part == firstPart
	if begins == r.open {
		r.doubt(at)
	}
	if r.suspect >= 0 && c.synced > r.suspect {
		r.promised = true
	}
	switch {
	case begins:
		r.batch, r.start, r.open = append(r.batch[:0], c.payload...), at, true
	case r.open:
		r.batch = append(r.batch, c.payload...)
	default:
		return nil // the rest of a batch whose beginning is lost
	}
	if c.part == firstPart || c.part == middlePart {
		return nil
	}
	r.open = false
	r.settle(r.start, r.promised)
	r.promised = false
	return visit(walBatch{repr: r.batch, offset: r.start, beyond: len(r.end.broken) > 0})
}

// eachWritten visits what a batch sets and merges.
func eachWritten(repr []byte, visit func(seq uint64, key, value []byte) error) error {
	header, ok := batchrepr.ReadHeader(repr)
	if !ok {
		return batchrepr.ErrInvalidBatch
	}
	entries := batchrepr.Read(repr)
	for seq := uint64(header.SeqNum); ; seq++ {
		kind, key, value, ok, err := entries.Next()
		if err != nil || !ok {
			return err
		}
		if kind != pebble.InternalKeyKindSet && kind != pebble.InternalKeyKindMerge {
			continue
		}
		if err := visit(seq, key, value); err != nil {
			return err
		}
	}
}
