package commands

import (
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/projections"
	nodesview "github.com/ringrift/rift/projections/nodes"
	workview "github.com/ringrift/rift/projections/work"
)

// Queue is the state that commands on the queue are decided on: the queue with all earlier
// decisions, stored or not, and the read models of other areas.
type Queue struct {
	*work.Queue
	Models projections.View // may lack events that concern only the queue
	Nodes  KnownNodes       // what is known about nodes that claim
	// Before lists the items that a command took when it ran before.
	Before func(command string) ([]domain.TaskID, error)
	// Unfinished reports whether only a part of what a command took was stored; nil: it
	// never was.
	Unfinished func(command string) bool
	// Closed is called with the number of items that a gate kept from a claim; nil: they
	// are not counted.
	Closed func(gate string, items int)
	// Most is the memory of live items, in bytes, from which on callers cannot add items;
	// 0 means no bound.
	Most int64

	ended func(domain.TaskID) (work.Task, error)
	wrote func(domain.StreamID, string) (bool, error)
}

// KnownNodes is what claims need to know about nodes and pauses.
type KnownNodes interface {
	Node(domain.NodeID) (nodesview.NodeFacts, error)
	Pauses() (map[string]string, error)
}

// NodesIn reads KnownNodes from read models.
type NodesIn struct{ projections.View }

// Node returns what is known about a node.
func (n NodesIn) Node(id domain.NodeID) (nodesview.NodeFacts, error) {
	return nodesview.FactsOf(n.View, id)
}

// Pauses returns the kinds that are paused, with the reasons.
func (n NodesIn) Pauses() (map[string]string, error) { return workview.PauseReasons(n.View) }

// Wrote reports whether a command wrote to a stream when it ran before.
func (q *Queue) Wrote(stream domain.StreamID, command string) (bool, error) {
	return q.wrote(stream, command)
}

// Task returns the state of an item, live or ended. Its State is empty if there never was
// such an item.
func (q *Queue) Task(id domain.TaskID) (work.Task, error) {
	if item, live := q.Find(id); live {
		return item.Task, nil
	}
	return q.ended(id)
}
