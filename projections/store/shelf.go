package store

import (
	"iter"
	"slices"
	"sort"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ringrift/rift/projections"
)

// A shelf holds a small table in memory beside Pebble, for views. Rows that
// change all the time are the reason: Pebble keeps every version of a row until
// it writes its buffer out, and a scan steps over all of them.
//
// Tables are put on shelves when a scan had to step over much to find little,
// and follow the commits from there on. A shelf says which commit it shows, and
// is shown only to views that were taken between that commit and the next that
// changed the table, so that it never differs from what Pebble would have given.
type shelf struct {
	now, before *stock // before the last commit that changed the table; nil: not known
	large       uint64 // commit at which the table was found too large; 0: it was not
}

// stock is a table at a moment. Nothing in it is ever changed.
type stock struct {
	since  uint64 // the commit that made it so
	blocks [][]*shelved
	rows   int
}

// shelved is one row.
type shelved struct {
	key  string
	cell projections.Cell
}

const (
	shelfRows    = 4096    // of one table
	shelves      = 64      // tables
	shelfBlock   = 64      // rows of a block, before it is split
	shelfAgain   = 1 << 16 // commits after which a large table is looked at again
	shelfSteps   = 64      // steps of a scan that speak for a shelf,
	shelfStepsOf = 8       // beyond so many for each row it found
)

// stock is what a view taken between two commits may be shown of a table; nil
// for nothing.
func (g *gaps) stock(prefix []byte, first, second uint64) *stock {
	if first != second {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.shelves[string(prefix)]
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

// mayShelve tells whether a table may be put on a shelf at a commit.
func (g *gaps) mayShelve(prefix []byte, at uint64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.shelves[string(prefix)]
	if s == nil {
		return g.announced == at && len(g.shelves) < shelves
	}
	return g.announced == at && s.now == nil && (s.large == 0 || at-s.large >= shelfAgain)
}

// shelve puts a table on a shelf as it is at a commit, unless another commit has
// begun; nil says that it is too large.
func (g *gaps) shelve(prefix []byte, at uint64, found *stock) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.announced != at {
		return
	}
	if g.shelves == nil {
		g.shelves = map[string]*shelf{}
	}
	if found == nil {
		g.shelves[string(prefix)] = &shelf{large: at}
		return
	}
	found.since = at
	g.shelves[string(prefix)] = &shelf{now: found}
}

// restock takes a commit over that was announced. The rows are encoded and in
// key order.
func (s *shelf) restock(commit uint64, rows []waitingRow) {
	if s.now == nil {
		return
	}
	next := s.now.with(rows)
	next.since = commit
	if next.rows > shelfRows {
		s.now, s.before, s.large = nil, nil, commit
		return
	}
	s.now, s.before = next, s.now
}

// follows tells whether a table is on a shelf, which takes over what is committed.
func (g *gaps) follows(prefix []byte) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.shelves[string(prefix)]
	return s != nil && s.now != nil
}

// encoded tells whether all the rows that a commit puts still have their JSON.
func encoded(rows []waitingRow) bool {
	return !slices.ContainsFunc(rows, func(row waitingRow) bool { return row.change == put && row.json == nil })
}

// clearShelves forgets all of them: what they follow moved, or failed.
func (g *gaps) clearShelves() {
	g.mu.Lock()
	defer g.mu.Unlock()
	clear(g.shelves)
}

// with is the table after rows were put and deleted.
func (s *stock) with(rows []waitingRow) *stock {
	next := &stock{blocks: slices.Clone(s.blocks), rows: s.rows}
	own := -1 // the block that is a copy already
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
		place, found := slices.BinarySearchFunc(block, e.key, func(one *shelved, key string) int { return strings.Compare(one.key, key) })
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
			block[place] = row.shelved()
		default:
			block = slices.Insert(block, place, row.shelved())
			next.rows++
		}
		switch {
		case len(block) == 0:
			next.blocks, own = slices.Delete(next.blocks, at, at+1), -1
		case len(block) > shelfBlock:
			half := len(block) / 2
			next.blocks[at] = block[:half:half]
			next.blocks, own = slices.Insert(next.blocks, at+1, block[half:]), -1
		default:
			next.blocks[at] = block
		}
	}
	return next
}

func (r *waitingRow) shelved() *shelved {
	return &shelved{r.entry.key, projections.Cell{JSON: r.json, Typed: r.typed}}
}

// block is the place of the first block that ends at a key or behind it.
func (s *stock) block(key string) int {
	return sort.Search(len(s.blocks), func(i int) bool {
		block := s.blocks[i]
		return block[len(block)-1].key >= key
	})
}

func (s *stock) get(key string) *shelved {
	at := s.block(key)
	if at == len(s.blocks) {
		return nil
	}
	place, found := slices.BinarySearchFunc(s.blocks[at], key, func(one *shelved, key string) int { return strings.Compare(one.key, key) })
	if !found {
		return nil
	}
	return s.blocks[at][place]
}

// scan yields the rows of a span.
func (s *stock) scan(span projections.Span) iter.Seq[*shelved] {
	if span.Reverse {
		return s.backwards(span)
	}
	return func(yield func(*shelved) bool) {
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

func (s *stock) backwards(span projections.Span) iter.Seq[*shelved] {
	end := string(keyAfter([]byte(span.Prefix)))
	if span.From != "" && (end == "" || span.From < end) {
		end = span.From
	}
	return func(yield func(*shelved) bool) {
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

// shelve puts a table on a shelf after a scan that stepped over much, if this
// view shows the table as it is.
func (v *view) shelve(prefix []byte) error {
	at := v.state.first
	if at != v.state.second || !v.gaps.mayShelve(prefix, at) {
		return nil
	}
	it, err := v.state.iterator(bounds(prefix, projections.Span{}))
	if err != nil {
		return err
	}
	found := &stock{}
	var block []*shelved
	for ok := it.First(); ok; ok = it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		if found.rows++; found.rows > shelfRows {
			found = nil
			break
		}
		if len(block) == shelfBlock/2 {
			found.blocks, block = append(found.blocks, block), nil
		}
		block = append(block, &shelved{string(it.Key()[len(prefix):]), projections.Cell{JSON: slices.Clone(value)}})
	}
	if found != nil && len(block) > 0 {
		found.blocks = append(found.blocks, block)
	}
	if err := v.state.giveBack(it); err != nil {
		return err
	}
	v.gaps.shelve(prefix, at, found)
	return nil
}

// Cells yields rows with their typed forms, where they are at hand; false where
// they are not. The typed forms must not be written to.
func (v *view) Cells(table string, span projections.Span) (iter.Seq2[string, projections.Cell], bool) {
	prefix, err := v.place(table)
	if err != nil {
		return nil, false
	}
	stock := v.gaps.stock(prefix, v.state.first, v.state.second)
	if stock == nil {
		return nil, false
	}
	return func(yield func(string, projections.Cell) bool) {
		for one := range stock.scan(span) {
			if !yield(one.key, one.cell) {
				return
			}
		}
	}, true
}

// steppedOver tells whether a scan had to step over much to find so many rows.
func steppedOver(it *pebble.Iterator, rows int) bool {
	stats := it.Stats()
	return stats.ForwardStepCount[pebble.InternalIterCall]+stats.ReverseStepCount[pebble.InternalIterCall] > shelfSteps+shelfStepsOf*rows
}
