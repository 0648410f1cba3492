package findings

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/admin"
	"github.com/ringrift/rift/domain/gauntlet"
	"github.com/ringrift/rift/projections"
)

// Severity orders findings by how much they matter.
type Severity string

// The severities.
const (
	Critical Severity = "critical" // the cluster may have decided two things at once, or lost something
	Warning  Severity = "warning"  // something did not work as meant
)

// The kinds of findings.
const (
	FindingLeaders   = "more_than_one_leader"
	FindingHearsay   = "term_by_hearsay"
	FindingStuck     = "item_stuck"
	FindingLost      = "item_lost"
	FindingInvented  = "item_invented"
	FindingStarved   = "item_starved"
	FindingOverLimit = "queue_over_limit"
	FindingWiring    = "dead_wiring"
	FindingGhost     = "ghost"
	FindingFlapping  = "flapping_node"
	FindingSilent    = "silent_stop"
	FindingZombie    = "zombie_processes"
	FindingCursor    = "cursor_went_back"
	FindingUnrated   = "evaluation_lost"
	FindingIdle      = "idle_node"
	FindingBreaker   = "node_keeps_failing"
	FindingCluster   = "cluster_unhealthy"
)

// FindingKinds lists the kinds with what each means.
var FindingKinds = []struct{ Kind, About string }{
	{FindingLeaders, "two nodes led at the same time, or one term had two leaders"},
	{FindingHearsay, "a node took over a higher term because another one mentioned it"},
	{FindingStuck, "a held item's lease ran out unnoticed, or an item waits for one that will never be done"},
	{FindingLost, "an item was dropped from the queue, or worked on without ever having been added"},
	{FindingInvented, "a node made up items that nobody added"},
	{FindingStarved, "queued items were never claimed while the log went on"},
	{FindingOverLimit, "more items were pending than the hard limit, or an item was refused for it"},
	{FindingWiring, "an event was published that nobody listened to or knew"},
	{FindingGhost, "somebody without the live lease reported on an item"},
	{FindingFlapping, "a node changed its health again and again within minutes"},
	{FindingSilent, "nothing was claimed or finished for a day while items were queued"},
	{FindingZombie, "processes ran on a node that belonged to no item"},
	{FindingCursor, "a reader of other processes' events went on from before where it had been"},
	{FindingUnrated, "a model was given up without a measurement"},
	{FindingIdle, "a GPU did nothing while there was work for it"},
	{FindingBreaker, "items kept failing on a node, which was kept off work for it"},
	{FindingCluster, "too few nodes were healthy for anything but what matters most"},
}

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
	Lasted       string            `json:"lasted,omitempty"` // from the first to the last piece of evidence
	Count        int               `json:"count"`
	Subject      string            `json:"subject"`
	Summary      string            `json:"summary"`
	Leaders      []domain.NodeID   `json:"leaders,omitempty"`
	Observer     domain.NodeID     `json:"observer,omitempty"`
	Details      []string          `json:"details,omitempty"`
	Evidence     []domain.Position `json:"evidence"`
	Sources      []string          `json:"sources,omitempty"` // where a recording shows it, "file:line", for the same evidence
	Over         bool              `json:"over,omitempty"`    // it is known to have ended
}

// pulseRow is how the queue as a whole is doing.
type pulseRow struct {
	Pending      int             `json:"pending"` // spawned, not held, not final
	Held         int             `json:"held"`
	Hard         int             `json:"hard_limit"`
	Over         bool            `json:"over"`     // above the hard limit since the last finding of it
	Progress     time.Time       `json:"progress"` // when something was claimed or finished last
	ProgressAt   domain.Position `json:"progress_at"`
	Waiting      time.Time       `json:"waiting"` // since when something is pending
	Silent       bool            `json:"silent"`  // this silence is a finding already
	Last         time.Time       `json:"last"`    // the latest moment seen
	LastPosition domain.Position `json:"last_position"`
}

// flapRow holds the last edges of a node.
type flapRow struct {
	Edges []flapEdge `json:"edges"`
}

type flapEdge struct {
	At       time.Time       `json:"at"`
	Position domain.Position `json:"position"`
	Source   string          `json:"source,omitempty"`
}

// reignRow is the last leader that an election made.
type reignRow struct {
	Leader   domain.NodeID   `json:"leader"`
	Term     uint64          `json:"term"`
	Position domain.Position `json:"position"`
	Source   string          `json:"source,omitempty"`
}

// cursorRow is where a reader of other processes' events had been.
type cursorRow struct {
	AfterID  uint64          `json:"after_id"`
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
	findingsFlapsTable  = projections.Table[flapRow]{Name: "findings.flaps"}
	findingsReignTable  = projections.Table[reignRow]{Name: "findings.reign"}
	findingsCursorTable = projections.Table[cursorRow]{Name: "findings.cursors"}
	findingsSplitsTable = projections.Table[keyRow]{Name: "findings.splits"}
)

