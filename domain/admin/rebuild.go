package admin

import (
	"github.com/ringrift/rift/domain"
)

// ReadModelStream is where what people do about one read model is written.
func ReadModelStream(name string) domain.StreamID {
	return domain.Stream("admin", DefaultCluster+":projection:"+name)
}

// ProjectionRebuildRequested: somebody wants a read model built again from the
// log's start, beside the one that serves. Every node that folds it does so once,
// or the one it names; when the new rows are as far as the old ones, they serve.
type ProjectionRebuildRequested struct {
	Name   string        `json:"name"`              // of the read model
	NodeID domain.NodeID `json:"node_id,omitempty"` // absent: every node
	Reason string        `json:"reason,omitempty"`
}

func (ProjectionRebuildRequested) EventType() string       { return "PROJECTION_REBUILD_REQUESTED" }
func (e ProjectionRebuildRequested) Home() domain.StreamID { return ReadModelStream(e.Name) }

func (e ProjectionRebuildRequested) Validate() []domain.Fault {
	var c domain.Checks
	c.Name("name", e.Name)
	return c
}

// Concerns tells whether a node is to build it.
func (e ProjectionRebuildRequested) Concerns(node domain.NodeID) bool {
	return e.NodeID == "" || e.NodeID == node
}

// ReadModel is what people did about one read model, folded from its stream.
type ReadModel struct {
	Rebuilds int // asked for
}

// Evolve applies a fact of the read model's stream.
func (m ReadModel) Evolve(fact domain.Envelope) ReadModel {
	if _, wanted := fact.Event.(ProjectionRebuildRequested); wanted {
		m.Rebuilds++
	}
	return m
}

// Model is a read model of the node that decides.
type Model struct {
	Name     string
	Building bool // a version of it is being built, or waits to be
}
