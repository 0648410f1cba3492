package pebblelog

import (
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// pipelineAt is how many appends must wait for the next batch to be built while
// the last one is still being synced. With a shorter queue that only splits
// batches: fewer events for each sync.
const pipelineAt = 128

// sequencer owns everything that decides about appends. Only its goroutine
// touches it.
type sequencer struct {
	log       *Log
	store     *store // nil after a failure, until the folder could be opened again
	opening   *opening
	tried     time.Time // the last attempt to open the folder again
	pause     time.Duration
	next      domain.Position // of the next event
	maximum   int64           // the largest time of all events, microseconds
	heads     *headCache
	pending   map[uint64]int                          // by identity, the last of places
	places    []pendingPlace                          // of the events of the batch being built
	limits    map[domain.StreamID]eventlog.StreamMeta // set in the batch being built
	marker    *marker                                 // nil while there is no store
	limitings uint64                                  // how often limits were set
	filters   *filters                                // nil until they know everything
	making    chan *filters                           // gives them once, nil when they could not be made
	missed    missed
	written   chan *pendingCommit // in this order they are synced
	synced    chan struct{}       // one token for each pending commit that is
	unsynced  int
	key       []byte
	keys      []byte       // of entries, one after the other
	entries   []indexEntry // of the batch being built
}

// pendingCommit is a group that is prepared or written and not published.
type pendingCommit struct {
	group     *group
	batch     *pebble.Batch // nil when the group changes nothing
	store     *store
	last      domain.Position // durable when the commit is
	limitings uint64          // of the log when the commit is durable
	records   [][]byte        // of its events, in order
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

// commit prepares a group, writes it and publishes it, or leaves the sync and the
// publishing to syncInTurn when it pipelines.
func (s *sequencer) commit(g *group, pipeline bool) {
	if err := s.ready(); err != nil {
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
	// A group of repetitions alone must not be acknowledged before the batch
	// that holds the first appends: it is published in its turn.
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

// apply writes the group of an Apply, shows it, and leaves its sync to syncInTurn or, of
// a stepped log, to persist.
func (s *sequencer) apply(c *pendingCommit) {
	err := c.group.undecided()
	if err == nil {
		c.noteIndex()
		s.await(maxPending - 1)
		err = s.write(c, false)
	}
	if err != nil {
		s.await(0)
		s.broken(c, err)
		return
	}
	s.show(c)
	if s.log.options.Stepped {
		_ = c.batch.Close()
		return
	}
	s.unsynced++
	s.written <- c
}

// persist syncs what was applied.
func (s *sequencer) persist(g *group) {
	s.await(0)
	c := &pendingCommit{group: g, store: s.store, batch: s.store.db.NewBatch(), last: s.next - 1, limitings: s.limitings}
	_ = c.batch.LogData(nil, nil) // fails only on an indexed batch
	err := s.write(c, true)
	if err == nil {
		err = s.publish(c)
	}
	if err != nil {
		s.broken(c, err)
	}
}

const maxPending = 4

// await waits until at most n written commits are not synced.
func (s *sequencer) await(n int) {
	for s.unsynced > n {
		<-s.synced
		s.unsynced--
	}
}

// syncInTurn waits for the sync of one written commit after the other and
// publishes it.
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
		if err != nil && c.group.index == 0 {
			refuse(c.group, lost(err))
		}
		s.synced <- struct{}{}
	}
	close(s.synced)
}

// write hands the batch to the database, and syncs it or leaves that to SyncWait.
func (s *sequencer) write(c *pendingCommit, sync bool) (err error) {
	if c.batch == nil {
		return c.store.fatal()
	}
	defer func() {
		if broken := recover(); broken != nil {
			err = asError(broken)
		}
		if err == nil {
			err = c.store.fatal() // pebble reports a failed commit to its logger
		}
	}()
	switch {
	case c.group.index != 0 && s.log.options.Stepped:
		return c.store.db.Apply(c.batch, pebble.NoSync)
	case sync:
		return c.store.db.Apply(c.batch, pebble.Sync)
	}
	return c.store.db.ApplyNoSyncWait(c.batch, pebble.Sync)
}

// publish notes that a group is synced, and shows it unless that was done before. The
// error is that of noting that it is acknowledged, and then it is not.
func (s *sequencer) publish(c *pendingCommit) error {
	if c.batch != nil {
		if err := s.marker.say(mark{c.last, c.limitings}); err != nil {
			return err
		}
		_ = c.batch.Close() // only returns memory to its pool
	}
	switch {
	case c.group.index != 0:
		s.log.persisted.Store(c.group.index)
	case c.group.persist:
		s.log.persisted.Store(s.log.applied.Load())
		close(c.group.done)
	default:
		s.show(c)
	}
	return nil
}

// show makes a group visible and answers it. Append returns after the head has moved, so
// a caller reads its own events.
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

// refuse answers every request of a group that has no answer yet.
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
