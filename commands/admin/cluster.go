package admin

import (
	"fmt"
	"time"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/admin"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/projections"
	adminview "github.com/ringrift/rift/projections/admin"
	nodesview "github.com/ringrift/rift/projections/nodes"
	policyview "github.com/ringrift/rift/projections/policy"
)

// ReportCluster reports the health of the cluster as a whole: CLUSTER_HEALTHY or
// CLUSTER_UNHEALTHY. It is recorded if the health changes, and ignored otherwise.
type ReportCluster struct {
	Healthy   *admin.ClusterHealthy   `json:"healthy,omitempty"`
	Unhealthy *admin.ClusterUnhealthy `json:"unhealthy,omitempty"`
}

func (ReportCluster) CommandType() string     { return "admin.report_cluster" }
func (ReportCluster) Stream() domain.StreamID { return admin.ClusterStream(admin.DefaultCluster) }

func reportCluster(cluster admin.Cluster, c ReportCluster, _ domain.Facts) ([]domain.Event, error) {
	switch {
	case (c.Healthy == nil) == (c.Unhealthy == nil):
		return nil, domain.Errorf(domain.Invalid, "admin.report_cluster: want exactly one of healthy, unhealthy")
	case c.Healthy != nil && cluster.State != admin.ClusterWell:
		return []domain.Event{*c.Healthy}, nil
	case c.Unhealthy != nil && cluster.State != admin.ClusterSick:
		return []domain.Event{*c.Unhealthy}, nil
	}
	return nil, nil
}

// clusterClock derives the health of the cluster from its known nodes and reports
// each change once.
func clusterClock(v projections.View, now time.Time, policy domain.Policy) ([]commands.Timed, time.Time, error) {
	verdict, err := nodesview.JudgeCluster(v, now, nodes.PolicyOf(policy).Cluster)
	if err != nil || verdict.State == "" {
		return nil, verdict.Earlier, err
	}
	var c ReportCluster
	row := verdict.Row
	from := row.High
	if verdict.State == admin.ClusterSick {
		from = row.Low
		c.Unhealthy = &admin.ClusterUnhealthy{HealthyNodes: row.Healthy, NodeCount: row.Known, Reason: verdict.Reason, Derived: true}
	} else {
		c.Healthy = &admin.ClusterHealthy{HealthyNodes: row.Healthy, NodeCount: row.Known, Derived: true}
		if row.Healthy == 0 {
			return nil, time.Time{}, nil // without nodes there is no verdict; the next node to register brings one
		}
	}
	last := ""
	if row.Since != nil {
		last = row.Since.Format(domain.Timestamp)
	}
	id := fmt.Sprintf("clock/cluster/%s/%s/%s", verdict.State, from.Format(domain.Timestamp), last)
	return []commands.Timed{{ID: id, Command: c}}, time.Time{}, nil
}

// Reactors returns the reactors that pause and resume work with the cluster's
// health.
func Reactors() []projections.Reactor {
	return []projections.Reactor{
		projections.When("cluster_healthy", "lifts the pauses whose reason is the cluster, and only those", []string{"admin.resume"},
			func(v projections.View, _ domain.Envelope, _ admin.ClusterHealthy) ([]domain.Command, error) {
				rows, err := adminview.PausedKinds(v)
				if err != nil {
					return nil, err
				}
				var commands []domain.Command
				for _, row := range rows {
					for _, hold := range row.Pauses {
						if hold.Reason == admin.PauseCluster {
							commands = append(commands, ResumeKind{Kind: row.Kind, Reason: admin.PauseCluster})
						}
					}
				}
				return commands, nil
			}),
		projections.When("cluster_unhealthy", "pauses the kinds that can wait, with the cluster as the reason", []string{"admin.pause"},
			func(v projections.View, _ domain.Envelope, sick admin.ClusterUnhealthy) ([]domain.Command, error) {
				policy, _, err := policyview.InForce(v)
				if err != nil {
					return nil, err
				}
				var commands []domain.Command
				for _, kind := range nodes.PolicyOf(policy).Cluster.Pauses {
					pause := PauseKind{Kind: kind, Reason: admin.PauseCluster}
					if !sick.Derived {
						// A report from outside may never be followed by its
						// opposite, so the pause has an end.
						seconds := nodes.PolicyOf(policy).Cluster.PauseSeconds
						pause.Seconds = &seconds
					}
					commands = append(commands, pause)
				}
				return commands, nil
			}),
	}
}
