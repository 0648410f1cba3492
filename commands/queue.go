package commands

import (
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/projections"
	nodesview "github.com/ringrift/rift/projections/nodes"
	workview "github.com/ringrift/rift/projections/work"
)

// Queue is what commands on the queue are decided on: the queue as it will be
// when everything decided before is durable, and the read models of other areas.
type Queue struct {
	*work.Queue
	Models projections.View // may be behind the log by what concerns the queue alone
	Nodes  KnownNodes       // what they say of nodes that ask
	// Before lists the items that a command took when it ran before.
	Before func(command string) ([]domain.TaskID, error)
	// Unfinished tells that a part of what a command took was not stored; nil: no
	// command is.
	Unfinished func(command string) bool
	// Closed is told of the items that a gate kept from a node that claimed; nil:
	// nobody counts.
	Closed func(gate string, items int)
	// Most is how many bytes of memory live items may take before callers can add no
	// more; 0 is no bound.
	Most int64

	ended func(domain.TaskID) (work.Task, error)
	wrote func(domain.StreamID, string) (bool, error)
}

// KnownNodes is what is known of nodes and of pauses, as claims have to know it.
type KnownNodes interface {
	Node(domain.NodeID) (nodesview.NodeFacts, error)
	Pauses() (map[string]string, error)
}

// NodesIn reads it from read models.
type NodesIn struct{ projections.View }

// Node reads what is known of a node.
func (n NodesIn) Node(id domain.NodeID) (nodesview.NodeFacts, error) {
	return nodesview.FactsOf(n.View, id)
}

// Pauses reads the kinds that something holds, each with the reasons.
func (n NodesIn) Pauses() (map[string]string, error) { return workview.PauseReasons(n.View) }

// Wrote tells whether a command wrote to a stream when it ran before.
func (q *Queue) Wrote(stream domain.StreamID, command string) (bool, error) {
	return q.wrote(stream, command)
}

// Task is the state of an item, whether it is live or ended; its State is empty
// when there was never one.
func (q *Queue) Task(id domain.TaskID) (work.Task, error) {
	if item, live := q.Find(id); live {
		return item.Task, nil
	}
	return q.ended(id)
}
