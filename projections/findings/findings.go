package findings

import (
	"fmt"
	"slices"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
)

// FindingRow is a problem that the log shows, with its evidence. Repetitions for one
// subject are counted in one finding, which keeps the first pieces of evidence.
type FindingRow struct {
	Kind         string            `json:"kind"`
	Severity     Severity          `json:"severity"`
	Position     domain.Position   `json:"position"`
	LastPosition domain.Position   `json:"last_position"`
	At           time.Time         `json:"at"`
	Until        time.Time         `json:"until"`
	Lasted       string            `json:"lasted,omitempty" doc:"from the first to the last piece of evidence"`
	Count        int               `json:"count"`
	Subject      string            `json:"subject"`
	Summary      string            `json:"summary"`
	Leaders      []domain.NodeID   `json:"leaders,omitempty"`
	Observer     domain.NodeID     `json:"observer,omitempty"`
	Details      []string          `json:"details,omitempty"`
	Evidence     []domain.Position `json:"evidence"`
	Sources      []string          `json:"sources,omitempty" doc:"where a recording shows it, \"file:line\", for the same evidence"`
	Over         bool              `json:"over,omitempty" doc:"it is known to have ended"`
}

// pulseRow is the state of the queue as a whole.
type pulseRow struct {
	Pending      int             `json:"pending"` // items that were added, and are neither held nor ended
	Held         int             `json:"held"`
	Hard         int             `json:"hard_limit"`
	Over         bool            `json:"over"`     // above the hard limit, which has a finding
	Progress     time.Time       `json:"progress"` // when an item was last claimed, reported on or finished
	ProgressAt   domain.Position `json:"progress_at"`
	Waiting      time.Time       `json:"waiting"`      // since when items are pending
	Silent       bool            `json:"silent"`       // the present silence has a finding
	Gap          time.Time       `json:"gap,omitzero"` // end of the last period without recordings
	Last         time.Time       `json:"last"`         // the latest time in the log
	LastPosition domain.Position `json:"last_position"`
}

// reignRow is the last elected leader.
type reignRow struct {
	Leader   domain.NodeID   `json:"leader"`
	Term     uint64          `json:"term"`
	At       time.Time       `json:"at"`
	Position domain.Position `json:"position"`
	Source   string          `json:"source,omitempty"`
}

// cursorRow is the position that a reader of other processes' events had reached.
type cursorRow struct {
	AfterID  uint64          `json:"after_id"`
	At       time.Time       `json:"at"`
	Position domain.Position `json:"position"`
	Source   string          `json:"source,omitempty"`
}

// keyRow refers to a finding.
type keyRow struct {
	Key string `json:"key"`
}

var (
	findingsTable       = projections.Table[FindingRow]{Name: "findings.rows"}
	findingsSubjects    = projections.Table[keyRow]{Name: "findings.subjects"}
	findingsPulseTable  = projections.Table[pulseRow]{Name: "findings.pulse"}
	findingsBurstsTable = projections.Table[burstRow]{Name: "findings.bursts"}
	findingsEndedTable  = projections.Table[endedRow]{Name: "findings.ended"}
	findingsQuorumTable = projections.Table[quorumRow]{Name: "findings.quorum"}
	findingsOutageTable = projections.Table[outageRow]{Name: "findings.outages"}
	findingsReignTable  = projections.Table[reignRow]{Name: "findings.reign"}
	findingsNewestTable = projections.Table[newestRow]{Name: "findings.newest"}
	findingsCursorTable = projections.Table[cursorRow]{Name: "findings.cursors"}
	findingsSplitsTable = projections.Table[keyRow]{Name: "findings.splits"}
)

