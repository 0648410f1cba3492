package admin

import (
	"github.com/ringrift/rift/domain"
)

// ReadModelStream returns the stream with the requests about one read model.
func ReadModelStream(name string) domain.StreamID {
	return domain.Stream("admin", DefaultCluster+":projection:"+name)
}

// ProjectionRebuildRequested: a rebuild of a read model from the start of the log
// was requested. Every node that folds it, or only the named one, builds it once,
// while the current version keeps answering queries until the new one has caught
// up.
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

// Concerns reports whether a node must build it.
func (e ProjectionRebuildRequested) Concerns(node domain.NodeID) bool {
	return e.NodeID == "" || e.NodeID == node
}

// ReadModel is the requests about one read model, folded from its stream.
type ReadModel struct {
	Rebuilds int // requested
}

// Evolve applies a fact of the read model's stream.
func (m ReadModel) Evolve(fact domain.Envelope) ReadModel {
	if _, wanted := fact.Event.(ProjectionRebuildRequested); wanted {
		m.Rebuilds++
	}
	return m
}

// Model is a read model of the deciding node.
type Model struct {
	Name     string
	Building bool // a version of it is being built, or is going to be
}
