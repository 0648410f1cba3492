package raftlog

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"slices"
	"strings"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/pebblelog"
)

// state is the content of a snapshot: the head of the records, limits of streams and the
// configuration as of its entry. The records themselves are copied from another node.
type state struct {
	Head   domain.Position                         `json:"head"`
	Limits map[domain.StreamID]eventlog.StreamMeta `json:"limits,omitempty"`
	Config configuration                           `json:"config"`
}

// snapshot makes a snapshot of this node, for a follower that is too far behind.
func (r *replica) snapshot() (*raftpb.Snapshot, error) {
	frontier, err := r.records.Frontier()
	if err == nil && frontier.Index == 0 {
		err = domain.Errorf(domain.Unavailable, "nothing is applied yet")
	}
	var term uint64
	var data []byte
	if err == nil {
		term, err = r.storage.Term(frontier.Index)
	}
	if err == nil {
		data, err = json.Marshal(state{frontier.Head, frontier.Limits, r.storage.config})
	}
	if err != nil {
		r.logger.Warn("replicated log: no state for a follower that is behind", "error", err)
		return nil, raft.ErrSnapshotTemporarilyUnavailable
	}
	return &raftpb.Snapshot{Data: data, Metadata: &raftpb.SnapshotMetadata{
		Index: new(frontier.Index), Term: new(term), ConfState: proto.Clone(r.storage.state).(*raftpb.ConfState),
	}}, nil
}

// missedSnapshots makes Raft send a snapshot again to followers that have not installed it
// in time.
func (r *replica) missedSnapshots() {
	progress := r.raw.Status().Progress
	for to, at := range r.snapshotAt {
		p, follows := progress[to]
		switch {
		case !follows || p.PendingSnapshot == 0:
			delete(r.snapshotAt, to)
		case r.ticks-at > uint64(10*r.ticking.Election):
			delete(r.snapshotAt, to)
			r.raw.ReportSnapshot(to, raft.SnapshotFailure)
		}
	}
}

// install begins to copy the records of a snapshot. Raft gets the snapshot once they are
// copied. Further snapshots are ignored until then; the leader sends them again.
func (r *replica) install(m *raftpb.Message) {
	if r.installing != nil {
		return
	}
	if m.GetSnapshot().GetMetadata().GetIndex() <= r.records.Applied() {
		_ = r.raw.Step(m)
		return
	}
	if err := r.storage.pend(m); err != nil {
		return // the next save fails too
	}
	r.installing = m
	r.hand(job{install: m})
}

// installed gives Raft a snapshot whose records have been copied.
func (r *replica) installed(m *raftpb.Message) {
	r.installing = nil
	r.applied = max(r.applied, r.records.Applied())
	_ = r.raw.Step(m) // an outdated snapshot is not needed
}

// resume continues with a snapshot that a crash interrupted.
func (r *replica) resume() error {
	m, err := r.storage.pended()
	if err != nil || m == nil {
		return err
	}
	index := m.GetSnapshot().GetMetadata().GetIndex()
	if r.records.Applied() < index {
		r.installing = m
		r.hand(job{install: m})
		return nil
	}
	if r.storage.last >= index {
		return nil
	}
	hard := &raftpb.HardState{
		Term:   new(max(r.storage.hard.GetTerm(), m.GetSnapshot().GetMetadata().GetTerm())),
		Vote:   new(r.storage.hard.GetVote()),
		Commit: new(max(r.storage.hard.GetCommit(), index)),
	}
	if hard.GetTerm() != r.storage.hard.GetTerm() {
		hard.Vote = new(uint64(0))
	}
	return r.storage.restore(hard, m.GetSnapshot())
}

// pend stores that the records of a snapshot are being copied. No entry may be applied
// until they are.
func (s *storage) pend(m *raftpb.Message) error {
	text, err := proto.Marshal(m)
	if err != nil {
		return err
	}
	batch := s.db.NewBatch()
	_ = batch.Set([]byte(pendingKey), text, nil)
	return s.commit(batch, true)
}

func (s *storage) pended() (*raftpb.Message, error) {
	text, err := s.get([]byte(pendingKey))
	if err != nil || text == nil {
		return nil, err
	}
	m := &raftpb.Message{}
	if err := proto.Unmarshal(text, m); err != nil {
		return nil, domain.Errorf(domain.Corrupt, "snapshot that is being copied: %w", err)
	}
	return m, nil
}

