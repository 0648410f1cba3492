package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

// A report up to a position does not depend on later events, in any of its forms.
func TestReportOnRatings(t *testing.T) {
	node := realNode(t, t.TempDir())
	do := func(words ...string) ran { return riftWith(t, "", map[string]string{"RIFT_ADDR": node.URL}, words...) }
	do("report", "elo").want(t, exitError, "", "no rating moved")
	games := filepath.Join(t.TempDir(), "games.csv")
	rows := "a,b,ranks,played_at\n"
	for i := range 20 {
		rows += []string{"aaaa,bbbb,1;2", "bbbb,cccc,1;2", "cccc,aaaa,1;2", "aaaa,heuristic,1;1", "aaaa,bbbb,1;1"}[i%5] + ",2026-01-0" + string(rune('1'+i%9)) + "T10:00:00Z\n"
	}
	if err := os.WriteFile(games, []byte(rows), 0o600); err != nil {
		t.Fatal(err)
	}
	do("elo", "import", "hex8_2p", games).want(t, exitDone, "20", "")
	position := strings.TrimSpace(do("elo", "rankings", "hex8_2p", "-o", "json").stdout)
	at := position[strings.Index(position, `"position": `)+len(`"position": `):]
	at = at[:strings.IndexByte(at, ',')]
	forms := []string{"table", "md", "csv", "json", "svg"}
	report := func(form string, more ...string) string {
		shown := do(append([]string{"report", "elo", "--to", at, "-o", form}, more...)...)
		shown.want(t, exitDone, "", "")
		return shown.stdout
	}
	if of, asked := report("jsonl"), do("elo", "rankings", "hex8_2p", "-o", "jsonl").stdout; of != asked {
		t.Errorf("want the ratings that the node shows\n%s\nfound\n%s", asked, of)
	}
	before := map[string]string{}
	for _, form := range forms {
		before[form] = report(form)
	}
	for form, wanted := range map[string][]string{
		"table": {"Ratings of hex8_2p by elo", "Who did how against whom", "How likely the row is stronger", "log positions 1 to " + at + ","},
		"md":    {"# Ratings of hex8_2p by elo", "## Ratings", "*log positions 1 to "},
		"csv":   {"component,rank,model_id", "# log positions"},
		"json":  {`"crosstable"`, `"curves"`, `"first_position": 1`},
		"svg":   {"<svg", "aaaa", "Published ratings", "log positions 1 to " + at},
	} {
		for _, want := range wanted {
			if !strings.Contains(before[form], want) {
				t.Errorf("%s: want %q, found\n%.1500s", form, want, before[form])
			}
		}
	}
	for _, line := range strings.Split(before["table"], "\n") {
		if !strings.HasPrefix(line, "log positions") && utf8.RuneCountInString(line) > 80 {
			t.Errorf("want lines of at most 80, found %d: %s", utf8.RuneCountInString(line), line)
		}
	}
	do("elo", "exclude", "hex8_2p", "--match-id", matchIn(t, do("elo", "matches", "hex8_2p", "-o", "json").stdout), "--reason", "r").want(t, exitDone, "", "")
	for _, form := range forms {
		if again := report(form); again != before[form] {
			t.Errorf("%s: want the same bytes from the same stretch, found other ones", form)
		}
	}
	if whole := do("report", "elo", "-o", "csv").stdout; whole == before["csv"] {
		t.Error("want the excluded game gone from the report on all")
	}
	for _, method := range []string{"mle", "whr", "glicko2", "pl"} {
		report("json", "--method", method)
		report("svg", "--method", method)
	}
	do("report", "elo", "--method", "guess", "--config-key", "hex8_2p").want(t, exitError, "", "want one of")
	do("report", "elo", "--config-key", "hex8_3p").want(t, exitError, "", "hex8_3p")
}

// matchIn returns the first match of an answer.
func matchIn(t *testing.T, text string) string {
	t.Helper()
	_, after, found := strings.Cut(text, `"match_id": "`)
	id, _, closed := strings.Cut(after, `"`)
	if !found || !closed {
		t.Fatalf("want a match in %.200s", text)
	}
	return id
}
