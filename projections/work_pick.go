package projections

import (
	"iter"
	"slices"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/sched"
)

// Claimant is a node asking for work.
type Claimant struct {
	Node         domain.NodeID
	Capabilities []string // task types it wants (none: any) and words that items may require
	Limit        int
	Slots        int           // it says it has free; 0: it does not say
	Level        *domain.Level // what it last said of itself
	Given        []Given       // what it was given that the rows do not show
}

// Given is an item that a node was given.
type Given struct {
	TaskType  string
	ConfigKey string
	Done      bool // it holds it no more
}

// Market is what a choice is made by besides the rows.
type Market struct {
	Rules   *sched.Rules
	Matcher sched.Matcher // nil: expressions are not known, and close nothing
	Now     time.Time
	// Closed is told of the items that a gate kept from the node, each once and
	// for the first gate that did; nil: nobody counts.
	Closed func(gate string, items int)
	// Take says whether a name is free to be taken now; nil: everything is.
	Take func(name string) bool
	// Taken tells names that Take would refuse; nil: asking Take tells.
	Taken func(name string) bool
}

// Surroundings is a view that also knows what a claim would be decided by
// besides the rows.
type Surroundings interface {
	View
	Matcher() sched.Matcher
	LevelOf(node domain.NodeID) *domain.Level
}

// levelOf is what a node last said of itself, where the view knows.
func levelOf(v View, node domain.NodeID) *domain.Level {
	if around, ok := v.(Surroundings); ok {
		return around.LevelOf(node)
	}
	return nil
}

// Picked is an item chosen for a node, and why.
type Picked struct {
	TaskID    domain.TaskID
	TaskType  string
	ConfigKey string
	Priority  int
	Decision  domain.ClaimDecision

	// Room, if there is any, is what the node keeps for the item instead.
	Room     *domain.TaskReserved
	Kept     bool          // it does so already
	Replaces domain.NodeID // the node that did until now
}

// PickTasks chooses what a node gets, in the order of domain/sched. Its cost
// grows with the groups of equal items, not with the queue. It books nothing:
// asked again of the same view at the same moment, it answers the same.
func PickTasks(v View, claimant Claimant, market Market) ([]Picked, error) {
	p, err := newPicker(v, claimant, market)
	if err != nil {
		return nil, err
	}
	defer p.close()
	var picked []Picked
	for len(picked) < claimant.Limit {
		one, found, err := p.next()
		if err != nil || !found {
			return picked, err
		}
		picked = append(picked, one)
		if one.Room != nil {
			break
		}
	}
	return picked, nil
}

// picker is one node's choice among the groups.
type picker struct {
	view    View
	market  Market
	node    domain.NodeID
	asker   *sched.Asker
	drained *sched.Asker  // asks as if the node held nothing
	keptFor domain.TaskID // the item that the node keeps its room for
	now     int64         // microseconds
	slots   int
	used    int
	free    int // slots the claim says are free; -1: it does not say
	leases  uint64
	classes []sched.Class
	flows   map[string]*flow
	groups  []*stall
	live    map[string]int
	running map[string]int
	pauses  map[string]pause
	gone    map[domain.TaskID]bool // picked, or another claim's
}

// flow is a config's standing in a class and pool.
type flow struct {
	sched.Flow
	read   bool
	queued int
}

// stall is a group as one node sees it.
type stall struct {
	key         string
	row         ReadyRow
	kind        sched.TypePolicy
	rank        int
	flow        *flow
	flowKey     string
	fits        sched.Maybe[bool]
	counted     bool // its gate was told
	top, oldest walk
}

func newPicker(v View, claimant Claimant, market Market) (*picker, error) {
	p, err := onePicker(v, claimant, market)
	if err != nil {
		return nil, err
	}
	for _, given := range claimant.Given {
		p.hold(given)
	}
	return p, p.gather()
}

// hold counts what the rows do not show.
func (p *picker) hold(given Given) {
	p.leases++
	if given.Done {
		return
	}
	p.used += max(min(p.market.Rules.Type(given.TaskType).Slots, p.slots), 1)
	p.live[liveKey(p.node, given.TaskType, given.ConfigKey)]++
	p.running[given.TaskType]++
}

