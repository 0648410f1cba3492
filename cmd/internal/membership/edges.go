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

// The kinds of edges.
const (
	online  = "online"
	unwell  = "unwell"
	offline = "offline"
)

// reason is the reason in events that the failure detector causes.
const reason = "swim"

// edge is a change of a member's state that is to be reported.
type edge struct {
	node  domain.NodeID
	kind  string
	state swim.State
	since time.Time
}

// Look forgets members that have been gone for long and, where this node leads, reports
// edges.
func (o *Opinions) Look(ctx context.Context) {
	leads := o.config.Backend != nil && (o.config.Leads == nil || o.config.Leads())
	var edges []edge
	now := o.config.Now()
	o.mu.Lock()
	limit := time.Duration(max(1, math.Log10(float64(len(o.known)+1))) * float64(o.limit))
	for _, name := range slices.Sorted(maps.Keys(o.known)) {
		k := o.known[name]
		if k.state == swim.SwimSuspect && now.Sub(k.since) > limit {
			o.become(k, swim.SwimAlive) // the other members refuted the suspicion
		}
		gone := k.state == swim.SwimDead || k.state == swim.SwimLeft
		if gone && now.Sub(k.since) > forgetAfter {
			delete(o.known, name)
			o.forgets(name)
			continue
		}
		kind := online
		switch {
		case gone:
			kind = offline
		case k.state == swim.SwimSuspect && now.Sub(k.since) >= unwellBefore:
			kind = unwell
		case k.state == swim.SwimAlive && o.config.Heard != nil:
			o.config.Heard(domain.NodeID(name))
		}
		if !leads {
			k.reported = "" // so that this node reports again when it leads again
		} else if k.reported != kind {
			edges = append(edges, edge{domain.NodeID(name), kind, k.state, k.since})
		}
	}
	o.mu.Unlock()
	for _, e := range edges {
		if e.kind != online && o.config.LastHeard != nil && o.config.LastHeard(e.node).After(e.since) {
			continue // it called this node since, though its packets are lost
		}
		if err := o.report(ctx, e); err != nil {
			if ctx.Err() == nil {
				o.config.Logger.Warn("an edge of a member is not reported; it is tried again", "node", e.node, "edge", e.kind, "error", err)
			}
			continue
		}
		o.mu.Lock()
		if k := o.known[string(e.node)]; k != nil {
			k.reported = e.kind
		}
		o.mu.Unlock()
	}
}

// report runs the commands of an edge. A command whose state the log has already appends
// nothing. The id of a command has the number of edges that the log has of the node, so
// that the same edge can be reported again after another leader reported the opposite.
func (o *Opinions) report(ctx context.Context, e edge) error {
	row, err := o.row(ctx, e.node)
	if err != nil {
		return err
	}
	var reports []nodescmd.ReportNode
	switch e.kind {
	case online:
		reports = []nodescmd.ReportNode{{Online: &nodes.HostOnline{NodeID: e.node}}}
		if row.State == nodes.StateSick && row.Reason == reason {
			reports = append(reports, nodescmd.ReportNode{Recovered: &nodes.Recovered{NodeID: e.node}})
		}
	case unwell:
		reports = []nodescmd.ReportNode{{Unhealthy: &nodes.Unhealthy{NodeID: e.node, Reason: reason, ConsecutiveFailures: 1}}}
	default:
		reports = []nodescmd.ReportNode{{Offline: &nodes.HostOffline{NodeID: e.node, Reason: reason + ": " + string(e.state)}}}
	}
	for i, report := range reports {
		if _, err := o.config.Backend.Do(ctx, transport.Call{
			ID:      fmt.Sprintf("%sswim/%s/%s/%d/%d/%d", domain.MemberCommands, e.node, e.kind, e.since.UnixMicro(), row.Edges, i),
			Command: report,
		}); err != nil {
			return err
		}
	}
	return nil
}

// row returns the row of a node in the read models; zero if there is none.
func (o *Opinions) row(ctx context.Context, node domain.NodeID) (row nodesview.NodeRow, err error) {
	err = o.config.Backend.View(ctx, transport.At{}, 0, func(v projections.View) (err error) {
		row, _, err = nodesview.NodesTable.Get(v, string(node))
		return err
	})
	return row, err
}

// Members lists the members with their states.
func (o *Opinions) Members(context.Context) (wire.Members, error) {
	answer := wire.Members{Enabled: true, Members: []wire.Row{}}
	o.mu.Lock()
	defer o.mu.Unlock()
	for name, k := range o.known {
		row := wire.Row{
			NodeID: domain.NodeID(name), State: k.state, Since: domain.Instant(k.since), Address: k.address, Suspected: k.suspected,
			Self: name == string(o.config.Node),
		}
		if k.rtt > 0 {
			took := float64(k.rtt) / float64(time.Millisecond)
			answered := domain.Instant(k.answered)
			row.RTT, row.Answered = &took, &answered
		}
		row.Heard = o.heard(row.NodeID, k)
		answer.Members = append(answer.Members, row)
	}
	slices.SortFunc(answer.Members, func(a, b wire.Row) int { return cmp.Compare(a.NodeID, b.NodeID) })
	return answer, nil
}

// heard reports whether a member is alive, or gave a sign of life since it was thought to
// be suspect or gone.
func (o *Opinions) heard(node domain.NodeID, k *known) bool {
	if k.state == swim.SwimAlive {
		return true
	}
	return k.answered.After(k.since) || o.config.LastHeard != nil && o.config.LastHeard(node).After(k.since)
}

// Status returns the counters of the failure detector.
func (m *Member) Status(context.Context) (wire.Status, error) {
	health := m.list.GetHealthScore()
	m.mu.Lock()
	defer m.mu.Unlock()
	status := wire.Status{
		Enabled: true, NodeID: m.config.Node, Address: m.link.own.String(), Encrypted: len(m.config.Secrets) > 0, Health: health,
		Probes: m.probes, Suspicions: m.suspects, Refuted: m.refuted, Joins: m.joins,
		Packets: wire.Packets{
			Sent: m.link.sent.Load(), Failed: m.link.failed.Load(), Dropped: m.link.dropped.Load(),
			Received: m.link.received.Load(), Refused: m.link.refused.Load(), Streams: m.link.opened.Load(),
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
