package commands

import (
	"fmt"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
)

// ReportCluster says how the cluster as a whole is: one of CLUSTER_HEALTHY and
// CLUSTER_UNHEALTHY. It becomes an event if it is an edge, and nothing if the
// cluster is that already.
type ReportCluster struct {
	Healthy   *domain.ClusterHealthy   `json:"healthy,omitempty"`
	Unhealthy *domain.ClusterUnhealthy `json:"unhealthy,omitempty"`
}

// CommandType is admin.report_cluster.
func (ReportCluster) CommandType() string { return "admin.report_cluster" }

// Stream is the cluster's.
func (ReportCluster) Stream() domain.StreamID { return domain.ClusterStream(domain.DefaultCluster) }

func reportCluster(cluster domain.Cluster, c ReportCluster, _ domain.Facts) ([]domain.Event, error) {
	switch {
	case (c.Healthy == nil) == (c.Unhealthy == nil):
		return nil, domain.Errorf(domain.Invalid, "admin.report_cluster: want exactly one of healthy, unhealthy")
	case c.Healthy != nil && cluster.State != domain.ClusterWell:
		return []domain.Event{*c.Healthy}, nil
	case c.Unhealthy != nil && cluster.State != domain.ClusterSick:
		return []domain.Event{*c.Unhealthy}, nil
	}
	return nil, nil
}

// clusterClock says what the nodes that are known come to, once per edge.
func clusterClock(v projections.View, now time.Time, policy domain.Policy) ([]Timed, time.Time, error) {
	verdict, err := projections.JudgeCluster(v, now, domain.NodesPolicyOf(policy).Cluster)
	if err != nil || verdict.State == "" {
		return nil, verdict.Earlier, err
	}
	var c ReportCluster
	row := verdict.Row
	from := row.High
	if verdict.State == domain.ClusterSick {
		from = row.Low
		c.Unhealthy = &domain.ClusterUnhealthy{HealthyNodes: row.Healthy, NodeCount: row.Known, Reason: verdict.Reason, Derived: true}
	} else {
		c.Healthy = &domain.ClusterHealthy{HealthyNodes: row.Healthy, NodeCount: row.Known, Derived: true}
		if row.Healthy == 0 {
			return nil, time.Time{}, nil // nobody is left to be healthy; the next node to come says more
		}
	}
	last := ""
	if row.Since != nil {
		last = row.Since.Format(domain.Timestamp)
	}
	id := fmt.Sprintf("clock/cluster/%s/%s/%s", verdict.State, from.Format(domain.Timestamp), last)
	return []Timed{{id, c}}, time.Time{}, nil
}

// AdminReactors is how pauses answer the cluster's health.
func AdminReactors() []projections.Reactor {
	return []projections.Reactor{
		projections.When("cluster_healthy", "lifts the pauses whose reason is the cluster, and only those", []string{"admin.resume"},
			func(v projections.View, _ domain.Envelope, _ domain.ClusterHealthy) ([]domain.Command, error) {
				rows, err := projections.PausedKinds(v)
				if err != nil {
					return nil, err
				}
				var commands []domain.Command
				for _, row := range rows {
					for _, hold := range row.Pauses {
						if hold.Reason == domain.PauseCluster {
							commands = append(commands, ResumeKind{Kind: row.Kind, Reason: domain.PauseCluster})
						}
					}
				}
				return commands, nil
			}),
		projections.When("cluster_unhealthy", "pauses the kinds that can wait, with the cluster as the reason", []string{"admin.pause"},
			func(v projections.View, _ domain.Envelope, sick domain.ClusterUnhealthy) ([]domain.Command, error) {
				policy, _, err := projections.PolicyInForce(v)
				if err != nil {
					return nil, err
				}
				var commands []domain.Command
				for _, kind := range domain.NodesPolicyOf(policy).Cluster.Pauses {
					pause := PauseKind{Kind: kind, Reason: domain.PauseCluster}
					if !sick.Derived {
						// Nobody promises that a report from outside is ever taken back.
						seconds := domain.NodesPolicyOf(policy).Cluster.PauseSeconds
						pause.Seconds = &seconds
					}
					commands = append(commands, pause)
				}
				return commands, nil
			}),
	}
}