// onePicker knows the node and no group.
func onePicker(v View, claimant Claimant, market Market) (*picker, error) {
	node, err := NodeFor(v, claimant)
	if err != nil {
		return nil, err
	}
	load, _, err := workLoadTable.Get(v, string(claimant.Node))
	if err != nil {
		return nil, err
	}
	leases, _, err := workSharesTable.Get(v, leasesKey(claimant.Node))
	if err != nil {
		return nil, err
	}
	p := &picker{
		view: v, market: market, node: claimant.Node, asker: market.Rules.Asker(node, market.Matcher),
		now: market.Now.UnixMicro(), used: load.Slots, free: -1, leases: leases.Leases,
		classes: make([]sched.Class, market.Rules.Ranks()), flows: map[string]*flow{},
		live: map[string]int{}, running: map[string]int{}, pauses: map[string]pause{}, gone: map[domain.TaskID]bool{},
	}
	p.slots = p.asker.Slots()
	if claimant.Slots > 0 {
		p.free = claimant.Slots
		if p.slots == unbounded || !node.Slots.Known {
			p.slots = p.used + p.free // it never said how many it has, and now does
		}
	}
	return p, nil
}

// unbounded is how many slots a node has of which nothing is known at all.
const unbounded = 1 << 20

// NodeFor puts together what is known of a node that asks.
func NodeFor(v View, claimant Claimant) (sched.Node, error) {
	node := sched.Node{ID: string(claimant.Node), Wants: claimant.Capabilities, Words: claimant.Capabilities}
	row, known, err := NodesTable.Get(v, node.ID)
	if err != nil {
		return node, err
	}
	if !known {
		node.Slots = sched.Known(unbounded)
	} else {
		node.Words = slices.Concat(claimant.Capabilities, row.Capabilities)
		hardware := domain.HardwareOf(row.Facts)
		node.Slots, node.HasGPU, node.GPUName, node.GPUMemoryMB = hardware.Slots, hardware.HasGPU, hardware.GPUName, hardware.GPUMemoryMB
		node.Facts, node.Accepts = string(row.Facts), row.Accepts
	}
	if level := claimant.Level; level != nil {
		node.GPUPercent, node.GPUMemoryPercent = sched.HundredthsOf(level.GPUPercent), sched.HundredthsOf(level.GPUMemoryPercent)
		node.DiskPercent = sched.HundredthsOf(level.DiskPercent)
	}
	return node, nil
}

// gather reads the groups that are not another node's, and how many flows each
// class has.
func (p *picker) gather() error {
	places := []string{anyNode}
	if p.node != "" {
		places = append(places, placeOfNode(p.node))
	}
	for _, place := range places {
		for entry, err := range workReadyTable.Scan(p.view, Span{Prefix: place + "\x00"}) {
			if err != nil {
				return err
			}
			p.groups = append(p.groups, p.stall(entry.Key, entry.Row))
		}
	}
	for rank := range p.classes {
		turns, _, err := workSharesTable.Get(p.view, classKey(p.market.Rules.Class(rank).Name))
		if err != nil {
			return err
		}
		p.classes[rank].Turns = turns.Turns
	}
	return nil
}

// stall is how the node sees a group.
func (p *picker) stall(key string, row ReadyRow) *stall {
	rules := p.market.Rules
	kind := rules.Type(row.TaskType)
	g := &stall{key: key, row: row, kind: kind, rank: rules.Rank(kind.Class), flowKey: flowKey(kind.Class, kind.Pool, row.ConfigKey)}
	g.top = walk{table: workQueueTable, group: key, keyOf: StandingRow.byPriority, head: &g.row.Top}
	g.oldest = walk{table: workAgeTable, group: key, keyOf: StandingRow.byAge, head: &g.row.Oldest}
	known := false
	if g.flow, known = p.flows[g.flowKey]; !known {
		g.flow = &flow{Flow: sched.Flow{Weight: rules.Weight(row.ConfigKey)}}
		p.flows[g.flowKey] = g.flow
		class := &p.classes[g.rank]
		class.Flows++
		class.Weight += g.flow.Weight
	}
	g.flow.queued += row.Queued
	return g
}

func (p *picker) close() {
	for _, g := range p.groups {
		g.top.close()
		g.oldest.close()
	}
}

// next is what the node gets next.
func (p *picker) next() (Picked, bool, error) {
	if one, found, err := p.promised(); err != nil || found {
		return one, found, err
	}
	for {
		reserved, keeps, err := p.turn()
		if err != nil {
			return Picked{}, false, err
		}
		if keeps != nil {
			for _, g := range p.groups {
				p.keptOut(g, sched.GateReserved)
			}
			return *keeps, true, nil
		}
		contenders, groups, err := p.contenders(reserved)
		if err != nil {
			return Picked{}, false, err
		}
		choice, found := sched.Choose(contenders, p.classes, p.market.Rules.MaxCost(), reserved)
		if !found {
			return Picked{}, false, nil
		}
		c, g := contenders[choice.Winner], groups[choice.Winner]
		place := *g.top.head
		if c.Starving {
			place = *g.oldest.head
		}
		if g.kind.RunningCap != nil && p.running[g.row.TaskType] == 0 && !p.take("running:"+g.row.TaskType) {
			p.shut(g.row.TaskType)
			continue
		}
		p.gone[place.TaskID] = true
		if !p.take(taskName(place.TaskID)) {
			continue
		}
		decision := p.decided(g, choice, place, c.Starving)
		decision.Kept = choice.Reserved && place.TaskID == p.keptFor
		p.book(g, choice)
		return Picked{TaskID: place.TaskID, TaskType: g.row.TaskType, ConfigKey: g.row.ConfigKey, Priority: place.Priority, Decision: decision}, true, nil
	}
}

