package pebblelog

import (
	"strings"
	"unsafe"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// The sizes of pages, in bytes. A read copies records out of the database by the page, so
// that the loop over pebble's blocks and the loop that decodes do not evict each other
// from the processor's caches. Pages grow from the first to the last size, so that a short
// read costs little.
const (
	firstPage = 4 << 10
	lastPage  = 128 << 10
	// pageLook is the number of records that are looked at after one that the filter kept,
	// before the consumer gets it.
	pageLook = 256
)

// page holds copies of records in one piece of memory. The piece is not written to again,
// so that views of it stay valid while they are referenced.
type page struct {
	piece []byte
	kept  []placed
	err   error // the error after the records
}

type placed struct {
	position domain.Position
	end      int // offset in the piece
}

// pager reads records in order. A missing position is corruption, not an end. It checks
// the records that the filter looks into. The consumer checks the others, because it may
// run on another processor.
type pager struct {
	it     *pebble.Iterator
	move   func() bool
	valid  bool
	want   domain.Position
	step   domain.Position
	left   domain.Position
	filter eventlog.Filter
	all    bool
	size   int
	// interrupted returns the reason to end the read; nil: go on.
	interrupted func() error
}

// fill reads the next page. A page without records and without error is past the end.
func (p *pager) fill(into *page) {
	into.piece, into.kept, into.err = nil, into.kept[:0], nil
	p.size = min(max(2*p.size, firstPage), lastPage)
	// A strings.Builder makes the piece because it does not clear the memory first.
	var piece strings.Builder
	for looked := 0; p.left > 0 && (looked < pageLook || p.all || len(into.kept) == 0); looked++ {
		if looked%interruptEvery == 0 {
			if into.err = p.interrupted(); into.err != nil {
				break
			}
		}
		record, keep, err := p.record()
		if err != nil {
			into.err = err
			break
		}
		if keep {
			if len(record) > piece.Cap()-piece.Len() {
				if piece.Len() > 0 {
					break // the record begins the next page
				}
				piece.Grow(max(p.size, len(record)))
			}
			piece.Write(record)
			into.kept = append(into.kept, placed{p.want, piece.Len()})
		}
		p.left--
		p.want += p.step
		p.valid = p.move()
	}
	into.piece = unsafe.Slice(unsafe.StringData(piece.String()), piece.Len())
}

// record returns the current record, and whether the filter keeps it.
func (p *pager) record() (record []byte, keep bool, err error) {
	if !p.valid {
		if err := p.it.Error(); err != nil {
			return nil, false, err
		}
		return nil, false, domain.Errorf(domain.Corrupt, "event %d: want a record, found none", p.want)
	}
	if position, ok := recordKeyPosition(p.it.Key()); !ok || position != p.want {
		return nil, false, domain.Errorf(domain.Corrupt, "event %d: want a record, found key %x", p.want, p.it.Key())
	}
	if record, err = p.it.ValueAndErr(); err != nil {
		return nil, false, err
	}
	if p.all {
		return record, true, nil
	}
	if err := checkRecord(record, p.want); err != nil {
		return nil, false, err
	}
	stream, eventType, err := recordKeys(record, p.want)
	return record, err == nil && p.filter.Keeps(stream, eventType), err
}
