package nodes

import (
	"time"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/projections"
	nodesview "github.com/ringrift/rift/projections/nodes"
	policyview "github.com/ringrift/rift/projections/policy"
)

// openBreaker keeps work off a node on which items keep failing. Reactors issue it.
type openBreaker struct {
	NodeID   domain.NodeID `json:"node_id"`
	Failures int           `json:"failures"`
	At       time.Time     `json:"at"` // of the failure
}

func (openBreaker) CommandType() string       { return "nodes.open_breaker" }
func (c openBreaker) Stream() domain.StreamID { return c.NodeID.Stream() }

func breakerOpens(n nodes.Node, c openBreaker, facts domain.Facts) ([]domain.Event, error) {
	if c.At.Before(n.Breaker.Until) {
		return nil, nil // already open; items that were running when it opened fail as well
	}
	if !n.Breaker.Opened.IsZero() && !c.At.After(n.Breaker.Opened) {
		return nil, nil // this failure contributed to the last opening
	}
	until, opens := n.Breaker.Reopen(facts.Now, nodes.PolicyOf(facts.Policy))
	return []domain.Event{nodes.BreakerOpened{NodeID: c.NodeID, Failures: c.Failures, Until: until, Opens: opens}}, nil
}

// CloseBreaker lets a node get work again before its breaker would close by itself.
type CloseBreaker struct {
	NodeID domain.NodeID `json:"node_id"`
	Reason string        `json:"reason,omitempty"`
}

func (CloseBreaker) CommandType() string       { return "nodes.close_breaker" }
func (c CloseBreaker) Stream() domain.StreamID { return c.NodeID.Stream() }

// Reasons for which a breaker closes by itself.
const (
	success = "success"
	quiet   = "quiet"
)

func breakerCloses(n nodes.Node, c CloseBreaker, facts domain.Facts) ([]domain.Event, error) {
	switch {
	case n.Breaker.Until.IsZero():
		return nil, nil
	case c.Reason == quiet && facts.Now.Before(n.Breaker.Until.Add(nodes.PolicyOf(facts.Policy).BreakerDecaySeconds.Duration())):
		return nil, nil // it opened again meanwhile
	}
	return []domain.Event{nodes.BreakerClosed{NodeID: c.NodeID, Reason: c.Reason}}, nil
}

func breakerSpecs() []commands.Spec {
	return []commands.Spec{
		commands.Handle("keep work off a node on which items keep failing", breakerOpens),
		commands.Handle("give a node work again, whatever failed on it", breakerCloses,
			commands.Normalize(func(c CloseBreaker, _ domain.Facts) (CloseBreaker, error) {
				c.Reason = commands.Or(c.Reason, "an operator's decision")
				return c, domain.Faulty("nodes.close_breaker", commands.NameFaults("node_id", string(c.NodeID)))
			})),
	}
}

// Reactors returns the reactors of breakers to the ends of items, and those that
// help nodes that make no progress.
func Reactors() []projections.Reactor {
	opens := []string{"nodes.open_breaker"}
	return []projections.Reactor{
		projections.When("breaker_task_failed", "opens the breaker of a node on which items keep failing", opens,
			func(v projections.View, e domain.Envelope, failed work.Failed) ([]domain.Command, error) {
				return failedOn(v, failed.NodeID, e.Time)
			}),
		projections.When("breaker_lease_expired", "opens the breaker of a node on which items keep expiring", opens,
			func(v projections.View, e domain.Envelope, expired work.LeaseExpired) ([]domain.Command, error) {
				return failedOn(v, expired.NodeID, e.Time)
			}),
		projections.When("breaker_task_completed", "closes the breaker of a node that completed the item it was given to try", []string{"nodes.close_breaker"},
			func(v projections.View, _ domain.Envelope, done work.Completed) ([]domain.Command, error) {
				row, found, err := nodesview.TheBreaker(v, done.NodeID)
				if err != nil || !found || row.Until == nil {
					return nil, err
				}
				return []domain.Command{CloseBreaker{NodeID: done.NodeID, Reason: success}}, nil
			}),
		projections.When("node_zombie", "takes the items that a node holds and gets on with none of", []string{"work.revoke"}, reactZombie),
	}
}

func failedOn(v projections.View, node domain.NodeID, at time.Time) ([]domain.Command, error) {
	if node == "" {
		return nil, nil
	}
	row, _, err := nodesview.TheBreaker(v, node)
	if err != nil {
		return nil, err
	}
	policy, _, err := policyview.InForce(v)
	if err != nil {
		return nil, err
	}
	failures := row.Recent(nodes.PolicyOf(policy))
	tried := row.Until != nil && !at.Before(*row.Until)
	if !tried && (row.Until != nil || failures < nodes.PolicyOf(policy).BreakerFailures) {
		return nil, nil
	}
	return []domain.Command{openBreaker{NodeID: node, Failures: failures, At: at}}, nil
}
