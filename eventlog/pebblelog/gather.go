package pebblelog

import (
	"bytes"
	"encoding/binary"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ringrift/rift/domain"
)

// missed has the hashes that were appended while the filters were being made.
type missed struct{ ids, streams []uint64 }

// takeFilters begins to use the filters once they are made.
func (s *sequencer) takeFilters() {
	select {
	case s.filters = <-s.making:
	default:
		return
	}
	if s.filters != nil {
		for _, hash := range s.missed.ids {
			s.filters.ids.add(hash)
		}
		for _, hash := range s.missed.streams {
			s.filters.streams.add(hash)
		}
		s.log.known.Store(s.filters)
	}
	s.making, s.missed = nil, missed{}
}

// gather makes the filters in the background during the first appends. They contain
// everything that was applied before their iterators were made; the sequencer notes what
// is appended later.
func (s *sequencer) gather(st *store, entries int) {
	size := s.log.options.sizes()
	if entries == 0 {
		s.filters = &filters{ids: newHashFilter(size.ids, size.maxIDs), streams: newHashFilter(size.streams, size.maxIDs)}
		s.log.known.Store(s.filters)
		return
	}
	if !st.use() {
		return
	}
	making := make(chan *filters, 1)
	s.making = making
	s.log.helpers.Go(func() {
		defer st.release()
		made, err := gatherFilters(st.db, max(entries, size.ids), size, s.log.closing)
		if err != nil {
			s.log.options.Logger.Warn("log identities are looked up one by one", "error", err)
			made = nil
		}
		if s.log.options.gathered != nil {
			s.log.options.gathered()
		}
		making <- made
	})
}

// note adds an event to the filters, or to missed.
func (s *sequencer) note(stream domain.StreamID, revision domain.Revision, hash uint64) {
	switch {
	case s.filters != nil:
		s.filters.ids.add(hash)
		if revision == 0 {
			s.filters.streams.add(streamHash(stream))
		}
	case s.making != nil:
		s.missed.ids = append(s.missed.ids, hash)
		if revision == 0 {
			s.missed.streams = append(s.missed.streams, streamHash(stream))
		}
	}
}

// gatherFilters makes the filters of the content of the database.
func gatherFilters(db *pebble.DB, entries int, size sizes, stop <-chan struct{}) (*filters, error) {
	f := &filters{ids: newHashFilter(entries+entries/2, size.maxIDs), streams: newHashFilter(size.streams, size.maxIDs)}
	err := gather(db, identityPrefix, stop, func(it *pebble.Iterator) bool {
		if key := it.Key(); len(key) == 9 {
			f.ids.add(binary.BigEndian.Uint64(key[1:]))
		}
		return it.Next()
	})
	if err != nil {
		return nil, err
	}
	var past []byte
	return f, gather(db, streamPrefix, stop, func(it *pebble.Iterator) bool {
		key := it.Key()
		if len(key) < 11 {
			return it.Next()
		}
		name := key[1 : len(key)-9]
		f.streams.add(streamHash(name))
		// Most streams are short, and Next is cheaper than a seek.
		past = append(append(append(past[:0], streamPrefix), name...), 0)
		for range 8 {
			if !it.Next() || !bytes.HasPrefix(it.Key(), past) {
				return it.Valid()
			}
		}
		past[len(past)-1] = 1
		return it.SeekGE(past)
	})
}

// gather calls visit on the keys of a range. visit moves the iterator and returns false at
// the end.
func gather(db *pebble.DB, prefix byte, stop <-chan struct{}, visit func(*pebble.Iterator) bool) (err error) {
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefix}, UpperBound: []byte{prefix + 1}})
	if err != nil {
		return err
	}
	defer closeAfter(it, &err)
	n := 0
	for valid := it.First(); valid; valid = visit(it) {
		if n++; n%4096 == 0 {
			select {
			case <-stop:
				return errClosed()
			default:
			}
		}
	}
	return it.Error()
}
