package nodes

import (
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/nodes"
)

// NodeHeartbeat is a node's report of its level. The level is kept in memory; only
// a change of the node's health becomes an event.
type NodeHeartbeat struct {
	NodeID domain.NodeID `json:"node_id"`
	Level  nodes.Level   `json:"level,omitzero"`
	Leaves bool          `json:"leaves,omitempty" doc:"the node ends in good order: nobody misses it until it is heard from again"`
}

func (NodeHeartbeat) CommandType() string       { return "nodes.heartbeat" }
func (c NodeHeartbeat) Stream() domain.StreamID { return c.NodeID.Stream() }

func heartbeatNode(n nodes.Node, c NodeHeartbeat, facts domain.Facts) ([]domain.Event, error) {
	if c.Leaves {
		if n.State == "" || n.State == nodes.StateRetired {
			return nil, nil
		}
		return []domain.Event{nodes.Retirement{NodeID: c.NodeID, Reason: nodes.RetiredLeft}}, nil
	}
	policy := nodes.PolicyOf(facts.Policy)
	readings := domain.FactOf[nodes.Readings](facts)
	trouble := readings.Trouble(policy)
	switch n.State {
	case nodes.StateRetired:
		if !n.State.Returns(n.Reason) {
			return nil, nil
		}
		fallthrough
	case "", nodes.StateRegistered, nodes.StateOffline:
		events := []domain.Event{nodes.HostOnline{NodeID: c.NodeID}}
		if trouble != "" {
			events = append(events, sickFrom(c, trouble, policy))
		}
		return events, nil
	case nodes.StateOnline:
		if trouble != "" {
			return []domain.Event{sickFrom(c, trouble, policy)}, nil
		}
	case nodes.StateSick:
		if trouble == "" && (n.Reason == silence || readings.Lifts(n.Reason, policy)) {
			return []domain.Event{recovered(n, facts)}, nil
		}
	}
	return nil, nil
}

func sickFrom(c NodeHeartbeat, trouble string, policy nodes.Policy) nodes.Unhealthy {
	return nodes.Unhealthy{
		NodeID: c.NodeID, Reason: trouble, ConsecutiveFailures: policy.UnhealthyReadings,
		DiskUsedPercent: c.Level.DiskPercent, GPUUtilization: c.Level.GPUPercent,
	}
}

func recovered(n nodes.Node, facts domain.Facts) nodes.Recovered {
	event := nodes.Recovered{NodeID: n.ID}
	if !n.Since.IsZero() && facts.Now.After(n.Since) {
		event.RecoveryTimeSeconds = domain.Seconds(domain.Instant(facts.Now).Sub(n.Since).Seconds())
	}
	return event
}
