package node

import (
	"context"
	"iter"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/projections"
	workview "github.com/ringrift/rift/projections/work"
)

// nodeView is a view with the queue and the levels of nodes, which are in memory.
type nodeView struct {
	projections.View
	node *Node
	past bool // the view is of the past, for which there are no levels
}

// Cells yields decoded rows, if the view has them.
func (a nodeView) Cells(table string, span projections.Span) (iter.Seq2[string, projections.Cell], bool) {
	if typed, ok := a.View.(projections.Typed); ok {
		return typed.Cells(table, span)
	}
	return nil, false
}

// Queue calls f with the current queue or, for a view of the past and on a read-only node,
// with one that is built from the rows.
func (a nodeView) Queue(f func(*work.Queue) error) error {
	if !a.past && !a.node.config.ReadOnly {
		return a.node.work.inspect(context.Background(), f)
	}
	queue, err := workview.LoadQueue(a.View, a.node.match)
	if err != nil {
		return err
	}
	return f(queue)
}

// LevelOf returns the level that a node last reported; nil if it is not known.
func (a nodeView) LevelOf(node domain.NodeID) *nodes.Level {
	if a.past {
		return nil
	}
	return a.node.levelOf(node)
}

// AskedBy returns the task types and words that a node's last claim asked for; empty for
// anything, or if it is not known.
func (a nodeView) AskedBy(node domain.NodeID) []string {
	if a.past {
		return nil
	}
	last, _ := a.node.levels.last(node)
	return last.asked
}

// levelOf returns the level that a node last reported; nil if it is not known.
func (n *Node) levelOf(node domain.NodeID) *nodes.Level {
	last, known := n.levels.last(node)
	if !known {
		return nil
	}
	return &last.level
}
