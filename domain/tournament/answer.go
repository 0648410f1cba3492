package tournament

import (
	"encoding/json"
	"fmt"

	"github.com/ringrift/rift/domain"
)

// Answer is a command's answer about a game that it played.
type Answer struct {
	GameID       string   `json:"game_id,omitempty"`
	Participants []string `json:"participants"` // in seat order
	Ranks        []int    `json:"ranks"`        // in seat order
	Plies        int      `json:"plies,omitempty"`
	Seed         *uint64  `json:"seed,omitempty"`
}

// MaxAnswers limits the games of one answer.
const MaxAnswers = 1000

// ParseAnswers parses a command's output: one game, {"participants":["m1","m2"],
// "result":{"ranks":[1,2]},…}, or several as {"games":[…]}. Anything else is an
// error, never a draw.
func ParseAnswers(printed json.RawMessage) ([]Answer, error) {
	type game struct {
		GameID       string   `json:"game_id"`
		Participants []string `json:"participants"`
		Result       *struct {
			Ranks []int `json:"ranks"`
		} `json:"result"`
		Plies int     `json:"plies"`
		Seed  *uint64 `json:"seed"`
	}
	var said struct {
		game
		Games []game `json:"games"`
	}
	if len(printed) == 0 {
		return nil, domain.Errorf(domain.Invalid, "result: want a JSON object with the result of a game, found nothing")
	}
	if err := json.Unmarshal(printed, &said); err != nil {
		return nil, domain.Errorf(domain.Invalid, "result: want a JSON object with the result of a game: %w", err)
	}
	games := said.Games
	switch {
	case said.Result != nil && len(games) > 0:
		return nil, domain.Errorf(domain.Invalid, "result: want one game or games, found both")
	case said.Result != nil:
		games = []game{said.game}
	case len(games) == 0:
		return nil, domain.Errorf(domain.Invalid, "result: want result.ranks of a game, or games, found neither")
	case len(games) > MaxAnswers:
		return nil, domain.Errorf(domain.Invalid, "result: want at most %d games, found %d", MaxAnswers, len(games))
	}
	var c domain.Checks
	answers := make([]Answer, len(games))
	for i, g := range games {
		field := fmt.Sprintf("games[%d]", i)
		if g.Result == nil {
			c.Fault(field, "want result.ranks")
			continue
		}
		rankChecks(&c, g.Result.Ranks, len(g.Participants))
		domain.Within(&c, field+".plies", g.Plies, 0, 1_000_000_000)
		answers[i] = Answer{g.GameID, g.Participants, g.Result.Ranks, g.Plies, g.Seed}
	}
	return answers, domain.Faulty("result", c)
}

// Said is a result reported by hand: the ranks of the pairing's players in its
// order, 1 for the first, shared for draws; or the winner's name, which is enough
// for two players; or "1-0", "0-1", "1/2-1/2" or "draw" as text.
type Said struct {
	Ranks  []int  `json:"ranks,omitempty"`
	Winner string `json:"winner,omitempty"`
}

// UnmarshalJSON accepts an object or a string.
func (s *Said) UnmarshalJSON(data []byte) error {
	var text string
	if json.Unmarshal(data, &text) == nil {
		switch text {
		case "1-0":
			s.Ranks = []int{1, 2}
		case "0-1":
			s.Ranks = []int{2, 1}
		case "1/2-1/2", "draw":
			s.Ranks = []int{1, 1}
		default:
			s.Winner = text
		}
		return nil
	}
	var object struct {
		Ranks  []int  `json:"ranks"`
		Winner string `json:"winner"`
	}
	if err := strictly(data, &object); err != nil {
		return err
	}
	s.Ranks, s.Winner = object.Ranks, object.Winner
	return nil
}

// strictly decodes an object and rejects unknown keys.
func strictly(data []byte, into any) error {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(data, &keys); err != nil {
		return domain.Errorf(domain.Invalid, "want {\"ranks\":[1,2]}, {\"winner\":\"name\"} or \"1-0\": %w", err)
	}
	known := 0
	for _, key := range []string{"ranks", "winner"} {
		if _, there := keys[key]; there {
			known++
		}
	}
	if known != len(keys) {
		return domain.Errorf(domain.Invalid, "want ranks or winner, found other keys")
	}
	if err := json.Unmarshal(data, into); err != nil {
		return domain.Errorf(domain.Invalid, "want {\"ranks\":[1,2]}, {\"winner\":\"name\"} or \"1-0\": %w", err)
	}
	return nil
}

// Of returns the ranks for a game of a pairing.
func (s Said) Of(players []string) ([]int, []domain.Fault) {
	switch {
	case s.Winner == "":
		return s.Ranks, RankFaults(s.Ranks, len(players))
	case len(s.Ranks) > 0:
		return nil, []domain.Fault{{Field: "result", Reason: "want ranks or winner, found both"}}
	case len(players) != 2:
		return nil, []domain.Fault{{Field: "result.ranks", Reason: fmt.Sprintf("want the ranks of all %d players: a winner alone does not say how the others did", len(players))}}
	case s.Winner == players[0]:
		return []int{1, 2}, nil
	case s.Winner == players[1]:
		return []int{2, 1}, nil
	}
	return nil, []domain.Fault{{Field: "result.winner", Reason: fmt.Sprintf("want %s or %s, found %q", players[0], players[1], domain.Clip(s.Winner, 64))}}
}
