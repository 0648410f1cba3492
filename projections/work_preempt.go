package projections

import (
	"cmp"
	"slices"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/sched"
)

// RunningRow is a held item, in the order in which items give way: the lowest
// priority first.
type RunningRow struct {
	TaskID   domain.TaskID `json:"task_id"`
	NodeID   domain.NodeID `json:"node_id"`
	Lease    uint64        `json:"lease"`
	TaskType string        `json:"task_type"`
	Priority int           `json:"priority"`
	Slots    int           `json:"slots"`
	Since    time.Time     `json:"since"` // leased
}

// runningKey is where a held item stands among those that might give way.
func (r TaskRow) runningKey() string {
	priority := min(max(r.Priority, 0), 999)
	order := string([]byte{byte('0' + priority/100), byte('0' + priority/10%10), byte('0' + priority%10)})
	return order + string(r.TaskID)
}

// PromiseRow is a place that a node makes for an item.
type PromiseRow struct {
	TaskID domain.TaskID `json:"task_id"`
	Until  time.Time     `json:"until"` // after this the promise means nothing
}

// The bounds of one search for exchanges.
const (
	maxClaims  = 8   // waiting groups
	maxVictims = 256 // held items looked at for each
)

// Exchange is a held item that is to give way to a waiting one.
type Exchange struct {
	Victim RunningRow
	For    domain.TaskID
	Reason string
}

// FindExchanges looks for items that nobody claimed for long enough, and for
// held ones of so much lower priority that they give way: on a node that may
// have the waiting one but for its slots. It looks at the groups' first items.
func FindExchanges(v View, market Market, policy domain.Policy) ([]Exchange, error) {
	lowest, found, err := lowestRunning(v)
	if err != nil || !found {
		return nil, err
	}
	margin := market.Rules.Policy().PreemptMargin
	var waiting []Entry[ReadyRow]
	for entry, err := range workReadyTable.Scan(v, Span{}) {
		if err != nil {
			return nil, err
		}
		top := entry.Row.Top
		if top.Priority-lowest > margin && market.Now.Sub(top.Since) >= policy.Work.PreemptAfterSeconds.Duration() {
			waiting = append(waiting, entry)
		}
	}
	slices.SortFunc(waiting, func(a, b Entry[ReadyRow]) int {
		return cmp.Or(cmp.Compare(b.Row.Top.Priority, a.Row.Top.Priority), a.Row.Top.Since.Compare(b.Row.Top.Since), cmp.Compare(a.Key, b.Key))
	})
	var exchanges []Exchange
	search := exchangeSearch{view: v, market: market, policy: policy, nodes: map[domain.NodeID]*holder{}}
	for _, group := range waiting[:min(len(waiting), maxClaims)] {
		if promised, err := stillPromised(v, group.Row.Top.TaskID, market.Now); err != nil || promised {
			if err != nil {
				return nil, err
			}
			continue
		}
		exchange, found, err := search.exchangeFor(group)
		if err != nil {
			return nil, err
		}
		if found {
			search.nodes[exchange.Victim.NodeID].taken = true
			exchanges = append(exchanges, exchange)
		}
	}
	return exchanges, nil
}

func lowestRunning(v View) (int, bool, error) {
	for entry, err := range workRunningTable.Scan(v, Span{}) {
		return entry.Row.Priority, true, err
	}
	return 0, false, nil
}

func stillPromised(v View, id domain.TaskID, now time.Time) (bool, error) {
	row, found, err := WorkItemsTable.Get(v, string(id))
	if err != nil || !found || row.Promised == "" {
		return false, err
	}
	promise, found, err := workPromisesTable.Get(v, pair(string(row.Promised), string(id)))
	return found && promise.Until.After(now), err
}

// exchangeSearch is one search, for several groups: what it learns of held items
// and of their nodes for one of them holds for the next.
type exchangeSearch struct {
	view    View
	market  Market
	policy  domain.Policy
	victims []RunningRow // that may give way to somebody, the lowest priority first; nil: not read yet
	nodes   map[domain.NodeID]*holder
}

// holder is a node whose items may give way.
type holder struct {
	picker  *picker // nil: a gate of the node is closed
	free    int     // slots
	taken   bool    // one of its items gives way already
	held    bool    // running and rows are read
	running []sched.Running
	rows    map[string]RunningRow
}

func (x *exchangeSearch) lowest() ([]RunningRow, error) {
	if x.victims != nil {
		return x.victims, nil
	}
	for entry, err := range workRunningTable.Scan(x.view, Span{}) {
		if err != nil {
			return nil, err
		}
		if x.victims = append(x.victims, entry.Row); len(x.victims) == maxVictims {
			break
		}
	}
	return x.victims, nil
}

