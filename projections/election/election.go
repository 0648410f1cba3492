// Package election is the read model of leadership: who led when, according to the
// log's own elections and to observers, which of these periods overlap, the term,
// and the voters.
//
// It elects nobody, and no decision uses it to find the leader: two simultaneous
// leaders in its rows are a finding about the cluster. Read Projection, then
// Leaders.
package election

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/election"
	"github.com/ringrift/rift/projections"
	findingsview "github.com/ringrift/rift/projections/findings"
)

// ReignRow is a period in which a node led, by election or according to an
// observer.
type ReignRow struct {
	Leader       domain.NodeID   `json:"leader"`
	Term         uint64          `json:"term,omitempty" doc:"0: not reported by the observer"`
	Elected      bool            `json:"elected" doc:"by the log's own elections; otherwise observed"`
	Observer     domain.NodeID   `json:"observer,omitempty"`
	Previous     domain.NodeID   `json:"previous,omitempty"`
	Reason       string          `json:"reason,omitempty"`
	Since        time.Time       `json:"since"`
	Position     domain.Position `json:"position"`
	Until        *time.Time      `json:"until" doc:"null: it still leads"`
	LastPosition domain.Position `json:"last_position"`
	Observations int             `json:"observations"`
	Overlaps     []domain.NodeID `json:"overlaps,omitempty" doc:"nodes that led at the same time"`
	Source       string          `json:"source,omitempty" doc:"where a recording shows it"`
}

// VoterRow is the last known state of a voter.
type VoterRow struct {
	Voter    domain.NodeID   `json:"voter"`
	Online   bool            `json:"online"`
	Since    time.Time       `json:"since"`
	Changes  int             `json:"changes"`
	Position domain.Position `json:"position"`
}

// TermRow is the cluster's term and its origin.
type TermRow struct {
	Term     uint64          `json:"term"`
	Leader   domain.NodeID   `json:"leader" doc:"elected for it; empty: none, or not by an election"`
	Adopted  int             `json:"adopted"`
	Alive    int             `json:"alive" doc:"voters, as last counted"`
	Voters   int             `json:"voters"`
	Quorum   int             `json:"quorum"`
	Since    time.Time       `json:"since"`
	Position domain.Position `json:"position"`
}

// openReignRow refers to a period that has not ended.
type openReignRow struct {
	Key string `json:"key"`
}

var (
	electionReignsTable = projections.Table[ReignRow]{Name: "election.reigns"}
	electionOpenTable   = projections.Table[openReignRow]{Name: "election.open"}
	electionVotersTable = projections.Table[VoterRow]{Name: "election.voters"}
	electionTermTable   = projections.Table[TermRow]{Name: "election.term"}
)

// byElection takes the place of the observer for elections.
const byElection = "\x01elected"

// Projection returns the read model of leadership.
func Projection() projections.Projection {
	return projections.Projection{
		Name: "election", Version: 1, About: "who led when, by election and in the eyes of observers; terms and voters",
		Tables: []string{electionReignsTable.Name, electionOpenTable.Name, electionVotersTable.Name, electionTermTable.Name},
		Handlers: []projections.Handler{
			projections.On(reignElected), projections.On(reignObserved), projections.On(reignHealed), projections.On(termAdopted), projections.On(voterOnline), projections.On(voterOffline),
		},
	}
}

// openReigns lists the open periods of one observer.
func openReigns(tx projections.Tx, observer string) ([]projections.Entry[openReignRow], error) {
	var open []projections.Entry[openReignRow]
	for entry, err := range electionOpenTable.Scan(tx, projections.Span{Prefix: projections.Pair(observer, "")}) {
		if err != nil {
			return nil, err
		}
		open = append(open, entry)
	}
	return open, nil
}

// endReign ends a period. Since clocks may run backwards, it never ends before it
// began.
func endReign(tx projections.Tx, e domain.Envelope, open projections.Entry[openReignRow]) error {
	if err := electionReignsTable.Update(tx, open.Row.Key, func(row *ReignRow) {
		until := e.Time
		if until.Before(row.Since) {
			until = row.Since
		}
		row.Until, row.LastPosition = &until, e.Position
	}); err != nil {
		return err
	}
	return electionOpenTable.Delete(tx, open.Key)
}

// reign updates the open periods of an observer to the leaders it sees now.
func reign(tx projections.Tx, e domain.Envelope, observer string, leaders []domain.NodeID, row ReignRow) error {
	open, err := openReigns(tx, observer)
	if err != nil {
		return err
	}
	for _, entry := range open {
		if !slices.ContainsFunc(leaders, func(leader domain.NodeID) bool { return projections.Pair(observer, string(leader)) == entry.Key }) {
			if err := endReign(tx, e, entry); err != nil {
				return err
			}
		}
	}
	for _, leader := range leaders {
		others := slices.DeleteFunc(slices.Clone(leaders), func(other domain.NodeID) bool { return other == leader })
		key := projections.Pair(observer, string(leader))
		pointer, found, err := electionOpenTable.Get(tx, key)
		if err != nil {
			return err
		}
		if !found {
			pointer.Key = projections.PositionKey(e.Position) + "/" + string(leader)
			if err := electionOpenTable.Put(tx, key, pointer); err != nil {
				return err
			}
		}
		if err := electionReignsTable.Update(tx, pointer.Key, func(kept *ReignRow) {
			if !found {
				*kept = row
				kept.Leader, kept.Since, kept.Position, kept.Source = leader, e.Time, e.Position, e.Meta.Correlation
			}
			kept.Observations++
			kept.LastPosition = e.Position
			kept.Term = max(kept.Term, row.Term)
			for _, other := range others {
				if !slices.Contains(kept.Overlaps, other) {
					kept.Overlaps = append(slices.Clip(kept.Overlaps), other)
				}
			}
		}); err != nil {
			return err
		}
	}
	return nil
}

