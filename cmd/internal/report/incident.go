package report

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/ringrift/rift/cmd/internal/states"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
	"github.com/ringrift/rift/projections/election"
	findingsview "github.com/ringrift/rift/projections/findings"
)

// Incident folds a log into what happened around a moment.
type Incident struct {
	excerpt
	models   *states.Follower
	opened   domain.Position // the first event of the window; 0: it has not begun
	counts   []IncidentCount
	timeline timeline
	shown    map[domain.Position]IncidentEvent // events of the window, by position
}

// IncidentReport is what happened around a moment.
type IncidentReport struct {
	At       time.Time                `json:"at"`
	Position domain.Position          `json:"position,omitempty"` // of the event it is about; 0: none was named
	Finding  *findingsview.FindingRow `json:"finding,omitempty"`  // the finding it is about; null: a moment was named
	Findings []IncidentFinding        `json:"findings"`           // of the window, as of its end, the worst first
	Counts   []IncidentCount          `json:"counts"`
	Leaders  []IncidentLeader         `json:"leaders"`  // who led or was believed to, by the beginning
	Timeline []IncidentEvent          `json:"timeline"` // events that matter, in the order of the log
	LeftOut  int                      `json:"left_out"` // events that matter, beyond what is kept
	Look     []string                 `json:"look"`     // commands that tell more
	Log      Footer                   `json:"log"`
}

// IncidentFinding is a finding with the first event of the window that shows it.
type IncidentFinding struct {
	findingsview.FindingRow
	Name string         `json:"name"`
	By   *IncidentEvent `json:"by,omitempty"` // null: none of those that are kept as evidence
}

// IncidentCount is how a count of the state went: as the window began, its least and its
// most in it, and as it ended. The names are those of conditions.
type IncidentCount struct {
	Name   string `json:"name"`
	Before int    `json:"before"`
	Least  int    `json:"least"`
	Most   int    `json:"most"`
	After  int    `json:"after"`
}

// IncidentLeader is a period in which a node led.
type IncidentLeader struct {
	Leader   domain.NodeID   `json:"leader"`
	Term     uint64          `json:"term,omitempty"`
	By       string          `json:"by"` // "election", or the observer
	Since    time.Time       `json:"since"`
	Until    *time.Time      `json:"until"` // null: to the end of the window
	Overlaps []domain.NodeID `json:"overlaps,omitempty"`
	Position domain.Position `json:"position"`
}

// incidentCounts are the counts that a report tells of.
var incidentCounts = []struct {
	name string
	of   func(*states.State) int
}{
	{"findings.critical", func(s *states.State) int { return s.Findings[states.Critical] }},
	{"len(leaders)", func(s *states.State) int { return len(s.Leaders) }},
	{"term", func(s *states.State) int { return s.Term }},
	{"voters.alive", func(s *states.State) int { return s.Voters["alive"] }},
	{"nodes.online", func(s *states.State) int { return s.Nodes["online"] }},
	{"nodes.down", func(s *states.State) int { return s.Nodes[states.Down] }},
	{"work.pending", func(s *states.State) int { return s.Work[states.Pending] }},
	{"work.held", func(s *states.State) int { return s.Work[states.Held] }},
	{"work.done", func(s *states.State) int { return s.Work["done"] }},
	{"work.dead", func(s *states.State) int { return s.Work["dead"] }},
}

// NewIncident begins a report on the time from span before a moment to span after it.
func NewIncident(catalog *domain.Catalog, at time.Time, span time.Duration) (*Incident, error) {
	models, err := states.New(catalog, []string{"work", "nodes", "election", "findings"})
	return &Incident{
		excerpt: newExcerpt(Window{FromTime: at.Add(-span), ToTime: at.Add(span)}), models: models,
		shown: map[domain.Position]IncidentEvent{}, timeline: timeline{at: at},
	}, err
}

// Apply folds the next event. It returns true: recorded clocks run backwards, so that
// none is the last of the window.
func (i *Incident) Apply(e domain.Envelope) (more bool, err error) {
	looks, more := i.sees(e)
	if !looks {
		return more, nil
	}
	i.note(e)
	counts := i.count(e)
	if counts && i.opened == 0 {
		i.opened = e.Position
		for _, one := range incidentCounts {
			n := one.of(i.models.State)
			i.counts = append(i.counts, IncidentCount{Name: one.name, Before: n, Least: n, Most: n, After: n})
		}
	}
	leaders := i.models.State.Leaders
	if err := i.models.Apply(e); err != nil {
		return false, err
	}
	for n, one := range incidentCounts[:len(i.counts)] {
		count := &i.counts[n]
		count.After = one.of(i.models.State)
		count.Least, count.Most = min(count.Least, count.After), max(count.Most, count.After)
	}
	if counts {
		i.shown[e.Position] = incidentEvent(e)
		i.timeline.add(e, slices.Equal(leaders, i.models.State.Leaders))
	}
	return true, nil
}

// Empty tells that nothing happened in the window.
func (i *Incident) Empty() bool { return i.opened == 0 }

