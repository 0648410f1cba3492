package pebblelog

import (
	"strings"
	"unsafe"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// A read takes records out of the database by the page: the loop that walks
// through pebble's blocks and the one that a consumer decodes in do not push each
// other out of the processor's caches. A short read should not pay for a long
// one, so pages grow from the first to the last size.
const (
	firstPage = 4 << 10
	lastPage  = 128 << 10
	// pageLook bounds how many records are looked at after one that a filter
	// kept, before its consumer gets it.
	pageLook = 256
)

// page is copies of records in one piece of memory. The piece is never written
// to again, so views of it stay valid for as long as anyone holds them.
type page struct {
	piece []byte
	kept  []placed
	err   error // what came after them
}

type placed struct {
	position domain.Position
	end      int // in the piece
}

// pager walks through records. All must be there: a hole is corruption, not an
// end. It checks those that a filter looks into; the others are for the consumer
// to check, who may have a processor for it.
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
	// interrupted says why the walk must end.
	interrupted func() error
}

// fill makes the next page; one without records and error is past the end.
func (p *pager) fill(into *page) {
	into.piece, into.kept, into.err = nil, into.kept[:0], nil
	p.size = min(max(2*p.size, firstPage), lastPage)
	// A Builder makes the piece because it does not clear memory that is about to
	// be written to.
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
					break // it begins the next page
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

// record is the record in turn, and whether the filter keeps it.
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
