package simulate

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/domain/work"
)

// recordedItem is an item of a recording.
type recordedItem struct {
	id                      domain.TaskID
	created, claimed, ended time.Time
	node                    domain.NodeID // the holder; empty: none
	end                     work.State    // final state; empty: it has not ended
	asked                   struct {
		GPUs int `json:"num_gpu"`
	}
}

// content is what a recording contains that can be simulated.
type content struct {
	first, last time.Time
	items       []*recordedItem
	byID        map[domain.TaskID]*recordedItem
	machines    map[domain.NodeID]*seenNode
	order       []domain.NodeID
}

// seenNode is a node that registered itself, or that held items.
type seenNode struct {
	announced *nodes.Announced
	holds     int
	most      int // most items that it held at once
}

func newContent() *content {
	return &content{byID: map[domain.TaskID]*recordedItem{}, machines: map[domain.NodeID]*seenNode{}}
}

func (t *content) node(id domain.NodeID) *seenNode {
	n := t.machines[id]
	if n == nil {
		n = &seenNode{}
		t.machines[id] = n
		t.order = append(t.order, id)
	}
	return n
}

func (t *content) observe(e domain.Envelope) {
	if t.first.IsZero() || e.Time.Before(t.first) {
		t.first = e.Time
	}
	if e.Time.After(t.last) {
		t.last = e.Time
	}
	switch fact := e.Event.(type) {
	case nodes.Announced:
		t.node(fact.NodeID).announced = &fact
	case nodes.HostOnline:
		t.node(fact.NodeID)
	case work.Spawned:
		if t.byID[fact.TaskID] != nil {
			return
		}
		one := &recordedItem{id: fact.TaskID, created: e.Time}
		if len(fact.Payload) > 0 {
			// The payload's format is the caller's own; without this number it needs no GPUs.
			if json.Unmarshal(fact.Payload, &one.asked) != nil || one.asked.GPUs < 0 {
				one.asked.GPUs = 0
			}
		}
		t.byID[one.id] = one
		t.items = append(t.items, one)
	case work.Claimed:
		if one := t.byID[fact.TaskID]; one != nil && one.end == "" {
			t.giveBack(one)
			one.claimed, one.ended, one.node = e.Time, time.Time{}, fact.NodeID
			n := t.node(fact.NodeID)
			n.holds++
			n.most = max(n.most, n.holds)
		}
	case work.Completed:
		t.ends(fact.TaskID, e.Time, work.StateDone)
	case work.Failed:
		t.ends(fact.TaskID, e.Time, "")
	case work.Dead:
		t.ends(fact.TaskID, e.Time, work.StateDead)
	case work.Cancelled:
		t.ends(fact.TaskID, e.Time, work.StateCancelled)
	case work.Dropped:
		t.ends(fact.TaskID, e.Time, work.StateCancelled)
	case work.Released:
		t.ends(fact.TaskID, e.Time, "")
	case work.LeaseExpired:
		t.ends(fact.TaskID, e.Time, "")
	case work.Revoked:
		t.ends(fact.TaskID, e.Time, "")
	}
}

// ends records the end of an attempt, or the final end of the item.
func (t *content) ends(id domain.TaskID, at time.Time, state work.State) {
	one := t.byID[id]
	if one == nil || one.end != "" {
		return
	}
	t.giveBack(one)
	one.end = state
	if one.ended.IsZero() || state != work.StateDead {
		one.ended = at
	}
}

func (t *content) giveBack(one *recordedItem) {
	if one.node != "" {
		t.node(one.node).holds--
		one.node = ""
	}
}

// list returns the nodes as machines, in order of appearance. A node without facts
// has a slot for each item that it held at once.
func (t *content) list() []Machine {
	announced := slices.ContainsFunc(t.order, func(id domain.NodeID) bool { return t.machines[id].announced != nil })
	var machines []Machine
	for _, id := range t.order {
		n := t.machines[id]
		switch {
		case n.announced != nil:
			machines = append(machines, machineOf(*n.announced, n.most))
		case announced:
			// The recording announces its nodes, so this name only stands for an unknown one.
		default:
			machines = append(machines, Machine{ID: id, Slots: min(max(n.most, 1), mostSlots), Facts: slotsFact(min(max(n.most, 1), mostSlots))})
		}
	}
	return machines
}

func machineOf(n nodes.Announced, most int) Machine {
	var known struct {
		CPU   int             `json:"cpu_milli"`
		GPUs  json.RawMessage `json:"gpu"` // a number in traces, a name elsewhere
		Slots int             `json:"slots"`
		Model string          `json:"model"`
	}
	_ = json.Unmarshal(n.Facts, &known) // facts of another shape have no slots
	gpus := 0
	_ = json.Unmarshal(known.GPUs, &gpus)
	m := Machine{ID: n.NodeID, Capabilities: slices.Clone(n.Capabilities)}
	switch {
	case gpus > 0:
		m.Slots = gpus
	case known.Slots > 0:
		m.Slots = known.Slots
	case known.CPU > 0:
		m.Slots = max(known.CPU/8000, 1)
	default:
		m.Slots = max(most, 1)
	}
	m.Slots = min(m.Slots, 1<<10)
	if gpus == 0 {
		m.Slots = min(m.Slots, mostSlots)
	}
	facts := map[string]any{"slots": m.Slots, "cpu_milli": known.CPU}
	if known.Model != "" {
		facts["gpu"] = known.Model
	}
	m.Facts, _ = json.Marshal(facts) // encoding text and numbers cannot fail
	return m
}

func slotsFact(slots int) json.RawMessage {
	facts, _ := json.Marshal(map[string]any{"slots": slots}) // encoding numbers cannot fail
	return facts
}
