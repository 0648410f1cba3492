package match

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/ringrift/rift/domain"
)

// Answer is the outcome of a game.
type Answer struct {
	GameID       string   `json:"game_id"`
	Participants []string `json:"participants"` // model ids in seat order
	Result       Result   `json:"result"`
	Plies        int      `json:"plies"`
	Seed         uint64   `json:"seed"`
}

// Result is how a game ended.
type Result struct {
	Ranks []int `json:"ranks"` // in seat order; 1 is best, equal numbers are a draw
}

// maxPlies is more than any game has.
const maxPlies = 1_000_000

// answers is a result: one game, or several.
type answers struct {
	Answer
	Games []Answer `json:"games"`
}

// Encode encodes the answers in the form that matches the payload.
func Encode(played []Answer, several bool) ([]byte, error) {
	var doc any = struct {
		Games []Answer `json:"games"`
	}{played}
	if !several {
		if len(played) != 1 {
			return nil, domain.Errorf(domain.Internal, "match: want one game for an answer of one, found %d", len(played))
		}
		doc = played[0]
	}
	data, err := json.Marshal(doc)
	if err != nil {
		return nil, domain.Errorf(domain.Internal, "match: %w", err)
	}
	return data, nil
}

// Answers decodes the result of an item with games: exactly one answer for each
// game, by the same players in the same seats with the same seed. They are returned
// in the order of the games. Other keys, such as a worker's statistics, are
// ignored. The error lists every fault.
func Answers(result []byte, games []Game) ([]Answer, error) {
	var told answers
	if err := json.Unmarshal(result, &told); err != nil {
		return nil, domain.Errorf(domain.Invalid, "match: want the answer to a game or a list of answers in JSON: %w", err)
	}
	if told.Games == nil {
		told.Games = []Answer{told.Answer}
	}
	at := make(map[string]int, len(games))
	for i, game := range games {
		at[game.GameID] = i
	}
	var c domain.Checks
	out := make([]Answer, len(games))
	answered := make([]bool, len(games))
	for k, answer := range told.Games {
		where := "games[" + fmt.Sprint(k) + "]."
		if len(c) > maxFaults {
			break
		}
		i, known := at[answer.GameID]
		switch {
		case !known:
			c.Fault(where+"game_id", "want a game that was asked for, found %q", domain.Clip(answer.GameID, 64))
			continue
		case answered[i]:
			c.Fault(where+"game_id", "want each game once, found %q twice", answer.GameID)
			continue
		}
		answer.check(&c, where, games[i])
		out[i], answered[i] = answer, true
	}
	for i, done := range answered {
		if !done && len(c) <= maxFaults {
			c.Fault("games", "want an answer to %s, found none", games[i].GameID)
		}
	}
	if len(c) > 0 {
		return nil, domain.Faulty("match", c[:min(len(c), maxFaults)])
	}
	return out, nil
}

func (a Answer) check(c *domain.Checks, at string, game Game) {
	names := make([]string, len(game.Participants))
	for i, p := range game.Participants {
		names[i] = p.ModelID
	}
	if !slices.Equal(names, a.Participants) {
		c.Fault(at+"participants", "want those of the game in the order of their seats")
	}
	if len(a.Result.Ranks) != len(names) {
		c.Fault(at+"result.ranks", "want one rank per participant, found %d for %d", len(a.Result.Ranks), len(names))
	}
	for _, rank := range a.Result.Ranks[:min(len(a.Result.Ranks), domain.MaxPlayers)] {
		domain.Within(c, at+"result.ranks", rank, 1, len(names))
	}
	if len(a.Result.Ranks) > 0 && !slices.Contains(a.Result.Ranks, 1) {
		c.Fault(at+"result.ranks", "want a first rank")
	}
	if a.Seed != game.Seed {
		c.Fault(at+"seed", "want that of the game %d, found %d", game.Seed, a.Seed)
	}
	domain.Within(c, at+"plies", a.Plies, 0, maxPlies)
}
