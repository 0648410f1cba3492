package sched

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Item is a piece of work as the order sees it.
type Item struct {
	ID        string
	Type      string
	Config    string // empty: it belongs to none, and such items share one flow
	Priority  int    // larger first
	Queued    time.Time
	Words     []string
	Expr      string
	GPU       bool
	Pin       string    // the only node that may have it; empty: any
	PinUntil  time.Time // when the pin ends; zero: it does not
	Excluded  []Exclusion
	NotBefore time.Time
	BlockedOn []string // items that have to be done first
}

// Exclusion keeps an item from a node for a while.
type Exclusion struct {
	Node  string
	Until time.Time // zero: for ever
}

// State is where an item is.
type State string

// The states of items in an index; one that ended is not in it.
const (
	Blocked State = "blocked" // waits for other items
	Waiting State = "waiting" // its time has not come
	Queued  State = "queued"
	Leased  State = "leased"
)

type entry struct {
	Standing
	item    Item
	due     int64 // when it has to be looked at again; 0: never
	places  [orders]int
	state   State
	group   *group // it stands in, or stood in when leased
	node    *nodeState
	leased  int64
	counted *kindState
}

type flowKey struct {
	rank         int
	pool, config string
}

type flowState struct {
	Flow
	key    flowKey
	queued int
}

type kindState struct {
	pauses  []Pause
	full    bool // as many run as may
	pending int  // blocked, waiting or queued
	running int
	rank    int
	policy  TypePolicy
	plain   map[string]*group // by config: those whose items require nothing
}

func (k *kindState) ran(change int) {
	k.running += change
	k.full = k.policy.RunningCap != nil && k.running >= *k.policy.RunningCap
}

// Pause stops items of a kind from being picked, for one reason. Lifting one
// reason lifts no other.
type Pause struct {
	Reason string
	Until  time.Time // zero: until it is lifted
}

type pairKey struct{ kind, config string }

type memo struct {
	serial     uint32
	preference int16
	fits       bool
}

type nodeState struct {
	node   Node
	policy NodePolicy
	named  bool // policy is one that matches
	known  bool
	used   int // slots
	leases uint64
	held   []*entry
	live   []int // leases by pair
	memos  []memo
	pinned []*group // ready groups of items pinned to it
}

// Index keeps queued and leased items so that a pick costs about as much as
// there are groups that the node may have, however long the queue is. It takes
// no lock and reads no clock; one goroutine at a time may use it. The zero value
// is not usable; New makes one.
type Index struct {
	rules   *Rules
	matcher Matcher
	now     int64
	items   map[string]*entry
	waits   map[string][]*entry // by the item they wait for
	groups  map[groupKey]*group
	slots   []*group // nil: free
	free    []int32
	serial  uint32
	ready   [][]*group // by class: unpinned and not empty
	classes []Class
	flows   map[flowKey]*flowState
	kinds   map[string]*kindState
	pairs   map[pairKey]int
	nodes   map[string]*nodeState
	nodeIDs []string // sorted
	timers  heap
	pending int
	kept    []Reservation

	contenders []Contender
	recent     *entry     // found last: who asks for an item mostly asks again
	asking     *nodeState // likewise
	spare      []*entry   // of items that left
}

// spareEntries is how many entries wait to be used again, so that a queue whose
// items come and go leaves nothing to collect.
const spareEntries = 1024

// New makes an empty index. matcher may be nil if nothing has expressions.
func New(rules *Rules, matcher Matcher) *Index {
	return &Index{
		rules: rules, matcher: matcher,
		items: map[string]*entry{}, waits: map[string][]*entry{}, groups: map[groupKey]*group{},
		ready: make([][]*group, len(rules.policy.Classes)), classes: make([]Class, len(rules.policy.Classes)),
		flows: map[flowKey]*flowState{}, kinds: map[string]*kindState{}, pairs: map[pairKey]int{}, nodes: map[string]*nodeState{},
		timers: heap{by: byDue},
	}
}

