package match

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/ringrift/rift/domain"
)

// MaxGames limits the games of one item.
const MaxGames = 1000

// maxFaults limits the faults reported for one item.
const maxFaults = 64

// Participant is the player in a seat.
type Participant struct {
	ModelID string `json:"model_id"`
	Harness string `json:"harness,omitempty"`
	Player  string `json:"player,omitempty"` // spec of a built-in player; absent: the model id is the spec
}

// Game is one game to play.
type Game struct {
	ConfigKey    domain.ConfigKey `json:"config_key,omitempty"`
	GameID       string           `json:"game_id"`
	Seed         uint64           `json:"seed"`
	Opening      *uint64          `json:"opening,omitempty"` // seed of the initial position; absent: the empty board
	Participants []Participant    `json:"participants"`      // in seat order
}

// order is a payload: one game, or several.
type order struct {
	Game
	Games []Game `json:"games"`
}

// Asks reports whether a payload is an order for games, valid or not: an object
// with games or participants.
func Asks(payload []byte) bool {
	var keys struct {
		Games        json.RawMessage `json:"games"`
		Participants json.RawMessage `json:"participants"`
	}
	// A count of games is not a list of games.
	return json.Unmarshal(payload, &keys) == nil && (bytes.HasPrefix(keys.Games, []byte("[")) || bytes.HasPrefix(keys.Participants, []byte("[")))
}

// Games decodes a payload: one game ({…}) or several ({"games":[…]}), which have
// the payload's config unless they name one. several tells which form it is, and so
// the form of the answer. Other keys are ignored. The error lists every fault.
func Games(payload []byte) (games []Game, several bool, err error) {
	var o order
	if err := json.Unmarshal(payload, &o); err != nil {
		return nil, false, domain.Errorf(domain.Invalid, "match: want a game or a list of games in JSON: %w", err)
	}
	if o.Games != nil {
		games, several = o.Games, true
		for i := range games {
			if games[i].ConfigKey == "" {
				games[i].ConfigKey = o.ConfigKey
			}
		}
	} else {
		games = []Game{o.Game}
	}
	if len(games) == 0 || len(games) > MaxGames {
		return nil, several, domain.Faulty("match", []domain.Fault{{Field: "games", Reason: fmt.Sprintf("want 1 to %d, found %d", MaxGames, len(games))}})
	}
	var c domain.Checks
	seen := make(map[string]bool, len(games))
	for i, game := range games {
		at := ""
		if several {
			at = fmt.Sprintf("games[%d].", i)
		}
		game.check(&c, at)
		if seen[game.GameID] {
			c.Fault(at+"game_id", "want each game once, found %q twice", domain.Clip(game.GameID, 64))
		}
		seen[game.GameID] = true
		if len(c) > maxFaults {
			c = c[:maxFaults]
			break
		}
	}
	return games, several, domain.Faulty("match", c)
}

func (g Game) check(c *domain.Checks, at string) {
	if g.ConfigKey != "" {
		if _, err := domain.ParseConfigKey(string(g.ConfigKey)); err != nil {
			c.Fault(at+"config_key", "%s", err)
		}
	}
	c.Name(at+"game_id", g.GameID)
	players := g.ConfigKey.Players()
	switch {
	case players > 0 && len(g.Participants) != players:
		c.Fault(at+"participants", "want the %d players of %s, found %d", players, g.ConfigKey, len(g.Participants))
	case len(g.Participants) < domain.MinPlayers || len(g.Participants) > domain.MaxPlayers:
		c.Fault(at+"participants", "want %d to %d, found %d", domain.MinPlayers, domain.MaxPlayers, len(g.Participants))
	}
	for i, p := range g.Participants[:min(len(g.Participants), domain.MaxPlayers)] {
		where := fmt.Sprintf("%sparticipants[%d].", at, i)
		c.Name(where+"model_id", p.ModelID)
		c.MaybeName(where+"harness", p.Harness)
		if len(p.Player) > MaxPlayer {
			c.Fault(where+"player", "want at most %d bytes, found %d", MaxPlayer, len(p.Player))
		}
	}
}

// MaxPlayer limits the spec of a player in bytes.
const MaxPlayer = 400
