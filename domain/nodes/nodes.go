package nodes

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/ringrift/rift/domain"
)

// State is the state of a node as the cluster sees it.
type State string

// The states.
const (
	StateRegistered State = "registered" // registered, no heartbeat yet
	StateOnline     State = "online"
	StateSick       State = "unhealthy"
	StateOffline    State = "offline"
	StateRetired    State = "retired" // not counted any more: it left in good order, was offline for too long, or was retired by an operator
)

// NodeStates lists the states.
var NodeStates = []State{StateRegistered, StateOnline, StateSick, StateOffline, StateRetired}

// Unrecorded stands for a node that a recording does not name.
const Unrecorded domain.NodeID = "unrecorded"

// Level is what a node reports about itself with a heartbeat. Levels are kept in
// memory; only changes of health become events. Absent means unknown, not zero.
type Level struct {
	GPUPercent       *float64 `json:"gpu_percent,omitempty"`
	GPUMemoryPercent *float64 `json:"gpu_memory_percent,omitempty"`
	CPUPercent       *float64 `json:"cpu_percent,omitempty"`
	MemoryPercent    *float64 `json:"memory_percent,omitempty"`
	DiskPercent      *float64 `json:"disk_percent,omitempty"`
	Jobs             *int     `json:"jobs,omitempty"`
}

func (l Level) Validate() []domain.Fault {
	var faults []domain.Fault
	percent := func(field string, v *float64) {
		if v != nil && !(*v >= 0 && *v <= 100) {
			faults = append(faults, domain.Fault{Field: "level." + field, Reason: fmt.Sprintf("want 0 to 100, found %v", *v)})
		}
	}
	percent("gpu_percent", l.GPUPercent)
	percent("gpu_memory_percent", l.GPUMemoryPercent)
	percent("cpu_percent", l.CPUPercent)
	percent("memory_percent", l.MemoryPercent)
	percent("disk_percent", l.DiskPercent)
	if l.Jobs != nil && *l.Jobs < 0 {
		faults = append(faults, domain.Fault{Field: "level.jobs", Reason: fmt.Sprintf("want at least 0, found %d", *l.Jobs)})
	}
	return faults
}

// Announced: a node registered with its capabilities.
type Announced struct {
	NodeID       domain.NodeID   `json:"node_id"`
	Capabilities []string        `json:"capabilities,omitempty"`
	Facts        json.RawMessage `json:"facts,omitempty"`   // an object: gpu, labels, whatever items may require
	Accepts      string          `json:"accepts,omitempty"` // an expression over items: it accepts only those for which this is true
}

func (Announced) EventType() string          { return "NODE_REGISTERED" }
func (e Announced) Validate() []domain.Fault { return nodeFaults(e.NodeID) }

// HostOnline: the node was heard from and was not online before.
type HostOnline struct {
	NodeID domain.NodeID `json:"node_id"`
}

func (HostOnline) EventType() string          { return "HOST_ONLINE" }
func (e HostOnline) Home() domain.StreamID    { return e.NodeID.Stream() }
func (e HostOnline) Validate() []domain.Fault { return nodeFaults(e.NodeID) }

// HostOffline: the node is gone; the items it holds are revoked.
type HostOffline struct {
	NodeID        domain.NodeID  `json:"node_id"`
	Reason        string         `json:"reason,omitempty"`
	SilentSeconds domain.Seconds `json:"silent_seconds,omitempty"`
}

func (HostOffline) EventType() string          { return "HOST_OFFLINE" }
func (e HostOffline) Home() domain.StreamID    { return e.NodeID.Stream() }
func (e HostOffline) Validate() []domain.Fault { return nodeFaults(e.NodeID) }

// Unhealthy: the node should not be given work. It was healthy before.
type Unhealthy struct {
	NodeID              domain.NodeID  `json:"node_id"`
	Reason              string         `json:"reason"`
	ConsecutiveFailures int            `json:"consecutive_failures,omitempty"`
	DiskUsedPercent     *float64       `json:"disk_used_percent,omitempty"`
	GPUUtilization      *float64       `json:"gpu_utilization,omitempty"`
	SilentSeconds       domain.Seconds `json:"silent_seconds,omitempty"`
}

func (Unhealthy) EventType() string       { return "NODE_UNHEALTHY" }
func (e Unhealthy) Home() domain.StreamID { return e.NodeID.Stream() }

func (e Unhealthy) Validate() []domain.Fault {
	faults := nodeFaults(e.NodeID)
	if e.Reason == "" {
		faults = append(faults, domain.Fault{Field: "reason", Reason: "required"})
	}
	return faults
}

// Recovered: an unhealthy node is healthy again. Revoked items are not given back.
type Recovered struct {
	NodeID              domain.NodeID  `json:"node_id"`
	RecoveryTimeSeconds domain.Seconds `json:"recovery_time_seconds,omitempty"` // since it became unhealthy
}

