package projections

import (
	"fmt"
	"slices"

	"github.com/ringrift/rift/domain"
)

func findHostOnline(tx Tx, e domain.Envelope, event domain.HostOnline) error {
	return findEdge(tx, e, event.NodeID)
}

func findHostOffline(tx Tx, e domain.Envelope, event domain.HostOffline) error {
	return findEdge(tx, e, event.NodeID)
}

func findUnhealthy(tx Tx, e domain.Envelope, event domain.NodeUnhealthy) error {
	return findEdge(tx, e, event.NodeID)
}

func findRecovered(tx Tx, e domain.Envelope, event domain.NodeRecovered) error {
	return findEdge(tx, e, event.NodeID)
}

// findEdge notes that a node's health changed, and finds it flapping when that
// happens too often in too short a time.
func findEdge(tx Tx, e domain.Envelope, node domain.NodeID) error {
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

func findZombie(tx Tx, e domain.Envelope, event domain.NodeZombieDetected) error {
	if err := find(tx, e, FindingZombie, Warning, string(event.NodeID), func(row *FindingRow) {
		row.Summary = fmt.Sprintf("%s ran processes that belonged to no item, seen %s, last %s for %vs", event.NodeID, timesOf(row.Count), countOf(event.Jobs, "job"), event.ZombieSeconds)
	}); err != nil {
		return err
	}
	return pulseBeat(tx, e, nil)
}
