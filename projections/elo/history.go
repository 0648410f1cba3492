package elo

import (
	"slices"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
	"github.com/ringrift/rift/projections"
)

// HistoryAsked is the query for changes of ratings.
type HistoryAsked struct {
	ConfigKey string `query:"config_key" required:"true"`
	ModelID   string `query:"model_id"`
	From      uint64 `query:"from" doc:"the first position wanted"`
	Limit     int    `query:"limit"`
}

// known returns an error unless config is a config key.
func known(config string) error {
	if _, err := domain.ParseConfigKey(config); err != nil {
		return domain.Faulty("query", []domain.Fault{{Field: "config_key", Reason: err.Error()}})
	}
	return nil
}

// HistoryAnswer lists changes of ratings, oldest first.
type HistoryAnswer struct {
	History []RatingMove `json:"history"`
	Next    uint64       `json:"next,omitempty" doc:"ask again with from=next for more"`
}

// History returns the changes of a game's ratings.
func History(v projections.View, q HistoryAsked) (HistoryAnswer, error) {
	if err := known(q.ConfigKey); err != nil {
		return HistoryAnswer{}, err
	}
	moves, next, err := projections.PageOf(v, eloHistoryTable, q.span(), q.Limit, func(row RatingMove) (RatingMove, bool) {
		return row, q.ModelID == "" || string(row.ModelID) == q.ModelID
	})
	return HistoryAnswer{History: moves, Next: uint64(next.Row.Position)}, err
}

func (q HistoryAsked) span() projections.Span {
	span := projections.Span{Prefix: projections.Pair(q.ConfigKey, "")}
	if q.From > 0 {
		span.From = projections.Pair(q.ConfigKey, projections.PositionKey(domain.Position(q.From)))
	}
	return span
}

// MatchesAsked is the query for the facts behind ratings.
type MatchesAsked struct {
	ConfigKey string `query:"config_key" required:"true"`
	Player    string `query:"player" doc:"only facts of this one: a model, or model:harness"`
	Worker    string `query:"worker" doc:"only facts that it reported"`
	From      uint64 `query:"from" doc:"the first position wanted"`
	Limit     int    `query:"limit"`
}

// MatchesAnswer lists match facts, oldest first.
type MatchesAnswer struct {
	Matches []MatchFact `json:"matches"`
	Next    uint64      `json:"next,omitempty" doc:"ask again with from=next for more"`
}

// Matches returns the facts that the ratings of a game are computed from.
func Matches(v projections.View, q MatchesAsked) (MatchesAnswer, error) {
	if err := known(q.ConfigKey); err != nil {
		return MatchesAnswer{}, err
	}
	limit, err := projections.Page(q.Limit)
	if err != nil {
		return MatchesAnswer{}, err
	}
	workers, err := excludedWorkers(v, domain.ConfigKey(q.ConfigKey))
	if err != nil {
		return MatchesAnswer{}, err
	}
	answer, seen := MatchesAnswer{Matches: []MatchFact{}}, 0
	for entry, err := range eloMatchesTable.Scan(v, HistoryAsked{ConfigKey: q.ConfigKey, From: q.From}.span()) {
		if err != nil {
			return MatchesAnswer{}, err
		}
		if seen++; len(answer.Matches) == limit || seen > projections.ScannedPerPage {
			answer.Next = uint64(entry.Row.Position)
			break
		}
		fact, err := decodeFact(v, entry.Row)
		if err != nil {
			return MatchesAnswer{}, err
		}
		played := elo.PlayedOf(fact)
		if q.Worker != "" && string(played.Worker) != q.Worker || q.Player != "" && !slices.Contains(fact.Names(), q.Player) {
			continue
		}
		row := entry.Row
		excluded := elo.Excluded{MatchID: played.ID}
		if played.Worker != "" && workers[played.Worker] {
			excluded = elo.Excluded{Worker: played.Worker}
		}
		if x, stands, err := eloExcludedTable.Get(v, exclusionKey(domain.ConfigKey(q.ConfigKey), excluded)); err != nil {
			return MatchesAnswer{}, err
		} else if stands {
			row.Excluded = excluded.String() + ": " + x.Reason
		}
		answer.Matches = append(answer.Matches, row)
	}
	return answer, nil
}
