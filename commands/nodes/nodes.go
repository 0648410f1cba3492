package nodes

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/ringrift/rift/commands"
	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/projections"
	nodesview "github.com/ringrift/rift/projections/nodes"
)

// RegisterNode announces what a node is and can.
type RegisterNode struct {
	NodeID       domain.NodeID   `json:"node_id"`
	Capabilities []string        `json:"capabilities,omitempty"`
	Facts        json.RawMessage `json:"facts,omitempty"`   // an object
	Accepts      string          `json:"accepts,omitempty"` // an expression over items: only those it is true of
}

// CommandType is nodes.register.
func (RegisterNode) CommandType() string { return "nodes.register" }

// Stream is the node's.
func (c RegisterNode) Stream() domain.StreamID { return c.NodeID.Stream() }

// NodeRegistered is the answer to a node: how the cluster sees it.
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

// NodeHeartbeat is a node's report of its level. The level itself is kept in
// memory; only an edge it crosses becomes an event.
type NodeHeartbeat struct {
	NodeID domain.NodeID `json:"node_id"`
	Level  nodes.Level   `json:"level,omitzero"`
}

// CommandType is nodes.heartbeat.
func (NodeHeartbeat) CommandType() string { return "nodes.heartbeat" }

// Stream is the node's.
func (c NodeHeartbeat) Stream() domain.StreamID { return c.NodeID.Stream() }

func heartbeatNode(n nodes.Node, c NodeHeartbeat, facts domain.Facts) ([]domain.Event, error) {
	policy := nodes.PolicyOf(facts.Policy)
	readings := domain.FactOf[nodes.Readings](facts)
	trouble := readings.Trouble(policy)
	switch n.State {
	case nodes.StateRetired:
		if n.Reason != nodes.RetiredOffline {
			return nil, nil // somebody retired it; it has to register again
		}
		fallthrough
	case "", nodes.StateRegistered, nodes.StateOffline:
		events := []domain.Event{nodes.HostOnline{NodeID: c.NodeID}}
		if trouble != "" {
			events = append(events, sickFrom(c, trouble, policy))
		}
		return events, nil
	case nodes.StateOnline:
		if trouble != "" {
			return []domain.Event{sickFrom(c, trouble, policy)}, nil
		}
	case nodes.StateSick:
		if trouble == "" && (n.Reason == silence || readings.Lifts(n.Reason, policy)) {
			return []domain.Event{recovered(n, facts)}, nil
		}
	}
	return nil, nil
}

// silence is the reason of a node that was not heard from; any word of it lifts it.
const silence = "heartbeat"

func sickFrom(c NodeHeartbeat, trouble string, policy nodes.Policy) nodes.Unhealthy {
	return nodes.Unhealthy{
		NodeID: c.NodeID, Reason: trouble, ConsecutiveFailures: policy.UnhealthyReadings,
		DiskUsedPercent: c.Level.DiskPercent, GPUUtilization: c.Level.GPUPercent,
	}
}

func recovered(n nodes.Node, facts domain.Facts) nodes.Recovered {
	event := nodes.Recovered{NodeID: n.ID}
	if !n.Since.IsZero() && facts.Now.After(n.Since) {
		event.RecoveryTimeSeconds = domain.Seconds(domain.Instant(facts.Now).Sub(n.Since).Seconds())
	}
	return event
}

// SilentNode says that a node was not heard from for a time. The clock issues it.
type SilentNode struct {
	NodeID domain.NodeID  `json:"node_id"`
	Silent domain.Seconds `json:"silent_seconds"`
	Factor float64        `json:"factor"` // by which the policy stretches silence for this node; it depends on its last level
}

// CommandType is nodes.silent.
func (SilentNode) CommandType() string { return "nodes.silent" }

// Stream is the node's.
func (c SilentNode) Stream() domain.StreamID { return c.NodeID.Stream() }

func silentNode(n nodes.Node, c SilentNode, facts domain.Facts) ([]domain.Event, error) {
	limit, gone := nodes.PolicyOf(facts.Policy).Stretched(c.Factor)
	silent := c.Silent.Duration()
	switch {
	case n.State != nodes.StateOnline && n.State != nodes.StateSick:
		return nil, nil
	case silent >= gone:
		return []domain.Event{nodes.HostOffline{NodeID: c.NodeID, Reason: silence, SilentSeconds: c.Silent}}, nil
	case silent >= limit && n.State == nodes.StateOnline:
		return []domain.Event{nodes.Unhealthy{NodeID: c.NodeID, Reason: silence, SilentSeconds: c.Silent}}, nil
	}
	return nil, nil
}

