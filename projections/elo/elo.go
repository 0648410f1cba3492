package elo

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
	"github.com/ringrift/rift/domain/training"
	"github.com/ringrift/rift/projections"
	policyview "github.com/ringrift/rift/projections/policy"
)

// PlayerRow is a player of a game's ratings: what its facts add up to, and the
// rating that was published last.
type PlayerRow struct {
	ConfigKey domain.ConfigKey `json:"config_key"`
	Name      string           `json:"name"`
	Rating    *float64         `json:"rating,omitempty"` // absent: a baseline, or not yet
	Error     *float64         `json:"error,omitempty"`  // standard error
	Over      string           `json:"over,omitempty"`   // the next in the ranking
	LOS       *float64         `json:"los,omitempty"`    // likelihood of superiority over it
	Games     int              `json:"games"`            // pairs of players in games
	Wins      int              `json:"wins"`
	Losses    int              `json:"losses"`
	Draws     int              `json:"draws"`
	Position  domain.Position  `json:"position"`
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

// MatchFact is one fact of the ratings, as its event tells it.
type MatchFact struct {
	Position domain.Position `json:"position"`
	Time     time.Time       `json:"time"`
	Type     string          `json:"type"`
	Fact     json.RawMessage `json:"fact"`
}

// FactRef marks a fact that counts.
type FactRef struct {
	Position domain.Position `json:"position"`
}

// The tables of the ratings.
var (
	eloPlayersTable = projections.Table[PlayerRow]{Name: "elo.players"}
	eloHistoryTable = projections.Table[RatingMove]{Name: "elo.history"}
	eloMatchesTable = projections.Table[MatchFact]{Name: "elo.matches"}
	eloFactsTable   = projections.Table[FactRef]{Name: "elo.facts"}
	eloDigestsTable = projections.Table[FactRef]{Name: "elo.digests"}
)

// Projection is the read model of the ratings.
func Projection() projections.Projection {
	return projections.Projection{
		Name: "elo", Version: 3, About: "match facts, and the ratings they add up to",
		Tables: []string{eloPlayersTable.Name, eloHistoryTable.Name, eloMatchesTable.Name, eloFactsTable.Name, eloDigestsTable.Name},
		Handlers: []projections.Handler{
			projections.On(func(tx projections.Tx, e domain.Envelope, fact elo.ResultsRecorded) error {
				return eloFact(tx, e, fact.ConfigKey, fact.FactID, fact.Digest(), func() error {
					for _, r := range fact.Results {
						if err := eloMeeting(tx, e, fact.ConfigKey, string(fact.ModelID), r.Opponent, r.Wins, r.Losses, r.Draws); err != nil {
							return err
						}
					}
					return nil
				})
			}),
			projections.On(func(tx projections.Tx, e domain.Envelope, fact elo.MatchRecorded) error {
				return eloFact(tx, e, fact.ConfigKey, fact.MatchID, fact.Identity(), func() error { return eloGame(tx, e, fact) })
			}),
			projections.On(eloMoved),
			projections.On(eloStands),
		},
	}
}

// eloFact counts a fact once.
func eloFact(tx projections.Tx, e domain.Envelope, config domain.ConfigKey, id, digest string, count func() error) error {
	key := projections.Pair(string(config), id)
	if _, counted, err := eloFactsTable.Get(tx, key); err != nil || counted {
		return err
	}
	if err := eloFactsTable.Put(tx, key, FactRef{e.Position}); err != nil {
		return err
	}
	if err := eloDigestsTable.Put(tx, projections.Pair(string(config), digest), FactRef{e.Position}); err != nil {
		return err
	}
	if err := eloMatchesTable.Put(tx, projections.Pair(string(config), projections.PositionKey(e.Position)), MatchFact{e.Position, e.Time, e.Type, slices.Clone(e.Data)}); err != nil {
		return err
	}
	return count()
}

func eloGame(tx projections.Tx, e domain.Envelope, fact elo.MatchRecorded) error {
	if len(fact.Ranks) != len(fact.Participants) {
		return nil
	}
	for i, a := range fact.Participants {
		for j, b := range fact.Participants[:i] {
			wins, losses, draws := 0, 0, 0
			switch {
			case fact.Ranks[i] < fact.Ranks[j]:
				wins = 1
			case fact.Ranks[i] > fact.Ranks[j]:
				losses = 1
			default:
				draws = 1
			}
			if err := eloMeeting(tx, e, fact.ConfigKey, a.Name(), b.Name(), wins, losses, draws); err != nil {
				return err
			}
		}
	}
	return nil
}

func eloMeeting(tx projections.Tx, e domain.Envelope, config domain.ConfigKey, a, b string, wins, losses, draws int) error {
	if a == b {
		return nil
	}
	add := func(name string, wins, losses int) error {
		return eloPlayersTable.Update(tx, projections.Pair(string(config), name), func(row *PlayerRow) {
			row.ConfigKey, row.Name, row.Position = config, name, e.Position
			row.Wins, row.Losses, row.Draws = row.Wins+wins, row.Losses+losses, row.Draws+draws
			row.Games += wins + losses + draws
		})
	}
	if err := add(a, wins, losses); err != nil {
		return err
	}
	return add(b, losses, wins)
}

func eloMoved(tx projections.Tx, e domain.Envelope, moved elo.Updated) error {
	if err := eloPlayersTable.Update(tx, projections.Pair(string(moved.ConfigKey), string(moved.ModelID)), func(row *PlayerRow) {
		row.ConfigKey, row.Name, row.Position = moved.ConfigKey, string(moved.ModelID), e.Position
		row.Rating, row.Error = &moved.New, &moved.Error
	}); err != nil {
		return err
	}
	return eloHistoryTable.Put(tx, projections.Pair(string(moved.ConfigKey), projections.PositionKey(e.Position)), RatingMove{
		e.Position, e.Time, moved.ConfigKey, moved.ModelID, moved.Old, moved.New, moved.Error, moved.GamesPlayed,
	})
}

func eloStands(tx projections.Tx, e domain.Envelope, changed elo.StandingsChanged) error {
	for _, s := range changed.Standings {
		if err := eloPlayersTable.Update(tx, projections.Pair(string(changed.ConfigKey), s.ModelID), func(row *PlayerRow) {
			row.ConfigKey, row.Name, row.Position = changed.ConfigKey, s.ModelID, e.Position
			row.Over, row.LOS = s.Over, &s.LOS
		}); err != nil {
			return err
		}
	}
	return nil
}

// RatingOf is the rating of a player of a game; nil when it has none.
func RatingOf(v projections.View, config domain.ConfigKey, name string) (*training.RatedAt, error) {
	row, _, err := eloPlayersTable.Get(v, projections.Pair(string(config), name))
	if err != nil || row.Rating == nil || row.Error == nil {
		return nil, err
	}
	return &training.RatedAt{Elo: *row.Rating, Error: *row.Error}, nil
}

// RankingsAsked asks for the ratings of a game.
type RankingsAsked struct {
	ConfigKey string `query:"config_key" required:"true"`
	Method    string `query:"method"` // elo when absent
	Limit     int    `query:"limit"`
}

// Rankings is the players of a game by rating.
type Rankings struct {
	ConfigKey domain.ConfigKey `json:"config_key"`
	Method    string           `json:"method"`
	Rankings  []Ranked         `json:"rankings"`
}

// Ranked is a player with its place.
type Ranked struct {
	Rank    int      `json:"rank"`
	ModelID string   `json:"model_id"`
	Kind    string   `json:"kind"` // model, or baseline: pinned, and never a candidate
	Rating  float64  `json:"rating"`
	Error   *float64 `json:"error"` // standard error; null for a pinned rating
	Games   int      `json:"games"`
	Wins    int      `json:"wins"`
	Losses  int      `json:"losses"`
	Draws   int      `json:"draws"`
	LOS     *float64 `json:"los"` // likelihood of superiority over the next; null: there is none, or both are pinned
	// Position is that of the last event that moved anything of this.
	Position domain.Position `json:"position"`
	over     string
}

// RankingsOf answers the published ratings of a game, best first. A player
// without a rating has no place.
func RankingsOf(v projections.View, q RankingsAsked) (Rankings, error) {
	config, err := domain.ParseConfigKey(q.ConfigKey)
	if err != nil {
		return Rankings{}, domain.Faulty("query", []domain.Fault{{Field: "config_key", Reason: err.Error()}})
	}
	if q.Method != "" && q.Method != "elo" {
		return Rankings{}, domain.Faulty("query", []domain.Fault{{Field: "method", Reason: "want elo, found " + q.Method}})
	}
	limit, err := projections.Page(q.Limit)
	if err != nil {
		return Rankings{}, err
	}
	policy, _, err := policyview.InForce(v)
	if err != nil {
		return Rankings{}, err
	}
	answer := Rankings{ConfigKey: config, Method: "elo", Rankings: []Ranked{}}
	for entry, err := range eloPlayersTable.Scan(v, projections.Span{Prefix: projections.Pair(q.ConfigKey, "")}) {
		if err != nil {
			return Rankings{}, err
		}
		row := entry.Row
		place := Ranked{ModelID: row.Name, Kind: "model", Error: row.Error, Games: row.Games, Wins: row.Wins, Losses: row.Losses, Draws: row.Draws, LOS: row.LOS, Position: row.Position, over: row.Over}
		pin, pinned := elo.PolicyOf(policy).Pin(row.Name)
		switch {
		case pinned:
			place.Kind, place.Rating, place.Error = "baseline", pin, nil
		case row.Rating != nil:
			place.Rating = *row.Rating
		default:
			continue
		}
		answer.Rankings = append(answer.Rankings, place)
	}
	slices.SortStableFunc(answer.Rankings, func(a, b Ranked) int {
		return cmp.Or(cmp.Compare(b.Rating, a.Rating), cmp.Compare(a.ModelID, b.ModelID))
	})
	for i := range answer.Rankings {
		place := &answer.Rankings[i]
		place.Rank = i + 1
		if i+1 == len(answer.Rankings) || answer.Rankings[i+1].ModelID != place.over {
			place.LOS = nil // said of another neighbour
		}
	}
	answer.Rankings = answer.Rankings[:min(limit, len(answer.Rankings))]
	return answer, nil
}

// HistoryAsked asks for what moved ratings, or for the facts behind them.
type HistoryAsked struct {
	ConfigKey string `query:"config_key" required:"true"`
	ModelID   string `query:"model_id"`
	From      uint64 `query:"from"` // the first position wanted
	Limit     int    `query:"limit"`
}

// HistoryAnswer is how ratings moved, oldest first.
type HistoryAnswer struct {
	History []RatingMove `json:"history"`
	Next    uint64       `json:"next,omitempty"` // ask again with from=next for more
}

// History answers how the ratings of a game moved.
func History(v projections.View, q HistoryAsked) (HistoryAnswer, error) {
	limit, err := projections.Page(q.Limit)
	if err != nil {
		return HistoryAnswer{}, err
	}
	answer := HistoryAnswer{History: []RatingMove{}}
	for entry, err := range eloHistoryTable.Scan(v, q.span()) {
		if err != nil {
			return HistoryAnswer{}, err
		}
		if q.ModelID != "" && string(entry.Row.ModelID) != q.ModelID {
			continue
		}
		if len(answer.History) == limit {
			answer.Next = uint64(entry.Row.Position)
			break
		}
		answer.History = append(answer.History, entry.Row)
	}
	return answer, nil
}

func (q HistoryAsked) span() projections.Span {
	span := projections.Span{Prefix: projections.Pair(q.ConfigKey, "")}
	if q.From > 0 {
		span.From = projections.Pair(q.ConfigKey, projections.PositionKey(domain.Position(q.From)))
	}
	return span
}

// MatchesAsked asks for the facts behind ratings.
type MatchesAsked struct {
	ConfigKey string `query:"config_key" required:"true"`
	From      uint64 `query:"from"` // the first position wanted
	Limit     int    `query:"limit"`
}

// MatchesAnswer is match facts, oldest first.
type MatchesAnswer struct {
	Matches []MatchFact `json:"matches"`
	Next    uint64      `json:"next,omitempty"` // ask again with from=next for more
}

// Matches answers the facts behind the ratings of a game.
func Matches(v projections.View, q MatchesAsked) (MatchesAnswer, error) {
	limit, err := projections.Page(q.Limit)
	if err != nil {
		return MatchesAnswer{}, err
	}
	answer := MatchesAnswer{Matches: []MatchFact{}}
	for entry, err := range eloMatchesTable.Scan(v, HistoryAsked{ConfigKey: q.ConfigKey, From: q.From}.span()) {
		if err != nil {
			return MatchesAnswer{}, err
		}
		if len(answer.Matches) == limit {
			answer.Next = uint64(entry.Row.Position)
			break
		}
		answer.Matches = append(answer.Matches, entry.Row)
	}
	return answer, nil
}
