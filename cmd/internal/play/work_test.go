package play

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/ringrift/rift/domain/match"
)

const pair = `{"config_key":"hex8_2p","games":[
 {"game_id":"g1","seed":17,"opening":17,"participants":[{"model_id":"m1","player":"random"},{"model_id":"random"}]},
 {"game_id":"g2","seed":18,"opening":17,"participants":[{"model_id":"random"},{"model_id":"m1","player":"random"}]}]}`

func TestAnswer(t *testing.T) {
	bare, err := Answer(t.Context(), []byte(pair), Options{Size: 3})
	if err != nil {
		t.Fatal(err)
	}
	item, err := Answer(t.Context(), []byte(`{"task_id":"t","lease":1,"config_key":"hex8_2p","payload":`+pair+`}`), Options{Size: 3})
	if err != nil || !bytes.Equal(bare, item) {
		t.Errorf("want the payload's answer from its item, found %s, %v", item, err)
	}
	games, _, err := match.Games([]byte(pair))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := match.Answers(bare, games); err != nil {
		t.Errorf("%s: %v", bare, err)
	}
	one, err := Answer(t.Context(), []byte(`{"config_key":"hex8_3p","game_id":"g","seed":1,"participants":[{"model_id":"random"},{"model_id":"heuristic"},{"model_id":"mcts:5"}]}`), Options{Size: 4, Swap: true})
	if err != nil || !strings.HasPrefix(string(one), `{"game_id":"g","participants":["random","heuristic","mcts:5"],"result":{"ranks":[`) {
		t.Errorf("found %s, %v", one, err)
	}
}

func TestMistakes(t *testing.T) {
	for input, wanted := range map[string][]string{
		``:                                   {"want a work item or its payload in JSON"},
		`{}`:                                 {"game_id", "participants: want 2 to 4"},
		`"x"`:                                {"want a work item"},
		`null`:                               {"want an object"},
		`{} {}`:                              {"in JSON"},
		`{"payload":null,"participants":[]}`: {"want an object"},
		`{"games":[]}`:                       {"games: want 1 to 1000, found 0"},
		`{"game_id":"a/b","participants":[{"model_id":"random"}]}`:                                            {"game_id: want letters", "participants: want 2 to 4, found 1"},
		`{"game_id":"a","participants":[{"model_id":"random"},{"model_id":"m1"}]}`:                            {"config_key: want one, or --size", `participants[1].model_id: want random, heuristic[:w1,…,w8] or mcts:<playouts>[:w1,…,w8], found "m1"`},
		`{"config_key":"hex8_4p","game_id":"a","participants":[{"model_id":"random"},{"model_id":"random"}]}`: {"want the 4 players of hex8_4p, found 2"},
		`{"config_key":"hex8_2p","game_id":"a","seed":-1,"participants":[]}`:                                  {"in JSON"},
		`{"config_key":"hex8_2p","game_id":"a","participants":[{"model_id":"x","player":"heuristic:1,2"},{"model_id":"y","player":"mcts:0"}]}`: {
			"participants[0].player: want 8 weights", "participants[1].player: want mcts with 1 to 10000 playouts",
		},
		`{"config_key":"hex8_2p","game_id":"a","participants":[{"model_id":"x","player":"heuristic:NaN,2,3,4,5,6,7,8"},{"model_id":"y;rm -rf","player":"random:1"}]}`: {"participants[1].model_id: want letters"},
	} {
		answer, err := Answer(t.Context(), []byte(input), Options{})
		if err == nil {
			t.Errorf("%s: want an error, found %s", input, answer)
			continue
		}
		for _, part := range wanted {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: want %q in %q", input, part, err)
			}
		}
	}
	if _, err := Answer(t.Context(), make([]byte, MaxInput+1), Options{}); err == nil {
		t.Error("want an item beyond its bound refused")
	}
}

func TestSpecs(t *testing.T) {
	for _, text := range []string{"random", "mcts:7", "mcts:7:1,2,3,4,5,6,7,-8.5", "heuristic:0,0,0,0,0,0,0,1e-06"} {
		if spec := mustSpec(t, text); spec.String() != text {
			t.Errorf("want %s, found %s", text, spec)
		}
	}
	if mustSpec(t, "heuristic:1_2_3_4_5_6_7_8").String() != "heuristic:1,2,3,4,5,6,7,8" || mustSpec(t, "heuristic").String() != "heuristic:3,3,1,0.5,1,0,0.25,2" {
		t.Error("want weights named in full")
	}
	for _, text := range []string{"", "Random", "random:", "heuristic:", "heuristic:inf,1,1,1,1,1,1,1", "heuristic:1,1,1,1,1,1,1,1,1", "mcts", "mcts:", "mcts:1:", "mcts:10001", "mcts:-1", "mcts:1:1,2", "a:b"} {
		if spec, err := ParseSpec(text); err == nil {
			t.Errorf("%q: want an error, found %v", text, spec)
		}
	}
}

// For every input, games are small, answers match the request, and nothing panics.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte(pair))
	f.Add([]byte(`{"payload":{"game_id":"g","seed":1,"opening":2,"participants":[{"model_id":"heuristic"},{"model_id":"mcts:3:1_1_1_1_1_1_1_1"},{"model_id":"random"}]}}`))
	f.Add([]byte(`{"games":[null,{"participants":[null,null]}]}`))
	done, cancel := context.WithCancel(context.Background())
	cancel()
	f.Fuzz(func(t *testing.T, data []byte) {
		ctx := context.Background()
		if len(data) > 2000 || bytes.Contains(data, []byte("mcts:1")) {
			ctx = done // it is decoded, and no game of it is played
		}
		answer, err := Answer(ctx, data, Options{Size: 2})
		if err != nil {
			return
		}
		payload, _, err := Decode(data)
		if err != nil {
			t.Fatal(err)
		}
		games, _, err := match.Games(payload)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := match.Answers(answer, games); err != nil || !json.Valid(answer) {
			t.Fatalf("%s: %v", answer, err)
		}
	})
}
