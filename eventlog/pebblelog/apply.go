package pebblelog

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// Change is one change of Apply: an append, or the limits of a stream if Limits is set.
type Change struct {
	eventlog.Write
	Limits *eventlog.StreamMeta
}

// Apply decides changes in their order, as AppendMany does, and stores the results in one
// batch together with index. It is for replicated logs: the outcomes depend only on the
// content of the log and the changes, so logs that apply the same changes in the same
// order are equal. Apply does not sync, because the caller has the changes on disk elsewhere
// and calls Persist before it forgets them; after a crash, also of the process alone, Applied
// returns the index after which to apply again.
// After an error either nothing was stored, or the batch may be found after recovery, with its
// index.
func (l *Log) Apply(ctx context.Context, index uint64, changes []Change) ([]eventlog.Written, error) {
	if index == 0 {
		return nil, domain.Errorf(domain.Invalid, "apply: want an index of at least 1, found 0")
	}
	written := make([]eventlog.Written, len(changes))
	requests := make([]request, len(changes))
	g := &group{done: make(chan struct{}), index: index}
	for i := range changes {
		c, r := &changes[i], &requests[i]
		size, err := len(c.Stream)+128, error(nil)
		switch {
		case c.Limits != nil:
			err = c.Limits.Check(c.Stream)
		case c.After < 0 || c.After > i:
			err = domain.Errorf(domain.Invalid, "append to %s: want it to rest on one of the %d changes before it, found change %d", c.Stream, i, c.After)
		default:
			size, err = CheckAppend(c.Stream, c.Events)
		}
		if err != nil {
			written[i].Err, r.refused = err, true
			continue
		}
		r.stream, r.expected, r.size, r.meta = c.Stream, c.Expected, size, c.Limits
		if c.Limits == nil {
			r.encode(c.Events, make([]pendingEvent, len(c.Events)), make([]byte, 0, size))
		}
		if c.After > 0 {
			r.after = &requests[c.After-1]
		}
		g.requests = append(g.requests, r)
		g.bytes += size
	}
	if eventlog.Interrupted(ctx, "apply") != nil {
		return nil, eventlog.Interrupted(ctx, "apply: nothing is stored")
	}
	if l.options.ReadOnly {
		return nil, domain.Errorf(domain.Unavailable, "the log was opened to be read only")
	}
	if err := l.queue.putAlone(g); err != nil {
		return nil, err
	}
	<-g.done
	if g.err != nil {
		return nil, g.err
	}
	for i := range requests {
		if r := &requests[i]; written[i].Err == nil {
			if written[i].Err = r.err; r.err == nil {
				written[i].Receipt = r.receipt
			}
		}
	}
	return written, nil
}

// Applied returns the index of the last Apply, 0 if there was none.
func (l *Log) Applied() uint64 { return l.applied.Load() }

// Persisted returns the index of the last Apply that is durable, 0 if there is none.
func (l *Log) Persisted() uint64 { return l.persisted.Load() }

// Persist makes durable everything that was applied before the call.
func (l *Log) Persist(ctx context.Context) error {
	if err := eventlog.Interrupted(ctx, "persist"); err != nil {
		return err
	}
	g := &group{done: make(chan struct{}), persist: true}
	if err := l.queue.putAlone(g); err != nil {
		return err
	}
	<-g.done
	return g.err
}

// undecided returns the first error of a group's requests that is about the storage, not
// about the content of the log.
func (g *group) undecided() error {
	for _, r := range g.requests {
		if r.err == nil {
			continue
		}
		if code := domain.CodeOf(r.err); code == domain.Unavailable || code == domain.Corrupt || code == domain.Internal {
			return r.err
		}
	}
	return nil
}

// noteIndex adds the index of a group to its batch.
func (c *pendingCommit) noteIndex() {
	if c.group.index != 0 {
		_ = c.batch.Set([]byte(appliedKey), binary.LittleEndian.AppendUint64(nil, c.group.index), nil) // fails only on an indexed batch
	}
}

// readApplied reads the index of the last Apply.
func readApplied(db *pebble.DB) (uint64, error) {
	value, closer, err := db.Get([]byte(appliedKey))
	if errors.Is(err, pebble.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return decodeCount(value), closer.Close()
}

// Frontier is the state of a log at an index: the position of its last event, and the
// limits of its streams.
type Frontier struct {
	Index  uint64
	Head   domain.Position
	Limits map[domain.StreamID]eventlog.StreamMeta
}

// maxFrontier bounds the streams that a Frontier lists.
const maxFrontier = 1 << 16

// Frontier returns the state of the log at one index.
func (l *Log) Frontier() (f Frontier, err error) {
	st, err := l.use()
	if err != nil {
		return f, err
	}
	defer st.release()
	snapshot := st.db.NewSnapshot()
	defer func() { err = errors.Join(err, snapshot.Close()) }()
	value, closer, err := snapshot.Get([]byte(appliedKey))
	if err == nil {
		f.Index = decodeCount(value)
		err = closer.Close()
	}
	if err != nil && !errors.Is(err, pebble.ErrNotFound) {
		return f, storageError("state of the log", err)
	}
	it, err := snapshot.NewIter(nil)
	if err != nil {
		return f, storageError("state of the log", err)
	}
	defer closeAfter(it, &err)
	if it.SeekLT([]byte{recordPrefix + 1}) {
		if position, ok := recordKeyPosition(it.Key()); ok {
			f.Head = position
		}
	}
	f.Limits = map[domain.StreamID]eventlog.StreamMeta{}
	for valid := it.SeekGE([]byte{metaPrefix}); valid && it.Key()[0] == metaPrefix; valid = it.Next() {
		stream := domain.StreamID(it.Key()[1:])
		if len(f.Limits) == maxFrontier {
			return f, domain.Errorf(domain.TooMany, "state of the log: want at most %d streams with limits", maxFrontier)
		}
		var meta eventlog.StreamMeta
		if err := json.Unmarshal(it.Value(), &meta); err != nil {
			return f, domain.Errorf(domain.Corrupt, "metadata of %s: %w", stream, err)
		}
		f.Limits[stream] = meta
	}
	if err := it.Error(); err != nil {
		return f, storageError("state of the log", err)
	}
	return f, nil
}