// Report is the report, as of the end of the window.
func (i *Incident) Report() (IncidentReport, error) {
	r := IncidentReport{At: i.timeline.at.UTC(), Findings: []IncidentFinding{}, Counts: i.counts, Leaders: []IncidentLeader{}, Log: i.footer()}
	r.Log.First = i.opened
	if err := i.models.View(func(v projections.View) error {
		if err := i.findings(v, &r); err != nil {
			return err
		}
		return i.leaders(v, &r)
	}); err != nil {
		return r, err
	}
	for _, one := range r.Findings {
		for _, position := range one.Evidence {
			if event, there := i.shown[position]; there && one.Severity == findingsview.Critical {
				i.timeline.prove(event)
			}
		}
	}
	r.Timeline, r.LeftOut = i.timeline.kept()
	return r, nil
}

// overlaps tells whether a stretch of time touches the window; a nil end is open.
func (i *Incident) overlaps(from time.Time, until *time.Time) bool {
	return !from.After(i.window.ToTime) && (until == nil || !until.Before(i.window.FromTime))
}

func (i *Incident) findings(v projections.View, r *IncidentReport) error {
	err := findingsview.All(v, findingsview.Query{}, func(raw json.RawMessage) (bool, error) {
		var row findingsview.FindingRow
		if err := v.Codec().Unmarshal(raw, &row); err != nil {
			return false, domain.Errorf(domain.Corrupt, "finding: %w", err)
		}
		if !i.overlaps(row.At, &row.Until) {
			return true, nil
		}
		one := IncidentFinding{FindingRow: row, Name: findingsview.NameOf(row.Kind)}
		for _, position := range append([]domain.Position{row.Position}, row.Evidence...) {
			if event, there := i.shown[position]; there {
				one.By = &event
				break
			}
		}
		r.Findings = append(r.Findings, one)
		return true, nil
	})
	slices.SortFunc(r.Findings, func(a, b IncidentFinding) int {
		return worse(&a.FindingRow, &b.FindingRow)
	})
	return err
}

// worse orders findings, the worst first: by badness, then by where they begin.
func worse(a, b *findingsview.FindingRow) int {
	return cmp.Or(badness(a, b), cmp.Compare(a.Position, b.Position), strings.Compare(a.Subject, b.Subject))
}

// badness orders findings by severity and by the order of kinds.
func badness(a, b *findingsview.FindingRow) int {
	severity := func(row *findingsview.FindingRow) int {
		if row.Severity == findingsview.Critical {
			return 0
		}
		return 1
	}
	kind := func(row *findingsview.FindingRow) int {
		return slices.IndexFunc(findingsview.FindingKinds, func(k findingsview.KindOf) bool { return k.Kind == row.Kind })
	}
	return cmp.Or(cmp.Compare(severity(a), severity(b)), cmp.Compare(kind(a), kind(b)))
}

func (i *Incident) leaders(v projections.View, r *IncidentReport) error {
	answer, err := election.Leaders(v, election.LeadersQuery{Limit: projections.MaxPage})
	if err != nil {
		return err
	}
	for _, raw := range slices.Backward(answer.Reigns) { // the newest come first
		var row election.ReignRow
		if err := v.Codec().Unmarshal(raw, &row); err != nil {
			return domain.Errorf(domain.Corrupt, "leader: %w", err)
		}
		if !i.overlaps(row.Since, row.Until) {
			continue
		}
		by := string(row.Observer)
		if row.Elected {
			by = "election"
		}
		r.Leaders = append(r.Leaders, IncidentLeader{Leader: row.Leader, Term: row.Term, By: by, Since: row.Since, Until: row.Until, Overlaps: row.Overlaps, Position: row.Position})
	}
	return nil
}

// NearestLeaders keeps at most so many periods, in their order: those that are nearest to
// a moment.
func NearestLeaders(all []IncidentLeader, at time.Time, most int) []IncidentLeader {
	apart := func(one IncidentLeader) time.Duration {
		distance := max(one.Since.Sub(at), 0)
		if one.Until != nil {
			distance = max(distance, at.Sub(*one.Until))
		}
		return distance
	}
	kept := slices.Clone(all)
	slices.SortStableFunc(kept, func(a, b IncidentLeader) int { return cmp.Compare(apart(a), apart(b)) })
	kept = kept[:min(most, len(kept))]
	slices.SortStableFunc(kept, func(a, b IncidentLeader) int { return cmp.Compare(a.Position, b.Position) })
	return kept
}

// WorstFinding returns the worst finding of a view, of several of a kind the one with the
// most evidence; nil: there is none.
func WorstFinding(v projections.View) (*findingsview.FindingRow, error) {
	var worst *findingsview.FindingRow
	err := findingsview.All(v, findingsview.Query{}, func(raw json.RawMessage) (bool, error) {
		var row findingsview.FindingRow
		if err := v.Codec().Unmarshal(raw, &row); err != nil {
			return false, domain.Errorf(domain.Corrupt, "finding: %w", err)
		}
		if worst == nil || cmp.Or(badness(&row, worst), cmp.Compare(worst.Count, row.Count), worse(&row, worst)) < 0 {
			worst = &row
		}
		return true, nil
	})
	return worst, err
}