// restore replaces all entries by a snapshot.
func (s *storage) restore(hard *raftpb.HardState, snapshot *raftpb.Snapshot) error {
	meta := snapshot.GetMetadata()
	var told state
	if err := json.Unmarshal(snapshot.GetData(), &told); err != nil {
		return domain.Errorf(domain.Corrupt, "snapshot: %w", err)
	}
	batch := s.db.NewBatch()
	_ = batch.DeleteRange(entryKey(0), entryKey(1<<63), nil)
	_ = batch.Delete([]byte(pendingKey), nil)
	s.setDropped(batch, dropped{meta.GetIndex(), meta.GetTerm()})
	if err := s.putConfig(batch, told.Config, raftpb.EnsureConfState(meta.GetConfState())); err != nil {
		return err
	}
	if hard != nil {
		text, err := proto.Marshal(hard)
		if err != nil {
			return err
		}
		_ = batch.Set([]byte(hardKey), text, nil)
	}
	if err := s.commit(batch, true); err != nil {
		return err
	}
	if hard != nil {
		s.hard = hard
	}
	s.last, s.cached, s.weight, s.bytes = meta.GetIndex(), nil, 0, 0
	return nil
}

// The bounds of the records that are stored together when they are copied.
const (
	copyEvents = 1024
	copyBytes  = 4 << 20
)

// source yields records of another node after a position and up to another.
type source func(ctx context.Context, after, upTo domain.Position) iter.Seq2[domain.Envelope, error]

// copyRecords brings records to the state of a snapshot. After an error it can be called
// again and continues after the records that were copied.
func copyRecords(ctx context.Context, records *pebblelog.Log, snapshot *raftpb.Snapshot, from source) error {
	var told state
	if err := json.Unmarshal(snapshot.GetData(), &told); err != nil {
		return domain.Errorf(domain.Corrupt, "snapshot: %w", err)
	}
	index := snapshot.GetMetadata().GetIndex()
	if records.Applied() >= index {
		return nil
	}
	head, err := records.Head(ctx)
	if err != nil {
		return err
	}
	var writes []eventlog.Write
	bytes := 0
	store := func() error {
		for i, w := range records.AppendMany(ctx, writes) {
			if w.Err != nil {
				return w.Err
			}
			if head++; w.Receipt.First != head || w.Receipt.Duplicate {
				return domain.Errorf(domain.Corrupt, "copy of event %d of %s: it is another event here", head, writes[i].Stream)
			}
		}
		writes, bytes = writes[:0], 0
		return nil
	}
	next := head + 1
	if next <= told.Head {
		for e, err := range from(ctx, head, told.Head) {
			if err != nil {
				return err
			}
			if e.Position != next {
				return domain.Errorf(domain.Corrupt, "copy of the log: want event %d, found %d", next, e.Position)
			}
			next++
			writes = append(writes, eventlog.Write{Stream: e.Stream, Expected: e.Revision - 1, Events: []eventlog.Proposed{{
				ID: e.ID, Type: e.Type, Version: e.Version, Time: e.Time, Meta: e.Meta, Data: e.Data,
			}}})
			if bytes += len(e.Data); len(writes) == copyEvents || bytes >= copyBytes {
				if err := store(); err != nil {
					return err
				}
			}
		}
	}
	if err := store(); err != nil {
		return err
	}
	if head != told.Head {
		return domain.Errorf(domain.Unavailable, "copy of the log: want it up to event %d, it ends at %d", told.Head, head)
	}
	var changes []pebblelog.Change
	for stream, limits := range told.Limits {
		changes = append(changes, pebblelog.Change{Write: eventlog.Write{Stream: stream}, Limits: &limits})
	}
	slices.SortFunc(changes, func(a, b pebblelog.Change) int { return strings.Compare(string(a.Stream), string(b.Stream)) })
	written, err := records.Apply(ctx, index, changes)
	for _, w := range written {
		err = errors.Join(err, w.Err)
	}
	if err != nil {
		return err
	}
	return records.Persist(ctx) // the entries are dropped next
}
