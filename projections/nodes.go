package projections

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/ringrift/rift/domain"
)

// NodeRow is what the cluster knows of one node. Its JSON is what GET
// /nodes/{id} answers.
type NodeRow struct {
	NodeID       domain.NodeID    `json:"node_id"`
	State        domain.NodeState `json:"state"`
	Since        time.Time        `json:"since"`
	Reason       string           `json:"reason"`
	Facts        json.RawMessage  `json:"facts"`
	Accepts      string           `json:"accepts,omitempty"` // what it says of items
	Capabilities []string         `json:"capabilities"`
	RegisteredAt *time.Time       `json:"registered_at"`
	RecoveredAt  *time.Time       `json:"recovered_at"`
	Edges        int              `json:"edges"` // changes of state so far
	Position     domain.Position  `json:"position"`
}

// SickRow is a node that is unhealthy or offline.
type SickRow struct {
	NodeID domain.NodeID    `json:"node_id"`
	State  domain.NodeState `json:"state"`
	Reason string           `json:"reason"`
	Since  time.Time        `json:"since"`
}

// BreakerRow remembers the last failures of items on a node, newest last; a
// success empties it.
type BreakerRow struct {
	NodeID   domain.NodeID `json:"node_id"`
	Failures []time.Time   `json:"failures"`
}

// StateCountRow counts the nodes in one state.
type StateCountRow struct {
	State domain.NodeState `json:"state"`
	Count int              `json:"count"`
}

// keptFailures bounds what a breaker remembers.
const keptFailures = 32

// The tables of the nodes.
var (
	NodesTable        = Table[NodeRow]{"nodes.nodes"}
	nodesSickTable    = Table[SickRow]{"nodes.sick"}
	nodesBreakerTable = Table[BreakerRow]{"nodes.breakers"}
	nodesCountsTable  = Table[StateCountRow]{"nodes.counts"}
)

// NodesProjection is the read model of the nodes.
func NodesProjection() Projection {
	return Projection{
		Name: "nodes", Version: 2, About: "what each node is, can, and how it is; how the cluster as a whole is",
		Tables: []string{NodesTable.Name, nodesSickTable.Name, nodesBreakerTable.Name, nodesCountsTable.Name, nodesClusterTable.Name},
		Handlers: []Handler{
			On(nodeStep[domain.NodeAnnounced]),
			On(nodeStep[domain.HostOnline]),
			On(nodeStep[domain.HostOffline]),
			On(nodeStep[domain.NodeUnhealthy]),
			On(nodeStep[domain.NodeRecovered]),
			On(clusterPolicy),
			On(clusterStep[domain.ClusterHealthy]),
			On(clusterStep[domain.ClusterUnhealthy]),
			On(func(tx Tx, e domain.Envelope, failed domain.TaskFailed) error {
				return breakerFailure(tx, failed.NodeID, e.Time)
			}),
			On(func(tx Tx, e domain.Envelope, expired domain.TaskLeaseExpired) error {
				return breakerFailure(tx, expired.NodeID, e.Time)
			}),
			On(func(tx Tx, _ domain.Envelope, done domain.TaskCompleted) error {
				return nodesBreakerTable.Delete(tx, string(done.NodeID))
			}),
		},
	}
}

// nodeStep applies one fact of a node; the state comes from the fold that
// decisions use.
func nodeStep[E domain.Event](tx Tx, e domain.Envelope, _ E) error {
	id := e.Stream.ID()
	before, known, err := NodesTable.Get(tx, id)
	if err != nil {
		return err
	}
	folded := domain.Node{
		State: before.State, ID: domain.NodeID(id), Capabilities: before.Capabilities,
		Facts: before.Facts, Accepts: before.Accepts, Since: before.Since, Reason: before.Reason,
	}.Evolve(e)
	after := before
	after.NodeID, after.State, after.Since, after.Reason = domain.NodeID(id), folded.State, folded.Since, folded.Reason
	after.Capabilities, after.Facts, after.Accepts, after.Position = folded.Capabilities, folded.Facts, folded.Accepts, e.Position
	if e.Type == (domain.NodeAnnounced{}).EventType() {
		after.RegisteredAt = &e.Time
	}
	if e.Type == (domain.NodeRecovered{}).EventType() {
		after.RecoveredAt = &e.Time
	}
	if known && before.State != after.State {
		after.Edges++
	}
	if err := NodesTable.Put(tx, id, after); err != nil {
		return err
	}
	if err := recountNodes(tx, before.State, after.State); err != nil {
		return err
	}
	if err := clusterCounts(tx, e, before.State, after.State); err != nil {
		return err
	}
	if after.State == domain.NodeSick || after.State == domain.NodeOffline {
		return nodesSickTable.Put(tx, id, SickRow{after.NodeID, after.State, after.Reason, after.Since})
	}
	return nodesSickTable.Delete(tx, id)
}

func recountNodes(tx Tx, from, to domain.NodeState) error {
	if from == to {
		return nil
	}
	for _, move := range []struct {
		state  domain.NodeState
		change int
	}{{from, -1}, {to, 1}} {
		if move.state == "" {
			continue
		}
		if err := nodesCountsTable.Update(tx, string(move.state), func(row *StateCountRow) {
			row.State = move.state
			row.Count += move.change
		}); err != nil {
			return err
		}
	}
	return nil
}

func breakerFailure(tx Tx, node domain.NodeID, at time.Time) error {
	if node == "" {
		return nil
	}
	row, _, err := nodesBreakerTable.Get(tx, string(node))
	if err != nil {
		return err
	}
	failures := append(slices.Clip(row.Failures), at)
	if len(failures) > keptFailures {
		failures = failures[len(failures)-keptFailures:]
	}
	return nodesBreakerTable.Put(tx, string(node), BreakerRow{node, failures})
}

