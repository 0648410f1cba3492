package domain

import (
	"encoding/json"
	"fmt"
	"time"
)

// NodeID names a machine of the cluster.
type NodeID string

// Stream is where the node's whole life is written.
func (id NodeID) Stream() StreamID { return Stream("node", string(id)) }

// NodeState is what the cluster thinks of a node.
type NodeState string

// The states.
const (
	NodeRegistered NodeState = "registered" // announced, not heard from yet
	NodeOnline     NodeState = "online"
	NodeSick       NodeState = "unhealthy"
	NodeOffline    NodeState = "offline"
	NodeRetired    NodeState = "retired" // offline for so long, or so by decision, that it is not counted any more
)

// NodeStates lists the states.
var NodeStates = []NodeState{NodeRegistered, NodeOnline, NodeSick, NodeOffline, NodeRetired}

// Level is what a node reports of itself with a heartbeat. Levels are kept in
// memory; only the edges they cross become events. Absent is unknown, not zero.
type Level struct {
	GPUPercent       *float64 `json:"gpu_percent,omitempty"`
	GPUMemoryPercent *float64 `json:"gpu_memory_percent,omitempty"`
	CPUPercent       *float64 `json:"cpu_percent,omitempty"`
	MemoryPercent    *float64 `json:"memory_percent,omitempty"`
	DiskPercent      *float64 `json:"disk_percent,omitempty"`
	Jobs             *int     `json:"jobs,omitempty"`
}

// Validate names every percentage that cannot be one.
func (l Level) Validate() []Fault {
	var faults []Fault
	percent := func(field string, v *float64) {
		if v != nil && !(*v >= 0 && *v <= 100) {
			faults = append(faults, Fault{"level." + field, fmt.Sprintf("want 0 to 100, found %v", *v)})
		}
	}
	percent("gpu_percent", l.GPUPercent)
	percent("gpu_memory_percent", l.GPUMemoryPercent)
	percent("cpu_percent", l.CPUPercent)
	percent("memory_percent", l.MemoryPercent)
	percent("disk_percent", l.DiskPercent)
	if l.Jobs != nil && *l.Jobs < 0 {
		faults = append(faults, Fault{"level.jobs", fmt.Sprintf("want at least 0, found %d", *l.Jobs)})
	}
	return faults
}

// NodeAnnounced: a node announced what it is and can.
type NodeAnnounced struct {
	NodeID       NodeID          `json:"node_id"`
	Capabilities []string        `json:"capabilities,omitempty"`
	Facts        json.RawMessage `json:"facts,omitempty"`   // an object: gpu, labels, whatever items may require
	Accepts      string          `json:"accepts,omitempty"` // an expression over items: only those it is true of
}

// EventType is NODE_REGISTERED.
func (NodeAnnounced) EventType() string { return "NODE_REGISTERED" }

// Validate names what is missing.
func (e NodeAnnounced) Validate() []Fault { return nodeFaults(e.NodeID) }

// HostOnline: the node was heard from, and was not online before.
type HostOnline struct {
	NodeID NodeID `json:"node_id"`
}

// EventType is HOST_ONLINE.
func (HostOnline) EventType() string { return "HOST_ONLINE" }

// Home is the node's stream.
func (e HostOnline) Home() StreamID { return e.NodeID.Stream() }

// Validate names what is missing.
func (e HostOnline) Validate() []Fault { return nodeFaults(e.NodeID) }

// HostOffline: the node is gone; whatever it holds is taken from it.
type HostOffline struct {
	NodeID        NodeID  `json:"node_id"`
	Reason        string  `json:"reason,omitempty"`
	SilentSeconds Seconds `json:"silent_seconds,omitempty"`
}

// EventType is HOST_OFFLINE.
func (HostOffline) EventType() string { return "HOST_OFFLINE" }

// Home is the node's stream.
func (e HostOffline) Home() StreamID { return e.NodeID.Stream() }

// Validate names what is missing.
func (e HostOffline) Validate() []Fault { return nodeFaults(e.NodeID) }

// NodeUnhealthy: the node is not to be trusted with work. An edge: it was
// healthy before.
type NodeUnhealthy struct {
	NodeID              NodeID   `json:"node_id"`
	Reason              string   `json:"reason"`
	ConsecutiveFailures int      `json:"consecutive_failures,omitempty"`
	DiskUsedPercent     *float64 `json:"disk_used_percent,omitempty"`
	GPUUtilization      *float64 `json:"gpu_utilization,omitempty"`
	SilentSeconds       Seconds  `json:"silent_seconds,omitempty"`
}

// EventType is NODE_UNHEALTHY.
func (NodeUnhealthy) EventType() string { return "NODE_UNHEALTHY" }

// Home is the node's stream.
func (e NodeUnhealthy) Home() StreamID { return e.NodeID.Stream() }

