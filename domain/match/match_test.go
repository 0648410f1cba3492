package match_test

import (
	"strings"
	"testing"

	"github.com/ringrift/rift/domain/match"
)

const asked = `{"config_key":"hex8_2p","games":[
	{"game_id":"g1","seed":17,"opening":17,"participants":[{"model_id":"m1"},{"model_id":"m2"}]},
	{"game_id":"g2","seed":18,"opening":17,"participants":[{"model_id":"m2"},{"model_id":"m1"}]}]}`

func TestAsks(t *testing.T) {
	for payload, want := range map[string]bool{
		asked: true, `{"participants":[]}`: true, `{"games":100}`: false, `{"participants":"x"}`: false, `null`: false, ``: false, `[]`: false, `{"games":null}`: false,
	} {
		if got := match.Asks([]byte(payload)); got != want {
			t.Errorf("%s: want %t, found %t", payload, want, got)
		}
	}
}

func TestAnswers(t *testing.T) {
	games, several, err := match.Games([]byte(asked))
	if err != nil || !several || games[1].ConfigKey != "hex8_2p" {
		t.Fatalf("found %+v, %v", games, err)
	}
	g1 := `{"game_id":"g1","participants":["m1","m2"],"result":{"ranks":[1,2]},"plies":41,"seed":17}`
	g2 := `{"game_id":"g2","participants":["m2","m1"],"result":{"ranks":[1,1]},"plies":40,"seed":18}`
	answers, err := match.Answers([]byte(`{"worker":{"node_id":"n"},"games":[`+g2+`,`+g1+`]}`), games)
	if err != nil || answers[0].GameID != "g1" || answers[1].Result.Ranks[1] != 1 {
		t.Errorf("want the answers in the order of the games, found %+v, %v", answers, err)
	}
	for result, wanted := range map[string]string{
		``:                                  "in JSON",
		`null`:                              "want an answer to g1",
		`{"games":[]}`:                      "want an answer to g1",
		`{"success":true}`:                  "want a game that was asked for",
		g1:                                  "want an answer to g2",
		`{"games":[` + g1 + `,` + g1 + `]}`: "want each game once",
		`{"games":[` + strings.Replace(g1, `["m1","m2"]`, `["m2","m1"]`, 1) + `,` + g2 + `]}`: "order of their seats",
		`{"games":[` + strings.Replace(g1, `[1,2]`, `[2,2]`, 1) + `,` + g2 + `]}`:             "want a first rank",
		`{"games":[` + strings.Replace(g1, `[1,2]`, `[1,3]`, 1) + `,` + g2 + `]}`:             "want 1 to 2, found 3",
		`{"games":[` + strings.Replace(g1, `[1,2]`, `[]`, 1) + `,` + g2 + `]}`:                "one rank per participant",
		`{"games":[` + strings.Replace(g1, `"seed":17`, `"seed":16`, 1) + `,` + g2 + `]}`:     "want that of the game 17, found 16",
		`{"games":[` + strings.Replace(g1, `41`, `-1`, 1) + `,` + g2 + `]}`:                   "plies",
		`{"games":[` + strings.Replace(g1, `[1,2]`, `[1,NaN]`, 1) + `,` + g2 + `]}`:           "in JSON",
	} {
		if _, err := match.Answers([]byte(result), games); err == nil || !strings.Contains(err.Error(), wanted) {
			t.Errorf("%s: want %q, found %v", result, wanted, err)
		}
	}
}

func FuzzMatch(f *testing.F) {
	f.Add([]byte(asked), []byte(`{"games":[{"game_id":"g1","participants":["m1","m2"],"result":{"ranks":[1,2]},"plies":41,"seed":17}]}`))
	f.Fuzz(func(t *testing.T, payload, result []byte) {
		games, several, err := match.Games(payload)
		if err != nil {
			return
		}
		answers, err := match.Answers(result, games)
		if err != nil {
			return
		}
		again, err := match.Encode(answers, several)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := match.Answers(again, games); err != nil {
			t.Fatalf("%s: %v", again, err)
		}
	})
}
