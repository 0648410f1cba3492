package nodes

import (
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/nodes"
)

// RetireNode retires a node: it gets no work until it registers again.
type RetireNode struct {
	NodeID domain.NodeID `json:"node_id"`
	Reason string        `json:"reason,omitempty"`
}

func (RetireNode) CommandType() string       { return "nodes.retire" }
func (c RetireNode) Stream() domain.StreamID { return c.NodeID.Stream() }

func retireNode(n nodes.Node, c RetireNode, _ domain.Facts) ([]domain.Event, error) {
	if n.State == "" {
		return nil, domain.Errorf(domain.NotFound, "no node %q is known", c.NodeID)
	}
	if n.State == nodes.StateRetired && !n.State.Returns(n.Reason) {
		return nil, nil
	}
	return []domain.Event{nodes.Retirement{NodeID: c.NodeID, Reason: c.Reason}}, nil
}

// retireOffline retires a node that was offline for too long. The clock issues it.
type retireOffline struct {
	NodeID domain.NodeID `json:"node_id"`
}

func (retireOffline) CommandType() string       { return "nodes.retire_offline" }
func (c retireOffline) Stream() domain.StreamID { return c.NodeID.Stream() }

func retireGone(n nodes.Node, c retireOffline, facts domain.Facts) ([]domain.Event, error) {
	if n.State != nodes.StateOffline || facts.Now.Before(n.Since.Add(nodes.PolicyOf(facts.Policy).RetireSeconds.Duration())) {
		return nil, nil
	}
	return []domain.Event{nodes.Retirement{NodeID: c.NodeID, Reason: nodes.RetiredOffline}}, nil
}
