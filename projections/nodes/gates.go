package nodes

import (
	"fmt"
	"slices"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/projections"
)

// NodeGateNames lists the gates that keep all work from a node.
var NodeGateNames = []string{"node_health", "recovery_hold", "node_breaker"}

// BreakerRow is the last failures of items on a node, newest last, and the opening
// that they caused. A success clears the failures; a node without failures and
// opening has no row.
type BreakerRow struct {
	NodeID   domain.NodeID `json:"node_id"`
	Failures []time.Time   `json:"failures"`
	Opened   *time.Time    `json:"opened"` // null: closed
	Until    *time.Time    `json:"until"`  // half open after this
	Opens    int           `json:"opens,omitempty"`
}

// keptFailures limits the failures that are kept.
const keptFailures = 32

func breakerFailure(tx projections.Tx, node domain.NodeID, at time.Time) error {
	if node == "" {
		return nil
	}
	row, _, err := nodesBreakerTable.Get(tx, string(node))
	if err != nil {
		return err
	}
	row.NodeID = node
	row.Failures = append(slices.Clip(row.Failures), at)
	if len(row.Failures) > keptFailures {
		row.Failures = row.Failures[len(row.Failures)-keptFailures:]
	}
	return nodesBreakerTable.Put(tx, string(node), row)
}

func breakerSuccess(tx projections.Tx, node domain.NodeID) error {
	row, found, err := nodesBreakerTable.Get(tx, string(node))
	if err != nil || !found {
		return err
	}
	row.Failures = nil
	if row.Until == nil {
		return nodesBreakerTable.Delete(tx, string(node))
	}
	return nodesBreakerTable.Put(tx, string(node), row)
}

func breakerOpened(tx projections.Tx, e domain.Envelope, opened nodes.BreakerOpened) error {
	if opened.Until.IsZero() {
		return nil // a recording without the time
	}
	return nodesBreakerTable.Update(tx, string(opened.NodeID), func(row *BreakerRow) {
		row.NodeID, row.Opened, row.Until, row.Opens = opened.NodeID, projections.TimeOf(e), &opened.Until, opened.Opens
	})
}

func breakerClosed(tx projections.Tx, _ domain.Envelope, closed nodes.BreakerClosed) error {
	if closed.Target != "" {
		return nil // about a part of the node, not its work
	}
	return nodesBreakerTable.Delete(tx, string(closed.NodeID))
}

// Recent counts the failures that still count as of the newest one.
func (r BreakerRow) Recent(policy nodes.Policy) int {
	if len(r.Failures) == 0 {
		return 0
	}
	from := r.Failures[len(r.Failures)-1].Add(-policy.BreakerWindowSeconds.Duration())
	count := 0
	for _, at := range r.Failures {
		if !at.Before(from) {
			count++
		}
	}
	return count
}

// TheBreaker returns the breaker of a node; the zero row for a closed one without
// failures.
func TheBreaker(v projections.View, node domain.NodeID) (BreakerRow, bool, error) {
	return nodesBreakerTable.Get(v, string(node))
}

// OpenBreakers lists the breakers that are open or half open, by node.
func OpenBreakers(v projections.View) ([]BreakerRow, error) {
	var rows []BreakerRow
	for entry, err := range nodesBreakerTable.Scan(v, projections.Span{}) {
		if err != nil {
			return nil, err
		}
		if entry.Row.Until != nil {
			rows = append(rows, entry.Row)
		}
	}
	return rows, nil
}

// NodeFacts is what the read models know about a node that affects its claims.
type NodeFacts struct {
	row      NodeRow
	known    bool
	breaker  BreakerRow
	hardware work.Hardware
}

// FactsOf reads the facts of a node.
func FactsOf(v projections.View, node domain.NodeID) (facts NodeFacts, err error) {
	if facts.row, facts.known, err = NodesTable.Get(v, string(node)); err != nil {
		return facts, err
	}
	facts.hardware = work.HardwareOf(facts.row.Facts)
	facts.breaker, _, err = nodesBreakerTable.Get(v, string(node))
	return facts, err
}

// HalfOpen reports whether the node's breaker lets one item through at a time.
func (f NodeFacts) HalfOpen(now time.Time) bool {
	return f.breaker.Until != nil && !now.Before(*f.breaker.Until)
}

// Gates returns whether the node may get work at a time, and why not. An
// unregistered node may, unless the policy requires registration. tried finds the
// item that a half-open breaker let through.
func (f NodeFacts) Gates(now time.Time, policy nodes.Policy, tried Tried) []Gate {
	row := f.row
	health := Gate{"node_health", true, "node is " + string(row.State)}
	hold := Gate{"recovery_hold", true, "not recovering"}
	switch {
	case row.RegisteredAt == nil && policy.RequireRegistration:
		health.OK, health.Reason = false, "node did not register, and the policy asks for it"
	case !f.known:
		health.Reason = "node is not registered; nothing speaks against it"
	case row.State == nodes.StateRetired && row.Reason == nodes.RetiredLeft:
		health.Reason = fmt.Sprintf("node left at %s; nothing speaks against it when it is back", row.Since.Format(domain.Timestamp))
	case row.State == nodes.StateSick || row.State == nodes.StateOffline || row.State == nodes.StateRetired:
		health.OK = false
		health.Reason = fmt.Sprintf("node is %s since %s: %s", row.State, row.Since.Format(domain.Timestamp), row.Reason)
	case row.RecoveredAt != nil:
		until := row.RecoveredAt.Add(policy.RecoveryHoldSeconds.Duration())
		if now.Before(until) {
			hold.OK = false
			hold.Reason = fmt.Sprintf("recovered a moment ago; gets work from %s", until.Format(domain.Timestamp))
		}
	}
	return []Gate{health, hold, f.breakerGate(now, tried)}
}

func (f NodeFacts) breakerGate(now time.Time, tried Tried) Gate {
	gate, until := Gate{"node_breaker", true, "few failures"}, f.breaker.Until
	switch {
	case until == nil:
		return gate
	case now.Before(*until):
		gate.OK = false
		gate.Reason = fmt.Sprintf("items kept failing here; gets one to try from %s", until.Format(domain.Timestamp))
		return gate
	}
	gate.Reason = "items kept failing here; gets one to try"
	if id, held := tried(*until); held {
		gate.OK = false
		gate.Reason = fmt.Sprintf("items kept failing here; item %s is the one to try", id)
	}
	return gate
}

// Claim is what a claiming node says about itself.
type Claim struct {
	Node         domain.NodeID
	Capabilities []string     // task types it wants (none: any), and words that items may require
	Slots        int          // free slots; 0: not given
	Level        *nodes.Level // the last load it reported
}

// Tried returns an item that a node has held since a time.
type Tried func(since time.Time) (id domain.TaskID, found bool)
