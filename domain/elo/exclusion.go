package elo

import (
	"github.com/ringrift/rift/domain"
)

// Excluded names what does not count for the ratings of a game, though it stays
// known: one fact, or all that a worker told. Exactly one of them is set.
type Excluded struct {
	Worker  domain.NodeID
	MatchID string // or the id of an evaluation's fact
}

// Key names the exclusion among those of its config.
func (x Excluded) Key() string {
	if x.Worker != "" {
		return "worker\x00" + string(x.Worker)
	}
	return "match\x00" + x.MatchID
}

// String is the exclusion for people.
func (x Excluded) String() string {
	if x.Worker != "" {
		return "worker " + string(x.Worker)
	}
	return "match " + x.MatchID
}

// Faults wants exactly one of worker and match.
func (x Excluded) Faults() []domain.Fault {
	var c domain.Checks
	if (x.Worker == "") == (x.MatchID == "") {
		c.Fault("worker", "want exactly one of worker, match_id")
	}
	c.MaybeName("worker", string(x.Worker))
	c.MaybeName("match_id", x.MatchID)
	return c
}

// GamesExcluded: games do not count for the ratings from here on: those that are
// known, and of a worker those that are still to come.
type GamesExcluded struct {
	ConfigKey domain.ConfigKey `json:"config_key"`
	Worker    domain.NodeID    `json:"worker,omitempty"`
	MatchID   string           `json:"match_id,omitempty"`
	Reason    string           `json:"reason"`
	Facts     int              `json:"facts"` // that counted until now
}

// Excluded is what it is about.
func (e GamesExcluded) Excluded() Excluded { return Excluded{e.Worker, e.MatchID} }

func (GamesExcluded) EventType() string       { return "ELO_GAMES_EXCLUDED" }
func (e GamesExcluded) Home() domain.StreamID { return e.ConfigKey.EloStream() }

func (e GamesExcluded) Validate() []domain.Fault {
	var c domain.Checks
	c.Config(e.ConfigKey)
	c = append(c, e.Excluded().Faults()...)
	c.Text("reason", e.Reason)
	domain.AtLeast(&c, "facts", e.Facts, 0)
	return c
}

// ExclusionLifted: games that were excluded count again.
type ExclusionLifted struct {
	ConfigKey domain.ConfigKey `json:"config_key"`
	Worker    domain.NodeID    `json:"worker,omitempty"`
	MatchID   string           `json:"match_id,omitempty"`
	Reason    string           `json:"reason,omitempty"`
	Facts     int              `json:"facts"` // that count again
}

// Excluded is what it is about.
func (e ExclusionLifted) Excluded() Excluded { return Excluded{e.Worker, e.MatchID} }

func (ExclusionLifted) EventType() string       { return "ELO_EXCLUSION_LIFTED" }
func (e ExclusionLifted) Home() domain.StreamID { return e.ConfigKey.EloStream() }

func (e ExclusionLifted) Validate() []domain.Fault {
	var c domain.Checks
	c.Config(e.ConfigKey)
	c = append(c, e.Excluded().Faults()...)
	domain.AtLeast(&c, "facts", e.Facts, 0)
	return c
}
