package admin

import (
	"cmp"
	"context"
	"slices"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/projections"
	adminview "github.com/ringrift/rift/projections/admin"
	nodesview "github.com/ringrift/rift/projections/nodes"
	statusview "github.com/ringrift/rift/projections/status"
	workview "github.com/ringrift/rift/projections/work"
	"github.com/ringrift/rift/transport"
)

// Status is the answer of GET /status: a summary of the node and the cluster.
type Status struct {
	Position     domain.Position       `json:"position"`
	Status       transport.State       `json:"status" doc:"the worst of the trouble"`
	Trouble      []transport.Check     `json:"trouble" doc:"of the node and of the cluster, the worst first"`
	Node         string                `json:"node_id,omitempty"`
	Cluster      string                `json:"cluster,omitempty"`
	Version      string                `json:"version,omitempty"`
	Leader       string                `json:"leader,omitempty"`
	Uptime       domain.Seconds        `json:"uptime_seconds"`
	Work         map[string]int        `json:"work" doc:"items by state, every state, 0 included"`
	Backpressure workview.Backpressure `json:"backpressure"`
	Nodes        map[nodes.State]int   `json:"nodes" doc:"by state, every state, 0 included"`
	Health       nodesview.ClusterRow  `json:"cluster_health"`
	Paused       []adminview.PauseRow  `json:"paused"`
}

// tellStatus returns the summary as of the position of the read models. While they
// cannot answer, the summary holds only what the node knows about itself, and says
// so.
func tellStatus(ctx context.Context, b transport.Backend, q projections.NoQuestion) (Status, domain.Position, error) {
	health, err := b.Health(ctx)
	if err != nil {
		return Status{}, 0, err
	}
	page := Status{
		Position: health.Position, Trouble: []transport.Check{}, Node: health.Node, Cluster: health.Cluster, Version: health.Version,
		Leader: health.Leader, Uptime: health.Uptime,
	}
	for _, check := range health.Checks {
		if check.State != transport.StateOK {
			page.Trouble = append(page.Trouble, check)
		}
	}
	err = b.View(ctx, transport.At{}, 0, func(v projections.View) error {
		page.Position = v.Position()
		trouble, err := statusview.Trouble(v, transport.Now(ctx))
		if err != nil {
			return err
		}
		for _, row := range trouble {
			page.Trouble = append(page.Trouble, checkOf(row))
		}
		work, err := workview.Status(v, q)
		if err != nil {
			return err
		}
		page.Work, page.Backpressure = work.ByState, work.Backpressure
		if page.Nodes, err = nodesview.NodeCounts(v); err != nil {
			return err
		}
		if page.Health, err = nodesview.TheCluster(v); err != nil {
			return err
		}
		paused, err := adminview.Pauses(v, q)
		page.Paused = paused.Paused
		return err
	})
	if transport.CodeOf(err) == domain.Unavailable {
		page.Trouble = append(page.Trouble, transport.Check{Name: "read_models", State: transport.StateFailed, Reason: err.Error()})
		err = nil
	}
	slices.SortStableFunc(page.Trouble, func(a, b transport.Check) int { return cmp.Compare(severity(b.State), severity(a.State)) })
	page.Status = transport.Worst(page.Trouble)
	return page, page.Position, err
}

func checkOf(row statusview.TroubleRow) transport.Check {
	check := transport.Check{Name: row.Part, State: transport.StateDegraded, Reason: row.Reason, Causes: row.Causes, Numbers: map[string]int64{"count": int64(row.Count)}}
	if row.Failed {
		check.State = transport.StateFailed
	}
	return check
}

func severity(state transport.State) int {
	return slices.Index([]transport.State{transport.StateOK, transport.StateDegraded, transport.StateFailed}, state)
}
