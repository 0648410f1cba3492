package nodes

import (
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/nodes"
)

// ReportNode is an outside report on a node: HOST_ONLINE, HOST_OFFLINE,
// NODE_UNHEALTHY or NODE_RECOVERED. It is recorded if the state of the node
// changes, and ignored otherwise.
type ReportNode struct {
	Unhealthy *nodes.Unhealthy   `json:"unhealthy,omitempty"`
	Recovered *nodes.Recovered   `json:"recovered,omitempty"`
	Online    *nodes.HostOnline  `json:"online,omitempty"`
	Offline   *nodes.HostOffline `json:"offline,omitempty"`
}

func (ReportNode) CommandType() string { return "nodes.report" }

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
		if n.State == nodes.StateOnline || n.State == nodes.StateSick || n.State == nodes.StateRetired && !n.State.Returns(n.Reason) {
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
