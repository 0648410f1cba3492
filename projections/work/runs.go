package work

import (
	"container/heap"
	"iter"
	"strings"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/projections"
)

// kinds selects items by state, type, config and node. An empty field selects all.
type kinds struct {
	states   []work.State
	taskType string
	config   string
	node     domain.NodeID
}

// prefixes returns the prefixes of keys that an index has for such items. The keys begin
// with the node, if one is selected, and the key that stage returns for a state.
func (k kinds) prefixes(v projections.View, stage func(work.State) string) ([]string, error) {
	rows, err := countsOf(v, k.taskType, k.config)
	if err != nil {
		return nil, err
	}
	var prefixes []string
	for _, row := range rows {
		last := ""
		for _, state := range work.TaskStates { // states with the same key are neighbours
			if name := stage(state); name != last && row.in(state) > 0 && k.wants(state) {
				last = name
				if k.node != "" {
					name = projections.Pair(string(k.node), name)
				}
				prefixes = append(prefixes, kindKey(name, row.TaskType, row.ConfigKey, ""))
			}
		}
	}
	return prefixes, nil
}

func (k kinds) wants(state work.State) bool {
	if len(k.states) == 0 {
		return true
	}
	for _, one := range k.states {
		if one == state {
			return true
		}
	}
	return false
}

// merged yields the parts of keys after the prefixes, in order over all prefixes: from a
// given part on or, in reverse, from before it (empty: from the first or the last). It
// reads ahead about as many keys as are wanted, and has one scan open at a time.
func merged(v projections.View, index projections.Table[IndexRow], prefixes []string, from string, reverse bool, wanted int) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		runs := runHeap{reverse: reverse}
		ahead := min(wanted+1, 2*wanted/max(len(prefixes), 1)+2) // reading a row costs less than a new scan
		for _, prefix := range prefixes {
			r := &run{index: index, prefix: prefix, from: prefix + from, reverse: reverse, next: ahead}
			if reverse && from == "" {
				r.from = ""
			}
			if err := r.read(v); err != nil {
				yield("", err)
				return
			}
			if len(r.rest) > 0 {
				runs.runs = append(runs.runs, r)
			}
		}
		heap.Init(&runs)
		for len(runs.runs) > 0 {
			r := runs.runs[0]
			if !yield(r.rest[0], nil) {
				return
			}
			if r.rest = r.rest[1:]; len(r.rest) == 0 && !r.over {
				if err := r.read(v); err != nil {
					yield("", err)
					return
				}
			}
			if len(r.rest) == 0 {
				heap.Pop(&runs)
			} else {
				heap.Fix(&runs, 0)
			}
		}
	}
}

// run is the keys of an index with one prefix.
type run struct {
	index   projections.Table[IndexRow]
	prefix  string
	from    string // key at which reading continues
	reverse bool
	next    int      // rows to read
	rest    []string // read and not yielded yet
	over    bool     // everything is read
}

func (r *run) read(v projections.View) error {
	r.over = true
	for row, err := range r.index.RawScan(v, projections.Span{Prefix: r.prefix, From: r.from, Reverse: r.reverse}) {
		if err != nil {
			return err
		}
		if len(r.rest) == r.next {
			r.over = false
			break
		}
		r.rest = append(r.rest, row.Key[len(r.prefix):])
	}
	if !r.over {
		r.from = r.prefix + r.rest[len(r.rest)-1]
		if !r.reverse {
			r.from += "\x00" // past it
		}
		r.next *= 2
	}
	return nil
}

// runHeap is a heap of runs by their first key.
type runHeap struct {
	runs    []*run
	reverse bool
}

func (h *runHeap) Len() int           { return len(h.runs) }
func (h *runHeap) Less(i, j int) bool { return (h.runs[i].rest[0] < h.runs[j].rest[0]) != h.reverse }
func (h *runHeap) Swap(i, j int)      { h.runs[i], h.runs[j] = h.runs[j], h.runs[i] }
func (h *runHeap) Push(r any)         { h.runs = append(h.runs, r.(*run)) }
func (h *runHeap) Pop() any {
	last := len(h.runs) - 1
	r := h.runs[last]
	h.runs = h.runs[:last]
	return r
}

// idsUnder lists at most limit items (0: all) that an index has under a prefix.
func idsUnder(v projections.View, index projections.Table[IndexRow], prefix string, limit int) ([]domain.TaskID, error) {
	var ids []domain.TaskID
	for row, err := range index.RawScan(v, projections.Span{Prefix: prefix}) {
		if err != nil {
			return nil, err
		}
		ids = append(ids, idAtEnd(row.Key))
		if len(ids) == limit {
			break
		}
	}
	return ids, nil
}

// idAtEnd returns the id at the end of a key of an index.
func idAtEnd(key string) domain.TaskID {
	return domain.TaskID(key[strings.LastIndexByte(key, 0)+1:])
}
