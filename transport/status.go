package transport

import (
	"context"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
)

// Status is the answer of /status: one page of what the node and the cluster do.
type Status struct {
	Position     domain.Position          `json:"position"`
	Status       State                    `json:"status"` // the worst of the parts, as /admin/health has them
	Trouble      []Check                  `json:"trouble"`
	Node         string                   `json:"node_id,omitempty"`
	Cluster      string                   `json:"cluster,omitempty"`
	Version      string                   `json:"version,omitempty"`
	Leader       string                   `json:"leader,omitempty"`
	Uptime       domain.Seconds           `json:"uptime_seconds"`
	Work         map[string]int           `json:"work"` // items by state, every state, 0 included
	Backpressure projections.Backpressure `json:"backpressure"`
	Nodes        map[domain.NodeState]int `json:"nodes"` // by state, every state, 0 included
	Health       projections.ClusterRow   `json:"cluster_health"`
	Paused       []projections.PauseRow   `json:"paused"`
}

// tellStatus puts the page together. Health and read models are asked one after
// the other; the position is that of the read models.
func tellStatus(ctx context.Context, b Backend, q projections.NoQuestion) (Status, domain.Position, error) {
	health, err := b.Health(ctx)
	if err != nil {
		return Status{}, 0, err
	}
	page := Status{
		Status: health.Status, Trouble: []Check{}, Node: health.Node, Cluster: health.Cluster, Version: health.Version,
		Leader: health.Leader, Uptime: health.Uptime,
	}
	for _, check := range health.Checks {
		if check.State != StateOK {
			page.Trouble = append(page.Trouble, check)
		}
	}
	err = b.View(ctx, At{}, 0, func(v projections.View) error {
		page.Position = v.Position()
		work, err := projections.WorkStatus(v, q)
		if err != nil {
			return err
		}
		page.Work, page.Backpressure = work.ByState, work.Backpressure
		if page.Nodes, err = projections.NodeCounts(v); err != nil {
			return err
		}
		if page.Health, err = projections.TheCluster(v); err != nil {
			return err
		}
		paused, err := projections.Pauses(v, q)
		page.Paused = paused.Paused
		return err
	})
	return page, page.Position, err
}
