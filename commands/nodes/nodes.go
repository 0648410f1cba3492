package nodes

import (
	"fmt"
	"slices"
	"time"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/projections"
	nodesview "github.com/ringrift/rift/projections/nodes"
)

// silence is the reason for a node that was not heard from; any message from it
// lifts it.
const silence = "heartbeat"

// Specs returns the specs of the node commands.
func Specs() []commands.Spec {
	return slices.Concat(breakerSpecs(), idleSpecs(), []commands.Spec{
		commands.HandleAnswer("announce a node", registerNode,
			func(n nodes.Node, c RegisterNode, _ []domain.Envelope) NodeRegistered {
				return NodeRegistered{c.NodeID, n.State}
			}, commands.Normalize(completeRegister)),
		commands.HandleAnswer("report a node's level", heartbeatNode,
			func(n nodes.Node, c NodeHeartbeat, _ []domain.Envelope) NodeRegistered {
				return NodeRegistered{c.NodeID, n.State}
			},
			commands.Normalize(func(c NodeHeartbeat, _ domain.Facts) (NodeHeartbeat, error) {
				return c, domain.Faulty("nodes.heartbeat", append(commands.NameFaults("node_id", string(c.NodeID)), c.Level.Validate()...))
			})),
		commands.Handle("note that a node is silent", silentNode),
		commands.Handle("take over what somebody says of a node", reportNode,
			commands.Takes(func(e nodes.Unhealthy) ReportNode { return ReportNode{Unhealthy: &e} }),
			commands.Takes(func(e nodes.Recovered) ReportNode { return ReportNode{Recovered: &e} }),
			commands.Takes(func(e nodes.HostOnline) ReportNode { return ReportNode{Online: &e} }),
			commands.Takes(func(e nodes.HostOffline) ReportNode { return ReportNode{Offline: &e} })),
		commands.Handle("take a node out of those that count, until it registers again", retireNode,
			commands.Normalize(func(c RetireNode, _ domain.Facts) (RetireNode, error) {
				c.Reason = commands.Or(c.Reason, "an operator's decision")
				faults := commands.NameFaults("node_id", string(c.NodeID))
				if nodes.StateRetired.Returns(c.Reason) {
					faults = append(faults, domain.Fault{Field: "reason", Reason: "want another one; this one is said of a node that comes back by itself"})
				}
				return c, domain.Faulty("nodes.retire", faults)
			})),
		commands.Handle("stop counting a node that was offline for too long", retireGone),
	})
}

// Clock retires nodes that were offline for too long, and closes breakers after
// enough time without failures.
func Clock(v projections.View, now time.Time, policy domain.Policy, limit int) ([]commands.Timed, time.Time, error) {
	var due []commands.Timed
	var next time.Time
	at := func(moment time.Time, id string, c domain.Command) {
		switch {
		case !now.Before(moment) && len(due) < limit:
			due = append(due, commands.Timed{ID: id + moment.Format(domain.Timestamp), Command: c})
		case next.IsZero() || moment.Before(next):
			next = moment
		}
	}
	sick, err := nodesview.SickNodes(v)
	if err != nil {
		return nil, next, err
	}
	for _, node := range sick {
		if node.State == nodes.StateOffline {
			at(node.Since.Add(nodes.PolicyOf(policy).RetireSeconds.Duration()), fmt.Sprintf("clock/retire/%s/", node.NodeID), retireOffline{node.NodeID})
		}
	}
	open, err := nodesview.OpenBreakers(v)
	if err != nil {
		return nil, next, err
	}
	for _, breaker := range open {
		at(breaker.Until.Add(nodes.PolicyOf(policy).BreakerDecaySeconds.Duration()), fmt.Sprintf("clock/breaker/%s/", breaker.NodeID), CloseBreaker{NodeID: breaker.NodeID, Reason: quiet})
	}
	return due, next, nil
}
