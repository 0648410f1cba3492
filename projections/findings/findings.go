package findings

import (
	"fmt"
	"slices"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
)

// FindingRow is something wrong that the log shows, with where it shows.
// Repetitions of one subject are one finding with a count; the first pieces of
// evidence are kept.
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

// pulseRow is how the queue as a whole is doing.
type pulseRow struct {
	Pending      int             `json:"pending"` // spawned, not held, not final
	Held         int             `json:"held"`
	Hard         int             `json:"hard_limit"`
	Over         bool            `json:"over"`     // above the hard limit since the last finding of it
	Progress     time.Time       `json:"progress"` // when something was claimed or finished last
	ProgressAt   domain.Position `json:"progress_at"`
	Waiting      time.Time       `json:"waiting"`      // since when something is pending
	Silent       bool            `json:"silent"`       // this silence is a finding already
	Gap          time.Time       `json:"gap,omitzero"` // up to when nothing was recorded last, for a while
	Last         time.Time       `json:"last"`         // the latest moment seen
	LastPosition domain.Position `json:"last_position"`
}

// reignRow is the last leader that an election made.
type reignRow struct {
	Leader   domain.NodeID   `json:"leader"`
	Term     uint64          `json:"term"`
	At       time.Time       `json:"at"`
	Position domain.Position `json:"position"`
	Source   string          `json:"source,omitempty"`
}

// cursorRow is where a reader of other processes' events had been.
type cursorRow struct {
	AfterID  uint64          `json:"after_id"`
	At       time.Time       `json:"at"`
	Position domain.Position `json:"position"`
	Source   string          `json:"source,omitempty"`
}

// keyRow points at a finding.
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

// Projection is the read model of what is wrong.
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

// find adds a piece of evidence to the finding of a subject, or makes one.
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

// note counts a piece of evidence. Clocks may run backwards: the finding lasts
// from the earliest to the latest moment.
func (r *FindingRow) note(e domain.Envelope, kind string, severity Severity, subject string) {
	if r.Count == 0 {
		r.Kind, r.Severity, r.Subject, r.Position, r.At, r.Until = kind, severity, subject, e.Position, e.Time, e.Time
	}
	r.Count++
	r.LastPosition = e.Position
	r.cover(e.Time)
	r.evidence(e.Position, e.Meta.Correlation)
}

// evidence keeps a piece of evidence, in the order of positions.
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

// apart is how far a moment is from the time that a finding covers.
func (r *FindingRow) apart(at time.Time) time.Duration {
	return max(r.At.Sub(at), at.Sub(r.Until))
}

// SpanOf writes a duration as people say it; empty for none.
func SpanOf(d time.Duration) string {
	if d < time.Second {
		return ""
	}
	return d.Truncate(time.Second).String()
}

// timesOf says how often, in words.
func timesOf(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}
