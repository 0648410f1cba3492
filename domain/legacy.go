package domain

import (
	"encoding/json"
)

// Payload is the top level of a payload from outside, by key.
type Payload map[string]json.RawMessage

// Has reports whether a key has a value other than null.
func (p Payload) Has(key string) bool {
	value, present := p[key]
	return present && string(value) != "null"
}

// Take returns a key's value if it is of type V.
func Take[V any](p Payload, key string) (V, bool) {
	var value V
	if !p.Has(key) {
		return value, false
	}
	err := json.Unmarshal(p[key], &value)
	return value, err == nil
}

// Put stores a value that came from the payload itself, so encoding cannot fail.
func (p Payload) Put(key string, value any) bool {
	encoded, err := json.Marshal(value)
	if err != nil {
		return false
	}
	p[key] = encoded
	return true
}

// ConfigOfBoard derives the config key from board_type and num_players, which old
// tools send instead.
func ConfigOfBoard(p Payload) []string {
	board, hasBoard := Take[string](p, "board_type")
	players, hasPlayers := Take[int](p, "num_players")
	if !hasBoard || !hasPlayers || p.Has("config_key") || p.Has("config") {
		return nil
	}
	if _, err := ParseConfigKey(string(Config(Board(board), players))); err != nil || !p.Put("config_key", Config(Board(board), players)) {
		return nil
	}
	delete(p, "board_type")
	delete(p, "num_players")
	return []string{"board_type, num_players → config_key"}
}
