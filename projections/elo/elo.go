package elo

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
	"github.com/ringrift/rift/domain/training"
	"github.com/ringrift/rift/projections"
)

// PlayerRow is the last published rating of a player.
type PlayerRow struct {
	Rating   float64         `json:"rating"`
	Error    float64         `json:"error"` // standard error
	Position domain.Position `json:"position"`
}

// RatingMove is one ELO_UPDATED.
type RatingMove struct {
	Position  domain.Position  `json:"position"`
	Time      time.Time        `json:"time"`
	ConfigKey domain.ConfigKey `json:"config_key"`
	ModelID   domain.ModelID   `json:"model_id"`
	Old       float64          `json:"old"`
	New       float64          `json:"new"`
	Error     float64          `json:"error"`
	Games     int              `json:"games"`
}

// MatchFact is one fact of the ratings as its event has it.
type MatchFact struct {
	Position domain.Position `json:"position"`
	Time     time.Time       `json:"time"`
	Type     string          `json:"type"`
	Fact     json.RawMessage `json:"fact"`
	Excluded string          `json:"excluded,omitempty" doc:"why it does not count"`
}

// FactRef marks a known fact, with its place in the order of games.
type FactRef struct {
	Position domain.Position `json:"position"`
	Order    string          `json:"order"`
}

// DigestRef finds a fact by its digest.
type DigestRef struct {
	Position domain.Position `json:"position"`
}

// The tables of the ratings.
var (
	eloPlayersTable = projections.Table[PlayerRow]{Name: "elo.players"}
	eloHistoryTable = projections.Table[RatingMove]{Name: "elo.history"}
	// By position, by identity and by digest.
	eloMatchesTable = projections.Table[MatchFact]{Name: "elo.matches"}
	eloFactsTable   = projections.Table[FactRef]{Name: "elo.facts"}
	eloDigestsTable = projections.Table[DigestRef]{Name: "elo.digests"}
	eloRangesTable  = projections.Table[RangeRow]{Name: "elo.ranges"}
	// In the order of games, and summed by day.
	eloOrderTable    = projections.Table[elo.Played]{Name: "elo.order"}
	eloOutcomesTable = projections.Table[elo.Outcome]{Name: "elo.outcomes"}
	// Exclusions, by config and elo.Excluded.Key.
	eloExcludedTable = projections.Table[ExclusionRow]{Name: "elo.excluded"}
	// Checkpoints of incremental Elo.
	eloMarksTable       = projections.Table[marksRow]{Name: "elo.marks"}
	eloCheckpointsTable = projections.Table[elo.Checkpoint]{Name: "elo.checkpoints"}
	eloSettingsTable    = projections.Table[settingsRow]{Name: "elo.settings"}
)

// Projection returns the read model of the ratings.
func Projection() projections.Projection { return projection(checkpointEvery) }

func projection(every int) projections.Projection {
	k := keeper{every}
	return projections.Projection{
		Name: "elo", Version: 4, About: "match facts in the order of games, and the ratings that were published",
		Tables: []string{
			eloPlayersTable.Name, eloHistoryTable.Name, eloMatchesTable.Name, eloFactsTable.Name, eloDigestsTable.Name, eloRangesTable.Name,
			eloOrderTable.Name, eloOutcomesTable.Name, eloExcludedTable.Name, eloMarksTable.Name, eloCheckpointsTable.Name, eloSettingsTable.Name,
		},
		Handlers: []projections.Handler{
			projections.On(func(tx projections.Tx, e domain.Envelope, fact elo.ResultsRecorded) error {
				return k.fact(tx, e, fact.ConfigKey, elo.Fact{Results: &fact})
			}),
			projections.On(func(tx projections.Tx, e domain.Envelope, fact elo.MatchRecorded) error {
				return k.fact(tx, e, fact.ConfigKey, elo.Fact{Match: &fact})
			}),
			projections.On(k.exclude),
			projections.On(k.lift),
			projections.On(k.policy),
			projections.On(eloMoved),
		},
	}
}

// fact records a fact, once.
func (k keeper) fact(tx projections.Tx, e domain.Envelope, config domain.ConfigKey, fact elo.Fact) error {
	key := projections.Pair(string(config), fact.ID())
	if _, known, err := eloFactsTable.Get(tx, key); err != nil || known {
		return err
	}
	played := elo.PlayedOf(fact)
	if len(played.Players) == 0 {
		return nil
	}
	order := played.OrderKey()
	if err := eloFactsTable.Put(tx, key, FactRef{e.Position, order}); err != nil {
		return err
	}
	if err := eloMatchesTable.Put(tx, projections.Pair(string(config), projections.PositionKey(e.Position)), MatchFact{Position: e.Position, Time: e.Time, Type: e.Type, Fact: slices.Clone(e.Data)}); err != nil {
		return err
	}
	if err := addDigest(tx, config, fact.Digest(), e.Position); err != nil {
		return err
	}
	_, excluded, err := eloExcludedTable.Get(tx, exclusionKey(config, elo.Excluded{MatchID: played.ID}))
	if err != nil {
		return err
	}
	played.Excluded = excluded
	if err := eloOrderTable.Put(tx, projections.Pair(string(config), order), played); err != nil {
		return err
	}
	if !excluded {
		if err := countOutcomes(tx, config, played, 1); err != nil {
			return err
		}
	}
	return k.inserted(tx, config, order)
}

// countOutcomes adds a fact's games to the outcomes of their day, or subtracts
// them.
func countOutcomes(tx projections.Tx, config domain.ConfigKey, played elo.Played, sign int) error {
	for _, outcome := range played.Outcomes() {
		key := projections.Pair(string(config), outcome.Key())
		row, found, err := eloOutcomesTable.Get(tx, key)
		if err != nil {
			return err
		}
		if !found {
			row = outcome
			row.Games = 0
		}
		if row.Games += sign * outcome.Games; row.Games > 0 {
			err = eloOutcomesTable.Put(tx, key, row)
		} else {
			err = eloOutcomesTable.Delete(tx, key)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func eloMoved(tx projections.Tx, e domain.Envelope, moved elo.Updated) error {
	if err := eloPlayersTable.Put(tx, projections.Pair(string(moved.ConfigKey), string(moved.ModelID)), PlayerRow{moved.New, moved.Error, e.Position}); err != nil {
		return err
	}
	return eloHistoryTable.Put(tx, projections.Pair(string(moved.ConfigKey), projections.PositionKey(e.Position)), RatingMove{
		e.Position, e.Time, moved.ConfigKey, moved.ModelID, moved.Old, moved.New, moved.Error, moved.GamesPlayed,
	})
}

// RatingOf returns the published rating of a player of a game; nil if it has none.
func RatingOf(v projections.View, config domain.ConfigKey, name string) (*training.RatedAt, error) {
	row, found, err := eloPlayersTable.Get(v, projections.Pair(string(config), name))
	if err != nil || !found {
		return nil, err
	}
	return &training.RatedAt{Elo: row.Rating, Error: row.Error}, nil
}
