package findings

import (
	"fmt"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/admin"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/projections"
)

// outageRow is the number of problems that a node has at the same time.
type outageRow struct {
	Open   int    `json:"open"` // reports of problems that have not ended
	Reason string `json:"reason"`
	Source string `json:"source"`
}

func findHostOnline(tx projections.Tx, e domain.Envelope, event nodes.HostOnline) error {
	if err := findingsOutageTable.Delete(tx, string(event.NodeID)); err != nil {
		return err
	}
	return findEdge(tx, e, event.NodeID, "online")
}

func findHostOffline(tx projections.Tx, e domain.Envelope, event nodes.HostOffline) error {
	return findEdge(tx, e, event.NodeID, "offline")
}

// findUnhealthy counts overlapping problems of a node: the node is healthy again when the
// last one ends.
func findUnhealthy(tx projections.Tx, e domain.Envelope, event nodes.Unhealthy) error {
	outage, _, err := findingsOutageTable.Get(tx, string(event.NodeID))
	if err != nil {
		return err
	}
	source := e.Meta.Node + " " + e.Meta.Actor
	if outage.Open > 0 && (outage.Reason != event.Reason || outage.Source != source) {
		if err := find(tx, e, FindingOverlap, Warning, "nodes", func(row *FindingRow) {
			row.detail(string(event.NodeID))
			row.Summary = fmt.Sprintf("outages overlapped %s, last on %s: %s while %s; such an outage ends with the last recovery", timesOf(row.Count), event.NodeID, event.Reason, outage.Reason)
		}); err != nil {
			return err
		}
	}
	if outage.Open == 0 || outage.Reason != event.Reason || outage.Source != source {
		outage = outageRow{outage.Open + 1, event.Reason, source}
		if err := findingsOutageTable.Put(tx, string(event.NodeID), outage); err != nil {
			return err
		}
	}
	return findEdge(tx, e, event.NodeID, "unhealthy")
}

func findRecovered(tx projections.Tx, e domain.Envelope, event nodes.Recovered) error {
	outage, found, err := findingsOutageTable.Get(tx, string(event.NodeID))
	if err != nil {
		return err
	}
	if outage.Open > 1 {
		outage.Open--
		if err := findingsOutageTable.Put(tx, string(event.NodeID), outage); err != nil {
			return err
		}
	} else if found {
		if err := findingsOutageTable.Delete(tx, string(event.NodeID)); err != nil {
			return err
		}
	}
	return findEdge(tx, e, event.NodeID, "online")
}

// findEdge notes a change of a node's health. Too many within burstWindow are a finding:
// the node flaps.
func findEdge(tx projections.Tx, e domain.Envelope, node domain.NodeID, level string) error {
	found, err := burst(tx, e, "node\x00"+projections.Pair(string(node), e.Meta.Node), level, flapEdges)
	if err != nil {
		return err
	}
	if len(found) > 0 {
		if err := find(tx, e, FindingFlapping, Warning, string(node), func(row *FindingRow) {
			row.counts(found)
			row.Summary = fmt.Sprintf("%s changed its health %s, at least %d times in %s", node, timesOf(row.Count), flapEdges, burstWindow)
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

// findBreaker counts how often a breaker opened: that of a node, or of a part of a node
// that a recording names.
func findBreaker(tx projections.Tx, e domain.Envelope, event nodes.BreakerOpened) error {
	subject, of := string(event.NodeID), string(event.NodeID)
	if event.Target != "" {
		subject, of = subject+" "+event.Target, event.Target+" on "+of
	}
	return find(tx, e, FindingBreaker, Warning, subject, func(row *FindingRow) {
		row.Over = false
		switch {
		case !event.Until.IsZero():
			row.Summary = fmt.Sprintf("items kept failing on %s, which was kept off work %s, last until %s", of, timesOf(row.Count), event.Until.Format(domain.Timestamp))
		default:
			row.Summary = fmt.Sprintf("a breaker opened for %s %s", of, timesOf(row.Count))
			if event.Failures > 0 {
				row.Summary += ", last after " + CountOf(event.Failures, "failure")
			}
			if event.RecoverySeconds > 0 {
				row.Summary += ", for " + SpanOf(event.RecoverySeconds.Duration())
			}
		}
	})
}

func findBreakerOver(tx projections.Tx, e domain.Envelope, event nodes.BreakerClosed) error {
	subject := string(event.NodeID)
	if event.Target != "" {
		subject += " " + event.Target
	}
	return findOver(tx, e, FindingBreaker, subject)
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

// findOver marks the finding of a subject as over, if there is one.
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
