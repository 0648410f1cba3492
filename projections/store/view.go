package store

import (
	"errors"
	"iter"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
)

// views shares committed states between readers. The first reader after a commit makes a
// state, and the next commit releases it, because an open snapshot keeps Pebble from
// dropping old versions of rows.
type views struct {
	db    *pebble.DB
	codec domain.Codec

	mu      sync.Mutex
	layout  *layout
	current *state // nil if nobody read since the last commit
	open    int    // states that are in use
	closed  bool
	drained chan struct{} // closed when closed and nothing is open
	applied uint64        // number of commits that a state taken now is sure to include
	tables  tableCaches
}

func (v *views) start(db *pebble.DB, codec domain.Codec) {
	v.db, v.codec, v.drained = db, codec, make(chan struct{})
}

func (v *views) acquire() (*state, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		return nil, errClosed
	}
	if v.current == nil {
		st := &state{snapshot: v.db.NewSnapshot(), layout: v.layout, holders: 1, first: v.applied}
		st.second = v.tables.begun()
		at, err := readCheckpoint(st.snapshot)
		if err != nil {
			return nil, errors.Join(err, st.snapshot.Close())
		}
		st.position = at.position
		v.current = st
		v.open++
	}
	v.current.holders++
	return v.current, nil
}

func readCheckpoint(reader pebble.Reader) (checkpoint, error) {
	value, closer, err := reader.Get(keyCheckpoint)
	if errors.Is(err, pebble.ErrNotFound) {
		return checkpoint{}, nil
	}
	if err != nil {
		return checkpoint{}, broke(err)
	}
	at, err := decodeCheckpoint(value)
	return at, errors.Join(err, closer.Close())
}

func (v *views) release(st *state) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.drop(st)
}

func (v *views) drop(st *state) {
	st.holders--
	if st.holders > 0 {
		return
	}
	st.close()
	v.open--
	if v.closed && v.open == 0 {
		close(v.drained)
	}
}

// outdated releases the shared state after a change that is not a commit of the fold.
func (v *views) outdated() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.forget()
}

// applies releases the shared state after the commit that was announced last has been
// applied. Only the fold announces commits, one after the other.
func (v *views) applies() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.applied = v.tables.begun()
	v.forget()
}

func (v *views) forget() {
	if v.current != nil {
		st := v.current
		v.current = nil
		v.drop(st)
	}
}

// change commits a batch and changes the layout together, so that no view has the rows
// from before and the layout from after, or the reverse.
func (v *views) change(commit func() error, l *layout) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := commit(); err != nil {
		return err
	}
	v.layout = l
	v.tables.clearTables()
	v.applied = v.tables.begun()
	v.forget()
	return nil
}

// close refuses new views and waits for the open ones.
func (v *views) close() {
	v.mu.Lock()
	v.closed = true
	v.forget()
	if v.open == 0 {
		select {
		case <-v.drained:
		default:
			close(v.drained)
		}
	}
	v.mu.Unlock()
	<-v.drained
}

// View calls f with a committed state. f must not keep it.
func (s *Store) View(f func(projections.View) error) error {
	st, err := s.views.acquire()
	if err != nil {
		return err
	}
	defer s.views.release(st)
	return f(&view{state: st, codec: s.options.Codec, tables: &s.views.tables})
}

// Brief is View for an f that keeps no row or cell, because their memory is reused after f
// has returned.
func (s *Store) Brief(f func(projections.View) error) error {
	st, err := s.views.acquire()
	if err != nil {
		return err
	}
	defer s.views.release(st)
	v := &view{state: st, codec: s.options.Codec, tables: &s.views.tables, pages: pages{lent: true}}
	defer v.pages.giveBack()
	return f(v)
}

// Snapshot is a committed state that can be read until it is closed. Store.Close waits
// for that.
type Snapshot struct {
	view
	views *views
	once  sync.Once
}

