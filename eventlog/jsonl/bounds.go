package jsonl

import (
	"errors"
	"io"

	"github.com/ringrift/rift/domain"
)

// The bounds of the unpacked size of a compressed text: smallText bytes, or maxExpansion
// times its compressed size if that is more. Logs whose lines differ in little but their
// times compress to a hundredth to a fiftieth of their size.
const (
	smallText    = 256 << 20
	maxExpansion = 200
)

// expanding fails when a compressed text unpacks to more than its bound.
type expanding struct {
	io.Reader        // the unpacked text
	packed    *int64 // bytes of the compressed text read so far
	unpacked  int64
}

func (e *expanding) Read(p []byte) (int, error) {
	n, err := e.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = packedError(err)
	}
	e.unpacked += int64(n)
	if bound := max(smallText, maxExpansion**e.packed); e.unpacked > bound {
		return 0, domain.Errorf(domain.TooLarge,
			"want a text that unpacks to at most %d MiB or %d times its size, found more in %d packed bytes; unpack it first, if it is what it should be",
			smallText>>20, maxExpansion, *e.packed)
	}
	return n, err
}

// packedError returns the error of a compressed text that cannot be unpacked to its end.
func packedError(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return domain.Errorf(domain.Invalid, "the packed text is cut off: copy it again, or unpack what is there of it first (%w)", err)
	}
	return domain.Errorf(domain.Invalid, "the packed text is damaged, or something else follows it: copy it again, or unpack it first (%w)", err)
}

type counting struct {
	io.Reader
	count *int64
}

func (c counting) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	*c.count += int64(n)
	return n, err
}

// Records bounds what a decoder that holds a whole record in memory may read for one
// record. Beyond that, reads fail.
type Records struct {
	r           io.Reader
	bound, left int
}

// readAhead is the number of bytes that a decoder may read of the next record.
const readAhead = 64 << 10

// NewRecords bounds the records of a text, beginning with the first.
func NewRecords(r io.Reader, bound int) *Records {
	return &Records{r: r, bound: bound, left: bound + readAhead}
}

// Next begins the next record.
func (r *Records) Next() { r.left = r.bound + readAhead }

// Read reads within the bound of the current record.
func (r *Records) Read(p []byte) (int, error) {
	if r.left <= 0 {
		return 0, domain.Errorf(domain.TooLarge, "want at most %d bytes in a record, found more; take the record out of the text, or split it", r.bound)
	}
	n, err := r.r.Read(p[:min(len(p), r.left)])
	r.left -= n
	return n, err
}
