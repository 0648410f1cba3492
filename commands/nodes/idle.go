package nodes

import (
	"fmt"
	"time"

	"github.com/ringrift/rift/commands"
	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/projections"
	workview "github.com/ringrift/rift/projections/work"
)

// IdleNode reports that a node's GPU is idle although there is work for it. The
// process issues it, because levels are in its memory.
type IdleNode struct {
	NodeID     domain.NodeID `json:"node_id"`
	Since      time.Time     `json:"since"`
	GPUPercent *float64      `json:"gpu_percent,omitempty"`
	TaskType   string        `json:"task_type"` // of the item that it would be given
}

func (IdleNode) CommandType() string       { return "nodes.idle" }
func (c IdleNode) Stream() domain.StreamID { return c.NodeID.Stream() }

func idleNode(n nodes.Node, c IdleNode, facts domain.Facts) ([]domain.Event, error) {
	idle := facts.Now.Sub(c.Since)
	if n.State != nodes.StateOnline || !n.IdleSince.IsZero() || idle < nodes.PolicyOf(facts.Policy).Idle.Seconds.Duration() {
		return nil, nil
	}
	return []domain.Event{nodes.IdleResourceDetected{
		NodeID: c.NodeID, Since: domain.Instant(c.Since), IdleSeconds: wholeSeconds(idle), GPUUtilization: c.GPUPercent, TaskType: c.TaskType,
	}}, nil
}

// BusyNode reports that a node recorded as idle is no longer idle. The process
// issues it.
type BusyNode struct {
	NodeID domain.NodeID `json:"node_id"`
	Reason string        `json:"reason"`
}

func (BusyNode) CommandType() string       { return "nodes.busy" }
func (c BusyNode) Stream() domain.StreamID { return c.NodeID.Stream() }

func busyNode(n nodes.Node, c BusyNode, facts domain.Facts) ([]domain.Event, error) {
	if n.IdleSince.IsZero() {
		return nil, nil
	}
	return []domain.Event{nodes.IdleResourceCleared{NodeID: c.NodeID, IdleSeconds: wholeSeconds(facts.Now.Sub(n.IdleSince)), Reason: c.Reason}}, nil
}

// ZombieNode reports that a node holds items while its GPU is idle and none of them
// makes progress. The process issues it.
type ZombieNode struct {
	NodeID domain.NodeID   `json:"node_id"`
	Idle   domain.Seconds  `json:"idle"` // how long its reports have been of an idle GPU
	Tasks  []domain.TaskID `json:"tasks"`
}

func (ZombieNode) CommandType() string       { return "nodes.zombie" }
func (c ZombieNode) Stream() domain.StreamID { return c.NodeID.Stream() }

func zombieNode(_ nodes.Node, c ZombieNode, _ domain.Facts) ([]domain.Event, error) {
	return []domain.Event{nodes.ZombieDetected{NodeID: c.NodeID, ZombieSeconds: c.Idle, Jobs: len(c.Tasks), Tasks: c.Tasks}}, nil
}

func wholeSeconds(d time.Duration) domain.Seconds {
	return domain.Seconds(max(d, 0).Truncate(time.Millisecond).Seconds())
}

func idleSpecs() []commands.Spec {
	return []commands.Spec{
		commands.Handle("note that a GPU does nothing though there is work for it", idleNode),
		commands.Handle("note that a GPU which did nothing works again", busyNode),
		commands.Handle("note that a node gets on with nothing that it holds", zombieNode),
	}
}

// reactZombie revokes the named items under the leases that the node had when it
// was found. No attempt is used up.
func reactZombie(v projections.View, _ domain.Envelope, zombie nodes.ZombieDetected) ([]domain.Command, error) {
	if len(zombie.Tasks) == 0 {
		return nil, nil // processes without an item hold no lease
	}
	leases, err := workview.HeldBy(v, zombie.NodeID)
	if err != nil {
		return nil, err
	}
	named := map[domain.TaskID]bool{}
	for _, task := range zombie.Tasks {
		named[task] = true
	}
	var commands []domain.Command
	for _, lease := range leases {
		if named[lease.TaskID] {
			reason := fmt.Sprintf("stalled: no progress and an idle GPU for %v", zombie.ZombieSeconds.Duration())
			commands = append(commands, workcmd.RevokeLease{TaskID: lease.TaskID, Lease: lease.Lease, Reason: reason})
		}
	}
	return commands, nil
}