// Snapshot returns the current committed state.
func (s *Store) Snapshot() (*Snapshot, error) {
	st, err := s.views.acquire()
	if err != nil {
		return nil, err
	}
	return &Snapshot{view: view{state: st, codec: s.options.Codec, tables: &s.views.tables}, views: &s.views}, nil
}

// Close releases the state. It may be called twice.
func (s *Snapshot) Close() { s.once.Do(func() { s.views.release(s.state) }) }

// view reads a committed state.
type view struct {
	state  *state
	codec  domain.Codec
	tables *tableCaches
	key    []byte
	pages  pages
	room   [96]byte // for the first keys
}

// Position is the position of the last event in the rows.
func (v *view) Position() domain.Position { return v.state.position }

// Codec turns rows into JSON and back.
func (v *view) Codec() domain.Codec { return v.codec }

func (v *view) place(table string) ([]byte, error) {
	p, known := v.state.layout.tables[table]
	switch {
	case !known:
		return nil, domain.Errorf(domain.Internal, "table %q belongs to no projection", table)
	case p.prefix == nil:
		return nil, domain.Errorf(domain.Unavailable, "table %s: projection %s is still being built", table, p.projection)
	}
	return p.prefix, nil
}

// Get returns a row.
func (v *view) Get(table, key string) (*projections.Cell, bool, error) {
	prefix, err := v.place(table)
	if err != nil {
		return nil, false, err
	}
	if cachedTable := v.tables.cachedTable(prefix, v.state.first, v.state.second); cachedTable != nil {
		one := cachedTable.get(key)
		if one == nil {
			return nil, false, nil
		}
		cell := one.cell
		return &cell, true, nil
	}
	if v.key == nil {
		v.key = v.room[:0]
	}
	v.key = append(append(v.key[:0], prefix...), key...)
	value, closer, err := v.state.snapshot.Get(v.key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, broke(err)
	}
	_, copied := v.pages.copy(nil, value)
	cell := &projections.Cell{JSON: copied}
	if err := closer.Close(); err != nil {
		return nil, false, broke(err)
	}
	return cell, true, nil
}

// Scan yields rows in key order.
func (v *view) Scan(table string, span projections.Span) iter.Seq2[projections.Row, error] {
	return func(yield func(projections.Row, error) bool) {
		prefix, err := v.place(table)
		if err != nil {
			yield(projections.Row{}, err)
			return
		}
		if err := v.scan(prefix, span, yield); err != nil {
			yield(projections.Row{}, broke(err))
		}
	}
}

// scan yields the committed rows of a span. Nothing is yielded after an error.
func (v *view) scan(prefix []byte, span projections.Span, yield func(projections.Row, error) bool) error {
	if cachedTable := v.tables.cachedTable(prefix, v.state.first, v.state.second); cachedTable != nil {
		for one := range cachedTable.scan(span) {
			if !yield(projections.Row{Key: one.key, Value: one.cell.JSON}, nil) {
				return nil
			}
		}
		return nil
	}
	lower, upper := bounds(prefix, span)
	it, err := v.state.iterator(lower, upper)
	if err != nil {
		return err
	}
	step, ok := it.Next, false
	if span.Reverse {
		step, ok = it.Prev, it.Last()
	} else {
		ok = it.First()
	}
	rows := 0
	for ; ok; ok = step() {
		value, err := it.ValueAndErr()
		if err != nil {
			return errors.Join(err, it.Close())
		}
		rows++
		key, value := v.pages.copy(it.Key()[len(prefix):], value)
		if !yield(projections.Row{Key: key, Value: value}, nil) {
			slow := steppedOver(it, rows)
			if err := v.state.giveBack(it); err != nil || !slow {
				return nil //nolint:nilerr // the reader has stopped
			}
			_ = v.cacheTable(prefix) // the reader has stopped
			return nil
		}
	}
	slow := steppedOver(it, rows)
	if err := v.state.giveBack(it); err != nil || !slow {
		return err
	}
	return v.cacheTable(prefix)
}
