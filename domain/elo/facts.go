package elo

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/ringrift/rift/domain"
)

// ResultsRecorded: the results of an evaluation count for the ratings. Facts are
// immutable; ratings are a fold of them.
type ResultsRecorded struct {
	ConfigKey domain.ConfigKey `json:"config_key"`
	FactID    string           `json:"fact_id" doc:"the evaluation's identity; it counts once"`
	ModelID   domain.ModelID   `json:"model_id"`
	Results   []OpponentResult `json:"results"`
	PlayedAt  *time.Time       `json:"played_at,omitempty" doc:"absent: unknown"`
	Worker    domain.NodeID    `json:"worker,omitempty"`
}

func (ResultsRecorded) EventType() string       { return "ELO_RESULTS_RECORDED" }
func (e ResultsRecorded) Home() domain.StreamID { return e.ConfigKey.EloStream() }

func (e ResultsRecorded) Validate() []domain.Fault {
	var c domain.Checks
	c.Config(e.ConfigKey)
	c.Text("fact_id", e.FactID)
	c.Name("model_id", string(e.ModelID))
	resultChecks(&c, e.Results)
	momentCheck(&c, e.PlayedAt)
	c.MaybeName("worker", string(e.Worker))
	return c
}

// Digest returns a hash of the fact's content, without the worker that reported it.
func (e ResultsRecorded) Digest() string {
	e.Worker = ""
	return contentHash(e)
}

// MatchPlayer is a player of a game: a model, and the harness that ran it.
type MatchPlayer struct {
	ModelID string `json:"model_id" doc:"a model or the name of a baseline"`
	Harness string `json:"harness,omitempty" doc:"ratings are kept per model and harness"`
}

// Name returns the name of the player in the ratings.
func (p MatchPlayer) Name() string {
	if p.Harness == "" {
		return p.ModelID
	}
	return p.ModelID + ":" + p.Harness
}

// MatchRecorded: a game was played and counts for the ratings.
type MatchRecorded struct {
	ConfigKey    domain.ConfigKey `json:"config_key"`
	MatchID      string           `json:"match_id" doc:"the hash of what follows, but the worker"`
	Participants []MatchPlayer    `json:"participants" doc:"in the order of their seats"`
	Ranks        []int            `json:"ranks" doc:"1 for the winner; shared ranks are draws"`
	GameID       string           `json:"game_id,omitempty"`
	Seed         *uint64          `json:"seed,omitempty"`
	PlayedAt     *time.Time       `json:"played_at,omitempty" doc:"absent: unknown"`
	Worker       domain.NodeID    `json:"worker,omitempty"`
}

func (MatchRecorded) EventType() string       { return "ELO_MATCH_RECORDED" }
func (e MatchRecorded) Home() domain.StreamID { return e.ConfigKey.EloStream() }

// Identity returns the hash of the game itself and its config, so that the same
// game reported by two nodes is one fact.
func (e MatchRecorded) Identity() string {
	e.MatchID, e.Worker = "", ""
	return contentHash(e)
}

func (e MatchRecorded) Validate() []domain.Fault {
	var c domain.Checks
	c.Config(e.ConfigKey)
	if players := e.ConfigKey.Players(); players > 0 && len(e.Participants) != players {
		c.Fault("participants", "want the %d players of %s, found %d", players, e.ConfigKey, len(e.Participants))
	}
	for _, player := range e.Participants {
		c.Name("participants.model_id", player.ModelID)
		c.MaybeName("participants.harness", player.Harness)
		if name := player.Name(); len(name) > domain.MaxName {
			c.Fault("participants.harness", "want model and harness in at most %d bytes together, found %d", domain.MaxName-1, len(name)-1)
		}
	}
	if len(e.Ranks) != len(e.Participants) {
		c.Fault("result.ranks", "want one rank per participant, found %d for %d", len(e.Ranks), len(e.Participants))
	}
	for _, rank := range e.Ranks {
		domain.Within(&c, "result.ranks", rank, 1, domain.MaxPlayers)
	}
	if len(e.Ranks) > 0 && !slices.Contains(e.Ranks, 1) {
		c.Fault("result.ranks", "want a first rank")
	}
	c.MaybeName("game_id", e.GameID)
	momentCheck(&c, e.PlayedAt)
	c.MaybeName("worker", string(e.Worker))
	return c
}

// The range of times at which a game can have been played.
var (
	firstMoment = time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)
	lastMoment  = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)
)

func momentCheck(c *domain.Checks, at *time.Time) {
	if at != nil && (at.Before(firstMoment) || !at.Before(lastMoment)) {
		c.Fault("played_at", "want a time from %d to %d, found %s", firstMoment.Year(), lastMoment.Year()-1, at.Format(time.RFC3339))
	}
}

// Standard converts ranks to standard form: 1 plus the number of better players, so
// that after two players tied for second place there is no third. The comparison of
// any two players is unchanged.
func Standard(ranks []int) []int {
	out := make([]int, len(ranks))
	for i, rank := range ranks {
		out[i] = 1
		for _, other := range ranks {
			if other < rank {
				out[i]++
			}
		}
	}
	return out
}

// contentHash returns a hash of a fact's content, which is its name on every node.
func contentHash(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		data = fmt.Append(nil, v) // contains a float that JSON cannot represent; no valid fact does
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:16])
}

// EvaluationIdentity returns the id of an evaluation: that of its work item or,
// without one, its content hash.
func (e EvaluationCompleted) EvaluationIdentity() string {
	if e.TaskID != "" {
		return "task:" + string(e.TaskID)
	}
	return "content:" + e.ContentIdentity()
}

// ContentIdentity returns the hash of an evaluation's results.
func (e EvaluationCompleted) ContentIdentity() string {
	results := slices.SortedFunc(slices.Values(e.Results), func(a, b OpponentResult) int { return cmp.Compare(a.Opponent, b.Opponent) })
	return contentHash(struct {
		ConfigKey domain.ConfigKey
		ModelID   domain.ModelID
		Results   []OpponentResult
	}{e.ConfigKey, e.ModelID, results})
}
