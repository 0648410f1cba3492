package training

import (
	"maps"
	"slices"
	"strconv"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
)

// reasonsOfReason converts a single reason, or error, to a list of one.
func reasonsOfReason(p domain.Payload) []string {
	for _, legacy := range []string{"reason", "error"} {
		if reason, ok := domain.Take[string](p, legacy); ok && reason != "" && !p.Has("reasons") && p.Put("reasons", []string{reason}) {
			delete(p, legacy)
			return []string{legacy + " → reasons"}
		}
	}
	return nil
}

// resultsOfOpponents converts the shapes in which old tools send results: by
// opponent's name under results or opponents, as a list under opponents, or as
// plain counts beside a single opponent.
func resultsOfOpponents(p domain.Payload) []string {
	for _, key := range []string{"results", "opponents"} {
		byName, ok := domain.Take[map[string]elo.OpponentResult](p, key)
		if !ok || len(byName) == 0 || key == "opponents" && p.Has("results") {
			continue
		}
		results := make([]elo.OpponentResult, 0, len(byName))
		for _, name := range slices.Sorted(maps.Keys(byName)) {
			result := byName[name]
			if result.Opponent == "" {
				result.Opponent = name
			}
			results = append(results, result)
		}
		return resultsUnder(p, key, results)
	}
	if p.Has("results") {
		return nil
	}
	if results, ok := domain.Take[[]elo.OpponentResult](p, "opponents"); ok && len(results) > 0 {
		return resultsUnder(p, "opponents", results)
	}
	return bareCounts(p)
}

func resultsUnder(p domain.Payload, from string, results []elo.OpponentResult) []string {
	delete(p, from)
	if !p.Put("results", results) {
		return nil
	}
	return []string{from + " by name → results"}
}

// bareCounts converts wins, losses and draws at the top level, which are the totals
// against one opponent; that opponent must be named.
func bareCounts(p domain.Payload) []string {
	opponent, named := domain.Take[string](p, "opponent")
	if names, ok := domain.Take[[]string](p, "opponents"); !named && ok && len(names) == 1 {
		opponent, named = names[0], true
	}
	wins, hasWins := domain.Take[int](p, "wins")
	losses, hasLosses := domain.Take[int](p, "losses")
	if !named || !hasWins || !hasLosses {
		return nil
	}
	draws, hasDraws := domain.Take[int](p, "draws")
	if p.Has("draws") && !hasDraws {
		return nil
	}
	if !p.Put("results", []elo.OpponentResult{{Opponent: opponent, Wins: wins, Losses: losses, Draws: draws}}) {
		return nil
	}
	for _, key := range []string{"opponent", "wins", "losses", "draws"} {
		delete(p, key)
	}
	return []string{"wins, losses, draws against " + strconv.Quote(domain.Clip(opponent, 64)) + " → results"}
}
