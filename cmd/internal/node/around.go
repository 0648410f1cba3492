package node

import (
	"iter"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/sched"
	"github.com/ringrift/rift/projections"
)

// around is a view together with what the process knows besides: what evaluates
// expressions, and what nodes last said of themselves.
type around struct {
	projections.View
	node *Node
	past bool // levels are of now, and say nothing of the past
}

// Cells gives rows decoded, where the view has them.
func (a around) Cells(table string, span projections.Span) (iter.Seq2[string, projections.Cell], bool) {
	if typed, ok := a.View.(projections.Typed); ok {
		return typed.Cells(table, span)
	}
	return nil, false
}

// Matcher evaluates expressions.
func (a around) Matcher() sched.Matcher { return a.node.match }

// LevelOf is what a node last said of itself.
func (a around) LevelOf(node domain.NodeID) *domain.Level {
	last, known := a.node.levels.last(node)
	if !known || a.past {
		return nil
	}
	return &last.level
}
