package store

import (
	"iter"
	"slices"
	"sort"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ringrift/rift/projections"
)

// tableCaches are the table caches of a store. Commits are numbered, and a view knows
// between which two numbers it was taken.
type tableCaches struct {
	mu        sync.Mutex
	announced uint64                 // commits begun
	caches    map[string]*tableCache // by prefix
}

// announce begins a commit. The rows are sorted within their tables.
func (g *tableCaches) announce(rows []pendingRow) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.announced++
	for len(rows) > 0 && len(g.caches) > 0 {
		var own []pendingRow
		own, rows = firstTable(rows)
		prefix := string(own[0].entry.table.prefix)
		switch s := g.caches[prefix]; {
		case s == nil:
		case s.now == nil || encoded(own):
			s.apply(g.announced, own)
		default: // the table was cached after the batch had been encoded
			delete(g.caches, prefix)
		}
	}
}

// begun returns the number of the last commit that was announced.
func (g *tableCaches) begun() uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.announced
}

// A tableCache holds a small table in memory, for views. Pebble keeps every version of a
// row until a flush, and a scan of rows that change often has to step over all of them.
//
// A table is cached after a scan that had to step over many versions to find few rows,
// and is then updated by each commit. A cached table is used only for views that were
// taken between the commit that made it so and the next that changed it: its rows are
// always those that Pebble has for the view.
type tableCache struct {
	now, before *cachedTable // after and before the last commit that changed the table; nil: not cached
	large       uint64       // commit at which the table was too large; 0: none
}

// cachedTable is a table as of a commit. It is never changed.
type cachedTable struct {
	since  uint64 // number of the commit
	blocks [][]*cachedRow
	rows   int
}

// cachedRow is one row.
type cachedRow struct {
	key  string
	cell projections.Cell
}

const (
	cachedTableRows  = 4096    // of one table
	tableCachesMax   = 64      // tables
	cachedTableBlock = 64      // rows of a block, before it is split
	cacheAgain       = 1 << 16 // commits after which a large table may be tried again
	// A table is cached after a scan that took more steps than cacheSteps and
	// cacheStepsOf for each row that it found.
	cacheSteps   = 64
	cacheStepsOf = 8
)

// cachedTable returns a table for a view that was taken between two commits; nil if it is
// not cached for them.
func (g *tableCaches) cachedTable(prefix []byte, first, second uint64) *cachedTable {
	if first != second {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.caches[string(prefix)]
	switch {
	case s == nil || s.now == nil:
		return nil
	case first >= s.now.since:
		return s.now
	case s.before != nil && first >= s.before.since:
		return s.before
	}
	return nil
}

// mayCache reports whether a table may be cached as of a commit.
func (g *tableCaches) mayCache(prefix []byte, at uint64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.caches[string(prefix)]
	if s == nil {
		return g.announced == at && len(g.caches) < tableCachesMax
	}
	return g.announced == at && s.now == nil && (s.large == 0 || at-s.large >= cacheAgain)
}

// cacheTable caches a table as of a commit, unless another commit has begun. nil notes
// that the table is too large.
func (g *tableCaches) cacheTable(prefix []byte, at uint64, found *cachedTable) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.announced != at {
		return
	}
	if g.caches == nil {
		g.caches = map[string]*tableCache{}
	}
	if found == nil {
		g.caches[string(prefix)] = &tableCache{large: at}
		return
	}
	found.since = at
	g.caches[string(prefix)] = &tableCache{now: found}
}

// apply applies a commit. Its rows are encoded and in key order.
func (s *tableCache) apply(commit uint64, rows []pendingRow) {
	if s.now == nil {
		return
	}
	next := s.now.with(rows)
	next.since = commit
	if next.rows > cachedTableRows {
		s.now, s.before, s.large = nil, nil, commit
		return
	}
	s.now, s.before = next, s.now
}

// follows reports whether a table is cached.
func (g *tableCaches) follows(prefix []byte) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.caches[string(prefix)]
	return s != nil && s.now != nil
}

// encoded reports whether all rows that a commit puts have their JSON.
func encoded(rows []pendingRow) bool {
	return !slices.ContainsFunc(rows, func(row pendingRow) bool { return row.change == put && row.json == nil })
}

// clearTables removes all tables, after a switch of generations or a failed commit.
func (g *tableCaches) clearTables() {
	g.mu.Lock()
	defer g.mu.Unlock()
	clear(g.caches)
}

