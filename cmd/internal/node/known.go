package node

import (
	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
	nodesview "github.com/ringrift/rift/projections/nodes"
)

// knownNodes keeps what the read models say of nodes and pauses between groups of
// commands: it changes with a decisive event and with nothing else. Reading it
// for every claim was a twelfth of the CPU of a job.
type knownNodes struct {
	commands.NodesIn
	at     domain.Position // of the last decisive event that it has seen
	nodes  map[domain.NodeID]nodesview.NodeFacts
	pauses *map[string]string
}

// asOf reads from a view, and forgets everything if a decisive event came.
func (k *knownNodes) asOf(v projections.View, at domain.Position) {
	k.View = v
	if k.nodes == nil || k.at != at || len(k.nodes) >= maxKnown {
		k.at, k.nodes, k.pauses = at, map[domain.NodeID]nodesview.NodeFacts{}, nil
	}
}

// maxKnown bounds the nodes of which something is kept.
const maxKnown = 1 << 16

// Node is what is known of a node.
func (k *knownNodes) Node(id domain.NodeID) (nodesview.NodeFacts, error) {
	if facts, known := k.nodes[id]; known {
		return facts, nil
	}
	facts, err := k.NodesIn.Node(id)
	if err == nil {
		k.nodes[id] = facts
	}
	return facts, err
}

// Pauses are the kinds that something holds, each with the reasons.
func (k *knownNodes) Pauses() (map[string]string, error) {
	if k.pauses != nil {
		return *k.pauses, nil
	}
	pauses, err := k.NodesIn.Pauses()
	if err == nil {
		k.pauses = &pauses
	}
	return pauses, err
}
