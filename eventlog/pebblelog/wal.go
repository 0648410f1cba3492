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

// Pebble treats the first part of its newest write-ahead log that it cannot read as the
// end, unless a later block says that more was synced. Such a part may be damage. So this
// package reads the files itself before pebble does, and continues behind parts that
// cannot be read.
//
// A file consists of blocks of 32 KiB, and a block of chunks. A batch is one chunk or
// several. A chunk begins with
//
//	 0 u32 masked CRC32C from offset 6 to its end
//	 4 u16 length of the payload
//	 6 u8  encoding: its format, and which part of a batch it is
//	 7 u32 number of the file, so that the remains of a recycled file are recognized
//	11 u64 how far the file was synced when the chunk was written (walSync only)
const (
	walBlock       = 32 << 10
	walHeader      = 11
	walSyncHeader  = walHeader + 8
	recyclableFull = 5 // then first, middle, last; then the same of walSync
	walSyncFull    = 9
	walSyncLast    = 12
)

// The part of a batch that a chunk has, as in its encoding.
const (
	fullPart = iota
	firstPart
	middlePart
	lastPart
)

// walName names one file of pebble's write-ahead log.
type walName struct {
	name   string
	number uint64
}

// walNames lists the files of the write-ahead log in the order in which they were written.
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

// walBatch is a batch in a write-ahead log.
type walBatch struct {
	repr   []byte // valid until the next batch is visited
	offset int64  // of the first chunk
	beyond bool   // pebble will not find it, because an earlier part of the file cannot be read
}

// walEnd is the end of a file.
type walEnd struct {
	broken []walBroken // ranges that cannot be read, before tail
	// tail is the offset at which a file ends that was not closed: what follows was not
	// written whole, or cannot be read. It is negative if the file was closed.
	tail int64
}

// walBroken is a range of a file that cannot be read.
type walBroken struct {
	from, to int64
	synced   bool // a later chunk says that the range was synced
}

// walReader reads one file.
type walReader struct {
	file   vfs.File
	number uint32
	block  [walBlock]byte
	n      int   // bytes in block
	at     int   // offset of the next chunk in block
	base   int64 // offset of block in the file

	batch   []byte
	start   int64 // offset of batch
	open    bool  // batch is not complete
	suspect int64 // offset of the range that cannot be read; negative: there is none
	// promised says that a later chunk says the range was synced.
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

// chunks visits the batches that end in the block. It returns done at the mark of the
// file's end.
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
		// There is no valid chunk here. Later chunks show whether this is the end or
		// damage.
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

// padding reports whether the rest of the block is zeros, and too short for a chunk.
func (r *walReader) padding() bool {
	rest := r.block[r.at:r.n]
	return len(rest) < walSyncHeader && (r.n == walBlock || len(rest) == 0) && len(bytes.Trim(rest, "\x00")) == 0
}

// walChunk is a chunk that can be read; size is 0 if there is none.
type walChunk struct {
	part    int
	payload []byte
	size    int
	synced  int64 // offset up to which the file was synced
	ends    bool  // it is the mark of the file's end
}

// chunk reads the chunk at an offset in the block.
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

// maskedSum returns a CRC32C as pebble stores it.
func maskedSum(sum uint32) uint32 { return (sum>>15 | sum<<17) + 0xa282ead8 }

// doubt begins a range that cannot be read at an offset, or at the start of the batch that
// contains the offset.
func (r *walReader) doubt(at int64) {
	if r.open {
		at = min(at, r.start)
		r.open = false
	}
	if r.suspect < 0 {
		r.suspect = at
	}
}

// settle ends the range that cannot be read, if there is one, at an offset.
func (r *walReader) settle(at int64, synced bool) {
	if r.suspect >= 0 {
		r.end.broken = append(r.end.broken, walBroken{r.suspect, at, synced})
		r.suspect = -1
	}
}

// take adds a chunk to its batch, and visits the batch when it is complete.
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
		return nil // the beginning of the batch is lost
	}
	if c.part == firstPart || c.part == middlePart {
		return nil
	}
	r.open = false
	r.settle(r.start, r.promised)
	r.promised = false
	return visit(walBatch{repr: r.batch, offset: r.start, beyond: len(r.end.broken) > 0})
}

// eachWritten visits the keys that a batch sets and merges.
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