// with returns the table after rows were put and deleted.
func (s *cachedTable) with(rows []pendingRow) *cachedTable {
	next := &cachedTable{blocks: slices.Clone(s.blocks), rows: s.rows}
	own := -1 // index of the block that has been copied already
	for i := range rows {
		row := &rows[i]
		e, gone := row.entry, row.change != put
		at := next.block(e.key)
		if at == len(next.blocks) {
			if gone {
				continue
			}
			if at == 0 {
				next.blocks = append(next.blocks, nil)
			} else {
				at--
			}
		}
		block := next.blocks[at]
		place, found := slices.BinarySearchFunc(block, e.key, func(one *cachedRow, key string) int { return strings.Compare(one.key, key) })
		if gone && !found {
			continue
		}
		if own != at {
			block, own = slices.Clone(block), at
		}
		switch {
		case gone:
			block = slices.Delete(block, place, place+1)
			next.rows--
		case found:
			block[place] = row.cachedRow()
		default:
			block = slices.Insert(block, place, row.cachedRow())
			next.rows++
		}
		switch {
		case len(block) == 0:
			next.blocks, own = slices.Delete(next.blocks, at, at+1), -1
		case len(block) > cachedTableBlock:
			half := len(block) / 2
			next.blocks[at] = block[:half:half]
			next.blocks, own = slices.Insert(next.blocks, at+1, block[half:]), -1
		default:
			next.blocks[at] = block
		}
	}
	return next
}

func (r *pendingRow) cachedRow() *cachedRow {
	return &cachedRow{r.entry.key, projections.Cell{JSON: r.json, Typed: r.typed}}
}

// block returns the index of the first block whose last key is not below a key.
func (s *cachedTable) block(key string) int {
	return sort.Search(len(s.blocks), func(i int) bool {
		block := s.blocks[i]
		return block[len(block)-1].key >= key
	})
}

func (s *cachedTable) get(key string) *cachedRow {
	at := s.block(key)
	if at == len(s.blocks) {
		return nil
	}
	place, found := slices.BinarySearchFunc(s.blocks[at], key, func(one *cachedRow, key string) int { return strings.Compare(one.key, key) })
	if !found {
		return nil
	}
	return s.blocks[at][place]
}

// scan yields the rows of a span.
func (s *cachedTable) scan(span projections.Span) iter.Seq[*cachedRow] {
	if span.Reverse {
		return s.backwards(span)
	}
	return func(yield func(*cachedRow) bool) {
		from := max(span.From, span.Prefix)
		for at := s.block(from); at < len(s.blocks); at++ {
			for _, one := range s.blocks[at] {
				if one.key < from {
					continue
				}
				if !strings.HasPrefix(one.key, span.Prefix) || !yield(one) {
					return
				}
			}
		}
	}
}

func (s *cachedTable) backwards(span projections.Span) iter.Seq[*cachedRow] {
	end := string(keyAfter([]byte(span.Prefix)))
	if span.From != "" && (end == "" || span.From < end) {
		end = span.From
	}
	return func(yield func(*cachedRow) bool) {
		for at := len(s.blocks) - 1; at >= 0; at-- {
			for _, one := range slices.Backward(s.blocks[at]) {
				if end != "" && one.key >= end {
					continue
				}
				if !strings.HasPrefix(one.key, span.Prefix) || !yield(one) {
					return
				}
			}
		}
	}
}

// cacheTable caches a table, if the view shows the current state of it.
func (v *view) cacheTable(prefix []byte) error {
	at := v.state.first
	if at != v.state.second || !v.tables.mayCache(prefix, at) {
		return nil
	}
	it, err := v.state.iterator(bounds(prefix, projections.Span{}))
	if err != nil {
		return err
	}
	found := &cachedTable{}
	var block []*cachedRow
	for ok := it.First(); ok; ok = it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		if found.rows++; found.rows > cachedTableRows {
			found = nil
			break
		}
		if len(block) == cachedTableBlock/2 {
			found.blocks, block = append(found.blocks, block), nil
		}
		block = append(block, &cachedRow{string(it.Key()[len(prefix):]), projections.Cell{JSON: slices.Clone(value)}})
	}
	if found != nil && len(block) > 0 {
		found.blocks = append(found.blocks, block)
	}
	if err := v.state.giveBack(it); err != nil {
		return err
	}
	v.tables.cacheTable(prefix, at, found)
	return nil
}

// Cells yields rows with their typed values, if the table is cached. The values must not
// be changed.
func (v *view) Cells(table string, span projections.Span) (iter.Seq2[string, projections.Cell], bool) {
	prefix, err := v.place(table)
	if err != nil {
		return nil, false
	}
	cachedTable := v.tables.cachedTable(prefix, v.state.first, v.state.second)
	if cachedTable == nil {
		return nil, false
	}
	return func(yield func(string, projections.Cell) bool) {
		for one := range cachedTable.scan(span) {
			if !yield(one.key, one.cell) {
				return
			}
		}
	}, true
}

// steppedOver reports whether a scan stepped over many versions for the rows it found.
func steppedOver(it *pebble.Iterator, rows int) bool {
	stats := it.Stats()
	return stats.ForwardStepCount[pebble.InternalIterCall]+stats.ReverseStepCount[pebble.InternalIterCall] > cacheSteps+cacheStepsOf*rows
}
