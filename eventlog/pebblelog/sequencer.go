package pebblelog

import (
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// pipelineAt is the number of waiting appends from which on the next batch is built while
// the last one is being synced. With fewer, that would only make smaller batches: fewer
// events for each sync.
const pipelineAt = 128

// sequencer decides all appends. Its fields are used by its goroutine only.
type sequencer struct {
	log       *Log
	store     *store // nil after a failure, until the folder is reopened
	opening   *opening
	tried     time.Time // when reopening was last attempted
	pause     time.Duration
	next      domain.Position // position of the next event
	maximum   int64           // the largest time of all events, in microseconds
	heads     *headCache
	pending   map[uint64]int                          // by identity hash, the last index in places
	places    []pendingPlace                          // the events of the batch being built
	limits    map[domain.StreamID]eventlog.StreamMeta // set in the batch being built
	marker    *marker                                 // nil while there is no store
	limitings uint64                                  // number of times that limits were set
	filters   *filters                                // nil until they are complete
	making    chan *filters                           // receives the filters once, nil if they could not be made
	missed    missed
	written   chan *pendingCommit // in the order in which they are synced
	synced    chan struct{}       // one token for each pending commit that was synced
	unsynced  int
	key       []byte
	keys      []byte       // the keys of entries, one after the other
	entries   []indexEntry // index entries of the batch being built
}

// pendingCommit is a group that is being committed and is not published yet.
type pendingCommit struct {
	group     *group
	batch     *pebble.Batch // nil when the group changes nothing
	store     *store
	last      domain.Position // head of the log after the commit
	limitings uint64          // limitings of the log after the commit
	applied   uint64          // index of the last Apply before a Persist
	records   [][]byte        // of the events, in order
}

func (s *sequencer) run() {
	defer close(s.log.drained)
	go s.syncInTurn()
	for {
		g, behind := s.log.queue.next()
		if g == nil {
			break
		}
		s.commit(g, behind >= s.log.options.pipelineAt)
	}
	s.await(0)
	close(s.written)
	s.abandon()
	s.forgetMarker()
}

// commit prepares, writes and publishes a group. If it pipelines, syncInTurn syncs and
// publishes it.
func (s *sequencer) commit(g *group, pipeline bool) {
	if err := s.ready(g.bytes); err != nil {
		refuse(g, err)
		return
	}
	if s.making != nil {
		s.takeFilters()
	}
	if g.persist {
		s.persist(g)
		return
	}
	c := s.prepare(g)
	if g.index != 0 {
		s.apply(c)
		return
	}
	if c.batch.Empty() {
		c.batch = nil
	}
	// A group of repetitions only must not be acknowledged before the batch with the first
	// appends is synced, so it is published in order.
	if pipeline || s.unsynced > 0 && c.batch == nil {
		s.await(maxPending - 1)
		if err := s.write(c, false); err != nil {
			s.await(0)
			s.broken(c, err)
			return
		}
		s.unsynced++
		s.written <- c
		return
	}
	s.await(0)
	err := s.write(c, true)
	if err == nil {
		err = s.publish(c)
	}
	if err != nil {
		s.broken(c, err)
	}
}

// apply writes the group of an Apply and shows it. The sync is left to persist.
func (s *sequencer) apply(c *pendingCommit) {
	err := c.group.undecided()
	if err == nil {
		c.noteIndex()
		err = s.write(c, false)
	}
	if err != nil {
		s.await(0)
		s.broken(c, err)
		return
	}
	s.show(c)
	_ = c.batch.Close() // it only returns memory to its pool
}

// persist has syncInTurn sync everything that was applied.
func (s *sequencer) persist(g *group) {
	s.await(maxPending - 1)
	c := &pendingCommit{group: g, store: s.store, batch: s.store.db.NewBatch(), last: s.next - 1, limitings: s.limitings, applied: s.log.applied.Load()}
	_ = c.batch.LogData(nil, nil) // fails only on an indexed batch
	if err := s.write(c, false); err != nil {
		s.await(0)
		s.broken(c, err)
		return
	}
	s.unsynced++
	s.written <- c
}

const maxPending = 4

// await waits until at most n written commits are unsynced.
func (s *sequencer) await(n int) {
	for s.unsynced > n {
		<-s.synced
		s.unsynced--
	}
}

// syncInTurn waits for the sync of written commits in order, and publishes each.
func (s *sequencer) syncInTurn() {
	for c := range s.written {
		if c.batch != nil {
			if err := c.batch.SyncWait(); err != nil {
				c.store.fail(err)
			}
		}
		err := c.store.fatal()
		if err == nil {
			if err = s.publish(c); err != nil {
				c.store.fail(err)
			}
		}
		if err != nil {
			refuse(c.group, lost(err))
		}
		s.synced <- struct{}{}
	}
	close(s.synced)
}

// write writes the batch to the database. Without sync, the caller waits with SyncWait; the
// batch of an Apply is not synced.
func (s *sequencer) write(c *pendingCommit, sync bool) (err error) {
	if c.batch == nil {
		return c.store.fatal()
	}
	defer func() {
		if broken := recover(); broken != nil {
			err = asError(broken)
		}
		if err == nil {
			err = c.store.fatal() // pebble reports a failed commit to its logger only
		}
	}()
	switch {
	case c.group.index != 0:
		return c.store.db.Apply(c.batch, pebble.NoSync)
	case sync:
		return c.store.db.Apply(c.batch, pebble.Sync)
	}
	return c.store.db.ApplyNoSyncWait(c.batch, pebble.Sync)
}

// publish writes the mark after a group was synced, and shows the group. If the mark cannot
// be written, the group is not acknowledged.
func (s *sequencer) publish(c *pendingCommit) error {
	if c.batch != nil {
		if err := s.marker.say(mark{c.last, c.limitings}); err != nil {
			return err
		}
		_ = c.batch.Close() // it only returns memory to its pool
	}
	if !c.group.persist {
		s.show(c)
		return nil
	}
	s.log.persisted.Store(c.applied)
	close(c.group.done)
	return nil
}

// show makes a group visible and answers it. The head moves before Append returns, so a
// caller can read its own events.
func (s *sequencer) show(c *pendingCommit) {
	if len(c.records) > 0 {
		s.log.ring.add(c.last, c.records)
		s.log.head.Store(uint64(c.last))
	}
	if c.group.index != 0 {
		s.log.applied.Store(c.group.index)
	}
	close(c.group.done)
	if len(c.records) > 0 {
		s.log.wake()
	}
}

// refuse sets the error of every request of a group that has no outcome yet.
func refuse(g *group, err error) {
	g.err = err
	for _, r := range g.requests {
		r.taken.CompareAndSwap(requestWaiting, requestTaken)
		if r.err == nil {
			r.receipt, r.err = eventlog.Receipt{}, err
		}
	}
	close(g.done)
}

func lost(err error) error {
	return domain.Errorf(domain.Unavailable, "the log could not be written; the append may still be found after recovery: %w", err)
}