func reignElected(tx projections.Tx, e domain.Envelope, event election.LeaderChanged) error {
	var leaders []domain.NodeID
	if event.Leader != "" {
		leaders = append(leaders, event.Leader)
	}
	if err := reign(tx, e, byElection, leaders, ReignRow{Term: event.Term, Elected: true, Previous: event.Previous}); err != nil {
		return err
	}
	return electionTermTable.Update(tx, e.Stream.ID(), func(row *TermRow) {
		if event.Term >= row.Term {
			row.Term, row.Leader, row.Since, row.Position = event.Term, event.Leader, e.Time, e.Position
		}
	})
}

func reignObserved(tx projections.Tx, e domain.Envelope, event election.LeadersObserved) error {
	leaders := slices.Clone(event.Leaders)
	slices.Sort(leaders)
	leaders = slices.Compact(leaders)
	leaders = leaders[:min(len(leaders), findingsview.LeadersBound)]
	row := ReignRow{Observer: event.Observer, Previous: event.Previous, Reason: event.Reason}
	if event.Term != nil {
		row.Term = *event.Term
	}
	return reign(tx, e, string(event.Observer), leaders, row)
}

// reignHealed ends all leaders that the observer saw at once. The event does not
// say which one remains, so there is none until the observer names one.
func reignHealed(tx projections.Tx, e domain.Envelope, event election.SplitBrainHealed) error {
	open, err := openReigns(tx, string(event.Observer))
	if err != nil {
		return err
	}
	for _, entry := range open {
		row, found, err := electionReignsTable.Get(tx, entry.Row.Key)
		if err != nil {
			return err
		}
		if found && len(row.Overlaps) > 0 {
			if err := endReign(tx, e, entry); err != nil {
				return err
			}
		}
	}
	return nil
}

func termAdopted(tx projections.Tx, e domain.Envelope, event election.TermAdopted) error {
	return electionTermTable.Update(tx, e.Stream.ID(), func(row *TermRow) {
		row.Adopted++
		if event.Term > row.Term {
			row.Term, row.Leader, row.Since, row.Position = event.Term, "", e.Time, e.Position
		}
	})
}

func voterOnline(tx projections.Tx, e domain.Envelope, event election.VoterOnline) error {
	return voterTurned(tx, e, event.Voter, true, event.Alive, event.Voters, event.Quorum)
}

func voterOffline(tx projections.Tx, e domain.Envelope, event election.VoterOffline) error {
	return voterTurned(tx, e, event.Voter, false, event.Alive, event.Voters, event.Quorum)
}

func voterTurned(tx projections.Tx, e domain.Envelope, voter domain.NodeID, online bool, alive, voters, quorum int) error {
	if err := electionVotersTable.Update(tx, string(voter), func(row *VoterRow) {
		if row.Changes == 0 || row.Online != online {
			row.Since = e.Time
			row.Changes++
		}
		row.Voter, row.Online, row.Position = voter, online, e.Position
	}); err != nil {
		return err
	}
	return electionTermTable.Update(tx, e.Stream.ID(), func(row *TermRow) {
		row.Alive, row.Voters, row.Quorum = alive, voters, quorum
	})
}

// Current returns the term of a cluster as of the view.
func Current(v projections.View, cluster string) (TermRow, error) {
	row, _, err := electionTermTable.Get(v, cluster)
	return row, err
}

// LeadersQuery is the query for who led when.
type LeadersQuery struct {
	Overlapping bool `query:"overlapping" doc:"only periods in which several nodes led"`
	Limit       int  `query:"limit"`
}

// LeadersAnswer lists the newest periods first, the voters by name and the terms by
// cluster.
type LeadersAnswer struct {
	Terms  []json.RawMessage `json:"terms"`
	Reigns []json.RawMessage `json:"reigns"`
	Voters []json.RawMessage `json:"voters"`
}

// RowTypes returns the Go types of the members that are stored rows, for the API
// description.
func (LeadersAnswer) RowTypes() map[string]any {
	return map[string]any{"terms": TermRow{}, "reigns": ReignRow{}, "voters": VoterRow{}}
}

// Leaders returns who led when.
func Leaders(v projections.View, q LeadersQuery) (LeadersAnswer, error) {
	limit, err := projections.Page(q.Limit)
	if err != nil {
		return LeadersAnswer{}, err
	}
	answer := LeadersAnswer{Terms: []json.RawMessage{}, Reigns: []json.RawMessage{}, Voters: []json.RawMessage{}}
	for row, err := range electionTermTable.RawScan(v, projections.Span{}) {
		if err != nil {
			return LeadersAnswer{}, err
		}
		answer.Terms = append(answer.Terms, row.Value)
	}
	for row, err := range electionVotersTable.RawScan(v, projections.Span{}) {
		if err != nil {
			return LeadersAnswer{}, err
		}
		answer.Voters = append(answer.Voters, row.Value)
	}
	scanned := 0
	for row, err := range electionReignsTable.RawScan(v, projections.Span{Reverse: true}) {
		if err != nil {
			return LeadersAnswer{}, err
		}
		if scanned++; len(answer.Reigns) == limit || scanned > projections.ScannedPerPage {
			break
		}
		if q.Overlapping {
			var kept ReignRow
			if err := v.Codec().Unmarshal(row.Value, &kept); err != nil {
				return LeadersAnswer{}, domain.Errorf(domain.Corrupt, "reign %s: %w", row.Key, err)
			}
			if len(kept.Overlaps) == 0 {
				continue
			}
		}
		answer.Reigns = append(answer.Reigns, row.Value)
	}
	return answer, nil
}
