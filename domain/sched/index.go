package sched

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// Item is an item of work for the scheduler.
type Item struct {
	ID       string
	Seq      uint64 // breaks ties of age: the smaller was added first
	Type     string
	Config   string // empty: none; such items share one flow
	Priority int    // larger first
	Queued   time.Time
	Words    []string
	Expr     string
	GPU      bool
	Pin      string // the only node that may have it; empty: any
	Excluded []Exclusion
}

// Exclusion keeps an item from a node for a while.
type Exclusion struct {
	Node   string
	Until  time.Time // zero: for ever
	Reason string
}

// State is the state of an item in an index.
type State string

// The states of items in an index.
const (
	Queued State = "queued"
	Leased State = "leased"
)

// entry is an item in the index. The fields that all items of a group share are in the
// group.
type entry struct {
	Standing
	excluded []Exclusion
	pin      string
	places   [orders]int
	group    *group // it is in, or was in when it was leased
	node     *nodeState
	leased   int64 // microseconds since 1970; when it was leased
	cost     int   // slots that the lease takes
	asked    bool  // its holder was asked to give it back
}

func (e *entry) state() State {
	if e.node != nil {
		return Leased
	}
	return Queued
}

type flowKey struct{ class, pool, config string }

type flowState struct {
	Flow
	key    flowKey
	queued int
}

type kindState struct {
	paused  string // why items of it are not picked; empty: not paused
	full    bool   // as many run as its cap allows
	queued  int
	running int
	rank    int
	policy  TypePolicy
	plain   map[string]*group // by config: those whose items require nothing
}

func (k *kindState) ran(change int) {
	k.running += change
	k.full = k.policy.RunningCap != nil && k.running >= *k.policy.RunningCap
}

type pairKey struct{ kind, config string }

// Index holds queued and leased items. The cost of a pick grows with the number of groups
// that the node may have, not with the length of the queue. One goroutine at a time may
// use it. New makes one; the zero value is not usable.
type Index struct {
	rules   *Rules
	matcher Matcher
	items   map[string]*entry
	groups  map[groupKey]*group
	slots   []*group // nil: free
	free    []int32
	serial  uint32
	ready   [][]*group // by class: unpinned and not empty
	classes []Class
	turns   map[string]uint64 // by class
	flows   map[flowKey]*flowState
	kinds   map[string]*kindState
	pauses  map[string]string // by kind
	pairs   map[pairKey]int
	nodes   map[string]*nodeState
	queued  int
	kept    []Reservation

	promises int

	contenders []Contender
	recent     *entry     // the last one that was found; it is often asked for again
	asking     *nodeState // likewise
	spare      []*entry   // of removed items
	closed     func(gate string, items int)
}

// spareEntries is the number of entries that are kept to be used again, which spares the
// garbage collector.
const spareEntries = 1024

// AllKinds is the kind whose pause stops every kind.
const AllKinds = "all"

// New makes an empty index. matcher may be nil if nothing has expressions.
func New(rules *Rules, matcher Matcher) *Index {
	x := &Index{
		matcher: matcher, items: map[string]*entry{}, turns: map[string]uint64{}, flows: map[flowKey]*flowState{}, nodes: map[string]*nodeState{},
	}
	x.adoptRules(rules)
	return x
}

// adoptRules sets the rules and clears everything that depends on them.
func (x *Index) adoptRules(rules *Rules) {
	x.rules = rules
	x.groups, x.kinds, x.pairs = map[groupKey]*group{}, map[string]*kindState{}, map[pairKey]int{}
	x.slots, x.free = nil, nil
	x.ready, x.classes = make([][]*group, rules.Ranks()), make([]Class, rules.Ranks())
	for rank := range x.classes {
		x.classes[rank].Turns = x.turns[rules.Class(rank).Name]
	}
}

// SetRules changes the rules. Every item is put into a group again, so the cost grows with
// the number of items. Leases keep their slots.
func (x *Index) SetRules(rules *Rules) {
	if rules == x.rules {
		return
	}
	x.adoptRules(rules)
	for _, f := range x.flows { //purity:ok each flow is set by itself
		f.Weight, f.queued = rules.Weight(f.key.config), 0
	}
	for _, id := range slices.Sorted(maps.Keys(x.nodes)) {
		n := x.nodes[id]
		n.policy, n.named = rules.NodePolicy(id)
		n.memos, n.live, n.pinned = nil, nil, nil
		if !n.node.Slots.Known && !n.node.Free.Known {
			n.slots = rules.policy.DefaultSlots
		}
	}
	x.queued = 0
	for _, id := range slices.Sorted(maps.Keys(x.items)) {
		e := x.items[id]
		e.group = x.group(e.group.key)
		if e.node == nil {
			x.join(e)
			continue
		}
		e.group.kind.ran(1)
		x.hold(e, 1)
	}
}

// Rules returns the rules of the index.
func (x *Index) Rules() *Rules { return x.rules }

// SetMatcher sets what evaluates expressions; nil: they are unknown.
func (x *Index) SetMatcher(matcher Matcher) { x.matcher = matcher }

