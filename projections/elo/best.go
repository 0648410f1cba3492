package elo

import (
	"slices"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
)

// BestRating is the rating of the best model of a game from a time on.
type BestRating struct {
	At      time.Time      `json:"at"`
	ModelID domain.ModelID `json:"model_id"`
	Elo     float64        `json:"elo"`
}

// bestLooks limits how many rating changes are read.
const bestLooks = 512

// BestRatings returns how the rating of the best model of a game changed since a
// time: its value at every rating change, oldest first. A model with fewer than
// games games is not considered, since its rating is uncertain.
func BestRatings(v projections.View, config domain.ConfigKey, since time.Time, games int) ([]BestRating, error) {
	var moves []RatingMove
	for entry, err := range eloHistoryTable.Scan(v, projections.Span{Prefix: projections.Pair(string(config), ""), Reverse: true}) {
		if err != nil {
			return nil, err
		}
		if moves = append(moves, entry.Row); len(moves) == bestLooks {
			break
		}
	}
	now := map[domain.ModelID]float64{}
	var best []BestRating
	for _, move := range slices.Backward(moves) {
		if move.Games < games {
			continue
		}
		now[move.ModelID] = move.New
		top := BestRating{At: move.Time, ModelID: move.ModelID, Elo: move.New}
		for model, elo := range now { //purity:ok the greatest, the first name among equals, has no order
			if elo > top.Elo || elo == top.Elo && model < top.ModelID {
				top.ModelID, top.Elo = model, elo
			}
		}
		if top.At.Before(since) {
			continue
		}
		if n := len(best); n > 0 && best[n-1].At.Equal(top.At) {
			best[n-1] = top
		} else {
			best = append(best, top)
		}
	}
	return best, nil
}