func (p *picker) decided(g *stall, choice sched.Choice, place StandingRow, starving bool) domain.ClaimDecision {
	d := domain.ClaimDecision{
		Class: g.kind.Class, Pool: g.kind.Pool, Slots: p.cost(g), Weight: g.flow.Weight,
		VirtualStart: choice.Start, Turn: p.classes[g.rank].Turns, Starving: starving, Reserved: choice.Reserved,
		Rejoined: choice.Rejoined, WaitedMS: max(p.now-place.Since.UnixMicro(), 0) / 1000, SlotsUsed: p.used, SlotsOf: p.slots,
	}
	if p.slots == unbounded {
		d.SlotsOf = 0
	}
	return d
}

func (p *picker) take(name string) bool { return p.market.Take == nil || p.market.Take(name) }

// shut leaves a type to another claim that is taking of it now: together they
// might take more than its cap.
func (p *picker) shut(taskType string) {
	for _, g := range p.groups {
		if g.row.TaskType == taskType {
			g.fits = sched.Known(false)
		}
	}
}

// book counts a choice for those that follow it.
func (p *picker) book(g *stall, choice sched.Choice) {
	cost := p.cost(g)
	p.used += cost
	p.leases++
	if p.free >= 0 {
		p.free -= cost
	}
	p.live[liveKey(p.node, g.row.TaskType, g.row.ConfigKey)]++
	p.running[g.row.TaskType]++
	if !choice.Reserved {
		g.flow.Charge(&p.classes[g.rank], choice.Start, cost)
	}
	if g.flow.queued--; g.flow.queued == 0 {
		class := &p.classes[g.rank]
		class.Flows--
		class.Weight -= g.flow.Weight
	}
}

// cost is the slots that an item of the group takes: what its type says, or all
// that the node has, if that is less, so that small nodes are not shut out.
func (p *picker) cost(g *stall) int { return max(min(g.kind.Slots, p.slots), 1) }

// contenders are what the groups have for the node: on a reserved turn what
// starves, if anything does; otherwise those of the best class that has any.
func (p *picker) contenders(reserved bool) ([]sched.Contender, []*stall, error) {
	if reserved {
		contenders, groups, err := p.among(func(*stall) bool { return true }, true)
		if err != nil || len(contenders) > 0 {
			return contenders, groups, err
		}
	}
	for rank := range p.classes {
		if p.classes[rank].Flows == 0 {
			continue
		}
		contenders, groups, err := p.among(func(g *stall) bool { return g.rank == rank }, false)
		if err != nil || len(contenders) > 0 {
			return contenders, groups, err
		}
	}
	return nil, nil, nil
}

func (p *picker) among(asked func(*stall) bool, starvingOnly bool) ([]sched.Contender, []*stall, error) {
	var contenders []sched.Contender
	var groups []*stall
	for _, g := range p.groups {
		if !asked(g) {
			continue
		}
		if err := g.oldest.past(p); err != nil {
			return nil, nil, err
		}
		if g.oldest.head == nil {
			continue // all of it is taken
		}
		starving := p.now-g.oldest.head.Since.UnixMicro() > int64(p.market.Rules.Class(g.rank).StarveAfterSeconds)*1e6
		if starvingOnly && !starving {
			continue
		}
		if open, err := p.open(g); err != nil {
			return nil, nil, err
		} else if !open {
			continue
		}
		if err := g.top.past(p); err != nil {
			return nil, nil, err
		}
		head := g.top.head
		if starving {
			head = g.oldest.head
		}
		if err := p.readFlow(g); err != nil {
			return nil, nil, err
		}
		contenders = append(contenders, sched.Contender{
			Standing: &sched.Standing{ID: positionKey(head.Spawned), Queued: head.Since.UnixMicro(), Priority: head.Priority},
			Flow:     &g.flow.Flow, Rank: g.rank, Preference: p.asker.Preference(g.row.TaskType), Starving: starving,
		})
		groups = append(groups, g)
	}
	return contenders, groups, nil
}

func (p *picker) readFlow(g *stall) error {
	if g.flow.read {
		return nil
	}
	row, _, err := workSharesTable.Get(p.view, g.flowKey)
	g.flow.Finish, g.flow.Served, g.flow.read = row.Finish, row.Served, true
	return err
}

