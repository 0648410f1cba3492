package commands

import (
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
)

// openBreaker keeps work off a node on which items keep failing. Reactors issue it.
type openBreaker struct {
	NodeID   domain.NodeID `json:"node_id"`
	Failures int           `json:"failures"`
	At       time.Time     `json:"at"` // of the failure
}

func (openBreaker) CommandType() string       { return "nodes.open_breaker" }
func (c openBreaker) Stream() domain.StreamID { return c.NodeID.Stream() }

func breakerOpens(n domain.Node, c openBreaker, facts domain.Facts) ([]domain.Event, error) {
	if c.At.Before(n.Breaker.Until) {
		return nil, nil // it is open; what was under way when it opened fails as well
	}
	if !n.Breaker.Opened.IsZero() && !c.At.After(n.Breaker.Opened) {
		return nil, nil // a failure that led to the last opening already
	}
	until, opens := n.Breaker.Reopen(facts.Now, domain.NodesPolicyOf(facts.Policy))
	return []domain.Event{domain.NodeBreakerOpened{NodeID: c.NodeID, Failures: c.Failures, Until: until, Opens: opens}}, nil
}

// CloseBreaker gives a node work as any other again, before its breaker would by itself.
type CloseBreaker struct {
	NodeID domain.NodeID `json:"node_id"`
	Reason string        `json:"reason,omitempty"`
}

// CommandType is nodes.close_breaker.
func (CloseBreaker) CommandType() string { return "nodes.close_breaker" }

// Stream is the node's.
func (c CloseBreaker) Stream() domain.StreamID { return c.NodeID.Stream() }

// The reasons for which a breaker closes by itself.
const (
	success = "success"
	quiet   = "quiet"
)

func breakerCloses(n domain.Node, c CloseBreaker, facts domain.Facts) ([]domain.Event, error) {
	switch {
	case n.Breaker.Until.IsZero():
		return nil, nil
	case c.Reason == quiet && facts.Now.Before(n.Breaker.Until.Add(domain.NodesPolicyOf(facts.Policy).BreakerDecaySeconds.Duration())):
		return nil, nil // it opened again meanwhile
	}
	return []domain.Event{domain.NodeBreakerClosed{NodeID: c.NodeID, Reason: c.Reason}}, nil
}

func breakerSpecs() []Spec {
	return []Spec{
		Handle("keep work off a node on which items keep failing", breakerOpens),
		Handle("give a node work again, whatever failed on it", breakerCloses,
			Normalize(func(c CloseBreaker, _ domain.Facts) (CloseBreaker, error) {
				c.Reason = or(c.Reason, "an operator's decision")
				return c, domain.Faulty("nodes.close_breaker", nameFaults("node_id", string(c.NodeID)))
			})),
	}
}

// NodesReactors is how breakers answer what becomes of items, and what is done
// about nodes that get on with nothing.
func NodesReactors() []projections.Reactor {
	opens := []string{"nodes.open_breaker"}
	return []projections.Reactor{
		projections.When("breaker_task_failed", "opens the breaker of a node on which items keep failing", opens,
			func(v projections.View, e domain.Envelope, failed domain.TaskFailed) ([]domain.Command, error) {
				return failedOn(v, failed.NodeID, e.Time)
			}),
		projections.When("breaker_lease_expired", "opens the breaker of a node on which items keep expiring", opens,
			func(v projections.View, e domain.Envelope, expired domain.TaskLeaseExpired) ([]domain.Command, error) {
				return failedOn(v, expired.NodeID, e.Time)
			}),
		projections.When("breaker_task_completed", "closes the breaker of a node that completed the item it was given to try", []string{"nodes.close_breaker"},
			func(v projections.View, _ domain.Envelope, done domain.TaskCompleted) ([]domain.Command, error) {
				row, found, err := projections.TheBreaker(v, done.NodeID)
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
	row, _, err := projections.TheBreaker(v, node)
	if err != nil {
		return nil, err
	}
	policy, _, err := projections.PolicyInForce(v)
	if err != nil {
		return nil, err
	}
	failures := row.Recent(domain.NodesPolicyOf(policy))
	tried := row.Until != nil && !at.Before(*row.Until)
	if !tried && (row.Until != nil || failures < domain.NodesPolicyOf(policy).BreakerFailures) {
		return nil, nil
	}
	return []domain.Command{openBreaker{NodeID: node, Failures: failures, At: at}}, nil
}