// Gate is one condition an item or a node has to pass, and how it stands.
type Gate struct {
	Gate   string `json:"gate"`
	OK     bool   `json:"ok"`
	Reason string `json:"reason"`
}

// NodeGates says whether a node may be given work at a moment, and why not. A
// node that nobody registered may: unknown is not unhealthy.
func NodeGates(v View, node domain.NodeID, now time.Time, policy domain.NodesPolicy) ([]Gate, error) {
	row, known, err := NodesTable.Get(v, string(node))
	if err != nil {
		return nil, err
	}
	health := Gate{"node_health", true, "node is " + string(row.State)}
	hold := Gate{"recovery_hold", true, "not recovering"}
	switch {
	case !known:
		health.Reason = "node is not registered; nothing speaks against it"
	case row.State == domain.NodeSick || row.State == domain.NodeOffline:
		health.OK = false
		health.Reason = fmt.Sprintf("node is %s since %s: %s", row.State, row.Since.Format(domain.Timestamp), row.Reason)
	case row.RecoveredAt != nil:
		until := row.RecoveredAt.Add(policy.RecoveryHoldSeconds.Duration())
		if now.Before(until) {
			hold.OK = false
			hold.Reason = "recovered a moment ago; gets work from " + until.Format(domain.Timestamp)
		}
	}
	breaker := Gate{"node_breaker", true, "few failures"}
	failures, _, err := nodesBreakerTable.Get(v, string(node))
	if err != nil {
		return nil, err
	}
	if until, count := failures.openUntil(policy); now.Before(until) {
		breaker.OK = false
		breaker.Reason = fmt.Sprintf("%d items failed here within %v; gets work again from %s", count, policy.BreakerWindowSeconds.Duration(), until.Format(domain.Timestamp))
	}
	return []Gate{health, hold, breaker}, nil
}

// openUntil is when a breaker lets an item through again: a fixed time after
// the newest failure, if enough failures lie in the window before it. A further
// failure opens it again; a success closes it.
func (r BreakerRow) openUntil(policy domain.NodesPolicy) (time.Time, int) {
	if len(r.Failures) < policy.BreakerFailures {
		return time.Time{}, 0
	}
	newest := r.Failures[len(r.Failures)-1]
	from := newest.Add(-policy.BreakerWindowSeconds.Duration())
	count := 0
	for _, at := range r.Failures {
		if !at.Before(from) {
			count++
		}
	}
	if count < policy.BreakerFailures {
		return time.Time{}, 0
	}
	return newest.Add(policy.BreakerOpenSeconds.Duration()), count
}

// SickNodes lists nodes that are unhealthy or offline, by name.
func SickNodes(v View) ([]SickRow, error) {
	var rows []SickRow
	for entry, err := range nodesSickTable.Scan(v, Span{}) {
		if err != nil {
			return nil, err
		}
		rows = append(rows, entry.Row)
	}
	return rows, nil
}

// NodeCounts counts the nodes by state, every state, 0 included.
func NodeCounts(v View) (map[domain.NodeState]int, error) {
	counts := map[domain.NodeState]int{}
	for _, state := range domain.NodeStates {
		row, _, err := nodesCountsTable.Get(v, string(state))
		if err != nil {
			return nil, err
		}
		counts[state] = row.Count
	}
	return counts, nil
}

// OneNode asks for a node.
type OneNode struct {
	NodeID string `path:"id"`
}

// NodeAnswer is a node.
type NodeAnswer struct {
	Node json.RawMessage `json:"node"`
}

// FindNode answers one node.
func FindNode(v View, q OneNode) (NodeAnswer, error) {
	row, found, err := NodesTable.Raw(v, q.NodeID)
	if err == nil && !found {
		err = domain.Errorf(domain.NotFound, "no node %q is known", q.NodeID)
	}
	return NodeAnswer{row}, err
}

// ManyNodes asks for nodes.
type ManyNodes struct {
	State string `query:"state"`
	From  string `query:"from"`
	Limit int    `query:"limit"`
}

// NodesAnswer is nodes by name.
type NodesAnswer struct {
	Nodes []json.RawMessage `json:"nodes"`
	Next  string            `json:"next,omitempty"` // ask again with from=next for more
}

// ListNodes answers nodes by name.
func ListNodes(v View, q ManyNodes) (NodesAnswer, error) {
	limit, err := page(q.Limit)
	if err != nil {
		return NodesAnswer{}, err
	}
	answer := NodesAnswer{Nodes: []json.RawMessage{}}
	for row, err := range NodesTable.RawScan(v, Span{From: q.From}) {
		if err != nil {
			return NodesAnswer{}, err
		}
		if len(answer.Nodes) == limit {
			answer.Next = row.Key
			break
		}
		if q.State != "" {
			var node NodeRow
			if err := v.Codec().Unmarshal(row.Value, &node); err != nil {
				return NodesAnswer{}, domain.Errorf(domain.Corrupt, "node %s: %w", row.Key, err)
			}
			if string(node.State) != q.State {
				continue
			}
		}
		answer.Nodes = append(answer.Nodes, row.Value)
	}
	return answer, nil
}

// The bounds of a page.
const (
	defaultPage = 100
	maxPage     = 1000
)

func page(limit int) (int, error) {
	switch {
	case limit == 0:
		return defaultPage, nil
	case limit < 0 || limit > maxPage:
		return 0, domain.Faulty("query", []domain.Fault{{Field: "limit", Reason: fmt.Sprintf("want 1 to %d, found %d", maxPage, limit)}})
	}
	return limit, nil
}