// open tells whether every gate lets a group through to the node.
func (p *picker) open(g *stall) (bool, error) {
	if cost := p.cost(g); p.used+cost > p.slots || p.free >= 0 && cost > p.free {
		return p.keptOut(g, sched.GateSlots), nil
	}
	if open, err := p.mayEver(g); err != nil || !open {
		return false, err
	}
	if !g.fits.Known {
		by := p.asker.ClosedBy(g.requirement())
		if g.fits = sched.Known(by == ""); by != "" {
			p.keptOut(g, by)
		}
	}
	return g.fits.Value, nil
}

// keptOut counts the items of a group that a gate is closed for. It is false.
func (p *picker) keptOut(g *stall, gate string) bool {
	if p.market.Closed != nil && !g.counted {
		g.counted = true
		p.market.Closed(gate, g.row.Queued)
	}
	return false
}

// mayEver tells whether the gates let a group through that neither the node's
// free room nor its kind has a part in.
func (p *picker) mayEver(g *stall) (bool, error) {
	if _, excluded := p.excluded(g); excluded {
		return p.keptOut(g, sched.GateExcluded), nil
	}
	if live, err := p.liveOf(g); err != nil || live > 0 {
		return p.keptOut(g, sched.GateOnePerNode), err
	}
	if most := g.kind.RunningCap; most != nil {
		if running, err := p.runningOf(g); err != nil || running >= *most {
			return p.keptOut(g, sched.GateRunning), err
		}
	}
	held, err := p.paused(g)
	if held.paused {
		p.keptOut(g, sched.GatePaused)
	}
	return !held.paused, err
}

// excluded finds what keeps a group's items from the node.
func (p *picker) excluded(g *stall) (domain.Exclusion, bool) {
	for _, exclusion := range g.row.Exclude {
		if exclusion.NodeID == p.node && exclusion.Until.UnixMicro() > p.now {
			return exclusion, true
		}
	}
	return domain.Exclusion{}, false
}

// pause is whether a type is held back, and for which reasons.
type pause struct {
	paused  bool
	reasons string
}

func (p *picker) paused(g *stall) (pause, error) {
	held, known := p.pauses[g.row.TaskType]
	if known {
		return held, nil
	}
	row, paused, err := IsPaused(p.view, g.row.TaskType)
	if paused {
		held = pause{true, row.Reasons()}
	}
	p.pauses[g.row.TaskType] = held
	return held, err
}

func (g *stall) requirement() sched.Requirement {
	return sched.Requirement{Type: g.row.TaskType, Config: g.row.ConfigKey, Words: g.row.Requires, Expr: g.row.Where, GPU: g.row.GPU}
}

// liveOf counts the node's items of the group's config and type, where only one
// may be there.
func (p *picker) liveOf(g *stall) (int, error) {
	if !g.kind.OnePerNode || g.row.ConfigKey == "" {
		return 0, nil
	}
	key := liveKey(p.node, g.row.TaskType, g.row.ConfigKey)
	row, _, err := workLiveTable.Get(p.view, key)
	return row.Live + p.live[key], err
}

// runningOf counts what runs of the group's type.
func (p *picker) runningOf(g *stall) (int, error) {
	running, err := runningOf(p.view, g.row.TaskType)
	return running + p.running[g.row.TaskType], err
}

// walk goes through a group's items in one order, from its head on.
type walk struct {
	table Table[StandingRow]
	group string
	keyOf func(StandingRow, string) string
	head  *StandingRow // nil: there is no more
	next  func() (Entry[StandingRow], error, bool)
	stop  func()
}

// isGone tells whether an item was picked, or another claim took it.
func (p *picker) isGone(id domain.TaskID) bool {
	gone, known := p.gone[id]
	if !known && p.market.Taken != nil {
		gone = p.market.Taken(taskName(id))
		p.gone[id] = gone
	}
	return gone
}

// taskName is what an item is taken by.
func taskName(id domain.TaskID) string { return "task:" + string(id) }

// past moves on until the head is an item that is not gone.
func (w *walk) past(p *picker) error {
	for w.head != nil && p.isGone(w.head.TaskID) {
		if w.next == nil {
			w.next, w.stop = iter.Pull2(w.table.Scan(p.view, Span{Prefix: w.group + "\x00", From: w.keyOf(*w.head, w.group)}))
		}
		entry, err, more := w.next()
		if err != nil {
			return err
		}
		if !more {
			w.head = nil
			return nil
		}
		w.head = &entry.Row
	}
	return nil
}

func (w *walk) close() {
	if w.stop != nil {
		w.stop()
	}
}
