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

// ResultsRecorded: the results of an evaluation count for the ratings. Facts
// are immutable; ratings are a fold of them.
type ResultsRecorded struct {
	ConfigKey domain.ConfigKey `json:"config_key"`
	FactID    string           `json:"fact_id" doc:"the evaluation's identity; it counts once"`
	ModelID   domain.ModelID   `json:"model_id"`
	Results   []OpponentResult `json:"results"`
	PlayedAt  *time.Time       `json:"played_at,omitempty" doc:"absent: nobody said when"`
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

// Digest names the fact by all that it says, but not by who told it.
func (e ResultsRecorded) Digest() string {
	e.Worker = ""
	return contentHash(e)
}

// MatchPlayer is a player of a game: a model, under the harness that drove it.
type MatchPlayer struct {
	ModelID string `json:"model_id" doc:"a model or the name of a baseline"`
	Harness string `json:"harness,omitempty" doc:"ratings are kept per model and harness"`
}

// Name is what the ratings call the player.
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
	PlayedAt     *time.Time       `json:"played_at,omitempty" doc:"absent: nobody said when"`
	Worker       domain.NodeID    `json:"worker,omitempty"`
}

func (MatchRecorded) EventType() string       { return "ELO_MATCH_RECORDED" }
func (e MatchRecorded) Home() domain.StreamID { return e.ConfigKey.EloStream() }

// Identity is the hash of the game itself: the same game told by two nodes is
// one fact, and the game belongs to its config.
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

// The moments that a game can have been played at.
var (
	firstMoment = time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)
	lastMoment  = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)
)

func momentCheck(c *domain.Checks, at *time.Time) {
	if at != nil && (at.Before(firstMoment) || !at.Before(lastMoment)) {
		c.Fault("played_at", "want a time from %d to %d, found %s", firstMoment.Year(), lastMoment.Year()-1, at.Format(time.RFC3339))
	}
}

// Standard gives ranks their one form: 1 and as many more as are better, so that
// two that share the second place leave the third out. Who beat whom is the same.
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

// contentHash names a fact by its content: what it is, on every node.
func contentHash(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		data = fmt.Append(nil, v) // not a number in JSON; it is no fact either way
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:16])
}

// EvaluationIdentity names an evaluation: by the work item that played it, or
// by its content where no item is named.
func (e EvaluationCompleted) EvaluationIdentity() string {
	if e.TaskID != "" {
		return "task:" + string(e.TaskID)
	}
	return "content:" + e.ContentIdentity()
}

// ContentIdentity is the hash of an evaluation's results.
func (e EvaluationCompleted) ContentIdentity() string {
	results := slices.SortedFunc(slices.Values(e.Results), func(a, b OpponentResult) int { return cmp.Compare(a.Opponent, b.Opponent) })
	return contentHash(struct {
		ConfigKey domain.ConfigKey
		ModelID   domain.ModelID
		Results   []OpponentResult
	}{e.ConfigKey, e.ModelID, results})
}