// RetireNode takes a node out of those that count: it is not handed work until
// it registers again.
type RetireNode struct {
	NodeID domain.NodeID `json:"node_id"`
	Reason string        `json:"reason,omitempty"`
}

// CommandType is nodes.retire.
func (RetireNode) CommandType() string { return "nodes.retire" }

// Stream is the node's.
func (c RetireNode) Stream() domain.StreamID { return c.NodeID.Stream() }

func retireNode(n nodes.Node, c RetireNode, _ domain.Facts) ([]domain.Event, error) {
	switch n.State {
	case "":
		return nil, domain.Errorf(domain.NotFound, "no node %q is known", c.NodeID)
	case nodes.StateRetired:
		return nil, nil
	default:
		return []domain.Event{nodes.Retirement{NodeID: c.NodeID, Reason: c.Reason}}, nil
	}
}

// retireOffline retires a node that was offline for too long. The clock issues it.
type retireOffline struct {
	NodeID domain.NodeID `json:"node_id"`
}

func (retireOffline) CommandType() string       { return "nodes.retire_offline" }
func (c retireOffline) Stream() domain.StreamID { return c.NodeID.Stream() }

func retireGone(n nodes.Node, c retireOffline, facts domain.Facts) ([]domain.Event, error) {
	if n.State != nodes.StateOffline || facts.Now.Before(n.Since.Add(nodes.PolicyOf(facts.Policy).RetireSeconds.Duration())) {
		return nil, nil
	}
	return []domain.Event{nodes.Retirement{NodeID: c.NodeID, Reason: nodes.RetiredOffline}}, nil
}

// ReportNode is what somebody outside says of a node: one of HOST_ONLINE,
// HOST_OFFLINE, NODE_UNHEALTHY, NODE_RECOVERED. It becomes an event if it is an
// edge, and nothing if the node is that already.
type ReportNode struct {
	Unhealthy *nodes.Unhealthy   `json:"unhealthy,omitempty"`
	Recovered *nodes.Recovered   `json:"recovered,omitempty"`
	Online    *nodes.HostOnline  `json:"online,omitempty"`
	Offline   *nodes.HostOffline `json:"offline,omitempty"`
}

// CommandType is nodes.report.
func (ReportNode) CommandType() string { return "nodes.report" }

// Stream is the node's.
func (c ReportNode) Stream() domain.StreamID {
	switch {
	case c.Unhealthy != nil:
		return c.Unhealthy.NodeID.Stream()
	case c.Recovered != nil:
		return c.Recovered.NodeID.Stream()
	case c.Online != nil:
		return c.Online.NodeID.Stream()
	case c.Offline != nil:
		return c.Offline.NodeID.Stream()
	}
	return ""
}

func reportNode(n nodes.Node, c ReportNode, facts domain.Facts) ([]domain.Event, error) {
	switch {
	case c.Unhealthy != nil:
		if n.State == nodes.StateSick || n.State == nodes.StateOffline || n.State == nodes.StateRetired {
			return nil, nil
		}
		return []domain.Event{*c.Unhealthy}, nil
	case c.Recovered != nil:
		if n.State != nodes.StateSick {
			return nil, nil
		}
		event := recovered(n, facts)
		if c.Recovered.RecoveryTimeSeconds > 0 {
			event.RecoveryTimeSeconds = c.Recovered.RecoveryTimeSeconds
		}
		return []domain.Event{event}, nil
	case c.Online != nil:
		if n.State == nodes.StateOnline || n.State == nodes.StateSick || n.State == nodes.StateRetired && n.Reason != nodes.RetiredOffline {
			return nil, nil
		}
		return []domain.Event{*c.Online}, nil
	case c.Offline != nil:
		if n.State == nodes.StateOffline || n.State == nodes.StateRetired || n.State == "" {
			return nil, nil
		}
		return []domain.Event{*c.Offline}, nil
	}
	return nil, domain.Errorf(domain.Invalid, "nodes.report: want exactly one of unhealthy, recovered, online, offline")
}

// Specs is how the commands of the nodes are run.
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
				if c.Reason == nodes.RetiredOffline {
					faults = append(faults, domain.Fault{Field: "reason", Reason: "want another one; this is what the clock says of a node that was away for too long"})
				}
				return c, domain.Faulty("nodes.retire", faults)
			})),
		commands.Handle("stop counting a node that was offline for too long", retireGone),
	})
}

// Clock stops counting nodes that were offline for too long, and closes
// breakers that were quiet for long enough.
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
