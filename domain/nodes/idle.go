package nodes

import (
	"fmt"
	"time"

	"github.com/ringrift/rift/domain"
)

// IdleResourceDetected: a node with a GPU is idle and holds no item, although there
// is work for it. It is recorded once per idle period.
type IdleResourceDetected struct {
	NodeID         domain.NodeID  `json:"node_id"`
	Since          time.Time      `json:"since"`
	IdleSeconds    domain.Seconds `json:"idle_duration_seconds"`
	GPUUtilization *float64       `json:"gpu_utilization,omitempty"`
	TaskType       string         `json:"task_type"` // of the item that it would be given
}

func (IdleResourceDetected) EventType() string       { return "IDLE_RESOURCE_DETECTED" }
func (e IdleResourceDetected) Home() domain.StreamID { return e.NodeID.Stream() }

func (e IdleResourceDetected) Validate() []domain.Fault {
	faults := nodeFaults(e.NodeID)
	if e.Since.IsZero() {
		faults = append(faults, domain.Fault{Field: "since", Reason: "required"})
	}
	return faults
}

// IdleResourceCleared: the node works again, or there is no work for it.
type IdleResourceCleared struct {
	NodeID      domain.NodeID  `json:"node_id"`
	IdleSeconds domain.Seconds `json:"idle_duration_seconds"`
	Reason      string         `json:"reason"`
}

func (IdleResourceCleared) EventType() string          { return "IDLE_RESOURCE_CLEARED" }
func (e IdleResourceCleared) Home() domain.StreamID    { return e.NodeID.Stream() }
func (e IdleResourceCleared) Validate() []domain.Fault { return nodeFaults(e.NodeID) }

// ZombieDetected: the node's processes do nothing: they belong to no item any more
// or, if tasks are named, hold these items without making progress. Such a node
// still sends heartbeats.
type ZombieDetected struct {
	NodeID        domain.NodeID   `json:"node_id"`
	ZombieSeconds domain.Seconds  `json:"zombie_seconds"`
	Jobs          int             `json:"jobs"`
	Tasks         []domain.TaskID `json:"tasks,omitempty"`
}

func (ZombieDetected) EventType() string       { return "NODE_ZOMBIE_DETECTED" }
func (e ZombieDetected) Home() domain.StreamID { return e.NodeID.Stream() }

func (e ZombieDetected) Validate() []domain.Fault {
	faults := nodeFaults(e.NodeID)
	if !(e.ZombieSeconds >= 0) {
		faults = append(faults, domain.Fault{Field: "zombie_seconds", Reason: fmt.Sprintf("want at least 0, found %v", float64(e.ZombieSeconds))})
	}
	if e.Jobs < 0 {
		faults = append(faults, domain.Fault{Field: "jobs", Reason: fmt.Sprintf("want at least 0, found %d", e.Jobs)})
	}
	return faults
}
