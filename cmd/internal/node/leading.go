package node

import (
	"context"
	"fmt"

	electioncmd "github.com/ringrift/rift/commands/election"
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

// TakeLead writes down that this node was elected for a term, and returns once it has
// applied the log up to there. It is a conflict when the log has a newer term.
func (n *Node) TakeLead(ctx context.Context, term uint64) error {
	command := fmt.Sprintf(domain.LeaderCommands+"%s/%d/%s", n.config.Cluster, term, n.config.Node)
	result, err := n.bus.Do(ctx, domain.Facts{
		Now: domain.Instant(n.clock()), Command: command, Node: n.config.Node, Actor: "rift", Term: term, Seed: SeedOf(command),
	}, electioncmd.TakeLead{Cluster: n.config.Cluster, Leader: domain.NodeID(n.config.Node), Term: term})
	if err != nil {
		return err
	}
	return n.upTo(ctx, result.Position)
}

// ID is the node's name.
func (n *Node) ID() domain.NodeID { return domain.NodeID(n.config.Node) }
