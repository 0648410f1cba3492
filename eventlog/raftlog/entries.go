package raftlog

import (
	"encoding/binary"
	"errors"

	"github.com/cockroachdb/pebble/v2"
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/ringrift/rift/domain"
)

// save stores votes and entries. It does not store the commit index: after a crash the
// records show which entries were applied, and the leader sends the rest.
func (s *storage) save(hard *raftpb.HardState, entries []*raftpb.Entry) error {
	known := !raft.IsEmptyHardState(hard)
	voted := known && (hard.GetTerm() != s.hard.GetTerm() || hard.GetVote() != s.hard.GetVote())
	if voted || len(entries) > 0 {
		batch := s.db.NewBatch()
		if voted {
			text, err := proto.Marshal(hard)
			if err != nil {
				return err
			}
			_ = batch.Set([]byte(hardKey), text, nil)
		}
		if err := s.putEntries(batch, entries); err != nil {
			return err
		}
		if err := s.commit(batch, true); err != nil {
			return err
		}
	}
	if known {
		s.hard = hard
	}
	if len(entries) > 0 {
		s.remember(entries)
		s.last = entries[len(entries)-1].GetIndex()
	}
	return nil
}

// putEntries adds entries to a batch. They replace entries of another leader.
func (s *storage) putEntries(batch *pebble.Batch, entries []*raftpb.Entry) error {
	if len(entries) > 0 && entries[0].GetIndex() <= s.last {
		_ = batch.DeleteRange(entryKey(entries[0].GetIndex()), entryKey(s.last+1), nil)
	}
	for _, e := range entries {
		text, err := proto.Marshal(e)
		if err != nil {
			return err
		}
		_ = batch.Set(entryKey(e.GetIndex()), text, nil)
		s.bytes += int64(len(text))
	}
	return nil
}

// remember keeps the newest entries in memory.
func (s *storage) remember(entries []*raftpb.Entry) {
	from := entries[0].GetIndex()
	if n := len(s.cached); n > 0 {
		if keep := int64(from) - int64(s.cached[0].GetIndex()); keep < 0 || keep > int64(n) {
			s.cached, s.weight = nil, 0
		} else {
			for _, e := range s.cached[keep:] {
				s.weight -= len(e.GetData())
			}
			s.cached = s.cached[:keep:keep] // others may still use the rest
		}
	}
	s.cached = append(s.cached, entries...)
	for _, e := range entries {
		s.weight += len(e.GetData())
	}
	drop := 0
	for s.weight > cachedBytes && drop < len(s.cached)-1 {
		s.weight -= len(s.cached[drop].GetData())
		drop++
	}
	if drop > 0 {
		s.cached = append([]*raftpb.Entry{}, s.cached[drop:]...)
	}
}

// dropHalf drops the older half of the entries that the records have on disk. The newer
// half is kept for followers that are behind.
func (s *storage) dropHalf(persisted uint64) error {
	half := s.dropped.index + (persisted-min(persisted, s.dropped.index)+1)/2
	left := s.bytes / 2
	err := s.drop(min(half, persisted))
	s.bytes = min(s.bytes, left)
	return err
}

// drop drops the entries up to an index. The records must have them on disk.
func (s *storage) drop(upTo uint64) error {
	if upTo <= s.dropped.index {
		return nil
	}
	term, err := s.Term(upTo)
	if err != nil {
		return err
	}
	batch := s.db.NewBatch()
	_ = batch.DeleteRange(entryKey(0), entryKey(upTo+1), nil)
	s.setDropped(batch, dropped{upTo, term})
	if err := s.commit(batch, false); err != nil {
		return err
	}
	if n := len(s.cached); n > 0 && s.cached[0].GetIndex() <= upTo {
		gone := min(upTo-s.cached[0].GetIndex()+1, uint64(n))
		for _, e := range s.cached[:gone] {
			s.weight -= len(e.GetData())
		}
		s.cached = append([]*raftpb.Entry{}, s.cached[gone:]...)
	}
	return nil
}

func (s *storage) setDropped(batch *pebble.Batch, g dropped) {
	_ = batch.Set([]byte(droppedKey), binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, g.index), g.term), nil)
	s.dropped = g
}

// FirstIndex returns the index of the oldest entry.
func (s *storage) FirstIndex() (uint64, error) { return s.dropped.index + 1, nil }

// LastIndex returns the index of the newest entry.
func (s *storage) LastIndex() (uint64, error) { return s.last, nil }

// Term returns the term of an entry, or of the last one that was dropped.
func (s *storage) Term(index uint64) (uint64, error) {
	switch {
	case index == s.dropped.index:
		return s.dropped.term, nil
	case index < s.dropped.index:
		return 0, raft.ErrCompacted
	case index > s.last:
		return 0, raft.ErrUnavailable
	}
	entries, err := s.Entries(index, index+1, 0)
	if err != nil {
		return 0, err
	}
	return entries[0].GetTerm(), nil
}

// Entries returns entries from lo to hi-1, of about size bytes in total.
func (s *storage) Entries(lo, hi, size uint64) ([]*raftpb.Entry, error) {
	switch {
	case lo <= s.dropped.index:
		return nil, raft.ErrCompacted
	case hi > s.last+1:
		return nil, raft.ErrUnavailable
	}
	if len(s.cached) > 0 && lo >= s.cached[0].GetIndex() {
		first := s.cached[0].GetIndex()
		entries := append([]*raftpb.Entry{}, s.cached[lo-first:hi-first]...)
		return limited(entries, size), nil
	}
	it, err := s.db.NewIter(entryRange(lo, hi))
	if err != nil {
		return nil, err
	}
	var entries []*raftpb.Entry
	total := uint64(0)
	for valid := it.First(); valid && (len(entries) == 0 || total <= size); valid = it.Next() {
		e := &raftpb.Entry{}
		if err := proto.Unmarshal(it.Value(), e); err != nil {
			return nil, errors.Join(domain.Errorf(domain.Corrupt, "entry %d: %w", lo+uint64(len(entries)), err), it.Close())
		}
		if want := lo + uint64(len(entries)); e.GetIndex() != want {
			return nil, errors.Join(domain.Errorf(domain.Corrupt, "entries: want entry %d, found %d", want, e.GetIndex()), it.Close())
		}
		total += uint64(proto.Size(e))
		entries = append(entries, e)
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return nil, err
	}
	if len(entries) == 0 {
		return nil, domain.Errorf(domain.Corrupt, "entries: want entry %d, found none", lo)
	}
	return limited(entries, size), nil
}

// limited returns the first entries of a list, one at least, of at most size bytes.
func limited(entries []*raftpb.Entry, size uint64) []*raftpb.Entry {
	total := uint64(0)
	for i, e := range entries {
		if total += uint64(proto.Size(e)); total > size && i > 0 {
			return entries[:i]
		}
	}
	return entries
}