// Projection is the read model of what is wrong.
func Projection() projections.Projection {
	return projections.Projection{
		Name: "findings", Version: 2, About: "what the log shows to be wrong, with positions and evidence",
		Tables: []string{
			findingsTable.Name, findingsSubjects.Name, findingsPulseTable.Name, findingsFlapsTable.Name,
			findingsReignTable.Name, findingsCursorTable.Name, findingsSplitsTable.Name,
		},
		Handlers: []projections.Handler{
			projections.On(findLeadersObserved), projections.On(findSplitBrainHealed), projections.On(findLeaderChanged), projections.On(findTermAdopted),
			projections.On(findSpawned), projections.On(findClaimed), projections.On(findStarted), projections.On(findHeartbeat), projections.On(findCompleted), projections.On(findFailed),
			projections.On(findLeaseExpired), projections.On(findReleased), projections.On(findRevoked), projections.On(findDead), projections.On(findCancelled), projections.On(findDropped),
			projections.On(findRefused), projections.On(findRejected), projections.On(findPressure), projections.On(findPolicy),
			projections.On(findHostOnline), projections.On(findHostOffline), projections.On(findUnhealthy), projections.On(findRecovered), projections.On(findZombie),
			projections.On(findIdle), projections.On(findIdleOver), projections.On(findBreaker), projections.On(findBreakerOver), projections.On(findClusterSick), projections.On(findClusterWell),
			projections.On(findUnhandled), projections.On(findPoller), projections.On(findEvaluationDead),
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

func findUnhandled(tx projections.Tx, e domain.Envelope, event admin.EventUnhandled) error {
	return find(tx, e, FindingWiring, Warning, event.Name, func(row *FindingRow) {
		row.Summary = fmt.Sprintf("%s was published %s: %s (reported by %s)", event.Name, timesOf(row.Count), event.Reason, event.Reporter)
	})
}

func findPoller(tx projections.Tx, e domain.Envelope, event gauntlet.PollerResumed) error {
	name := projections.Pair(string(event.NodeID), event.Poller)
	before, seen, err := findingsCursorTable.Get(tx, name)
	if err != nil {
		return err
	}
	if seen && event.AfterID < before.AfterID {
		subject := event.Poller + " on " + string(event.NodeID)
		if err := find(tx, e, FindingCursor, Warning, subject, func(row *FindingRow) {
			row.evidence(before.Position, before.Source)
			row.Summary = fmt.Sprintf("%s went on from event %d, having been at %d: the shared table was replaced, events in it are lost or read again", subject, event.AfterID, before.AfterID)
		}); err != nil {
			return err
		}
	}
	return findingsCursorTable.Put(tx, name, cursorRow{event.AfterID, e.Position, e.Meta.Correlation})
}

func findEvaluationDead(tx projections.Tx, e domain.Envelope, event gauntlet.EvaluationDead) error {
	return find(tx, e, FindingUnrated, Warning, event.Model, func(row *FindingRow) {
		row.Summary = fmt.Sprintf("%s was given up %s without a measurement: %s", event.Model, timesOf(row.Count), event.Reason)
	})
}

// Query asks what is wrong.
type Query struct {
	Kind     string `query:"kind"`
	Severity string `query:"severity"`
}

// KindCount counts the findings of a kind.
type KindCount struct {
	Kind  string `json:"kind"`
	Count int    `json:"count"`
}

// Answer is what is wrong, by first position.
type Answer struct {
	Findings []json.RawMessage `json:"findings"`
	ByKind   []KindCount       `json:"by_kind"`
}

// Findings answers what is wrong as of the view's position: what events showed,
// and what their absence shows at the end of the log.
func Findings(v projections.View, q Query) (Answer, error) {
	if q.Kind != "" && !slices.ContainsFunc(FindingKinds, func(k struct{ Kind, About string }) bool { return k.Kind == q.Kind }) {
		return Answer{}, domain.Faulty("query", []domain.Fault{{Field: "kind", Reason: "want one of " + strings.Join(findingNames(), ", ") + ", found " + q.Kind}})
	}
	if q.Severity != "" && q.Severity != string(Critical) && q.Severity != string(Warning) {
		return Answer{}, domain.Faulty("query", []domain.Fault{{Field: "severity", Reason: "want critical or warning, found " + q.Severity}})
	}
	atEnd, err := endFindings(v)
	if err != nil {
		return Answer{}, err
	}
	type found struct {
		row FindingRow
		raw json.RawMessage
	}
	var all []found
	for _, row := range atEnd {
		raw, err := v.Codec().Marshal(row)
		if err != nil {
			return Answer{}, domain.Errorf(domain.Internal, "finding: %w", err)
		}
		all = append(all, found{row, raw})
	}
	for raw, err := range findingsTable.RawScan(v, projections.Span{}) {
		if err != nil {
			return Answer{}, err
		}
		var row FindingRow
		if err := v.Codec().Unmarshal(raw.Value, &row); err != nil {
			return Answer{}, domain.Errorf(domain.Corrupt, "finding %s: %w", raw.Key, err)
		}
		all = append(all, found{row, raw.Value})
	}
	slices.SortStableFunc(all, func(a, b found) int {
		return cmp.Or(cmp.Compare(a.row.Position, b.row.Position), cmp.Compare(a.row.Kind, b.row.Kind), cmp.Compare(a.row.Subject, b.row.Subject))
	})
	answer := Answer{Findings: []json.RawMessage{}, ByKind: []KindCount{}}
	counts := map[string]int{}
	for _, f := range all {
		if q.Kind != "" && f.row.Kind != q.Kind || q.Severity != "" && string(f.row.Severity) != q.Severity {
			continue
		}
		answer.Findings = append(answer.Findings, f.raw)
		counts[f.row.Kind]++
	}
	for _, name := range findingNames() {
		if counts[name] > 0 {
			answer.ByKind = append(answer.ByKind, KindCount{name, counts[name]})
		}
	}
	return answer, nil
}

func findingNames() []string {
	names := make([]string, len(FindingKinds))
	for i, kind := range FindingKinds {
		names[i] = kind.Kind
	}
	return names
}
