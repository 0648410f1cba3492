package store

import (
	"slices"
	"sort"
	"strings"
	"sync"

	"github.com/ringrift/rift/projections"
)

// ranges remembers where scans of committed rows found nothing at their start, so
// that the next scan begins behind it. A queue is the reason: its head is where
// rows are deleted, and until Pebble compacts the deletions away, every scan
// from the start steps over all of them.
//
// An empty range says that no row of a table with a prefix lies before a key. It holds
// until a row is put there, and every commit announces the rows it puts before
// any view can show them. Commits are counted; a view knows between which two
// counts it was taken:
//
//   - An empty range found by a view is kept only if nothing was put into the table since
//     the first count, and is told only to views whose first count is not before
//     the second of the one that found it.
//   - A put that was announced after the range was kept removes it if it lies in it.
type ranges struct {
	mu          sync.Mutex
	announced   uint64 // commits begun
	tables      map[string]*tableRanges
	tableCaches map[string]*tableCache
}

type tableRanges struct {
	put    uint64 // the last commit that put a new row
	ranges map[string]emptyRange
}

type emptyRange struct {
	upTo  string // no row with the prefix before this key
	since uint64 // for views taken after this commit
}

const (
	emptySteps  = 32 // steps over nothing that are worth remembering
	rangesKept  = 64 // of one table; beyond, all are forgotten
	rangeTables = 256
)

// skip gives the part of a scan that may hold rows, for a view taken after commit first.
func (g *ranges) skip(prefix []byte, span projections.Span, first uint64) projections.Span {
	if span.Reverse {
		return span
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	t := g.tables[string(prefix)]
	if t == nil {
		return span
	}
	if known, ok := t.ranges[span.Prefix]; ok && known.since <= first && span.From < known.upTo {
		span.From = known.upTo
	}
	return span
}

// learn keeps an empty range that a view found, taken between commits first and second.
func (g *ranges) learn(prefix []byte, under, upTo string, first, second uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	t := g.table(string(prefix))
	if t == nil || t.put > first {
		return
	}
	if len(t.ranges) >= rangesKept {
		clear(t.ranges)
	}
	t.ranges[under] = emptyRange{upTo: upTo, since: second}
}

func (g *ranges) table(prefix string) *tableRanges {
	t := g.tables[prefix]
	if t == nil && len(g.tables) < rangeTables {
		t = &tableRanges{ranges: map[string]emptyRange{}}
		g.tables[prefix] = t
	}
	return t
}

// announce begins a commit: these rows, sorted within their tables, are about to
// show.
func (g *ranges) announce(rows []pendingRow) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.announced++
	for len(rows) > 0 {
		var own []pendingRow
		own, rows = firstTable(rows)
		prefix := string(own[0].entry.table.prefix)
		if s := g.tableCaches[prefix]; s != nil {
			if s.now == nil || encoded(own) {
				s.apply(g.announced, own)
			} else { // the table cache came when the batch was made already
				delete(g.tableCaches, prefix)
			}
		}
		known := g.table(prefix)
		if known == nil {
			continue
		}
		for under, one := range known.ranges {
			if putsBetween(own, under, one.upTo) {
				delete(known.ranges, under)
			}
		}
		if putsAny(own) {
			known.put = g.announced
		}
	}
}

// begun is the number of the last commit that was announced.
func (g *ranges) begun() uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.announced
}

func putsAny(rows []pendingRow) bool {
	return slices.ContainsFunc(rows, func(row pendingRow) bool { return row.puts })
}

// putsBetween tells whether a new row with a prefix lies before a key, among the
// rows of a table in key order.
func putsBetween(rows []pendingRow, prefix, upTo string) bool {
	from := sort.Search(len(rows), func(i int) bool { return rows[i].entry.key >= prefix })
	for i := range rows[from:] {
		row := &rows[from+i]
		if row.entry.key >= upTo || !strings.HasPrefix(row.entry.key, prefix) {
			return false
		}
		if row.puts {
			return true
		}
	}
	return false
}
