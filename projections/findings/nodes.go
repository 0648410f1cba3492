package findings

import (
	"fmt"
	"slices"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/admin"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/projections"
)

func findHostOnline(tx projections.Tx, e domain.Envelope, event nodes.HostOnline) error {
	return findEdge(tx, e, event.NodeID)
}

func findHostOffline(tx projections.Tx, e domain.Envelope, event nodes.HostOffline) error {
	return findEdge(tx, e, event.NodeID)
}

func findUnhealthy(tx projections.Tx, e domain.Envelope, event nodes.Unhealthy) error {
	return findEdge(tx, e, event.NodeID)
}

func findRecovered(tx projections.Tx, e domain.Envelope, event nodes.Recovered) error {
	return findEdge(tx, e, event.NodeID)
}

// findEdge notes that a node's health changed, and finds it flapping when that
// happens too often in too short a time.
func findEdge(tx projections.Tx, e domain.Envelope, node domain.NodeID) error {
	flaps, _, err := findingsFlapsTable.Get(tx, string(node))
	if err != nil {
		return err
	}
	recent := slices.DeleteFunc(slices.Clone(flaps.Edges), func(old flapEdge) bool { return e.Time.Sub(old.At) > flapWindow })
	recent = append(recent, flapEdge{e.Time, e.Position, e.Meta.Correlation})
	recent = recent[max(len(recent)-flapEdges, 0):]
	if err := findingsFlapsTable.Put(tx, string(node), flapRow{recent}); err != nil {
		return err
	}
	if len(recent) == flapEdges {
		if err := find(tx, e, FindingFlapping, Warning, string(node), func(row *FindingRow) {
			if row.Count == 1 {
				row.Evidence, row.Sources, row.Count = nil, nil, len(recent)
				for _, old := range recent {
					row.evidence(old.Position, old.Source)
					row.cover(old.At)
				}
				row.Position = recent[0].Position
			}
			row.Summary = fmt.Sprintf("%s changed its health %s, at least %d times in %s", node, timesOf(row.Count), flapEdges, flapWindow)
		}); err != nil {
			return err
		}
	}
	return pulseBeat(tx, e, nil)
}

func findZombie(tx projections.Tx, e domain.Envelope, event nodes.ZombieDetected) error {
	if err := find(tx, e, FindingZombie, Warning, string(event.NodeID), func(row *FindingRow) {
		row.Summary = fmt.Sprintf("%s ran processes that belonged to no item, seen %s, last %s for %vs", event.NodeID, timesOf(row.Count), CountOf(event.Jobs, "job"), event.ZombieSeconds)
		if len(event.Tasks) > 0 {
			row.Summary = fmt.Sprintf("%s got on with nothing that it held, seen %s, last %s for %vs", event.NodeID, timesOf(row.Count), CountOf(len(event.Tasks), "item"), event.ZombieSeconds)
		}
	}); err != nil {
		return err
	}
	return pulseBeat(tx, e, nil)
}

func findIdle(tx projections.Tx, e domain.Envelope, event nodes.IdleResourceDetected) error {
	return find(tx, e, FindingIdle, Warning, string(event.NodeID), func(row *FindingRow) {
		row.cover(event.Since)
		row.Over = false
		row.Summary = fmt.Sprintf("%s did nothing %s while %s waited for it, last for %v", event.NodeID, timesOf(row.Count), event.TaskType, event.IdleSeconds.Duration())
	})
}

func findIdleOver(tx projections.Tx, e domain.Envelope, event nodes.IdleResourceCleared) error {
	return findOver(tx, e, FindingIdle, string(event.NodeID))
}

func findBreaker(tx projections.Tx, e domain.Envelope, event nodes.BreakerOpened) error {
	if event.Until.IsZero() {
		return nil // a recording that does not say what it kept off, nor for how long
	}
	return find(tx, e, FindingBreaker, Warning, string(event.NodeID), func(row *FindingRow) {
		row.Over = false
		row.Summary = fmt.Sprintf("items kept failing on %s, which was kept off work %s, last until %s", event.NodeID, timesOf(row.Count), event.Until.Format(domain.Timestamp))
	})
}

func findBreakerOver(tx projections.Tx, e domain.Envelope, event nodes.BreakerClosed) error {
	return findOver(tx, e, FindingBreaker, string(event.NodeID))
}

func findClusterSick(tx projections.Tx, e domain.Envelope, event admin.ClusterUnhealthy) error {
	return find(tx, e, FindingCluster, Critical, e.Stream.ID(), func(row *FindingRow) {
		row.Over = false
		row.Summary = fmt.Sprintf("the cluster was unhealthy %s, last with %d of %d nodes healthy: %s", timesOf(row.Count), event.HealthyNodes, event.NodeCount, event.Reason)
	})
}

func findClusterWell(tx projections.Tx, e domain.Envelope, _ admin.ClusterHealthy) error {
	return findOver(tx, e, FindingCluster, e.Stream.ID())
}

// findOver notes that what a finding is about has ended, if there is one.
func findOver(tx projections.Tx, e domain.Envelope, kind, subject string) error {
	pointer, found, err := findingsSubjects.Get(tx, projections.Pair(kind, subject))
	if err != nil || !found {
		return err
	}
	return findingsTable.Update(tx, pointer.Key, func(row *FindingRow) {
		row.cover(e.Time)
		row.Over = true
	})
}