// Add takes an item that nobody holds. Its state follows from what it waits for.
func (x *Index) Add(item Item) error {
	if item.ID == "" || item.Type == "" {
		return fmt.Errorf("item %q of type %q: want an id and a type", item.ID, item.Type)
	}
	if _, exists := x.items[item.ID]; exists {
		return fmt.Errorf("item %s: it is in the index already", item.ID)
	}
	item.BlockedOn = unique(item.BlockedOn)
	e := x.blank()
	e.item, e.Standing, e.counted = item, standing(item), x.kind(item.Type)
	x.items[item.ID] = e
	e.counted.pending++
	x.pending++
	for _, dependency := range item.BlockedOn {
		x.waits[dependency] = append(x.waits[dependency], e)
	}
	x.place(e)
	return nil
}

// blank is an entry of nothing.
func (x *Index) blank() *entry {
	last := len(x.spare) - 1
	if last < 0 {
		return new(entry)
	}
	e := x.spare[last]
	x.spare = x.spare[:last]
	return e
}

// entry finds an item, nil if there is none.
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

func standing(item Item) Standing {
	return Standing{ID: item.ID, Queued: item.Queued.UnixMicro(), Priority: item.Priority}
}

func unique(list []string) []string {
	if len(list) == 0 {
		return nil
	}
	list = slices.Clone(list)
	slices.Sort(list)
	return slices.Compact(list)
}

// Remove takes an item out for good, whatever its state: it is done, dead or
// cancelled. Items that wait for it go on waiting; Done is another matter.
func (x *Index) Remove(id string) bool {
	e := x.entry(id)
	if e == nil {
		return false
	}
	if e.state == Leased {
		x.unlease(e)
	} else {
		x.displace(e)
		e.counted.pending--
		x.pending--
	}
	for _, dependency := range e.item.BlockedOn {
		x.unwait(dependency, e)
	}
	delete(x.items, id)
	x.recent = nil
	if len(x.spare) < spareEntries {
		*e = entry{}
		x.spare = append(x.spare, e)
	}
	return true
}

// Done says that an item is done: whoever waits for it waits no more. The item
// itself need not be in the index.
func (x *Index) Done(id string) {
	x.Remove(id)
	waiting := x.waits[id]
	delete(x.waits, id)
	for _, e := range waiting {
		e.item.BlockedOn = slices.DeleteFunc(e.item.BlockedOn, func(dependency string) bool { return dependency == id })
		if e.state == Blocked && len(e.item.BlockedOn) == 0 {
			x.place(e)
		}
	}
}

func (x *Index) unwait(dependency string, e *entry) {
	left := slices.DeleteFunc(x.waits[dependency], func(other *entry) bool { return other == e })
	if len(left) == 0 {
		delete(x.waits, dependency)
		return
	}
	x.waits[dependency] = left
}

// Update changes what an item asks for, in the state it has: a new exclusion, a
// pin that moves, another priority. Of a leased item it shows when the item is
// released.
func (x *Index) Update(item Item) error {
	e, exists := x.items[item.ID]
	switch {
	case !exists:
		return fmt.Errorf("item %s: it is not in the index", item.ID)
	case e.item.Type != item.Type:
		return fmt.Errorf("item %s: its type is %s and cannot become %s", item.ID, e.item.Type, item.Type)
	}
	if e.state != Leased {
		x.displace(e)
	}
	for _, dependency := range e.item.BlockedOn {
		x.unwait(dependency, e)
	}
	item.BlockedOn = unique(item.BlockedOn)
	e.item, e.Standing = item, standing(item)
	for _, dependency := range item.BlockedOn {
		x.waits[dependency] = append(x.waits[dependency], e)
	}
	if e.state != Leased {
		x.place(e)
	}
	return nil
}

// place puts an item where its state at the moment wants it.
func (x *Index) place(e *entry) {
	e.due = 0
	switch {
	case len(e.item.BlockedOn) > 0:
		e.state = Blocked
		return
	case e.item.NotBefore.UnixMicro() > x.now && !e.item.NotBefore.IsZero():
		e.state, e.due = Waiting, e.item.NotBefore.UnixMicro()
		x.timers.push(e)
		return
	}
	e.state = Queued
	pin := e.item.Pin
	if pin != "" && !e.item.PinUntil.IsZero() {
		if until := e.item.PinUntil.UnixMicro(); until > x.now {
			e.due = until
			x.timers.push(e)
		} else {
			pin = ""
		}
	}
	x.join(x.group(e, pin), e)
}

