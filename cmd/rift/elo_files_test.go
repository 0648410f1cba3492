package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

// Facts that are exported by one node and imported by another give the same ratings. They
// may be imported twice. A ranking fits 80 columns.
func TestFactsAreImportedAndExported(t *testing.T) {
	here, there := realNode(t, t.TempDir()), realNode(t, t.TempDir())
	at := func(url string, words ...string) ran {
		return riftWith(t, "", map[string]string{"RIFT_ADDR": url}, append([]string{"elo"}, words...)...)
	}
	dir := t.TempDir()
	games := filepath.Join(dir, "games.csv")
	rows := "a,b,ranks,wins,draws,losses,played_at,worker\n"
	for _, row := range []string{
		"a-model-with-quite-a-long-name-1,heuristic,1;2,,,,2026-01-01T10:00:00Z,gpu-1",
		"bbbb,a-model-with-quite-a-long-name-1,1;1,,,,2026-01-01T11:00:00Z,gpu-2",
		"bbbb,random,,90,2,8,2026-01-02,gpu-2",
		"xxxx,yyyy,2;1,,,,,",
	} {
		rows += row + "\n"
	}
	if err := os.WriteFile(games, []byte(rows), 0o600); err != nil {
		t.Fatal(err)
	}
	at(here.URL, "import", "hex8_2p", games, "--dry-run").want(t, exitDone, "", "")
	at(here.URL, "import", "hex8_2p", games, "-o", "json").want(t, exitDone, `"taken": 4`, "")
	at(here.URL, "import", "hex8_2p", games, "-o", "json").want(t, exitDone, `"taken": 0`, "")
	table := at(here.URL, "rankings", "hex8_2p", "-o", "table")
	table.want(t, exitDone, "2 sets of players that nothing connects", "")
	for _, method := range [][]string{{}, {"--method", "mle"}, {"--method", "glicko2"}, {"--method", "whr"}, {"--method", "pl"}, {"--mode", "bayeselo"}} {
		shown := at(here.URL, append([]string{"rankings", "hex8_2p", "-o", "table"}, method...)...)
		shown.want(t, exitDone, "bbbb", "")
		for _, line := range strings.Split(shown.stdout, "\n") {
			if utf8.RuneCountInString(line) > 80 {
				t.Errorf("%v: want lines of at most 80, found %d: %s", method, utf8.RuneCountInString(line), line)
			}
		}
	}
	file, pgn := filepath.Join(dir, "all.csv"), filepath.Join(dir, "all.pgn")
	at(here.URL, "export", "hex8_2p", "--out", file).want(t, exitDone, "", "wrote")
	at(here.URL, "export", "hex8_2p", "--out", pgn).want(t, exitDone, "", "left out 1 result")
	at(there.URL, "import", "hex8_2p", pgn, "-o", "json").want(t, exitDone, `"taken": 3`, "")
	at(there.URL, "import", "hex8_2p", file, "-o", "json").want(t, exitDone, `"taken": 1`, "")
	for _, url := range []string{here.URL, there.URL} {
		at(url, "exclude", "hex8_2p", "--worker", "gpu-1", "--reason", "wrong rules").want(t, exitDone, "ELO_GAMES_EXCLUDED", "")
	}
	one, other := at(here.URL, "rankings", "hex8_2p", "-o", "jsonl"), at(there.URL, "rankings", "hex8_2p", "-o", "jsonl")
	if one.stdout != other.stdout || !strings.Contains(one.stdout, "bbbb") {
		t.Errorf("want the same ratings of both, found\n%s\n%s", one.stdout, other.stdout)
	}
	at(here.URL, "exclusions", "hex8_2p", "-o", "table").want(t, exitDone, "worker gpu-1", "")
	at(here.URL, "export", "hex8_2p", "--format", "pgn").want(t, exitDone, `[White "bbbb"]`, "1 fact excluded")
	at(here.URL, "include", "hex8_2p", "--worker", "gpu-1").want(t, exitDone, "ELO_EXCLUSION_LIFTED", "")
	at(here.URL, "include", "hex8_2p", "--worker", "gpu-1").want(t, exitError, "", "is not excluded")
	at(here.URL, "import", "hex8_2p", "games.txt").want(t, exitError, "", "want a name that ends in .csv or .pgn")
	at(here.URL, "rankings", "hex8_2p", "--method", "mle", "--k", "32").want(t, exitError, "", "method mle does not read it")
}

// Nodes with many facts compare sums, and look only at the parts that differ.
func TestNodesWithManyFactsAreBroughtTogether(t *testing.T) {
	here, there := realNode(t, t.TempDir()), realNode(t, t.TempDir())
	at := func(url string, words ...string) ran {
		return riftWith(t, "", map[string]string{"RIFT_ADDR": url}, append([]string{"elo"}, words...)...)
	}
	file := func(games ...int) string {
		rows := "a,b,ranks,game_id\n"
		for from := 0; from < len(games); from += 2 {
			for game := games[from]; game < games[from+1]; game++ {
				rows += fmt.Sprintf("m%d,m%d,1;2,g%d\n", game%7, game%7+1, game)
			}
		}
		path := filepath.Join(t.TempDir(), "games.csv")
		if err := os.WriteFile(path, []byte(rows), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	at(here.URL, "import", "hex8_2p", file(0, 1800, 2000, 2002)).want(t, exitDone, "1802", "")
	at(there.URL, "import", "hex8_2p", file(1, 1800, 3000, 3003)).want(t, exitDone, "1802", "")
	done := at(here.URL, "sync", "hex8_2p", "--with", there.URL, "-o", "json")
	done.want(t, exitDone, `"taken_here": 3,`, "")
	done.want(t, exitDone, `"taken_there": 3,`, "")
	done.want(t, exitDone, `"in_both": 1799,`, "")
	at(here.URL, "sync", "hex8_2p", "--with", there.URL, "-o", "json").want(t, exitDone, `"in_both": 1805,`, "")
	one, other := at(here.URL, "rankings", "hex8_2p", "-o", "jsonl"), at(there.URL, "rankings", "hex8_2p", "-o", "jsonl")
	if one.stdout != other.stdout {
		t.Errorf("want the same ratings of both, found\n%s\n%s", one.stdout, other.stdout)
	}
}