// Validate names what is missing.
func (e NodeUnhealthy) Validate() []Fault {
	faults := nodeFaults(e.NodeID)
	if e.Reason == "" {
		faults = append(faults, Fault{"reason", "required"})
	}
	return faults
}

// NodeRecovered: an unhealthy node is well again. Work that moved on stays moved.
type NodeRecovered struct {
	NodeID              NodeID  `json:"node_id"`
	RecoveryTimeSeconds Seconds `json:"recovery_time_seconds,omitempty"` // since it became unhealthy
}

// EventType is NODE_RECOVERED.
func (NodeRecovered) EventType() string { return "NODE_RECOVERED" }

// Home is the node's stream.
func (e NodeRecovered) Home() StreamID { return e.NodeID.Stream() }

// Validate names what is missing.
func (e NodeRecovered) Validate() []Fault { return nodeFaults(e.NodeID) }

// NodeAutostarted: a recorded cluster started processes on an idle node.
type NodeAutostarted struct {
	NodeID NodeID `json:"node_id"`
	Count  int    `json:"count"`
}

// EventType is NODE_AUTOSTARTED.
func (NodeAutostarted) EventType() string { return "NODE_AUTOSTARTED" }

// NodeAutostartFailed: some of those starts failed.
type NodeAutostartFailed struct {
	NodeID    NodeID `json:"node_id"`
	Failed    int    `json:"failed"`
	Requested int    `json:"requested"`
}

// EventType is NODE_AUTOSTART_FAILED.
func (NodeAutostartFailed) EventType() string { return "NODE_AUTOSTART_FAILED" }

func nodeFaults(id NodeID) []Fault {
	if err := CheckName(string(id)); err != nil {
		return []Fault{{"node_id", err.Error()}}
	}
	return nil
}

// Node is the state of one node, folded from its stream.
type Node struct {
	State        NodeState // empty: never heard of
	ID           NodeID
	Capabilities []string
	Facts        json.RawMessage
	Accepts      string
	Since        time.Time // of State
	Reason       string
	Registered   bool // it announced itself
	Breaker      Breaker
	IdleSince    time.Time // of the idleness that was noticed; zero: none was
}

// Evolve applies a fact of the node's stream.
func (n Node) Evolve(fact Envelope) Node {
	turn := func(id NodeID, state NodeState, reason string) {
		n.ID, n.State, n.Reason, n.Since = id, state, reason, fact.Time
		if state != NodeOnline {
			n.IdleSince = time.Time{}
		}
	}
	n.Breaker = n.Breaker.Evolve(fact)
	switch e := fact.Event.(type) {
	case NodeAnnounced:
		if n.State == "" {
			turn(e.NodeID, NodeRegistered, "")
		}
		n.Capabilities, n.Facts, n.Accepts, n.Registered = e.Capabilities, e.Facts, e.Accepts, true
	case HostOnline:
		turn(e.NodeID, NodeOnline, "")
	case HostOffline:
		turn(e.NodeID, NodeOffline, e.Reason)
	case NodeUnhealthy:
		turn(e.NodeID, NodeSick, e.Reason)
	case NodeRecovered:
		turn(e.NodeID, NodeOnline, "")
	case NodeRetirement:
		turn(e.NodeID, NodeRetired, e.Reason)
	case IdleResourceDetected:
		n.ID, n.IdleSince = e.NodeID, e.Since
	case IdleResourceCleared:
		n.IdleSince = time.Time{}
	}
	return n
}

// NodesEvents is the catalogue of the nodes.
func NodesEvents() []Def {
	host := Alias("host", "node_id")
	return []Def{
		Define[NodeAnnounced](1, "node", "a node announced what it is and can"),
		Define[HostOnline](1, "node", "the node was heard from and was not online before", FromOutside(), host, Alias("host_id", "node_id")),
		Define[HostOffline](1, "node", "the node is gone; what it holds is taken from it", FromOutside(), host, Alias("host_id", "node_id")),
		Define[NodeUnhealthy](1, "node", "the node is not trusted with work; it was before", FromOutside(), host, Alias("node_name", "node_id")),
		Define[NodeRecovered](1, "node", "an unhealthy node is well again", FromOutside(), host),
		Define[NodeBreakerOpened](1, "node", "too many items failed on the node in a short time"),
		Define[NodeBreakerClosed](1, "node", "the node's breaker lets work through again"),
		Define[NodeRetirement](1, "node", "the node is not counted among the known ones any more"),
		Define[IdleResourceDetected](1, "node", "a GPU does nothing while there is work for it"),
		Define[IdleResourceCleared](1, "node", "a GPU that did nothing works again, or there is nothing for it"),
		Define[NodeZombieDetected](1, "node", "processes on the node belong to no item", FromOutside(), host),
		Define[NodeAutostarted](1, "node", "a recorded cluster started processes on an idle node"),
		Define[NodeAutostartFailed](1, "node", "some of those starts failed"),
	}
}
