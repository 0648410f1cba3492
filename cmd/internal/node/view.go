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

// nodeView is a view together with what the process knows besides: the queue, and
// what nodes last said of themselves.
type nodeView struct {
	projections.View
	node *Node
	past bool // the view is of the past, and levels say nothing of it
}

// Cells gives rows decoded, where the view has them.
func (a nodeView) Cells(table string, span projections.Span) (iter.Seq2[string, projections.Cell], bool) {
	if typed, ok := a.View.(projections.Typed); ok {
		return typed.Cells(table, span)
	}
	return nil, false
}

// Queue lets f look at the queue as it is, or as it was at the view's position.
// A node that only shows a log has none but the one in its rows.
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

// LevelOf is what a node last said of itself.
func (a nodeView) LevelOf(node domain.NodeID) *nodes.Level {
	if a.past {
		return nil
	}
	return a.node.levelOf(node)
}

// levelOf is what a node last said of itself; nil when that is not known.
func (n *Node) levelOf(node domain.NodeID) *nodes.Level {
	last, known := n.levels.last(node)
	if !known {
		return nil
	}
	return &last.level
}