func (Recovered) EventType() string          { return "NODE_RECOVERED" }
func (e Recovered) Home() domain.StreamID    { return e.NodeID.Stream() }
func (e Recovered) Validate() []domain.Fault { return nodeFaults(e.NodeID) }

// Autostarted: a recorded cluster started processes on an idle node.
type Autostarted struct {
	NodeID domain.NodeID `json:"node_id"`
	Count  int           `json:"count"`
}

func (Autostarted) EventType() string { return "NODE_AUTOSTARTED" }

// AutostartFailed: some of those starts failed.
type AutostartFailed struct {
	NodeID    domain.NodeID `json:"node_id"`
	Failed    int           `json:"failed"`
	Requested int           `json:"requested"`
}

func (AutostartFailed) EventType() string { return "NODE_AUTOSTART_FAILED" }

func nodeFaults(id domain.NodeID) []domain.Fault {
	if err := domain.CheckName(string(id)); err != nil {
		return []domain.Fault{{Field: "node_id", Reason: err.Error()}}
	}
	return nil
}

// Node is the state of one node, folded from its stream.
type Node struct {
	State        State // empty: unknown node
	ID           domain.NodeID
	Capabilities []string
	Facts        json.RawMessage
	Accepts      string
	Since        time.Time // when State began
	Reason       string
	Registered   bool // it announced itself
	Breaker      Breaker
	IdleSince    time.Time // start of the recorded idleness; zero: none
}

// Returns reports whether a node in this state counts again as soon as it is heard
// from. One that an operator retired must register again.
func (s State) Returns(reason string) bool {
	return s == StateOffline || s == StateRetired && (reason == RetiredOffline || reason == RetiredLeft)
}

// Evolve applies a fact of the node's stream.
func (n Node) Evolve(fact domain.Envelope) Node {
	turn := func(id domain.NodeID, state State, reason string) {
		n.ID, n.State, n.Reason, n.Since = id, state, reason, fact.Time
		if state != StateOnline {
			n.IdleSince = time.Time{}
		}
	}
	n.Breaker = n.Breaker.Evolve(fact)
	switch e := fact.Event.(type) {
	case Announced:
		if n.State == "" {
			turn(e.NodeID, StateRegistered, "")
		}
		n.Capabilities, n.Facts, n.Accepts, n.Registered = e.Capabilities, e.Facts, e.Accepts, true
	case HostOnline:
		turn(e.NodeID, StateOnline, "")
	case HostOffline:
		turn(e.NodeID, StateOffline, e.Reason)
	case Unhealthy:
		turn(e.NodeID, StateSick, e.Reason)
	case Recovered:
		turn(e.NodeID, StateOnline, "")
	case Retirement:
		turn(e.NodeID, StateRetired, e.Reason)
	case IdleResourceDetected:
		n.ID, n.IdleSince = e.NodeID, e.Since
	case IdleResourceCleared:
		n.IdleSince = time.Time{}
	}
	return n
}

// Events returns the catalogue entries of the nodes.
func Events() []domain.Def {
	host := domain.Alias("host", "node_id")
	return domain.WithExamples(slices.Concat([]domain.Def{
		domain.Define[Announced](1, "node", "a node announced what it is and can"),
		domain.Define[HostOnline](1, "node", "the node was heard from and was not online before", domain.FromOutside(), host, domain.Alias("host_id", "node_id")),
		domain.Define[HostOffline](1, "node", "the node is gone; what it holds is taken from it", domain.FromOutside(), host, domain.Alias("host_id", "node_id")),
		domain.Define[Unhealthy](1, "node", "the node is not trusted with work; it was before", domain.FromOutside(), host, domain.Alias("node_name", "node_id")),
		domain.Define[Recovered](1, "node", "an unhealthy node is well again", domain.FromOutside(), host),
		domain.Define[BreakerOpened](1, "node", "too many items failed on the node in a short time"),
		domain.Define[BreakerClosed](1, "node", "the node's breaker lets work through again"),
		domain.Define[Retirement](1, "node", "the node is not counted among the known ones any more"),
		domain.Define[IdleResourceDetected](1, "node", "a GPU does nothing while there is work for it"),
		domain.Define[IdleResourceCleared](1, "node", "a GPU that did nothing works again, or there is nothing for it"),
		domain.Define[ZombieDetected](1, "node", "processes on the node belong to no item", domain.FromOutside(), host),
		domain.Define[Autostarted](1, "node", "a recorded cluster started processes on an idle node"),
		domain.Define[AutostartFailed](1, "node", "some of those starts failed"),
	}, daemonsEvents(), alarmEvents()), examples)
}