// Projection returns the read model of the findings.
func Projection() projections.Projection {
	return projections.Projection{
		Name: "findings", Version: 4, About: "what the log shows to be wrong, with positions and evidence",
		Tables: []string{
			findingsTable.Name, findingsSubjects.Name, findingsPulseTable.Name, findingsBurstsTable.Name,
			findingsReignTable.Name, findingsNewestTable.Name, findingsCursorTable.Name, findingsSplitsTable.Name,
			findingsEndedTable.Name, findingsQuorumTable.Name, findingsOutageTable.Name,
		},
		Handlers: []projections.Handler{
			projections.On(findLeadersObserved), projections.On(findSplitBrainHealed), projections.On(findLeaderChanged), projections.On(findTermAdopted),
			projections.On(findSpawned), projections.On(findClaimed), projections.On(findStarted), projections.On(findHeartbeat), projections.On(findCompleted), projections.On(findFailed),
			projections.On(findLeaseExpired), projections.On(findReleased), projections.On(findRevoked), projections.On(findDead), projections.On(findCancelled), projections.On(findDropped),
			projections.On(findRefused), projections.On(findRejected), projections.On(findPressure), projections.On(findPolicy),
			projections.On(findHostOnline), projections.On(findHostOffline), projections.On(findUnhealthy), projections.On(findRecovered), projections.On(findZombie),
			projections.On(findIdle), projections.On(findIdleOver), projections.On(findBreaker), projections.On(findBreakerOver), projections.On(findClusterSick), projections.On(findClusterWell),
			projections.On(findUnhandled), projections.On(findPoller), projections.On(findEvaluationDead),
			projections.On(findVoterOnline), projections.On(findVoterOffline), projections.On(findQuorum), projections.On(findFailover),
			projections.On(findCriticalLine), projections.On(findGap), projections.On(findDamaged),
		},
	}
}

// find adds an event as evidence to the finding of a kind and subject, which it makes if
// need be.
func find(tx projections.Tx, e domain.Envelope, kind string, severity Severity, subject string, change func(*FindingRow)) error {
	index := projections.Pair(kind, subject)
	pointer, found, err := findingsSubjects.Get(tx, index)
	if err != nil {
		return err
	}
	if !found {
		pointer.Key = projections.PositionKey(e.Position) + "/" + kind + "/" + subject
		if err := findingsSubjects.Put(tx, index, pointer); err != nil {
			return err
		}
	}
	return findingsTable.Update(tx, pointer.Key, func(row *FindingRow) {
		row.note(e, kind, severity, subject)
		change(row)
	})
}

// note counts an event as evidence. Clocks may go backwards, so the finding lasts from the
// earliest to the latest time of its events.
func (r *FindingRow) note(e domain.Envelope, kind string, severity Severity, subject string) {
	if r.Count == 0 {
		r.Kind, r.Severity, r.Subject, r.Position, r.At, r.Until = kind, severity, subject, e.Position, e.Time, e.Time
	}
	r.Count++
	r.LastPosition = e.Position
	r.cover(e.Time)
	r.evidence(e.Position, e.Meta.Correlation)
}

// evidence adds a position to the evidence, which is sorted and bounded.
func (r *FindingRow) evidence(position domain.Position, source string) {
	at, there := slices.BinarySearch(r.Evidence, position)
	if there || len(r.Evidence) >= evidenceBound {
		return
	}
	r.Evidence = slices.Insert(slices.Clone(r.Evidence), at, position)
	r.Sources = slices.Insert(slices.Clone(r.Sources), at, source)
}

func (r *FindingRow) cover(at time.Time) {
	if at.Before(r.At) {
		r.At = at
	}
	if at.After(r.Until) {
		r.Until = at
	}
	r.Lasted = SpanOf(r.Until.Sub(r.At))
}

// apart returns the distance between a time and the period of a finding.
func (r *FindingRow) apart(at time.Time) time.Duration {
	return max(r.At.Sub(at), at.Sub(r.Until))
}

// SpanOf formats a duration for people; empty for less than a second.
func SpanOf(d time.Duration) string {
	if d < time.Second {
		return ""
	}
	return d.Truncate(time.Second).String()
}

// timesOf returns a count in words.
func timesOf(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}
