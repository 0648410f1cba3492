package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// play reports a game to a node.
func play(t *testing.T, server *httptest.Server, game, winner, loser string) {
	t.Helper()
	body := fmt.Sprintf(`{"config_key":"hex8_2p","participants":[{"model_id":%q},{"model_id":%q}],"result":{"ranks":[1,2]},"game_id":%q}`, winner, loser, game)
	answer, err := http.Post(server.URL+"/elo/matches", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if err := answer.Body.Close(); err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %v", body, answer.StatusCode, err)
	}
}

// Two nodes with separate logs have the same facts after a sync, and after further ones. A
// fact that contradicts another is not copied.
func TestTheFactsOfTwoNodesAreBroughtTogether(t *testing.T) {
	here, there := realNode(t, t.TempDir()), realNode(t, t.TempDir())
	for game := range 230 { // more than one exchange takes
		play(t, here, fmt.Sprint("h", game), "aaaa", "random")
	}
	play(t, here, "both", "aaaa", "heuristic")
	play(t, there, "both", "aaaa", "heuristic")
	play(t, there, "t1", "bbbb", "heuristic")
	env := map[string]string{"RIFT_ADDR": here.URL}
	sync := func() ran { return riftWith(t, "", env, "elo", "sync", "hex8_2p", "--with", there.URL, "-o", "json") }
	first := sync()
	first.want(t, exitDone, `"taken_here": 1,`, "")
	first.want(t, exitDone, `"taken_there": 230,`, "")
	sync().want(t, exitDone, `"in_both": 232,`, "")
	riftWith(t, "", env, "elo", "matches", "hex8_2p", "--limit", "500", "-o", "table").want(t, exitDone, "bbbb    won      heuristic", "")

	play(t, here, "g9", "aaaa", "bbbb")
	play(t, there, "g9", "bbbb", "aaaa")
	sync().want(t, exitFindings, "game g9 is recorded as match", "contradicting fact")
	riftWith(t, "", env, "elo", "sync", "hex8_2p").want(t, exitError, "", "want --with ADDRESS")
}
