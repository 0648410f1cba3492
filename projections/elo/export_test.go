package elo

import "github.com/ringrift/rift/projections"

// ProjectionEvery is the projection with another distance between checkpoints.
func ProjectionEvery(facts int) projections.Projection { return projection(facts) }

// Checkpoints counts the checkpoints that are written down.
func Checkpoints(v projections.View, config string) (int, error) {
	row, _, err := eloMarksTable.Get(v, config)
	return len(row.Marks), err
}
