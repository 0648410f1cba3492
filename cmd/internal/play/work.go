package play

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/match"
)

// Options override what a config says about the board.
type Options struct {
	Size int // 0: the config's
	Swap bool
}

// MaxInput limits an item in bytes, above a node's own limit.
const MaxInput = 4 << 20

// sizeOf returns the board size of a config.
func sizeOf(config domain.ConfigKey) int {
	switch config.Board() {
	case domain.Hex8, domain.Square8:
		return 8
	case domain.Hexagonal:
		return 13
	case domain.Square19:
		return 19
	}
	return 0
}

// planned is a game that can be played.
type planned struct {
	match.Game
	table Table
	specs []Spec
}

// Decode parses what to play: an item with its payload, as a worker passes it to a
// command, or the payload alone. The error lists every fault.
func Decode(data []byte) (payload []byte, config domain.ConfigKey, err error) {
	if len(data) > MaxInput {
		return nil, "", domain.Errorf(domain.TooLarge, "play: want an item of at most %d bytes, found more", MaxInput)
	}
	var item struct {
		Payload   json.RawMessage  `json:"payload"`
		ConfigKey domain.ConfigKey `json:"config_key"`
	}
	if err := json.Unmarshal(data, &item); err != nil {
		return nil, "", domain.Errorf(domain.Invalid, "play: want a work item or its payload in JSON: %w", err)
	}
	if item.Payload != nil {
		return item.Payload, item.ConfigKey, nil
	}
	return data, "", nil
}

// Answer plays the games of an item and returns its result, in the form of package
// domain/match.
func Answer(ctx context.Context, data []byte, o Options) ([]byte, error) {
	payload, config, err := Decode(data)
	if err != nil {
		return nil, err
	}
	if payload = bytes.TrimSpace(payload); len(payload) == 0 || payload[0] != '{' {
		return nil, domain.Errorf(domain.Invalid, "play: want an object with a game or games, found %q", domain.Clip(string(payload), 32))
	}
	games, several, err := match.Games(payload)
	if err != nil {
		return nil, err
	}
	plans := make([]planned, len(games))
	var c domain.Checks
	for i, game := range games {
		if game.ConfigKey == "" {
			game.ConfigKey = config
		}
		at := ""
		if several {
			at = fmt.Sprintf("games[%d].", i)
		}
		plans[i] = plan(&c, at, game, o)
		if len(c) > 64 {
			break
		}
	}
	if err := domain.Faulty("play", c); err != nil {
		return nil, err
	}
	played := make([]match.Answer, len(plans))
	for i, one := range plans {
		outcome, err := one.table.Play(ctx, one.Seed, one.Opening, one.specs)
		if err != nil {
			return nil, err
		}
		names := make([]string, len(one.Participants))
		for seat, p := range one.Participants {
			names[seat] = p.ModelID
		}
		played[i] = match.Answer{GameID: one.GameID, Participants: names, Result: match.Result{Ranks: outcome.Ranks}, Plies: outcome.Plies, Seed: one.Seed}
	}
	return match.Encode(played, several)
}

// plan returns the table and the players of a game.
func plan(c *domain.Checks, at string, game match.Game, o Options) planned {
	p := planned{Game: game, table: Table{Players: len(game.Participants), Size: o.Size, Swap: o.Swap && len(game.Participants) == 2}}
	if p.table.Size == 0 {
		p.table.Size = sizeOf(game.ConfigKey)
	}
	if p.table.Size == 0 {
		c.Fault(at+"config_key", "want one, or --size: the board is not known")
	} else {
		for _, fault := range p.table.Check() {
			c.Fault(at+fault.Field, "%s", fault.Reason)
		}
	}
	for seat, who := range game.Participants {
		field, text := "player", who.Player
		if text == "" {
			field, text = "model_id", who.ModelID
		}
		spec, err := ParseSpec(text)
		if err != nil {
			c.Fault(fmt.Sprintf("%sparticipants[%d].%s", at, seat, field), "%s", err)
		}
		p.specs = append(p.specs, spec)
	}
	return p
}
