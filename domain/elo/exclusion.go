package elo

import (
	"github.com/ringrift/rift/domain"
)

// Excluded names facts that do not count for the ratings of a game although they
// stay recorded: one fact, or all facts of a worker. Exactly one of the fields is
// set.
type Excluded struct {
	Worker  domain.NodeID
	MatchID string // or the id of an evaluation's fact
}

// Key returns the key of the exclusion, unique within its config.
func (x Excluded) Key() string {
	if x.Worker != "" {
		return "worker\x00" + string(x.Worker)
	}
	return "match\x00" + x.MatchID
}

// String returns the exclusion as text for people.
func (x Excluded) String() string {
	if x.Worker != "" {
		return "worker " + string(x.Worker)
	}
	return "match " + x.MatchID
}

// Faults checks that exactly one of worker and match is set.
func (x Excluded) Faults() []domain.Fault {
	var c domain.Checks
	if (x.Worker == "") == (x.MatchID == "") {
		c.Fault("worker", "want exactly one of worker, match_id")
	}
	c.MaybeName("worker", string(x.Worker))
	c.MaybeName("match_id", x.MatchID)
	return c
}

// GamesExcluded: games no longer count for the ratings: the known ones and, of a
// worker, future ones too.
type GamesExcluded struct {
	ConfigKey domain.ConfigKey `json:"config_key"`
	Worker    domain.NodeID    `json:"worker,omitempty"`
	MatchID   string           `json:"match_id,omitempty"`
	Reason    string           `json:"reason"`
	Facts     int              `json:"facts"` // that counted until now
}

// Excluded returns what is excluded.
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

// Excluded returns what counts again.
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
