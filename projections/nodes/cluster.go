package nodes

import (
	"fmt"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/admin"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/projections"
)

// ClusterRow is the cluster as a whole: its reported health, and the counts of its
// nodes by health. Its JSON is part of /status.
type ClusterRow struct {
	State    admin.ClusterState `json:"state" doc:"the last verdict; empty: none yet"`
	Since    *time.Time         `json:"since"`
	Reason   string             `json:"reason,omitempty"`
	Derived  bool               `json:"derived,omitempty" doc:"the verdict is rift's own"`
	Known    int                `json:"known_nodes" doc:"online, unhealthy or offline"`
	Healthy  int                `json:"healthy_nodes"`
	Low      *time.Time         `json:"low_since" doc:"since when too few are healthy; null: they are not"`
	High     *time.Time         `json:"high_since" doc:"since when enough are; null: they are not"`
	Policy   clusterNumbers     `json:"limits"`
	Position domain.Position    `json:"position"`
}

// clusterNumbers is the part of the policy with the limits of shares.
type clusterNumbers struct {
	UnhealthyPercent int `json:"unhealthy_percent"`
	HealthyPercent   int `json:"healthy_percent"`
	MinNodes         int `json:"min_nodes"`
	MinHealthy       int `json:"min_healthy"`
}

func numbersOf(p nodes.ClusterPolicy) clusterNumbers {
	return clusterNumbers{p.UnhealthyPercent, p.HealthyPercent, p.MinNodes, p.MinHealthy}
}

var nodesClusterTable = projections.Table[ClusterRow]{Name: "nodes.cluster"}

// TheCluster returns the state of the cluster as a whole.
func TheCluster(v projections.View) (ClusterRow, error) {
	row, found, err := nodesClusterTable.Get(v, admin.DefaultCluster)
	if err == nil && !found {
		row.Policy = numbersOf(nodes.DefaultPolicy().Cluster)
	}
	return row, err
}

// clusterKnows reports whether a node in a state counts.
func clusterKnows(state nodes.State) bool {
	return state == nodes.StateOnline || state == nodes.StateSick || state == nodes.StateOffline
}

// clusterCounts updates the counts for a node's change of state.
func clusterCounts(tx projections.Tx, e domain.Envelope, from, to nodes.State) error {
	known, healthy := 0, 0
	for _, move := range []struct {
		state  nodes.State
		change int
	}{{from, -1}, {to, 1}} {
		if clusterKnows(move.state) {
			known += move.change
		}
		if move.state == nodes.StateOnline {
			healthy += move.change
		}
	}
	if known == 0 && healthy == 0 {
		return nil
	}
	return changeCluster(tx, e, func(row *ClusterRow) {
		row.Known += known
		row.Healthy += healthy
	})
}

func clusterPolicy(tx projections.Tx, e domain.Envelope, changed domain.PolicyChanged) error {
	if changed.Name != domain.PolicyDefaultName {
		return nil
	}
	return changeCluster(tx, e, func(row *ClusterRow) { row.Policy = numbersOf(nodes.PolicyOf(changed.Policy).Cluster) })
}

// clusterStep applies a verdict; the state comes from the fold that decisions use.
func clusterStep[E domain.Event](tx projections.Tx, e domain.Envelope, _ E) error {
	return changeCluster(tx, e, func(row *ClusterRow) {
		folded := admin.Cluster{State: row.State, Reason: row.Reason, Derived: row.Derived}
		if row.Since != nil {
			folded.Since = *row.Since
		}
		folded = folded.Evolve(e)
		row.State, row.Reason, row.Derived = folded.State, folded.Reason, folded.Derived
		row.Since = projections.Moment(row.Since, folded.Since, true)
	})
}

func changeCluster(tx projections.Tx, e domain.Envelope, change func(*ClusterRow)) error {
	row, err := TheCluster(tx)
	if err != nil {
		return err
	}
	change(&row)
	low, high := row.shares()
	row.Low = since(row.Low, e.Time, low)
	row.High = since(row.High, e.Time, high)
	row.Position = e.Position
	return nodesClusterTable.Put(tx, admin.DefaultCluster, row)
}

// shares reports whether too few nodes are healthy (low), and whether enough are
// (high). Between the two limits neither is true, and the verdict stays. With too
// few known nodes to judge, high is true.
func (r ClusterRow) shares() (low, high bool) {
	if r.Known < r.Policy.MinNodes {
		return false, true
	}
	if r.Healthy < r.Policy.MinHealthy || 100*r.Healthy < r.Policy.UnhealthyPercent*r.Known {
		return true, false
	}
	return false, 100*r.Healthy >= r.Policy.HealthyPercent*r.Known
}

// since returns the first time since which a condition has held.
func since(before *time.Time, now time.Time, holds bool) *time.Time {
	switch {
	case !holds:
		return nil
	case before != nil:
		return before
	}
	return &now
}

// ClusterVerdict is the verdict derived from the known nodes.
type ClusterVerdict struct {
	State   admin.ClusterState // the change that is due; empty: none
	Row     ClusterRow
	Reason  string
	Earlier time.Time // when a change may be due if nothing else happens; zero: never
}

// JudgeCluster returns whether a change of the cluster's health is due. A share
// counts once it has held for the policy's time, and only some time after the last
// verdict. Rift only reverses its own verdicts: an outside report of an unhealthy
// cluster may be based on something that the nodes do not show.
func JudgeCluster(v projections.View, now time.Time, policy nodes.ClusterPolicy) (ClusterVerdict, error) {
	row, err := TheCluster(v)
	verdict := ClusterVerdict{Row: row}
	if err != nil {
		return verdict, err
	}
	var from *time.Time
	to := admin.ClusterState("")
	switch {
	case row.State != admin.ClusterSick && row.Low != nil:
		from, to = row.Low, admin.ClusterSick
		verdict.Reason = fmt.Sprintf("%d of %d known nodes are healthy", row.Healthy, row.Known)
	case row.State == admin.ClusterSick && row.Derived && row.High != nil:
		from, to = row.High, admin.ClusterWell
	default:
		return verdict, nil
	}
	due := *from
	if row.Since != nil && row.Since.After(due) {
		due = *row.Since
	}
	due = due.Add(policy.HoldSeconds.Duration())
	if now.Before(due) {
		verdict.Earlier = due
		return verdict, nil
	}
	verdict.State = to
	return verdict, nil
}
