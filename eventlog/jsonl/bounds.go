package jsonl

import (
	"errors"
	"io"

	"github.com/ringrift/rift/domain"
)

// The bounds of what a packed text unpacks to: any text may have the first, a longer
// one so many times the bytes that it is packed in. Logs whose lines differ in
// little but their times take a fiftieth to a hundredth of their size packed.
const (
	smallText    = 256 << 20
	maxExpansion = 200
)

// expanding fails where more comes out of a packed text than its bound.
type expanding struct {
	io.Reader        // unpacks
	packed    *int64 // bytes read of the packed text
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

// packedError says of a packed text that it cannot be unpacked to its end.
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

// Records is a reader for decoders that hold a whole record in memory: it fails when
// more is read of one record than it may have.
type Records struct {
	r           io.Reader
	bound, left int
}

// readAhead is what a decoder may read of the record that comes next.
const readAhead = 64 << 10

// NewRecords bounds the records of a text, the first of them too.
func NewRecords(r io.Reader, bound int) *Records {
	return &Records{r: r, bound: bound, left: bound + readAhead}
}

// Next begins another record.
func (r *Records) Next() { r.left = r.bound + readAhead }

// Read reads on, within the bound of the record.
func (r *Records) Read(p []byte) (int, error) {
	if r.left <= 0 {
		return 0, domain.Errorf(domain.TooLarge, "want at most %d bytes in a record, found more; take the record out of the text, or split it", r.bound)
	}
	n, err := r.r.Read(p[:min(len(p), r.left)])
	r.left -= n
	return n, err
}
