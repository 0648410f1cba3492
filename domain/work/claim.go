package work

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/sched"
)

// ClaimDecision is what a claim was decided from. It is all that the read models
// need to account for the choice, so that a replay does not need the policy of the
// time.
type ClaimDecision struct {
	Class        string `json:"class"`
	Pool         string `json:"pool,omitempty"`
	Slots        int    `json:"slots" doc:"of the node, that the item takes"`
	Weight       int    `json:"weight" doc:"of its config"`
	VirtualStart uint64 `json:"virtual_start"`
	Turn         uint64 `json:"turn" doc:"of the class, when it was decided"`
	Starving     bool   `json:"starving,omitempty"`
	Reserved     bool   `json:"reserved,omitempty" doc:"the node's turn for the longest starving item; not charged"`
	Rejoined     bool   `json:"rejoined,omitempty" doc:"its config started level with the others"`
	Promised     bool   `json:"promised,omitempty" doc:"the node made room for it"`
	Kept         bool   `json:"kept,omitempty" doc:"the node kept its room for it"`
	WaitedMS     int64  `json:"waited_ms"`
	SlotsUsed    int    `json:"slots_used" doc:"of the node, before"`
	SlotsOf      int    `json:"slots_of,omitempty" doc:"0: no bound is known"`

	Size *Size `json:"size,omitempty" doc:"how much of it the node should do; absent: as in the item"`
}

// Reasons returns the decision as sentences.
func (d ClaimDecision) Reasons(node domain.NodeID, config string, priority int) []string {
	reasons := d.reasons(node, config, priority)
	if d.Size != nil {
		reasons = append(reasons, d.Size.String())
	}
	return reasons
}

func (d ClaimDecision) reasons(node domain.NodeID, config string, priority int) []string {
	if d.Promised {
		return []string{fmt.Sprintf("node %s made room for it: what it held gave way to priority %d", node, priority)}
	}
	if d.Kept {
		return []string{fmt.Sprintf("node %s kept its free room for it, which had waited for %v", node, time.Duration(d.WaitedMS)*time.Millisecond)}
	}
	return sched.Decision{
		Node: string(node), Config: config, Class: d.Class, Priority: priority, Starving: d.Starving, Reserved: d.Reserved,
		Rejoined: d.Rejoined, Start: d.VirtualStart, Waited: time.Duration(d.WaitedMS) * time.Millisecond,
		Cost: d.Slots, SlotsUsed: d.SlotsUsed, SlotsOf: d.SlotsOf,
	}.Reasons()
}

// Hardware is what the gates of the queue use of a node's facts. Missing or invalid
// facts are unknown.
type Hardware struct {
	Slots       sched.Maybe[int]
	HasGPU      sched.Maybe[bool]
	GPUName     string
	GPUMemoryMB sched.Maybe[int]
}

// HardwareOf reads the hardware from facts: slots; has_gpu; gpu as a name, as a
// boolean, or as an object with name and memory_gb; gpu_name and gpu_memory_gb.
func HardwareOf(facts json.RawMessage) Hardware {
	var told struct {
		Slots       json.RawMessage `json:"slots"`
		HasGPU      json.RawMessage `json:"has_gpu"`
		GPU         json.RawMessage `json:"gpu"`
		GPUName     json.RawMessage `json:"gpu_name"`
		GPUMemoryGB json.RawMessage `json:"gpu_memory_gb"`
	}
	var h Hardware
	if len(facts) == 0 || json.Unmarshal(facts, &told) != nil {
		return h
	}
	if slots, ok := read[int](told.Slots); ok && slots >= 0 {
		h.Slots = sched.Known(slots)
	}
	if has, ok := read[bool](told.HasGPU); ok {
		h.HasGPU = sched.Known(has)
	}
	h.GPUName, _ = read[string](told.GPUName)
	if size, ok := read[float64](told.GPUMemoryGB); ok {
		h.GPUMemoryMB = megabytes(size)
	}
	if has, ok := read[bool](told.GPU); ok {
		h.HasGPU = sched.Known(has)
	}
	if name, ok := read[string](told.GPU); ok && name != "" {
		h.GPUName = name
	}
	var card struct {
		Name     string  `json:"name"`
		MemoryGB float64 `json:"memory_gb"`
	}
	if len(told.GPU) > 0 && told.GPU[0] == '{' && json.Unmarshal(told.GPU, &card) == nil {
		h.HasGPU = sched.Known(true)
		if card.Name != "" {
			h.GPUName = card.Name
		}
		if size := megabytes(card.MemoryGB); size.Known {
			h.GPUMemoryMB = size
		}
	}
	if h.GPUName != "" && !h.HasGPU.Known {
		h.HasGPU = sched.Known(true)
	}
	return h
}

func read[T any](raw json.RawMessage) (value T, ok bool) {
	if len(raw) == 0 || string(raw) == "null" {
		return value, false
	}
	return value, json.Unmarshal(raw, &value) == nil
}

// megabytes converts gigabytes; an implausible number is unknown.
func megabytes(gigabytes float64) sched.Maybe[int] {
	if !(gigabytes > 0 && gigabytes < 1<<20) {
		return sched.Maybe[int]{}
	}
	return sched.Known(int(gigabytes * 1024))
}

// Pin reserves an item for one node until a time; after that any node may have it.
type Pin struct {
	NodeID domain.NodeID `json:"node_id"`
	Until  time.Time     `json:"until"`
}

// Exclusion keeps an item from a node until a time.
type Exclusion struct {
	NodeID domain.NodeID `json:"node_id"`
	Until  time.Time     `json:"until"`
	Reason string        `json:"reason,omitempty"`
}

// Unpinned: any node may have the item, because the pin ended or its node is not
// healthy.
type Unpinned struct {
	TaskID domain.TaskID `json:"task_id"`
	NodeID domain.NodeID `json:"node_id"`
	Reason string        `json:"reason"`
}

func (Unpinned) EventType() string { return "TASK_UNPINNED" }

// Preempted: a more urgent item needs the place of this one, so its holder is asked
// to give it back; at the end of the grace period it is revoked. No attempt is used
// up.
type Preempted struct {
	TaskID domain.TaskID `json:"task_id"`
	Lease  uint64        `json:"lease"`
	NodeID domain.NodeID `json:"node_id"`
	For    domain.TaskID `json:"for"`
	Until  time.Time     `json:"until"` // end of the grace period
	Reason string        `json:"reason"`
}

func (Preempted) EventType() string { return "TASK_PREEMPTED" }