// displace undoes place.
func (x *Index) displace(e *entry) {
	if e.due != 0 {
		x.timers.remove(e)
		e.due = 0
	}
	if e.state == Queued {
		x.leave(e)
	}
}

// advance lets what was to happen by now happen. Time does not go back.
func (x *Index) advance(now time.Time) int64 {
	x.now = max(x.now, now.UnixMicro())
	for x.timers.len() > 0 && x.timers.top().due <= x.now {
		e := x.timers.top()
		x.displace(e)
		x.place(e)
	}
	return x.now
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
		k = &kindState{policy: policy, rank: x.rules.Rank(policy.Class), plain: map[string]*group{}}
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

func (x *Index) node(id string) *nodeState {
	n, ok := x.nodes[id]
	if !ok {
		n = &nodeState{node: Node{ID: id}}
		x.nodes[id] = n
		at, _ := slices.BinarySearch(x.nodeIDs, id)
		x.nodeIDs = slices.Insert(x.nodeIDs, at, id)
	}
	return n
}

// known finds a node, nil if nothing is known of it.
func (x *Index) known(id string) *nodeState {
	if x.asking != nil && x.asking.node.ID == id {
		return x.asking
	}
	n, ok := x.nodes[id]
	if !ok || !n.known {
		return nil
	}
	x.asking = n
	return n
}

// SetNode says what is known of a node from here on. Leases it has stay, even
// if it now has fewer slots.
func (x *Index) SetNode(node Node) error {
	if node.ID == "" {
		return fmt.Errorf("node: want an id")
	}
	n := x.node(node.ID)
	if n.known && n.node.equal(node) {
		return nil
	}
	node.Wants, node.Words = slices.Clone(node.Wants), slices.Clone(node.Words)
	n.node, n.known = node, true
	n.policy, n.named = x.rules.NodePolicy(node.ID)
	clear(n.memos)
	return nil
}

// Pause stops a kind for a reason; a second pause for that reason replaces the
// first.
func (x *Index) Pause(kind string, pause Pause) {
	k := x.kind(kind)
	x.Resume(kind, pause.Reason)
	k.pauses = append(k.pauses, pause)
	slices.SortFunc(k.pauses, func(a, b Pause) int { return strings.Compare(a.Reason, b.Reason) })
}

// Resume lifts one reason.
func (x *Index) Resume(kind, reason string) {
	k := x.kind(kind)
	k.pauses = slices.DeleteFunc(k.pauses, func(p Pause) bool { return p.Reason == reason })
}

func (k *kindState) paused(now int64) (Pause, bool) {
	for _, pause := range k.pauses {
		if pause.Until.IsZero() || pause.Until.UnixMicro() > now {
			return pause, true
		}
	}
	return Pause{}, false
}

// Pending is how many items wait, in any way.
func (x *Index) Pending() int { return x.pending }

// PendingOf is how many of a kind wait, in any way.
func (x *Index) PendingOf(kind string) int {
	if k, ok := x.kinds[kind]; ok {
		return k.pending
	}
	return 0
}

// RemoveNode forgets what is known of a node. Nothing is picked for it any more;
// its leases stay until their items are released or removed.
func (x *Index) RemoveNode(id string) {
	n, ok := x.nodes[id]
	if !ok {
		return
	}
	n.node, n.known, n.memos = Node{ID: id}, false, nil
	x.asking = nil
	x.forgetNode(n)
}

// forgetNode drops a node that nothing speaks of any more.
func (x *Index) forgetNode(n *nodeState) {
	if n.known || len(n.held) > 0 || len(n.pinned) > 0 {
		return
	}
	delete(x.nodes, n.node.ID)
	if at, found := slices.BinarySearch(x.nodeIDs, n.node.ID); found {
		x.nodeIDs = slices.Delete(x.nodeIDs, at, at+1)
	}
}

// Find is an item and its state.
func (x *Index) Find(id string) (Item, State, bool) {
	e := x.entry(id)
	if e == nil {
		return Item{}, "", false
	}
	return e.item, e.state, true
}
