package membership

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	nodescmd "github.com/ringrift/rift/commands/nodes"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/domain/swim"
	"github.com/ringrift/rift/projections"
	nodesview "github.com/ringrift/rift/projections/nodes"
	"github.com/ringrift/rift/transport"
	wire "github.com/ringrift/rift/transport/swim"
)

// The edges, as they are reported.
const (
	online  = "online"
	unwell  = "unwell"
	offline = "offline"
)

// reason is that of events which the failure detector leads to.
const reason = "swim"

// edge is one that is to be reported.
type edge struct {
	node  domain.NodeID
	kind  string
	state swim.State
	since time.Time
}

// look drops what is long gone, and has edges reported where this node leads.
func (m *Member) look(ctx context.Context) {
	leads := m.config.Backend != nil && (m.config.Leads == nil || m.config.Leads())
	var edges []edge
	now := time.Now()
	m.mu.Lock()
	limit := time.Duration(max(1, math.Log10(float64(len(m.known)+1))) * float64(m.limit))
	for _, name := range slices.Sorted(maps.Keys(m.known)) {
		k := m.known[name]
		if k.state == swim.SwimSuspect && now.Sub(k.since) > limit {
			m.become(k, swim.SwimAlive) // others refuted it
		}
		gone := k.state == swim.SwimDead || k.state == swim.SwimLeft
		if gone && now.Sub(k.since) > forgetAfter {
			delete(m.known, name)
			m.link.forget(name)
			continue
		}
		if name == string(m.config.Node) {
			continue
		}
		kind := online
		switch {
		case gone:
			kind = offline
		case k.state == swim.SwimSuspect && now.Sub(k.since) >= unwellBefore:
			kind = unwell
		case k.state == swim.SwimAlive && m.config.Heard != nil:
			m.config.Heard(domain.NodeID(name))
		}
		if !leads {
			k.reported = "" // whoever leads next reports
		} else if k.reported != kind {
			edges = append(edges, edge{domain.NodeID(name), kind, k.state, k.since})
		}
	}
	m.mu.Unlock()
	for _, e := range edges {
		if e.kind != online && m.config.LastHeard != nil && m.config.LastHeard(e.node).After(e.since) {
			continue // it is alive, whatever becomes of its packets
		}
		if err := m.report(ctx, e); err != nil {
			if ctx.Err() == nil {
				m.config.Logger.Warn("an edge of a member is not reported; it is tried again", "node", e.node, "edge", e.kind, "error", err)
			}
			continue
		}
		m.mu.Lock()
		if k := m.known[string(e.node)]; k != nil {
			k.reported = e.kind
		}
		m.mu.Unlock()
	}
}

// report makes commands of an edge. They become events where they are news to the log.
func (m *Member) report(ctx context.Context, e edge) error {
	var reports []nodescmd.ReportNode
	switch e.kind {
	case online:
		reports = []nodescmd.ReportNode{{Online: &nodes.HostOnline{NodeID: e.node}}}
		sick, err := m.sick(ctx, e.node)
		if err != nil {
			return err
		}
		if sick {
			reports = append(reports, nodescmd.ReportNode{Recovered: &nodes.Recovered{NodeID: e.node}})
		}
	case unwell:
		reports = []nodescmd.ReportNode{{Unhealthy: &nodes.Unhealthy{NodeID: e.node, Reason: reason, ConsecutiveFailures: 1}}}
	default:
		reports = []nodescmd.ReportNode{{Offline: &nodes.HostOffline{NodeID: e.node, Reason: reason + ": " + string(e.state)}}}
	}
	for i, report := range reports {
		if _, err := m.config.Backend.Do(ctx, transport.Call{
			ID:      fmt.Sprintf("%sswim/%s/%s/%d/%d", domain.MemberCommands, e.node, e.kind, e.since.UnixMicro(), i),
			Command: report,
		}); err != nil {
			return err
		}
	}
	return nil
}

// sick tells whether the log has a node as unhealthy for a suspicion.
func (m *Member) sick(ctx context.Context, node domain.NodeID) (sick bool, err error) {
	err = m.config.Backend.View(ctx, transport.At{}, 0, func(v projections.View) error {
		row, _, err := nodesview.NodesTable.Get(v, string(node))
		sick = row.State == nodes.StateSick && row.Reason == reason
		return err
	})
	return sick, err
}

// Members tells what this node thinks of the others.
func (m *Member) Members(context.Context) (wire.Members, error) {
	answer := wire.Members{Enabled: true, Members: []wire.Row{}}
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, k := range m.known {
		row := wire.Row{
			NodeID: domain.NodeID(name), State: k.state, Since: domain.Instant(k.since), Address: k.address, Suspected: k.suspected,
			Self: name == string(m.config.Node),
		}
		if k.rtt > 0 {
			took := float64(k.rtt) / float64(time.Millisecond)
			answered := domain.Instant(k.answered)
			row.RTT, row.Answered = &took, &answered
		}
		row.Heard = m.heard(row.NodeID, k)
		answer.Members = append(answer.Members, row)
	}
	slices.SortFunc(answer.Members, func(a, b wire.Row) int { return cmp.Compare(a.NodeID, b.NodeID) })
	return answer, nil
}

// heard tells whether a member gave a sign of life since it is thought to be gone.
func (m *Member) heard(node domain.NodeID, k *known) bool {
	if k.state == swim.SwimAlive {
		return true
	}
	return k.answered.After(k.since) || m.config.LastHeard != nil && m.config.LastHeard(node).After(k.since)
}

// Status tells how the failure detector does.
func (m *Member) Status(context.Context) (wire.Status, error) {
	health := m.list.GetHealthScore()
	m.mu.Lock()
	defer m.mu.Unlock()
	status := wire.Status{
		Enabled: true, NodeID: m.config.Node, Address: m.link.own.String(), Encrypted: len(m.config.Secrets) > 0, Health: health,
		Probes: m.probes, Suspicions: m.suspects, Refuted: m.refuted, Joins: m.joins,
		Packets: wire.Packets{
			Sent: m.link.sent.Load(), Failed: m.link.failed.Load(), Dropped: m.link.dropped.Load(),
			Received: m.link.received.Load(), Streams: m.link.opened.Load(),
		},
	}
	for _, k := range m.known {
		switch k.state {
		case swim.SwimAlive:
			status.Alive++
		case swim.SwimSuspect:
			status.Suspect++
		case swim.SwimDead:
			status.Dead++
		case swim.SwimLeft:
			status.Left++
		}
	}
	return status, nil
}
