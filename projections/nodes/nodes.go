package nodes

import (
	"encoding/json"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/admin"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/projections"
)

// NodeRow is one node as the cluster sees it. Its JSON is the answer of GET
// /nodes/{id}.
type NodeRow struct {
	NodeID       domain.NodeID   `json:"node_id"`
	State        nodes.State     `json:"state"`
	Since        time.Time       `json:"since"`
	Reason       string          `json:"reason"`
	Facts        json.RawMessage `json:"facts"`
	Accepts      string          `json:"accepts,omitempty" doc:"its expression over items"`
	Capabilities []string        `json:"capabilities"`
	RegisteredAt *time.Time      `json:"registered_at"`
	RecoveredAt  *time.Time      `json:"recovered_at"`
	Edges        int             `json:"edges" doc:"changes of state so far"`
	IdleSince    *time.Time      `json:"idle_since,omitempty" doc:"of an idleness that was noticed"`
	Position     domain.Position `json:"position"`
}

// SickRow is a node that is unhealthy or offline.
type SickRow struct {
	NodeID domain.NodeID `json:"node_id"`
	State  nodes.State   `json:"state"`
	Reason string        `json:"reason"`
	Since  time.Time     `json:"since"`
}

// StateCountRow counts the nodes in one state.
type StateCountRow struct {
	State nodes.State `json:"state"`
	Count int         `json:"count"`
}

// The tables of the nodes.
var (
	NodesTable        = projections.Table[NodeRow]{Name: "nodes.nodes"}
	NodesSickTable    = projections.Table[SickRow]{Name: "nodes.sick"}
	nodesBreakerTable = projections.Table[BreakerRow]{Name: "nodes.breakers"}
	nodesCountsTable  = projections.Table[StateCountRow]{Name: "nodes.counts"}
	nodesIdleTable    = projections.Table[IdleRow]{Name: "nodes.idle"}
)

// Projection returns the read model of the nodes.
func Projection() projections.Projection {
	return projections.Projection{
		Name: "nodes", Version: 4, About: "what each node is, can, and how it is; how the cluster as a whole is",
		Tables: []string{NodesTable.Name, NodesSickTable.Name, nodesBreakerTable.Name, nodesCountsTable.Name, nodesClusterTable.Name, nodesIdleTable.Name},
		Handlers: []projections.Handler{
			projections.On(nodeStep[nodes.Announced]),
			projections.On(nodeStep[nodes.HostOnline]),
			projections.On(nodeStep[nodes.HostOffline]),
			projections.On(nodeStep[nodes.Unhealthy]),
			projections.On(nodeStep[nodes.Recovered]).Named("node_recovered"),
			projections.On(clusterPolicy),
			projections.On(clusterStep[admin.ClusterHealthy]),
			projections.On(clusterStep[admin.ClusterUnhealthy]),
			projections.On(nodeStep[nodes.Retirement]),
			projections.On(nodeStep[nodes.IdleResourceDetected]),
			projections.On(nodeStep[nodes.IdleResourceCleared]),
			projections.On(breakerOpened),
			projections.On(breakerClosed),
			projections.On(func(tx projections.Tx, e domain.Envelope, failed work.Failed) error {
				return breakerFailure(tx, failed.NodeID, e.Time)
			}),
			projections.On(func(tx projections.Tx, e domain.Envelope, expired work.LeaseExpired) error {
				return breakerFailure(tx, expired.NodeID, e.Time)
			}),
			projections.On(func(tx projections.Tx, _ domain.Envelope, done work.Completed) error {
				return breakerSuccess(tx, done.NodeID)
			}),
		},
	}
}

