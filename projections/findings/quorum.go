package findings

import (
	"fmt"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/admin"
	"github.com/ringrift/rift/domain/election"
	"github.com/ringrift/rift/projections"
)

// quorumRow is the number of voters that answer one observer, by the observer's clock.
type quorumRow struct {
	Below    bool          `json:"below"`
	Last     time.Time     `json:"last"`
	Times    int           `json:"times"`    // number of times that it fell below the quorum
	Lost     time.Duration `json:"lost"`     // total time below the quorum
	Observed time.Duration `json:"observed"` // time from the first report to the last
	Worst    int           `json:"worst"`    // the fewest voters that answered
}

func findVoterOnline(tx projections.Tx, e domain.Envelope, event election.VoterOnline) error {
	if err := findVoter(tx, e, event.Voter, "online"); err != nil {
		return err
	}
	return findVoters(tx, e, e.Meta.Node, event.Alive, event.Voters, event.Quorum)
}

func findVoterOffline(tx projections.Tx, e domain.Envelope, event election.VoterOffline) error {
	if err := findVoter(tx, e, event.Voter, "offline"); err != nil {
		return err
	}
	return findVoters(tx, e, e.Meta.Node, event.Alive, event.Voters, event.Quorum)
}

func findQuorum(tx projections.Tx, e domain.Envelope, event admin.QuorumObserved) error {
	return findVoters(tx, e, string(event.Observer), event.Alive, event.Voters, event.Quorum)
}

// findVoter finds a voter that often stops and starts to answer.
func findVoter(tx projections.Tx, e domain.Envelope, voter domain.NodeID, level string) error {
	found, err := burst(tx, e, "voter\x00"+projections.Pair(string(voter), e.Meta.Node), level, flapEdges)
	if err != nil || len(found) == 0 {
		return err
	}
	return find(tx, e, FindingVoter, Warning, string(voter), func(row *FindingRow) {
		row.counts(found)
		row.Summary = fmt.Sprintf("voter %s came or went %s, at least %d times in %s", voter, timesOf(row.Count), flapEdges, burstWindow)
	})
}

// findVoters follows the number of voters that answer an observer. Below the quorum
// nothing can be decided. A quorum that is not a majority is a finding too, because two
// leaders can both have one.
func findVoters(tx projections.Tx, e domain.Envelope, observer string, alive, voters, quorum int) error {
	if 2*quorum <= voters {
		if err := find(tx, e, FindingMajority, Critical, fmt.Sprintf("%d of %d", quorum, voters), func(row *FindingRow) {
			row.Summary = fmt.Sprintf("the quorum is %d of %d voters, no majority: two leaders can both have one", quorum, voters)
		}); err != nil {
			return err
		}
	}
	subject := fmt.Sprintf("quorum of %d", quorum)
	if observer != "" {
		subject += " seen by " + observer
	}
	row, seen, err := findingsQuorumTable.Get(tx, subject)
	if err != nil {
		return err
	}
	pulse, _, err := findingsPulseTable.Get(tx, "queue")
	if err != nil {
		return err
	}
	passed := max(e.Time.Sub(row.Last), 0)
	if pulse.Gap.After(row.Last) {
		row.Below, passed = false, 0 // the state in a period that was not recorded is not known
	}
	if seen {
		row.Observed += passed
	}
	was := row.Below
	if was {
		row.Lost += passed
	}
	row.Below = alive < quorum
	if row.Below && !was {
		row.Times++
	}
	if row.Below && (row.Worst > alive || row.Times == 1 && !was) {
		row.Worst = alive
	}
	if e.Time.After(row.Last) {
		row.Last = e.Time
	}
	if err := findingsQuorumTable.Put(tx, subject, row); err != nil {
		return err
	}
	if !was && !row.Below {
		return pulseBeat(tx, e, nil)
	}
	if err := find(tx, e, FindingQuorum, Critical, subject, func(found *FindingRow) {
		found.Count, found.Over = row.Times, !row.Below
		found.Summary = fmt.Sprintf("fewer voters than the quorum of %d answered %s, at worst %d of %d", quorum, timesOf(row.Times), row.Worst, voters)
		if row.Lost > 0 {
			found.Summary += fmt.Sprintf(", for %s of %s", SpanOf(row.Lost), SpanOf(row.Observed))
		}
		if observer != "" {
			found.Summary += ", as " + observer + " saw it"
		}
		if row.Below {
			found.Summary += "; it was never seen to come back"
		}
	}); err != nil {
		return err
	}
	return pulseBeat(tx, e, nil)
}
