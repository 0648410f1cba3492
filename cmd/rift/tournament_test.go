package main

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// A tournament is held from the command line and shown in every form. Its report is the same
// from the node and from its log.
func TestTournamentFromTheCommandLine(t *testing.T) {
	folder := t.TempDir()
	server := realNode(t, folder)
	do := func(args ...string) ran { return rift(t, append(args, "--addr", server.URL)...) }
	do("tournament", "start", "round_robin", "a,b,c", "--tournament-id", "spring", "--games-per-pairing", "1", "--by-hand", "-o", "table").want(t, exitDone, "TOURNAMENT_ROUND_PAIRED in tournament-spring at", "")
	do("tournament", "bracket", "summer").want(t, exitError, "", "tournaments are listed by: rift tournament status")
	do("tournament", "result", "spring", "1", "1", "--winner", "b").want(t, exitDone, `"state": "running"`, "")
	do("tournament", "result", "spring", "1", "1", "--winner", "c").want(t, exitConflict, "", "has the ranks [1 2], found [2 1]")
	do("tournament", "result", "spring", "2", "1", "--ranks", "[1,1]").want(t, exitDone, `"state": "running"`, "")
	do("tournament", "status", "-o", "table").want(t, exitDone, "spring         round_robin  running  3 of 3", "")
	do("tournament", "withdraw", "spring", "a", "--reason", "lost").want(t, exitDone, `TOURNAMENT_COMPLETED`, "")
	do("tournament", "cancel", "spring").want(t, exitConflict, "", "is done")
	do("tournament", "bracket", "spring", "-o", "table").want(t, exitDone, "1  b ", "")
	do("tournament", "bracket", "spring", "-o", "csv").want(t, exitDone, "rank,participant,points,games,wins,draws,losses,withdrawn,direct,buch-1,buchholz,s-b,won\n1,b,1.5,2,1,1,0,,", "")
	drawn := do("tournament", "bracket", "spring", "-o", "svg")
	drawn.want(t, exitDone, "</svg>", "")
	if !strings.HasPrefix(drawn.stdout, "<svg ") {
		t.Errorf("want a drawing and nothing else, found %.60q", drawn.stdout)
	}
	do("tournament", "bracket", "spring", "-o", "pdf").want(t, exitError, "", "want one of")

	for accept, want := range map[string]string{"image/svg+xml": "image/svg+xml", "text/plain": "text/plain; charset=utf-8", "*/*": "application/json"} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/tournament/bracket?tournament_id=spring", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Accept", accept)
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		if err := answer.Body.Close(); err != nil {
			t.Fatal(err)
		}
		if found := answer.Header.Get("Content-Type"); answer.StatusCode != http.StatusOK || found != want || answer.Header.Get("Etag") == "" {
			t.Errorf("%s: want 200 and %s, found %d and %s", accept, want, answer.StatusCode, found)
		}
	}

	file := filepath.Join(t.TempDir(), "log.jsonl")
	do("log", "export", file).want(t, exitDone, "", "")
	for _, form := range []string{"json", "md", "csv", "svg", "table"} {
		fromNode, fromFile := do("report", "tournament", "-o", form), rift(t, "report", "tournament", file, "-o", form)
		fromNode.want(t, exitDone, "", "")
		if fromNode.stdout != fromFile.stdout {
			t.Errorf("%s: the node says\n%s\nthe file says\n%s", form, fromNode.stdout, fromFile.stdout)
		}
	}
	rift(t, "report", "tournament", file, "-o", "table").want(t, exitDone, "Points against each other", "")
	rift(t, "report", "tournament", file, "-o", "table").want(t, exitDone, "; 15 events folded, digest ", "")
	rift(t, "report", "tournament", file, "--tournament", "summer").want(t, exitError, "", "without --tournament lists them")
	rift(t, "report", "tournament", file, "--from", "2030-01-01T00:00:00Z").want(t, exitError, "", "--from and --to choose another stretch")
	out := filepath.Join(t.TempDir(), "spring.svg")
	rift(t, "report", "tournament", file, "--out", out).want(t, exitDone, "", "wrote "+out)
}
