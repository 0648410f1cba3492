package findings

import (
	"fmt"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/election"
	"github.com/ringrift/rift/projections"
)

// newestRow is the newest elected leader, of the one cluster that most logs are about.
type newestRow struct {
	Cluster  string          `json:"cluster"`
	Leader   domain.NodeID   `json:"leader"`
	Term     uint64          `json:"term"`
	Position domain.Position `json:"position"`
	Several  bool            `json:"several,omitempty"` // several clusters share the log, and their terms cannot be compared
}

const newestLeader = "newest"

// findElection follows elections: too many within burstWindow are a finding.
func findElection(tx projections.Tx, e domain.Envelope, event election.LeaderChanged) error {
	cluster := e.Stream.ID()
	newest, seen, err := findingsNewestTable.Get(tx, newestLeader)
	if err != nil {
		return err
	}
	switch {
	case seen && newest.Cluster != cluster:
		newest.Several = true
	case event.Term >= newest.Term:
		newest = newestRow{Cluster: cluster, Leader: event.Leader, Term: event.Term, Position: e.Position, Several: newest.Several}
	}
	if err := findingsNewestTable.Put(tx, newestLeader, newest); err != nil {
		return err
	}
	found, err := burst(tx, e, "leader\x00"+cluster, fmt.Sprint(event.Term), flapEdges)
	if err != nil || len(found) == 0 {
		return err
	}
	return find(tx, e, FindingElections, Warning, cluster, func(row *FindingRow) {
		row.counts(found)
		row.Summary = fmt.Sprintf("the leader of %s changed %s, at least %d times in %s; the last is %s in term %d", cluster, timesOf(row.Count), flapEdges, burstWindow, event.Leader, event.Term)
	})
}

// findStale finds an append of an earlier leader after a newer one was elected: the append
// was in progress when the lease ended, and the database, which cannot refuse it, executed
// it.
func findStale(tx projections.Tx, e domain.Envelope) error {
	if e.Meta.Term == 0 || e.Type == (election.LeaderChanged{}).EventType() {
		return nil
	}
	newest, seen, err := findingsNewestTable.Get(tx, newestLeader)
	if err != nil || !seen || newest.Several || e.Meta.Term >= newest.Term {
		return err
	}
	return find(tx, e, FindingStale, Critical, e.Meta.Node, func(row *FindingRow) {
		row.evidence(newest.Position, "")
		row.Summary = fmt.Sprintf("%s appended %s in term %d, though %s leads term %d since %d; the last is %s at %d",
			e.Meta.Node, timesOf(row.Count), e.Meta.Term, newest.Leader, newest.Term, newest.Position, e.Type, e.Position)
	})
}
