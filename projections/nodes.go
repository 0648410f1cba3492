package projections

import (
	"encoding/json"
	"fmt"
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
	Edges        int              `json:"edges"`                // changes of state so far
	IdleSince    *time.Time       `json:"idle_since,omitempty"` // of an idleness that was noticed
	Position     domain.Position  `json:"position"`
}

// SickRow is a node that is unhealthy or offline.
type SickRow struct {
	NodeID domain.NodeID    `json:"node_id"`
	State  domain.NodeState `json:"state"`
	Reason string           `json:"reason"`
	Since  time.Time        `json:"since"`
}

// StateCountRow counts the nodes in one state.
type StateCountRow struct {
	State domain.NodeState `json:"state"`
	Count int              `json:"count"`
}

// The tables of the nodes.
var (
	NodesTable        = Table[NodeRow]{"nodes.nodes"}
	nodesSickTable    = Table[SickRow]{"nodes.sick"}
	nodesBreakerTable = Table[BreakerRow]{"nodes.breakers"}
	nodesCountsTable  = Table[StateCountRow]{"nodes.counts"}
	nodesIdleTable    = Table[IdleRow]{"nodes.idle"}
)

// NodesProjection is the read model of the nodes.
func NodesProjection() Projection {
	return Projection{
		Name: "nodes", Version: 4, About: "what each node is, can, and how it is; how the cluster as a whole is",
		Tables: []string{NodesTable.Name, nodesSickTable.Name, nodesBreakerTable.Name, nodesCountsTable.Name, nodesClusterTable.Name, nodesIdleTable.Name},
		Handlers: []Handler{
			On(nodeStep[domain.NodeAnnounced]),
			On(nodeStep[domain.HostOnline]),
			On(nodeStep[domain.HostOffline]),
			On(nodeStep[domain.NodeUnhealthy]),
			On(nodeStep[domain.NodeRecovered]),
			On(clusterPolicy),
			On(clusterStep[domain.ClusterHealthy]),
			On(clusterStep[domain.ClusterUnhealthy]),
			On(nodeStep[domain.NodeRetirement]),
			On(nodeStep[domain.IdleResourceDetected]),
			On(nodeStep[domain.IdleResourceCleared]),
			On(breakerOpened),
			On(breakerClosed),
			On(func(tx Tx, e domain.Envelope, failed domain.TaskFailed) error {
				return breakerFailure(tx, failed.NodeID, e.Time)
			}),
			On(func(tx Tx, e domain.Envelope, expired domain.TaskLeaseExpired) error {
				return breakerFailure(tx, expired.NodeID, e.Time)
			}),
			On(func(tx Tx, _ domain.Envelope, done domain.TaskCompleted) error {
				return breakerSuccess(tx, done.NodeID)
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
	}
	if before.IdleSince != nil {
		folded.IdleSince = *before.IdleSince
	}
	folded = folded.Evolve(e)
	if folded.State == "" {
		return nil // a remark on a node that nobody knows
	}
	after := before
	after.IdleSince = moment(before.IdleSince, folded.IdleSince, !folded.IdleSince.IsZero())
	after.NodeID, after.State, after.Since, after.Reason = domain.NodeID(id), folded.State, folded.Since, folded.Reason
	after.Capabilities, after.Facts, after.Accepts, after.Position = folded.Capabilities, folded.Facts, folded.Accepts, e.Position
	if e.Type == (domain.NodeAnnounced{}).EventType() {
		after.RegisteredAt = timeOf(e)
	}
	if e.Type == (domain.NodeRecovered{}).EventType() {
		after.RecoveredAt = timeOf(e)
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
	if err := idleStep(tx, before, after); err != nil {
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

// Gate is one condition an item or a node has to pass, and how it stands.
type Gate struct {
	Gate   string `json:"gate"`
	OK     bool   `json:"ok"`
	Reason string `json:"reason"`
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
