package tournament

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/ringrift/rift/domain"
)

// What is no result of a game is an error, never a draw.
func TestWhatIsNoResultIsNoDraw(t *testing.T) {
	for _, printed := range []string{
		``, `null`, `{}`, `[]`, `"draw"`, `{"result":null}`, `{"result":{}}`, `{"games":[]}`, `{"games":[{}]}`, `{"winner":"m1"}`,
		`{"participants":["m1","m2"],"result":{"ranks":[1]}}`,
		`{"participants":["m1","m2"],"result":{"ranks":[2,2]}}`,
		`{"participants":["m1","m2"],"result":{"ranks":[0,1]}}`,
		`{"participants":["m1","m2"],"result":{"ranks":[1,1.5]}}`,
		`{"participants":["m1","m2"],"result":{"ranks":[1,3]}}`,
		`{"participants":["m1"],"result":{"ranks":[1]}}`,
		`{"participants":["m1","m2"],"result":{"ranks":[1,2]},"plies":-1}`,
		`{"participants":["m1","m2"],"result":{"ranks":[1,2]},"plies":1e400}`,
		`{"participants":["m1","m2"],"result":{"ranks":[1,2]},"games":[{"participants":["m1","m2"],"result":{"ranks":[1,2]}}]}`,
		`{"games":[` + strings.Repeat(`{},`, MaxAnswers) + `{}]}`,
		`{"participants":["m1","m2"],"result":{"ranks":[1,2]}} trailing`,
	} {
		if answers, err := ParseAnswers(json.RawMessage(printed)); err == nil {
			t.Errorf("%.80s: want it refused, found %+v", printed, answers)
		} else if domain.CodeOf(err) != domain.Invalid {
			t.Errorf("%.80s: want it invalid, found %v", printed, err)
		}
	}
	answers, err := ParseAnswers(json.RawMessage(`{"game_id":"g","participants":["m1","m2"],"result":{"ranks":[1,1],"more":2},"plies":7,"seed":18446744073709551615}`))
	if err != nil || len(answers) != 1 || answers[0].Ranks[1] != 1 || *answers[0].Seed != 1<<64-1 {
		t.Errorf("want the draw that was told, found %+v, %v", answers, err)
	}
}

// FuzzAnswers checks that every accepted answer has ranks of its participants.
func FuzzAnswers(f *testing.F) {
	f.Add([]byte(`{"game_id":"g","participants":["m1","m2"],"result":{"ranks":[1,2]},"plies":41,"seed":17}`))
	f.Add([]byte(`{"games":[{"participants":["m1","m2"],"result":{"ranks":[1,1]}}]}`))
	f.Add([]byte(`{"games":12,"winner":"x"}`))
	f.Fuzz(func(t *testing.T, printed []byte) {
		answers, err := ParseAnswers(printed)
		if err != nil {
			return
		}
		for _, a := range answers {
			if faults := RankFaults(a.Ranks, len(a.Participants)); len(faults) > 0 || a.Plies < 0 {
				t.Fatalf("%s: took %+v", printed, a)
			}
		}
	})
}

// FuzzSaid checks that an accepted result determines the winner.
func FuzzSaid(f *testing.F) {
	for _, text := range []string{`"1-0"`, `"draw"`, `{"ranks":[2,1]}`, `{"winner":"b"}`, `{"ranks":[1,1],"winner":"a"}`, `{"x":1}`, `null`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var said Said
		if json.Unmarshal(data, &said) != nil {
			return
		}
		ranks, faults := said.Of([]string{"a", "b"})
		if len(faults) == 0 && len(RankFaults(ranks, 2)) > 0 {
			t.Fatalf("%s: took %v", data, ranks)
		}
	})
}

// Everybody has every seat once in as many games as there are seats, and values by
// seat are converted back to players.
func TestSeatsMoveOn(t *testing.T) {
	for n := 2; n <= 4; n++ {
		p := Pairing{Players: []string{"a", "b", "c", "d"}[:n]}
		sat := map[string]map[int]bool{}
		for game := 1; game <= n; game++ {
			told := make([]int, n)
			for seat, name := range p.Seats(game) {
				if sat[name] == nil {
					sat[name] = map[int]bool{}
				}
				sat[name][seat] = true
				told[seat] = int(name[0])
			}
			for i, rank := range p.OfPlayers(game, told) {
				if rank != int(p.Players[i][0]) {
					t.Errorf("game %d of %d: want what was told of %s, found that of %c", game, n, p.Players[i], rank)
				}
			}
		}
		for name, seats := range sat {
			if len(seats) != n {
				t.Errorf("%s: want every one of %d seats, found %v", name, n, seats)
			}
		}
	}
}
