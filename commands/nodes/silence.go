package nodes

import (
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/nodes"
)

// SilentNode reports that a node was not heard from for a time. The clock issues
// it.
type SilentNode struct {
	NodeID domain.NodeID  `json:"node_id"`
	Silent domain.Seconds `json:"silent_seconds"`
	Factor float64        `json:"factor"` // how much longer the policy lets this node be silent; it depends on its last level
}

func (SilentNode) CommandType() string       { return "nodes.silent" }
func (c SilentNode) Stream() domain.StreamID { return c.NodeID.Stream() }

func silentNode(n nodes.Node, c SilentNode, facts domain.Facts) ([]domain.Event, error) {
	limit, gone := nodes.PolicyOf(facts.Policy).Stretched(c.Factor)
	silent := c.Silent.Duration()
	switch {
	case n.State != nodes.StateOnline && n.State != nodes.StateSick:
		return nil, nil
	case silent >= gone:
		return []domain.Event{nodes.HostOffline{NodeID: c.NodeID, Reason: silence, SilentSeconds: c.Silent}}, nil
	case silent >= limit && n.State == nodes.StateOnline:
		return []domain.Event{nodes.Unhealthy{NodeID: c.NodeID, Reason: silence, SilentSeconds: c.Silent}}, nil
	}
	return nil, nil
}
