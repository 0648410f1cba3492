package elector

import (
	"context"
	"encoding/json"
	"io"
	"slices"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/election"
	"github.com/ringrift/rift/eventlog"
)

// SharedLog is a log that several nodes append to.
type SharedLog interface {
	eventlog.Log
	eventlog.Curator
	io.Closer
}

// Fenced is a shared log that a node can append to only while the node leads.
//
// Every append, or list of appends, first reads the newest LEADER_CHANGED of the log, and
// is refused unless that is of this node and its term. The append writes the term into the
// metadata of each event, and ends at the latest with the usable part of the node's lease:
// until then no other node can be elected. What the node decided in an earlier term of its
// own is refused too.
//
// The database has no append that is conditional on another stream. So one case is left:
// an append that was sent during the lease, and that the database executes after a new
// leader began. It has its expected revision, so it is never stored behind what the new
// leader wrote to the stream. It also has its old term, by which the finding stale_append
// names it.
type Fenced struct {
	SharedLog
	elector *Elector
	stream  domain.StreamID // of the election, which expected revisions guard already
}

// Fence returns a log that an elector guards. Until Attach, every append is refused.
func Fence(log SharedLog, cluster string) *Fenced {
	return &Fenced{SharedLog: log, stream: election.Stream(cluster)}
}

// Attach sets the elector of the log. It must be called before anything is appended.
func (f *Fenced) Attach(e *Elector) { f.elector = e }

// Append stores events while the node leads.
func (f *Fenced) Append(ctx context.Context, stream domain.StreamID, expected domain.Revision, events ...eventlog.Proposed) (eventlog.Receipt, error) {
	if stream == f.stream {
		return f.SharedLog.Append(ctx, stream, expected, events...)
	}
	term, within, done, err := f.enter(ctx)
	if err != nil {
		return eventlog.Receipt{}, err
	}
	defer done()
	marked, err := mark(stream, events, term)
	if err != nil {
		return eventlog.Receipt{}, err
	}
	receipt, err := f.SharedLog.Append(within, stream, expected, marked...)
	return receipt, f.why(ctx, within, err)
}

// AppendMany does independent appends while the node leads.
func (f *Fenced) AppendMany(ctx context.Context, writes []eventlog.Write) []eventlog.Written {
	written := make([]eventlog.Written, len(writes))
	term, within, done, err := f.enter(ctx)
	if err != nil {
		for i := range written {
			written[i].Err = err
		}
		return written
	}
	defer done()
	marked := slices.Clone(writes)
	for i := range marked {
		if marked[i].Events, err = mark(marked[i].Stream, marked[i].Events, term); err != nil {
			for i := range written {
				written[i].Err = err
			}
			return written
		}
	}
	written = f.SharedLog.AppendMany(within, marked)
	for i := range written {
		written[i].Err = f.why(ctx, within, written[i].Err)
	}
	return written
}

// SetStreamMeta sets the limits of a stream while the node leads.
func (f *Fenced) SetStreamMeta(ctx context.Context, stream domain.StreamID, meta eventlog.StreamMeta) error {
	_, within, done, err := f.enter(ctx)
	if err != nil {
		return err
	}
	defer done()
	return f.why(ctx, within, f.SharedLog.SetStreamMeta(within, stream, meta))
}

// PositionAt returns the position of the log at a time, if the log keeps times.
func (f *Fenced) PositionAt(ctx context.Context, at time.Time) (domain.Position, error) {
	timed, ok := f.SharedLog.(interface {
		PositionAt(ctx context.Context, at time.Time) (domain.Position, error)
	})
	if !ok {
		return 0, domain.Errorf(domain.Invalid, "this log keeps no times; ask with at=<position>")
	}
	return timed.PositionAt(ctx, at)
}

// enter begins an append: it returns the term, and a context that ends with the lease. The
// caller calls done.
func (f *Fenced) enter(ctx context.Context) (term uint64, within context.Context, done func(), err error) {
	if f.elector == nil {
		return 0, nil, nil, domain.Errorf(domain.Unavailable, "this node takes part in no election yet")
	}
	leader := f.elector.Leader()
	if decided := eventlog.TermOf(ctx); decided != 0 && decided != leader.Term {
		return 0, nil, nil, f.elector.NotLeader()
	}
	left, admitted := f.elector.admit(leader.Term)
	if !admitted {
		return 0, nil, nil, f.elector.NotLeader()
	}
	within, cancel := f.elector.Runtime.Within(ctx, left)
	done = func() { cancel(); f.elector.ended() }
	newest, err := f.newest(within)
	switch {
	case err != nil:
		done()
		return 0, nil, nil, f.why(ctx, within, err)
	case newest.Term != leader.Term || newest.Leader != leader.NodeID:
		done()
		f.elector.superseded(leader.Term, newest)
		return 0, nil, nil, f.elector.NotLeader()
	}
	return leader.Term, within, done, nil
}

// newest reads the newest LEADER_CHANGED of the log; zero if there is none.
func (f *Fenced) newest(ctx context.Context) (election.LeaderChanged, error) {
	kind := election.LeaderChanged{}.EventType()
	for e, err := range f.Read(ctx, f.stream, eventlog.EndRevision, eventlog.Backward) {
		if err != nil {
			return election.LeaderChanged{}, err
		}
		if e.Type != kind {
			continue
		}
		var changed election.LeaderChanged
		if err := json.Unmarshal(e.Data, &changed); err != nil {
			return changed, domain.Errorf(domain.Corrupt, "event %d: %w", e.Position, err)
		}
		return changed, nil
	}
	return election.LeaderChanged{}, nil
}

// why returns the error of an append. An append that the end of the lease interrupted may
// be stored; it is unavailable and can be retried.
func (f *Fenced) why(ctx, within context.Context, err error) error {
	if err != nil && within.Err() != nil && ctx.Err() == nil {
		return domain.Errorf(domain.Unavailable, "the lease of this node ended on the way, and the append may be stored; ask again with the same id: %w", err)
	}
	return err
}

// mark returns a copy of events with the term in their metadata.
func mark(stream domain.StreamID, events []eventlog.Proposed, term uint64) ([]eventlog.Proposed, error) {
	marked := slices.Clone(events)
	for i := range marked {
		if decided := marked[i].Meta.Term; decided != 0 && decided != term {
			return nil, domain.Errorf(domain.Unavailable, "append to %s: it was decided in term %d, and this node leads term %d; ask again", stream, decided, term)
		}
		marked[i].Meta.Term = term
	}
	return marked, nil
}

// superseded ends the leadership in a term, because the log has a newer LEADER_CHANGED.
func (e *Elector) superseded(term uint64, by election.LeaderChanged) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, of := e.member.Phase(); of != term {
		return
	}
	e.Logger.Error("the log has another leader than this node, which held a lease", "term", term, "leader", by.Leader, "their_term", by.Term)
	e.member = e.member.StandDown(e.since() + e.electorate().Lease/4)
	e.tell()
	e.poke()
}
