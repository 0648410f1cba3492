package node

import (
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
	electionview "github.com/ringrift/rift/projections/election"
)

// Elected is the position and the term of the newest change of leader that the read
// models have applied.
func (n *Node) Elected() (position domain.Position, term uint64) {
	if err := n.store.View(func(v projections.View) error {
		row, err := electionview.Current(v, n.config.Cluster)
		position, term = row.Position, row.Term
		return err
	}); err != nil {
		n.logger.Warn("the last election cannot be read", "error", err)
	}
	return position, term
}
