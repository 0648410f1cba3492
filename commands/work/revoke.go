package work

import (
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/projections"
	workview "github.com/ringrift/rift/projections/work"
)

// RevokeLease takes an item from its holder; no attempt is used up. Reactors issue
// it.
type RevokeLease struct {
	TaskID domain.TaskID `json:"task_id"`
	Lease  uint64        `json:"lease"`
	Reason string        `json:"reason"`
}

func (RevokeLease) CommandType() string       { return "work.revoke" }
func (c RevokeLease) Stream() domain.StreamID { return c.TaskID.Stream() }

func revokeTask(t work.Task, c RevokeLease, _ domain.Facts) ([]domain.Event, error) {
	if !t.State.Held() || t.Lease != c.Lease {
		return nil, nil
	}
	return []domain.Event{work.Revoked{TaskID: c.TaskID, Lease: c.Lease, NodeID: t.Node, Reason: c.Reason}}, nil
}

func revokeAll(v projections.View, node domain.NodeID, reason string) ([]domain.Command, error) {
	leases, err := workview.HeldBy(v, node)
	if err != nil {
		return nil, err
	}
	var commands []domain.Command
	for _, lease := range leases {
		commands = append(commands, RevokeLease{TaskID: lease.TaskID, Lease: lease.Lease, Reason: reason})
	}
	return commands, nil
}