func (x *exchangeSearch) holder(node domain.NodeID) (*holder, error) {
	if known := x.nodes[node]; known != nil {
		return known, nil
	}
	h := &holder{}
	gates, err := NodeGates(x.view, node, x.market.Now, x.policy.Nodes)
	if err != nil {
		return nil, err
	}
	if closedGate(gates) == nil {
		if h.picker, err = onePicker(x.view, Claimant{Node: node, Level: levelOf(x.view, node)}, x.market); err != nil {
			return nil, err
		}
		h.free = h.picker.slots - h.picker.used
		h.picker.used = 0 // whether there is room is asked apart from the other gates
	}
	x.nodes[node] = h
	return h, nil
}

// exchangeFor finds who gives way to a group's first item; nobody while a node
// that was looked at could simply claim it.
func (x *exchangeSearch) exchangeFor(group Entry[ReadyRow]) (Exchange, bool, error) {
	top := group.Row.Top
	victims, err := x.lowest()
	if err != nil {
		return Exchange{}, false, err
	}
	tried := map[domain.NodeID]bool{}
	for _, low := range victims {
		node := low.NodeID
		if top.Priority-low.Priority <= x.market.Rules.Policy().PreemptMargin {
			break
		}
		if tried[node] || group.Row.Pin != "" && group.Row.Pin != node {
			continue
		}
		tried[node] = true
		h, err := x.holder(node)
		if err != nil {
			return Exchange{}, false, err
		}
		if h.picker == nil || h.taken {
			continue
		}
		p := h.picker
		g := p.stall(group.Key, group.Row)
		if h.free >= p.cost(g) {
			return Exchange{}, false, nil // it can have it as it is
		}
		open, err := p.open(g)
		if err != nil || !open {
			if err != nil {
				return Exchange{}, false, err
			}
			continue
		}
		if !h.held {
			if h.running, h.rows, err = heldOn(x.view, node, x.market.Rules); err != nil {
				return Exchange{}, false, err
			}
			h.held = true
		}
		claim := sched.Claim{ID: string(top.TaskID), Rank: g.rank, Priority: top.Priority, Slots: p.cost(g) - max(h.free, 0)}
		if victim, reason, found := x.market.Rules.Victim(claim, h.running); found {
			return Exchange{h.rows[victim.ID], top.TaskID, reason}, true, nil
		}
	}
	return Exchange{}, false, nil
}

// heldOn lists what a node holds that was not asked to give way yet.
func heldOn(v View, node domain.NodeID, rules *sched.Rules) ([]sched.Running, map[string]RunningRow, error) {
	held, err := HeldBy(v, node)
	if err != nil {
		return nil, nil, err
	}
	var running []sched.Running
	rows := map[string]RunningRow{}
	for _, lease := range held {
		item, found, err := WorkItemsTable.Get(v, string(lease.TaskID))
		if err != nil {
			return nil, nil, err
		}
		if !found || item.Asked != nil {
			continue
		}
		row, found, err := workRunningTable.Get(v, item.runningKey())
		if err != nil {
			return nil, nil, err
		}
		if !found {
			continue
		}
		rows[string(row.TaskID)] = row
		running = append(running, sched.Running{
			ID: string(row.TaskID), Rank: rules.Rank(rules.Type(row.TaskType).Class), Priority: row.Priority, Slots: row.Slots, Leased: row.Since,
		})
	}
	return running, rows, nil
}

// promised is the item that the node made room for, if it may have it now.
func (p *picker) promised() (Picked, bool, error) {
	for entry, err := range workPromisesTable.Scan(p.view, Span{Prefix: pair(string(p.node), "")}) {
		if err != nil {
			return Picked{}, false, err
		}
		id := entry.Row.TaskID
		if p.gone[id] || entry.Row.Until.UnixMicro() <= p.now {
			continue
		}
		row, found, err := WorkItemsTable.Get(p.view, string(id))
		if err != nil {
			return Picked{}, false, err
		}
		if !found || row.State != domain.WorkQueued {
			continue
		}
		key := groupOf(row)
		at := slices.IndexFunc(p.groups, func(g *stall) bool { return g.key == key })
		if at < 0 {
			continue
		}
		g := p.groups[at]
		open, err := p.open(g)
		if err != nil {
			return Picked{}, false, err
		}
		if !open || !p.take("task:"+string(id)) {
			continue
		}
		p.gone[id] = true
		if err := p.readFlow(g); err != nil {
			return Picked{}, false, err
		}
		choice := sched.Choice{Start: g.flow.Finish}
		decision := p.decided(g, choice, row.standing(), false)
		decision.Promised = true
		p.book(g, choice)
		return Picked{TaskID: id, TaskType: row.TaskType, ConfigKey: row.ConfigKey, Decision: decision}, true, nil
	}
	return Picked{}, false, nil
}
