package report

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/ringrift/rift/domain"
)

// Reign is a period in which a node led, by the log's own elections or as an observer
// reported.
type Reign struct {
	Leader   domain.NodeID   `json:"leader"`
	Term     uint64          `json:"term,omitempty"`
	Elected  bool            `json:"elected"`
	By       string          `json:"observer,omitempty"` // the observer; empty: it was elected on this log
	Since    time.Time       `json:"since"`
	Position domain.Position `json:"position"`
	Until    *time.Time      `json:"until"` // null: it lasts
	Lasted   Seconds         `json:"lasted_seconds"`
	Seen     int             `json:"seen"` // number of reports
}

// Believed is a reported leader and its observers.
type Believed struct {
	Leader domain.NodeID `json:"leader"`
	By     []string      `json:"by"`
}

// Disagreement is a period in which several nodes were reported to lead.
type Disagreement struct {
	Since    time.Time       `json:"since"`
	Position domain.Position `json:"position"`
	Until    *time.Time      `json:"until"`
	Lasted   Seconds         `json:"lasted_seconds"`
	Leaders  []Believed      `json:"leaders"`
}

// QuorumLoss is a period in which no majority of the configured voters answered.
type QuorumLoss struct {
	Since    time.Time       `json:"since"`
	Position domain.Position `json:"position"`
	Until    *time.Time      `json:"until"`
	Lasted   Seconds         `json:"lasted_seconds"`
	Voters   int             `json:"voters"`
	Majority int             `json:"majority"`
	Reckoned int             `json:"reckoned_quorum"` // the quorum that the cluster used
	Least    int             `json:"least_alive"`
	Missing  []string        `json:"missing"`
}

// Failover is a change from one leader to another.
type Failover struct {
	At       time.Time       `json:"at"`
	Position domain.Position `json:"position"`
	From     domain.NodeID   `json:"from"`
	To       domain.NodeID   `json:"to"`
	Term     uint64          `json:"term"`
	Gap      *Seconds        `json:"gap_seconds"` // since the last event that the old leader decided; null: no event names it
}

// VoterLine is the availability of a voter.
type VoterLine struct {
	Voter   domain.NodeID `json:"voter"`
	Online  bool          `json:"online"`
	Changes int           `json:"changes"`
	Offline Seconds       `json:"offline_seconds"`
}

// Cluster is a report on leaders.
type Cluster struct {
	Log           Footer         `json:"log"`
	Span          Seconds        `json:"span_seconds"`
	Reigns        []Reign        `json:"reigns"` // in the order of time
	Disagreements []Disagreement `json:"disagreements"`
	Disputed      Seconds        `json:"disputed_seconds"`
	Losses        []QuorumLoss   `json:"below_quorum"`
	Below         Seconds        `json:"below_quorum_seconds"`
	Failovers     []Failover     `json:"failovers"`
	Voters        []VoterLine    `json:"voters"` // most changes first
	Term          uint64         `json:"term"`
	Hearsay       int            `json:"terms_by_hearsay"`
	NoMajority    bool           `json:"quorum_is_no_majority"` // the cluster used a quorum below a majority of the configured voters
	Beyond        int            `json:"not_told,omitempty"`    // left out because of the report's bounds
}

func (r *Reign) end(e domain.Envelope)        { r.Until = endOf(r.Since, e) }
func (d *Disagreement) end(e domain.Envelope) { d.Until = endOf(d.Since, e) }
func (q *QuorumLoss) end(e domain.Envelope)   { q.Until = endOf(q.Since, e) }

// endOf returns the end of a period. Recorded clocks may run backwards, so it is not
// before the start.
func endOf(since time.Time, e domain.Envelope) *time.Time {
	until := e.Time.UTC()
	if until.Before(since) {
		until = since
	}
	return &until
}

// Cluster returns the report on leaders.
func (f *Fold) Cluster() Cluster {
	c, end := f.cluster, f.end().UTC()
	answer := Cluster{
		Log: f.footer(), Span: seconds(max(end.Sub(f.start), 0)), Failovers: slices.Clone(c.changes), Term: c.term, Hearsay: c.adopted, NoMajority: c.minority, Beyond: c.beyond,
		Reigns: []Reign{}, Disagreements: []Disagreement{}, Losses: []QuorumLoss{}, Voters: []VoterLine{},
	}
	answer.Log.Estimated = ""
	if answer.Failovers == nil {
		answer.Failovers = []Failover{}
	}
	// lasted returns the part of a period that is in the window, and whether to report it.
	lasted := func(since time.Time, until *time.Time) (Seconds, bool) {
		to := end
		if until != nil {
			to = *until
		}
		return f.inWindow(since, to).seconds(), f.open && !to.Before(f.start)
	}
	for _, one := range c.reigns {
		var told bool
		if one.Lasted, told = lasted(one.Since, one.Until); told {
			answer.Reigns = append(answer.Reigns, one)
		}
	}
	for _, one := range c.windows {
		var told bool
		if one.Lasted, told = lasted(one.Since, one.Until); told {
			answer.Disputed += one.Lasted
			answer.Disagreements = append(answer.Disagreements, one)
		}
	}
	for _, one := range c.losses {
		var told bool
		if one.Lasted, told = lasted(one.Since, one.Until); told {
			answer.Below += one.Lasted
			answer.Losses = append(answer.Losses, one)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(c.voters)) {
		v := c.voters[id]
		offline := v.offline
		if !v.online {
			offline += f.inWindow(v.since, end)
		}
		answer.Voters = append(answer.Voters, VoterLine{Voter: id, Online: v.online, Changes: v.changes, Offline: offline.seconds()})
	}
	slices.SortStableFunc(answer.Voters, func(a, b VoterLine) int { return cmp.Compare(b.Changes, a.Changes) })
	return answer
}
