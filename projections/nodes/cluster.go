package nodes

import (
	"fmt"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/admin"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/projections"
)

// ClusterRow is the cluster as a whole: what was said of it, and what the nodes
// say by how many of them are healthy. Its JSON stands in /status.
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

// clusterNumbers is the part of the policy that shares are held against.
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

// TheCluster is how the cluster as a whole is.
func TheCluster(v projections.View) (ClusterRow, error) {
	row, found, err := nodesClusterTable.Get(v, admin.DefaultCluster)
	if err == nil && !found {
		row.Policy = numbersOf(nodes.DefaultPolicy().Cluster)
	}
	return row, err
}

// clusterKnows tells whether a node in a state is one that the cluster counts.
func clusterKnows(state nodes.State) bool {
	return state == nodes.StateOnline || state == nodes.StateSick || state == nodes.StateOffline
}

// clusterCounts takes over that a node went from one state to another.
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

// shares tells whether too few nodes are healthy, and whether enough are; between
// the two limits neither holds, and the verdict stays what it was. Too few known
// nodes to judge are enough: nothing speaks against the cluster.
func (r ClusterRow) shares() (low, high bool) {
	if r.Known < r.Policy.MinNodes {
		return false, true
	}
	if r.Healthy < r.Policy.MinHealthy || 100*r.Healthy < r.Policy.UnhealthyPercent*r.Known {
		return true, false
	}
	return false, 100*r.Healthy >= r.Policy.HealthyPercent*r.Known
}

// since keeps the first moment at which something held, as long as it holds.
func since(before *time.Time, now time.Time, holds bool) *time.Time {
	switch {
	case !holds:
		return nil
	case before != nil:
		return before
	}
	return &now
}

// ClusterVerdict is what the nodes that are known come to.
type ClusterVerdict struct {
	State   admin.ClusterState // the edge that is due; empty: none
	Row     ClusterRow
	Reason  string
	Earlier time.Time // when an edge may be due if nothing changes; zero: none in sight
}

// JudgeCluster tells whether an edge of the cluster's health is due. A share
// counts once it has held for the policy's time, and no sooner after the last
// verdict. Rift lifts only its own verdicts: who reported from outside that the
// cluster is unhealthy knows something the nodes do not show.
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
