package nodes

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/ringrift/rift/commands"
	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/domain/work"
)

// RegisterNode registers a node with its capabilities.
type RegisterNode struct {
	NodeID       domain.NodeID   `json:"node_id"`
	Capabilities []string        `json:"capabilities,omitempty"`
	Facts        json.RawMessage `json:"facts,omitempty" doc:"an object"`
	Accepts      string          `json:"accepts,omitempty" doc:"an expression over items: only those it is true of"`
}

func (RegisterNode) CommandType() string       { return "nodes.register" }
func (c RegisterNode) Stream() domain.StreamID { return c.NodeID.Stream() }

// NodeRegistered is the answer to RegisterNode: the node as the cluster sees it.
type NodeRegistered struct {
	NodeID domain.NodeID `json:"node_id"`
	State  nodes.State   `json:"state"`
}

func completeRegister(c RegisterNode, facts domain.Facts) (RegisterNode, error) {
	faults := commands.NameFaults("node_id", string(c.NodeID))
	if len(c.Capabilities) > 256 {
		faults = append(faults, domain.Fault{Field: "capabilities", Reason: fmt.Sprintf("want at most 256 words, found %d", len(c.Capabilities))})
	}
	for i, word := range c.Capabilities {
		faults = append(faults, commands.NameFaults(fmt.Sprintf("capabilities[%d]", i), word)...)
	}
	if limit := nodes.PolicyOf(facts.Policy).MaxFactsBytes; len(c.Facts) > limit {
		faults = append(faults, domain.Fault{Field: "facts", Reason: fmt.Sprintf("want at most %d bytes, found %d", limit, len(c.Facts))})
	}
	faults = append(faults, workcmd.ExpressionFaults("accepts", c.Accepts, facts, work.Expressions.CheckAccepts)...)
	if len(c.Facts) > 0 && c.Facts[0] != '{' {
		faults = append(faults, domain.Fault{Field: "facts", Reason: "want an object"})
	}
	return c, domain.Faulty("nodes.register", faults)
}

func registerNode(n nodes.Node, c RegisterNode, _ domain.Facts) ([]domain.Event, error) {
	var events []domain.Event
	if !n.Registered || !slices.Equal(n.Capabilities, c.Capabilities) || string(n.Facts) != string(c.Facts) || n.Accepts != c.Accepts {
		events = append(events, nodes.Announced{NodeID: c.NodeID, Capabilities: c.Capabilities, Facts: c.Facts, Accepts: c.Accepts})
	}
	switch n.State {
	case "", nodes.StateRegistered, nodes.StateOffline, nodes.StateRetired:
		events = append(events, nodes.HostOnline{NodeID: c.NodeID})
	case nodes.StateOnline, nodes.StateSick:
	}
	return events, nil
}