// Add adds a queued item.
func (x *Index) Add(item Item) error {
	if item.ID == "" || item.Type == "" {
		return fmt.Errorf("item %q of type %q: want an id and a type", item.ID, item.Type)
	}
	if _, exists := x.items[item.ID]; exists {
		return fmt.Errorf("item %s: it is in the index already", item.ID)
	}
	e := x.blank()
	x.describe(e, item)
	x.items[item.ID] = e
	x.join(e)
	return nil
}

// describe sets the fields of an entry to those of an item.
func (x *Index) describe(e *entry, item Item) {
	e.Standing = Standing{ID: item.ID, Seq: item.Seq, Queued: item.Queued.UnixMicro(), Priority: item.Priority}
	e.excluded, e.pin = item.Excluded, item.Pin
	e.group = x.group(keyOf(item))
}

// blank returns an empty entry.
func (x *Index) blank() *entry {
	last := len(x.spare) - 1
	if last < 0 {
		return new(entry)
	}
	e := x.spare[last]
	x.spare = x.spare[:last]
	return e
}

// entry returns the entry of an item, nil if there is none.
func (x *Index) entry(id string) *entry {
	if x.recent != nil && x.recent.ID == id {
		return x.recent
	}
	e, ok := x.items[id]
	if ok {
		x.recent = e
	}
	return e
}

func unique(list []string) []string {
	if len(list) == 0 {
		return nil
	}
	list = slices.Clone(list)
	slices.Sort(list)
	return slices.Compact(list)
}

// Remove removes an item, queued or leased.
func (x *Index) Remove(id string) bool {
	e := x.entry(id)
	if e == nil {
		return false
	}
	if e.node != nil {
		x.unlease(e)
	} else {
		x.dequeue(e)
	}
	delete(x.items, id)
	x.recent = nil
	if len(x.spare) < spareEntries {
		*e = entry{}
		x.spare = append(x.spare, e)
	}
	return true
}

// Update changes an item in the state it has, for example its exclusions, pin or sequence.
// A queued item keeps its reservation and promise. The change of a leased item has an
// effect once it is released.
func (x *Index) Update(item Item) error {
	e := x.entry(item.ID)
	switch {
	case e == nil:
		return fmt.Errorf("item %s: it is not in the index", item.ID)
	case e.group.key.kind != item.Type:
		return fmt.Errorf("item %s: its type is %s and cannot become %s", item.ID, e.group.key.kind, item.Type)
	case e.node != nil:
		key := e.group.key
		if key != keyOf(item) {
			x.hold(e, -1)
			e.group.kind.ran(-1)
			x.describe(e, item)
			e.group.kind.ran(1)
			x.hold(e, 1)
			return nil
		}
		x.describe(e, item)
		return nil
	}
	x.leave(e)
	x.describe(e, item)
	x.join(e)
	x.restand(e)
	return nil
}

func (x *Index) flow(key flowKey) *flowState {
	f, ok := x.flows[key]
	if !ok {
		f = &flowState{key: key, Flow: Flow{Weight: x.rules.Weight(key.config)}}
		x.flows[key] = f
	}
	return f
}

func (x *Index) kind(name string) *kindState {
	k, ok := x.kinds[name]
	if !ok {
		policy := x.rules.Type(name)
		k = &kindState{policy: policy, rank: x.rules.Rank(policy.Class), plain: map[string]*group{}, paused: x.pauseOf(name)}
		k.ran(0)
		x.kinds[name] = k
	}
	return k
}

func (x *Index) pair(key pairKey) int {
	p, ok := x.pairs[key]
	if !ok {
		p = len(x.pairs)
		x.pairs[key] = p
	}
	return p
}

// SetPauses says which kinds are not picked, and why; AllKinds stops every kind.
func (x *Index) SetPauses(pauses map[string]string) {
	if len(pauses) == 0 && len(x.pauses) == 0 {
		return
	}
	x.pauses = pauses
	for name, k := range x.kinds { //purity:ok each kind is set by itself
		k.paused = x.pauseOf(name)
	}
}

func (x *Index) pauseOf(kind string) string {
	if reason, paused := x.pauses[kind]; paused {
		return reason
	}
	return x.pauses[AllKinds]
}

// Queued returns the number of queued items.
func (x *Index) Queued() int { return x.queued }

// QueuedOf returns the number of queued items of a kind.
func (x *Index) QueuedOf(kind string) int {
	if k, ok := x.kinds[kind]; ok {
		return k.queued
	}
	return 0
}

// Find returns an item and its state.
func (x *Index) Find(id string) (Item, State, bool) {
	e := x.entry(id)
	if e == nil {
		return Item{}, "", false
	}
	g := e.group
	return Item{
		ID: e.ID, Seq: e.Seq, Type: g.key.kind, Config: g.key.config, Priority: e.Priority, Queued: time.UnixMicro(e.Queued).UTC(),
		Words: g.item.Words, Expr: g.key.expr, GPU: g.key.gpu, Pin: e.pin, Excluded: e.excluded,
	}, e.state(), true
}
