package raftlog

import (
	"context"
	"errors"
	"iter"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/ringrift/rift/domain"
)

// handOver queues a job. Raft bounds the size of the queue (MaxCommittedSizePerReady).
func (l *Log) handOver(j job) {
	l.mu.Lock()
	l.handed = append(l.handed, j)
	l.mu.Unlock()
	signal(l.jobs)
}

// applyAll does the queued jobs, one after the other, until Close.
func (l *Log) applyAll() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	l.loops.Go(func() {
		select {
		case <-l.closing:
		case <-l.broken:
		}
		cancel()
	})
	for {
		l.mu.Lock()
		jobs := l.handed
		l.handed = nil
		l.mu.Unlock()
		for _, j := range jobs {
			outcomes, err := l.do(ctx, j)
			if ctx.Err() != nil {
				return
			}
			l.mu.Lock()
			l.results = append(l.results, result{j, outcomes, err})
			l.mu.Unlock()
			signal(l.wake)
			if err != nil {
				return
			}
		}
		if len(jobs) > 0 {
			continue
		}
		select {
		case <-l.jobs:
		case <-ctx.Done():
			return
		}
	}
}

// persistAll syncs the records, at most once a tick, until Close. A sync for each entry would
// take as much of the disk as the entries themselves, and nothing waits for it.
func (l *Log) persistAll() {
	for {
		select {
		case <-l.unsynced:
			// A failed disk is noticed by the next entry that is applied; until then each tick
			// tries again.
			_ = l.records.Persist(context.Background())
		case <-l.closing:
			return
		case <-l.broken:
			return
		}
	}
}

// The first and the longest pause between attempts to do a job.
const (
	firstPause   = 50 * time.Millisecond
	longestPause = 2 * time.Second
)

// do does a job. It tries again until it succeeds, ctx ends or it is hopeless, because a
// committed entry cannot be left out.
func (l *Log) do(ctx context.Context, j job) (outcomes []outcome, err error) {
	for pause, turn := firstPause, 0; ; pause, turn = min(2*pause, longestPause), turn+1 {
		outcomes, err = l.once(ctx, j, turn)
		if err == nil || ctx.Err() != nil || j.hopeless(err) {
			return outcomes, errors.Join(err, ctx.Err())
		}
		l.logger.Warn("the replicated log waits to be applied", "error", err, "again_in", pause)
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		}
	}
}

// once tries to do a job.
func (l *Log) once(ctx context.Context, j job, turn int) ([]outcome, error) {
	if j.install != nil {
		l.copies++
		return nil, l.copyFrom(ctx, j.install, turn)
	}
	return applyEntries(ctx, l.records, l.replica.proposer, j.apply.GetEntries())
}

// hopeless reports whether the node has to restart after an error. A restart applies again
// from the entries what the records lost when their disk failed. A failed copy of records
// is never hopeless, because another member may have them.
func (j job) hopeless(err error) bool {
	return j.install == nil && domain.CodeOf(err) == domain.Corrupt
}

// copyFrom copies the records of a snapshot: from its sender first, and after a failure
// from the other members in turn.
func (l *Log) copyFrom(ctx context.Context, m *raftpb.Message, turn int) error {
	var told state
	if err := decodeState(m.GetSnapshot(), &told); err != nil {
		return err
	}
	var from []Member
	for _, member := range told.Config.Members {
		switch member.ID() {
		case l.replica.id:
		case m.GetFrom():
			from = append([]Member{member}, from...)
		default:
			from = append(from, member)
		}
	}
	if len(from) == 0 {
		return domain.Errorf(domain.Corrupt, "snapshot: want another member to copy from, found none")
	}
	member := from[turn%len(from)]
	return copyRecords(ctx, l.records, m.GetSnapshot(), func(ctx context.Context, after, upTo domain.Position) iter.Seq2[domain.Envelope, error] {
		return l.transport.Records(ctx, member, after, upTo)
	})
}
