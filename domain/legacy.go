package domain

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
)

// Payload is the top level of a payload from outside, by key.
type Payload map[string]json.RawMessage

// has tells whether a key is there with a value; null is no value.
func (p Payload) has(key string) bool {
	value, present := p[key]
	return present && string(value) != "null"
}

// take reads a key's value if it has one of the wanted type.
func take[V any](p Payload, key string) (V, bool) {
	var value V
	if !p.has(key) {
		return value, false
	}
	err := json.Unmarshal(p[key], &value)
	return value, err == nil
}

// put stores a value that came from the payload itself, so it can be written.
func (p Payload) put(key string, value any) bool {
	encoded, err := json.Marshal(value)
	if err != nil {
		return false
	}
	p[key] = encoded
	return true
}

// The old words for an item: tools called it a job, and a queue before that work.
func legacyItem(def *Def) {
	Alias("job_id", "task_id")(def)
	Alias("work_id", "task_id")(def)
}

// legacyJob is legacyItem for the event that says what the item is.
func legacyJob(def *Def) {
	legacyItem(def)
	Alias("job_type", "task_type")(def)
	Alias("work_type", "task_type")(def)
	Alias("config", "config_key")(def)
	Reshape(configOfBoard)(def)
}

// configOfBoard reads the game from board_type and num_players, which old tools
// send instead of a key.
func configOfBoard(p Payload) []string {
	board, hasBoard := take[string](p, "board_type")
	players, hasPlayers := take[int](p, "num_players")
	if !hasBoard || !hasPlayers || p.has("config_key") || p.has("config") {
		return nil
	}
	if _, err := ParseConfigKey(string(Config(Board(board), players))); err != nil || !p.put("config_key", Config(Board(board), players)) {
		return nil
	}
	delete(p, "board_type")
	delete(p, "num_players")
	return []string{"board_type, num_players → config_key"}
}

// reasonsOfReason reads a single reason, or error, as a list of one.
func reasonsOfReason(p Payload) []string {
	for _, legacy := range []string{"reason", "error"} {
		if reason, ok := take[string](p, legacy); ok && reason != "" && !p.has("reasons") && p.put("reasons", []string{reason}) {
			delete(p, legacy)
			return []string{legacy + " → reasons"}
		}
	}
	return nil
}

// resultsOfOpponents reads the shapes in which old tools give results: by
// opponent's name under results or opponents, as a list under opponents, or
// as bare counts beside the one opponent they are about.
func resultsOfOpponents(p Payload) []string {
	for _, key := range []string{"results", "opponents"} {
		byName, ok := take[map[string]OpponentResult](p, key)
		if !ok || len(byName) == 0 || key == "opponents" && p.has("results") {
			continue
		}
		results := make([]OpponentResult, 0, len(byName))
		for _, name := range slices.Sorted(maps.Keys(byName)) {
			result := byName[name]
			if result.Opponent == "" {
				result.Opponent = name
			}
			results = append(results, result)
		}
		return resultsUnder(p, key, results)
	}
	if p.has("results") {
		return nil
	}
	if results, ok := take[[]OpponentResult](p, "opponents"); ok && len(results) > 0 {
		return resultsUnder(p, "opponents", results)
	}
	return bareCounts(p)
}

func resultsUnder(p Payload, from string, results []OpponentResult) []string {
	delete(p, from)
	if !p.put("results", results) {
		return nil
	}
	return []string{from + " by name → results"}
}

// bareCounts reads wins, losses and draws that stand at the top level: one game
// total each, of one opponent; whose they are must be said.
func bareCounts(p Payload) []string {
	opponent, named := take[string](p, "opponent")
	if names, ok := take[[]string](p, "opponents"); !named && ok && len(names) == 1 {
		opponent, named = names[0], true
	}
	wins, hasWins := take[int](p, "wins")
	losses, hasLosses := take[int](p, "losses")
	if !named || !hasWins || !hasLosses {
		return nil
	}
	draws, hasDraws := take[int](p, "draws")
	if p.has("draws") && !hasDraws {
		return nil
	}
	if !p.put("results", []OpponentResult{{Opponent: opponent, Wins: wins, Losses: losses, Draws: draws}}) {
		return nil
	}
	for _, key := range []string{"opponent", "wins", "losses", "draws"} {
		delete(p, key)
	}
	return []string{"wins, losses, draws against " + strconv.Quote(clip(opponent, 64)) + " → results"}
}
