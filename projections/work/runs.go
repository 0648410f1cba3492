package work

import (
	"container/heap"
	"iter"
	"strings"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/projections"
)

// kinds asks for the items of some states, types, configs and of one node: of
// all of each where nothing is said.
type kinds struct {
	states   []work.State
	taskType string
	config   string
	node     domain.NodeID
}

// prefixes are those under which an index has such items, one for each kind of
// which there are any. Its keys begin with the node, if one is asked for, and
// with what stage makes of a state.
func (k kinds) prefixes(v projections.View, stage func(work.State) string) ([]string, error) {
	rows, err := countsOf(v, k.taskType, k.config)
	if err != nil {
		return nil, err
	}
	var prefixes []string
	for _, row := range rows {
		last := ""
		for _, state := range work.TaskStates { // states of one stage stand together
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

// merged yields what comes after the prefixes in an index's keys, in order over
// all of them: from a given rest on, or backwards from before it (empty: from
// the first, or the last). It reads ahead for about as many as are wanted and a
// few for each prefix, and holds one scan open at a time.
func merged(v projections.View, index projections.Table[IndexRow], prefixes []string, from string, reverse bool, wanted int) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		runs := runHeap{reverse: reverse}
		ahead := min(wanted+1, 2*wanted/max(len(prefixes), 1)+2) // rows cost less than beginning a scan
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

// run is what an index has under one prefix.
type run struct {
	index   projections.Table[IndexRow]
	prefix  string
	from    string // where reading goes on
	reverse bool
	next    int      // rows to read
	rest    []string // read, and not yielded yet
	over    bool     // there is no more to read
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

// runHeap has the run on top whose first row comes first.
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

// idsUnder lists the items that an index has under a prefix, in its order, at
// most limit (0: all).
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

// idAtEnd is the id that a key of an index ends with.
func idAtEnd(key string) domain.TaskID {
	return domain.TaskID(key[strings.LastIndexByte(key, 0)+1:])
}
