package node

import (
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
