package raft

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/raftlog"
)

// The stream of a copy is a sequence of chunks: their length, the records, each
// preceded by its own length, and the signature. A chunk of length 0 ends the
// stream.
const (
	chunkBytes = 256 << 10                                // size at which a chunk is sent
	maxChunk   = chunkBytes + raftlog.MaxRecordBytes + 16 // largest size of a chunk
)

// stream writes the records that a node copies.
func (h *Handler) stream(w http.ResponseWriter, r *http.Request, seal Seal) error {
	after, err := strconv.ParseUint(r.URL.Query().Get("after"), 10, 63)
	upTo, upErr := strconv.ParseUint(r.URL.Query().Get("up_to"), 10, 63)
	if err := errors.Join(err, upErr); err != nil || upTo < after {
		return domain.Errorf(domain.Invalid, "%s: want positions in after and up_to, found %q", r.URL.Path, r.URL.RawQuery)
	}
	select {
	case h.streams <- struct{}{}:
		defer func() { <-h.streams }()
	default:
		return domain.Errorf(domain.TooMany, "%d copies of the log are served already; ask again later", maxStreams)
	}
	head, err := h.log.Head(r.Context())
	if err != nil {
		return err
	}
	if head < domain.Position(upTo) {
		return domain.Errorf(domain.Unavailable, "want the log up to event %d, it ends at %d here", upTo, head)
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	control := http.NewResponseController(w)
	out := &chunks{seal: seal, write: func(chunk []byte) error {
		_ = control.SetWriteDeadline(time.Now().Add(streamPatience)) // not every writer supports it
		_, err := w.Write(chunk)
		return err
	}}
	var record []byte
	for e, err := range h.log.ReadAll(r.Context(), domain.Position(after)+1, eventlog.Forward, eventlog.Filter{To: domain.Position(upTo)}) {
		if err != nil {
			h.logger.Warn("a copy of the log ends early", "error", err)
			return nil //nolint:nilerr // the other node notices the missing end
		}
		record = raftlog.AppendRecord(record[:0], &e)
		if err := out.add(record); err != nil {
			return nil //nolint:nilerr // the other node is gone
		}
	}
	_ = out.end() // the other node notices the missing end
	return nil
}

// chunks writes a stream of records.
type chunks struct {
	seal  Seal
	write func([]byte) error
	part  uint64
	open  []byte // the records of the chunk being filled
}

// add appends a record.
func (c *chunks) add(record []byte) error {
	c.open = append(binary.AppendUvarint(c.open, uint64(len(record))), record...)
	if len(c.open) < chunkBytes {
		return nil
	}
	return c.flush()
}

// flush writes the current chunk.
func (c *chunks) flush() error {
	c.part++
	chunk := append(binary.AppendUvarint(nil, uint64(len(c.open))), c.open...)
	chunk = append(chunk, c.seal.of(c.part, c.open)...)
	c.open = c.open[:0]
	return c.write(chunk)
}

// end writes the remaining records and the last chunk.
func (c *chunks) end() error {
	if len(c.open) > 0 {
		if err := c.flush(); err != nil {
			return err
		}
	}
	return c.flush()
}

// streamPatience is how long the receiving node may take for one chunk.
const streamPatience = 30 * time.Second

// readChunks passes the records of a stream to take, each chunk after its signature
// was checked, until take returns false.
func readChunks(from io.Reader, seal Seal, take func(domain.Envelope) bool) error {
	in := bufio.NewReaderSize(from, 64<<10)
	early := func(err error) error {
		return domain.Errorf(domain.Unavailable, "copy of the log: it ends early: %w", err)
	}
	for part := uint64(1); ; part++ {
		size, err := binary.ReadUvarint(in)
		if err != nil {
			return early(err)
		}
		if size > maxChunk {
			return domain.Errorf(domain.TooLarge, "copy of the log: want chunks of at most %d bytes, found %d", maxChunk, size)
		}
		chunk := make([]byte, size+sha256.Size)
		if _, err := io.ReadFull(in, chunk); err != nil {
			return early(err)
		}
		records := chunk[:size]
		if err := seal.check(part, records, chunk[size:]); err != nil {
			return err
		}
		if size == 0 {
			return nil
		}
		for len(records) > 0 {
			length, n := binary.Uvarint(records)
			if n <= 0 || length > uint64(len(records)-n) {
				return domain.Errorf(domain.Corrupt, "copy of the log: a record is longer than its chunk")
			}
			e, err := raftlog.DecodeRecord(records[n : n+int(length)])
			if err != nil {
				return err
			}
			if !take(e) {
				return nil
			}
			records = records[n+int(length):]
		}
	}
}