// nodeStep applies one fact of a node; the state comes from the fold that
// decisions use.
func nodeStep[E domain.Event](tx projections.Tx, e domain.Envelope, _ E) error {
	id := e.Stream.ID()
	before, known, err := NodesTable.Get(tx, id)
	if err != nil {
		return err
	}
	folded := nodes.Node{
		State: before.State, ID: domain.NodeID(id), Capabilities: before.Capabilities,
		Facts: before.Facts, Accepts: before.Accepts, Since: before.Since, Reason: before.Reason,
	}
	if before.IdleSince != nil {
		folded.IdleSince = *before.IdleSince
	}
	folded = folded.Evolve(e)
	if folded.State == "" {
		return nil // an event about an unknown node
	}
	after := before
	after.IdleSince = projections.Moment(before.IdleSince, folded.IdleSince, !folded.IdleSince.IsZero())
	after.NodeID, after.State, after.Since, after.Reason = domain.NodeID(id), folded.State, folded.Since, folded.Reason
	after.Capabilities, after.Facts, after.Accepts, after.Position = folded.Capabilities, folded.Facts, folded.Accepts, e.Position
	if e.Type == (nodes.Announced{}).EventType() {
		after.RegisteredAt = projections.TimeOf(e)
	}
	if e.Type == (nodes.Recovered{}).EventType() {
		after.RecoveredAt = projections.TimeOf(e)
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
	if after.State == nodes.StateSick || after.State == nodes.StateOffline {
		return NodesSickTable.Put(tx, id, SickRow{after.NodeID, after.State, after.Reason, after.Since})
	}
	return NodesSickTable.Delete(tx, id)
}

func recountNodes(tx projections.Tx, from, to nodes.State) error {
	if from == to {
		return nil
	}
	for _, move := range []struct {
		state  nodes.State
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

// Gate is one condition that an item or a node has to meet, and its state.
type Gate struct {
	Gate   string `json:"gate"`
	OK     bool   `json:"ok"`
	Reason string `json:"reason"`
}

// SickNodes lists nodes that are unhealthy or offline, by name.
func SickNodes(v projections.View) ([]SickRow, error) {
	var rows []SickRow
	for entry, err := range NodesSickTable.Scan(v, projections.Span{}) {
		if err != nil {
			return nil, err
		}
		rows = append(rows, entry.Row)
	}
	return rows, nil
}

// NodeCounts counts the nodes by state, with every state included.
func NodeCounts(v projections.View) (map[nodes.State]int, error) {
	counts := map[nodes.State]int{}
	for _, state := range nodes.NodeStates {
		row, _, err := nodesCountsTable.Get(v, string(state))
		if err != nil {
			return nil, err
		}
		counts[state] = row.Count
	}
	return counts, nil
}

// OneNode is the query for a node.
type OneNode struct {
	NodeID string `path:"id"`
}

// NodeAnswer is a node.
type NodeAnswer struct {
	Node json.RawMessage `json:"node"`
}

// RowTypes returns the Go types of the members that are stored rows, for the API
// description.
func (NodeAnswer) RowTypes() map[string]any { return map[string]any{"node": NodeRow{}} }

// FindNode returns one node.
func FindNode(v projections.View, q OneNode) (NodeAnswer, error) {
	row, found, err := NodesTable.Raw(v, q.NodeID)
	if err == nil && !found {
		err = domain.Errorf(domain.NotFound, "no node %q is known", q.NodeID)
	}
	return NodeAnswer{row}, err
}

// ManyNodes is the query for nodes.
type ManyNodes struct {
	State string `query:"state"`
	From  string `query:"from"`
	Limit int    `query:"limit"`
}

// ListAnswer lists nodes by name.
type ListAnswer struct {
	Nodes []json.RawMessage `json:"nodes"`
	Next  string            `json:"next,omitempty" doc:"ask again with from=next for more"`
}

// RowTypes returns the Go types of the members that are stored rows, for the API
// description.
func (ListAnswer) RowTypes() map[string]any { return map[string]any{"nodes": NodeRow{}} }

// ListNodes returns nodes by name.
func ListNodes(v projections.View, q ManyNodes) (ListAnswer, error) {
	limit, err := projections.Page(q.Limit)
	if err != nil {
		return ListAnswer{}, err
	}
	answer := ListAnswer{Nodes: []json.RawMessage{}}
	for row, err := range NodesTable.RawScan(v, projections.Span{From: q.From}) {
		if err != nil {
			return ListAnswer{}, err
		}
		if len(answer.Nodes) == limit {
			answer.Next = row.Key
			break
		}
		if q.State != "" {
			var node NodeRow
			if err := v.Codec().Unmarshal(row.Value, &node); err != nil {
				return ListAnswer{}, domain.Errorf(domain.Corrupt, "node %s: %w", row.Key, err)
			}
			if string(node.State) != q.State {
				continue
			}
		}
		answer.Nodes = append(answer.Nodes, row.Value)
	}
	return answer, nil
}

// Retired returns the nodes that an operator retired and that have not registered
// again. Nodes that left or were offline for too long are not included.
func Retired(v projections.View) (map[domain.NodeID]bool, error) {
	retired := map[domain.NodeID]bool{}
	for entry, err := range NodesTable.Scan(v, projections.Span{}) {
		if err != nil {
			return nil, err
		}
		if row := &entry.Row; row.State == nodes.StateRetired && !row.State.Returns(row.Reason) {
			retired[row.NodeID] = true
		}
	}
	return retired, nil
}
