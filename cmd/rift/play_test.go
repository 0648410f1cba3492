package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPlay(t *testing.T) {
	args := []string{"play", "--size", "4", "--players", "mcts:20,heuristic:3,3,1,0.5,1,0,0.25,2", "--games", "6", "--seed", "5", "-o", "json"}
	first, again := rift(t, args...), rift(t, args...)
	if first.code != exitDone || first.stdout != again.stdout {
		t.Fatalf("want the same games twice, found\n%s%s\n%s", first.stdout, first.stderr, again.stdout)
	}
	var answer playAnswer
	if err := json.Unmarshal([]byte(first.stdout), &answer); err != nil || len(answer.Games) != 6 || answer.Players[0].Games != 6 {
		t.Errorf("found %+v, %v", answer, err)
	}
	if a, b := answer.Games[0], answer.Games[1]; a.Participants[0] != b.Participants[1] || a.Seed == b.Seed {
		t.Errorf("want a pair with swapped seats, found %+v, %+v", a, b)
	}
	shown := rift(t, "play", "--size", "4", "--players", "heuristic,random", "--games", "2", "--swap", "--show", "-o", "table", "--no-progress")
	shown.want(t, exitDone, "g1: X heuristic:3,3,1,0.5,1,0,0.25,2, O random; ranks [", "")
	shown.want(t, exitDone, "PLAYER", "")
	for line := range strings.Lines(shown.stdout) {
		if len(strings.TrimRight(line, "\n")) > 80 {
			t.Errorf("want at most 80 columns, found %q", line)
		}
	}
	rift(t, "play", "--size", "3", "--players", "random,random,random", "--games", "3", "-o", "csv").want(t, exitDone, "random#3,3,", "")
}

func TestPlayItem(t *testing.T) {
	item := `{"task_id":"t","config_key":"hex8_2p","payload":{"games":[{"game_id":"g1","seed":3,"opening":3,"participants":[{"model_id":"m1","player":"mcts:10"},{"model_id":"random"}]}]}}`
	riftWith(t, item, nil, "play", "--size", "4").want(t, exitDone, `{"games":[{"game_id":"g1","participants":["m1","random"],"result":{"ranks":[`, "")
	wrong := riftWith(t, `{"config_key":"hex8_2p","game_id":"g1","participants":[{"model_id":"m1"},{"model_id":"$(id)"}]}`, nil, "play")
	wrong.want(t, exitError, "", "participants[1].model_id: want letters")
	if wrong.stdout != "" {
		t.Errorf("want no answer beside an error, found %q", wrong.stdout)
	}
	riftWith(t, `not json`, nil, "play").want(t, exitError, "", "want a work item or its payload in JSON")
	riftWith(t, item, nil, "play", "--games", "4").want(t, exitError, "", "--games: want --players with it")
	riftWith(t, item, nil, "play", "--size", "20").want(t, exitError, "", "--size: want 2 to 19, found 20")
	rift(t, "play", "--players", "alice,mcts:0", "--size", "99", "--games", "0").want(t, exitError, "", "players[1]: want mcts with 1 to 10000 playouts")
	rift(t, "play", "--players", "random,random,random", "--swap").want(t, exitError, "", "want two players for the swap rule, found 3")
	rift(t, "play", "--players", "random").want(t, exitError, "", "want 2 to 3, found 1")
}

// A worker plays the games of items. A command that fails, or that answers other games than
// those of its item, is a failed attempt and has no result.
func TestWorkerPlays(t *testing.T) {
	server := realNode(t, t.TempDir())
	program, scratch := riftProgram(t), filepath.Join(t.TempDir(), "scratch")
	env := map[string]string{"RIFT_ADDR": server.URL, "RIFT_NODE_ID": "gpu-7", "PATH": os.Getenv("PATH")}
	payload := `{"games":[{"game_id":"g1","seed":3,"opening":3,"participants":[{"model_id":"m1","player":"mcts:10"},{"model_id":"random"}]},` +
		`{"game_id":"g2","seed":4,"opening":3,"participants":[{"model_id":"random"},{"model_id":"m1","player":"mcts:10"}]}]}`
	add := func(id, payload string) {
		riftWith(t, "", env, "work", "add", "gauntlet", "--task-id", id, "--config-key", "hex8_2p", "--max-attempts", "1", "--payload", payload).want(t, exitDone, "", "")
	}
	work := func(command ...string) ran {
		return riftWith(t, "", env, append([]string{"worker", "--scratch", scratch, "--once", "--"}, command...)...)
	}
	add("played", payload)
	work(program, "play", "--size", "3").want(t, exitDone, `"completed": 1`, "")
	riftWith(t, "", env, "work", "show", "played").want(t, exitDone, `"game_id": "g2"`, "")
	for id, c := range map[string]struct{ script, said string }{
		"silent":  {"exit 0", "answer: want one JSON object on standard output, found"},
		"no-json": {"echo a draw", `want one JSON object on standard output, found \"a draw`},
		"half":    {`echo '{"games":[{"game_id":"g1","participants":["m1","random"],"result":{"ranks":[1,1]},"plies":1,"seed":3}]}'`, "want an answer to g2, found none"},
		"other":   {`echo '{"success":true}'`, "want a game that was asked for"},
		"named":   {`echo 'result: {"games":[]}'`, "want an answer to g1, found none"},
		"broken":  {program + " play --size 99", "exit code 1"},
		"crashed": {`echo '{"games":[]}'; exit 3`, "exit code 3"},
	} {
		add(id, payload)
		work("/bin/sh", "-c", c.script).want(t, exitFindings, `"failed": 1`, "")
		riftWith(t, "", env, "work", "show", id).want(t, exitDone, `"result": null`, "")
		riftWith(t, "", env, "work", "show", id).want(t, exitDone, c.said, "")
		riftWith(t, "", env, "nodes", "register", "gpu-7").want(t, exitDone, "", "")
	}
	// Counts of games have another form, which the worker does not check.
	add("counts", payload)
	work("/bin/sh", "-c", `echo 'result: {"games_played":2,"results":[{"opponent":"random","wins":1,"losses":1,"draws":0}]}'`).want(t, exitDone, `"completed": 1`, "")
	add("stranger", strings.ReplaceAll(payload, `,"player":"mcts:10"`, ""))
	work(program, "play", "--size", "3").want(t, exitFindings, `"failed": 1`, "")
	riftWith(t, "", env, "work", "show", "stranger").want(t, exitDone, `found \"m1\"`, "")
}
