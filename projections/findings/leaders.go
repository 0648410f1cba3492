package findings

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/election"
	"github.com/ringrift/rift/projections"
)

// findLeadersObserved keeps one finding for each episode and set of leaders. An episode of
// an observer ends when the observer reports that it is healed, or does not report it for
// episodeGap.
func findLeadersObserved(tx projections.Tx, e domain.Envelope, event election.LeadersObserved) error {
	if len(event.Leaders) < 2 {
		return pulseBeat(tx, e, nil)
	}
	leaders := slices.Clone(event.Leaders)
	slices.Sort(leaders)
	leaders = slices.Compact(leaders)
	if len(leaders) < 2 {
		return pulseBeat(tx, e, nil)
	}
	leaders = leaders[:min(len(leaders), LeadersBound)]
	subject := joinNodes(leaders, " and ")
	open := projections.Pair(string(event.Observer), subject)
	pointer, found, err := findingsSplitsTable.Get(tx, open)
	if err != nil {
		return err
	}
	var row FindingRow
	if found {
		if row, _, err = findingsTable.Get(tx, pointer.Key); err != nil {
			return err
		}
	}
	if !found || row.apart(e.Time) > episodeGap {
		pointer.Key = projections.PositionKey(e.Position) + "/" + FindingLeaders + "/" + subject
		row = FindingRow{Leaders: leaders, Observer: event.Observer}
		if err := findingsSplitsTable.Put(tx, open, pointer); err != nil {
			return err
		}
	}
	row.note(e, FindingLeaders, Critical, subject)
	if len(event.Reports) > 0 && len(row.Details) == 0 {
		for _, report := range event.Reports {
			row.Details = append(slices.Clip(row.Details), fmt.Sprintf("%s led by the word of %s", report.Leader, strings.Join(report.Reporters, ", ")))
		}
	}
	if event.Term != nil && *event.Term > 0 {
		row.detail(fmt.Sprintf("the observer's term was %d", *event.Term))
	}
	row.leadersSummary()
	if err := findingsTable.Put(tx, pointer.Key, row); err != nil {
		return err
	}
	return pulseBeat(tx, e, nil)
}

func (r *FindingRow) detail(text string) {
	if len(r.Details) < evidenceBound && !slices.Contains(r.Details, text) {
		r.Details = append(slices.Clip(r.Details), text)
	}
}

// leadersSummary says which nodes led at once, when and for how long, and which logs say
// so.
func (r *FindingRow) leadersSummary() {
	var b strings.Builder
	b.WriteString(joinNodes(r.Leaders, " and ") + " led at the same time")
	if r.Lasted != "" {
		b.WriteString(" for " + r.Lasted)
	}
	fmt.Fprintf(&b, ", seen %s by %s, ", timesOf(r.Count), r.Observer)
	if r.Over {
		b.WriteString("then healed")
	} else {
		b.WriteString("never seen to heal")
	}
	b.WriteString(" (" + r.At.Format(domain.Timestamp))
	if r.Until.After(r.At) {
		b.WriteString(" to " + r.Until.Format(domain.Timestamp))
	}
	b.WriteString(")")
	if len(r.Sources) > 0 && r.Sources[0] != "" {
		b.WriteString(", first at " + r.Sources[0])
	}
	r.Summary = b.String()
}

func joinNodes(nodes []domain.NodeID, between string) string {
	names := make([]string, len(nodes))
	for i, node := range nodes {
		names[i] = string(node)
	}
	return strings.Join(names, between)
}

// findSplitBrainHealed ends the open finding of its observer.
func findSplitBrainHealed(tx projections.Tx, e domain.Envelope, event election.SplitBrainHealed) error {
	var open []projections.Entry[keyRow]
	for entry, err := range findingsSplitsTable.Scan(tx, projections.Span{Prefix: projections.Pair(string(event.Observer), "")}) {
		if err != nil {
			return err
		}
		open = append(open, entry)
	}
	for _, entry := range open {
		row, found, err := findingsTable.Get(tx, entry.Row.Key)
		if err != nil {
			return err
		}
		if found && row.apart(e.Time) <= episodeGap {
			row.Over, row.LastPosition = true, e.Position
			row.cover(e.Time)
			row.evidence(e.Position, e.Meta.Correlation)
			if event.DurationSeconds > 0 {
				row.detail(fmt.Sprintf("the observer measured %vs until it healed", event.DurationSeconds))
			}
			row.leadersSummary()
			if err := findingsTable.Put(tx, entry.Row.Key, row); err != nil {
				return err
			}
		}
		if err := findingsSplitsTable.Delete(tx, entry.Key); err != nil {
			return err
		}
	}
	return pulseBeat(tx, e, nil)
}

// findLeaderChanged checks the guarantees of elections: one leader a term, and terms that
// only grow.
func findLeaderChanged(tx projections.Tx, e domain.Envelope, event election.LeaderChanged) error {
	cluster := e.Stream.ID()
	before, seen, err := findingsReignTable.Get(tx, cluster)
	if err != nil {
		return err
	}
	if seen && event.Leader != "" && before.Leader != "" && event.Leader != before.Leader && event.Term <= before.Term && (event.Term == before.Term || !e.Time.Before(before.At)) {
		leaders := []domain.NodeID{before.Leader, event.Leader}
		subject := fmt.Sprintf("term %d of %s", event.Term, cluster)
		if err := find(tx, e, FindingLeaders, Critical, subject, func(row *FindingRow) {
			row.evidence(before.Position, before.Source)
			row.Position = min(row.Position, before.Position)
			for _, leader := range leaders {
				if !slices.Contains(row.Leaders, leader) && len(row.Leaders) < LeadersBound {
					row.Leaders = append(slices.Clip(row.Leaders), leader)
				}
			}
			row.Summary = fmt.Sprintf("%s became leader of term %d at %d, though %s had term %d since %d", event.Leader, event.Term, e.Position, before.Leader, before.Term, before.Position)
		}); err != nil {
			return err
		}
	}
	if !seen || event.Term >= before.Term {
		if err := findingsReignTable.Put(tx, cluster, reignRow{event.Leader, event.Term, e.Time, e.Position, e.Meta.Correlation}); err != nil {
			return err
		}
	}
	if err := findElection(tx, e, event); err != nil {
		return err
	}
	return pulseBeat(tx, e, nil)
}

func findTermAdopted(tx projections.Tx, e domain.Envelope, event election.TermAdopted) error {
	if err := find(tx, e, FindingHearsay, Critical, string(event.By), func(row *FindingRow) {
		row.detail(fmt.Sprintf("%d after %d at %d", event.Term, event.Previous, e.Position))
		row.Summary = fmt.Sprintf("%s took over a higher term %s because another node mentioned it, the last one %d after %d", event.By, timesOf(row.Count), event.Term, event.Previous)
	}); err != nil {
		return err
	}
	return pulseBeat(tx, e, nil)
}

// The bounds from which on something is a finding.
const (
	flapEdges     = 5
	failures      = 3 // failed attempts at items of one type on one node
	burstWindow   = 10 * time.Minute
	silentFor     = 24 * time.Hour
	starvedFor    = time.Hour
	episodeGap    = 10 * time.Minute // a split brain that was not reported for so long has ended
	evidenceBound = 32
	LeadersBound  = 64
)
