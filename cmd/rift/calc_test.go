package main

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// calc runs rift calc and decodes what it prints.
func calc(t *testing.T, stdin string, args ...string) map[string]any {
	t.Helper()
	r := riftWith(t, stdin, nil, append([]string{"calc"}, args...)...)
	if r.code != exitDone {
		t.Fatalf("rift calc %s: found exit %d\n%s%s", strings.Join(args, " "), r.code, r.stdout, r.stderr)
	}
	var doc map[string]any
	if err := json.Unmarshal([]byte(r.stdout), &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

func wantNumber(t *testing.T, doc map[string]any, key string, want, tolerance float64) {
	t.Helper()
	var value any = doc
	for part := range strings.SplitSeq(key, ".") {
		inner, ok := value.(map[string]any)
		if !ok {
			t.Fatalf("%s: no object around it in %v", key, doc)
		}
		value = inner[part]
	}
	if found, ok := value.(float64); !ok || math.Abs(found-want) > tolerance {
		t.Errorf("%s: want %v, found %v", key, want, value)
	}
}

// ranking finds a player in what calc fit prints.
func ranking(t *testing.T, doc map[string]any, name string) map[string]any {
	t.Helper()
	for _, r := range doc["rankings"].([]any) {
		if p := r.(map[string]any); p["name"] == name {
			return p
		}
	}
	t.Fatalf("no %s in %v", name, doc["rankings"])
	return nil
}

func TestCalcElo(t *testing.T) {
	games := calc(t, "", "elo", "--wdl", "136,111,96")
	wantNumber(t, games, "elo", 40.702458, 1e-6)
	wantNumber(t, games, "error", 30.427218, 1e-6)
	wantNumber(t, games, "los", 0.996010, 1e-6)
	wantNumber(t, games, "nelo", 49.768415, 1e-6)
	wantNumber(t, games, "nelo_error", 36.768451, 1e-6)
	pairs := calc(t, "", "elo", "--penta", "34,54,63,64,75")
	wantNumber(t, pairs, "elo", 55.579780, 1e-6)
	wantNumber(t, pairs, "games", 580, 0)
	wantNumber(t, pairs, "score", 0.579310, 1e-6)
	rift(t, "calc", "elo", "--wdl", "0,400,0", "-o", "table").want(t, exitDone, "every game or pair ended alike", "")
	rift(t, "calc", "elo", "--wdl", "5,0,0").want(t, exitDone, `"alike": true`, "")
	rift(t, "calc", "elo").want(t, exitError, "", "want the results: --wdl")
	rift(t, "calc", "elo", "--wdl", "1,1,1", "--penta", "1,1,1,1,1").want(t, exitError, "", "not both")
	rift(t, "calc", "elo", "--wdl", "1,x,-3,9").want(t, exitError, "", `count 2: want a whole number of at most 1000000000000, found "x"`)
	rift(t, "calc", "elo", "--wdl", "0,0,0").want(t, exitError, "", "there are no games in them")
}

func TestCalcSPRT(t *testing.T) {
	doc := calc(t, "", "sprt", "--model", "normalized", "--elo0", "-1.75", "--elo1", "0.25", "--penta", "93,18711,58877,18739,100")
	wantNumber(t, doc, "llr", 2.9420974721, 1e-9)
	wantNumber(t, doc, "upper", 2.9444389791664403, 1e-12)
	wantNumber(t, doc, "stopped.elo", -0.067781, 1e-4)
	wantNumber(t, doc, "stopped.low", -0.846636, 1e-4)
	if doc["decision"] != "open" {
		t.Errorf("want an open test, found %v", doc["decision"])
	}
	wantNumber(t, calc(t, "", "sprt", "--model", "bayeselo", "--elo0", "0", "--elo1", "2", "--wdl", "68965,128429,68526"), "llr", -1.2621546928, 1e-9)
	wantNumber(t, calc(t, "", "sprt", "--model", "cutechess", "--elo1", "10", "--alpha", "0.01", "--beta", "0.01", "--wdl", "1477,2942,1351"), "llr", 2.5235850, 5e-8)
	rift(t, "calc", "sprt", "--elo1", "5", "--wdl", "900,100,200", "-o", "table").want(t, exitDone, "better: 5 Elo is accepted", "")
	rift(t, "calc", "sprt", "--elo1", "5", "--wdl", "200,100,900", "-o", "table").want(t, exitDone, "worse: 0 Elo is accepted", "")
	rift(t, "calc", "sprt", "--model", "bayeselo", "--penta", "1,2,3,4,5").want(t, exitError, "", "bayeselo is of games")
	both := rift(t, "calc", "sprt", "--elo0", "5", "--elo1", "1", "--alpha", "0.7", "--wdl", "1,1,1")
	both.want(t, exitError, "", "elo1: want more than elo0 5, found 1")
	both.want(t, exitError, "", "alpha: want more than 0 and less than 0.5, found 0.7")
}

const leagueFile = `a,b,wins,draws,losses
new,old,45,20,35
new,random,90,5,5
old,random,80,10,10
`

func TestCalcFit(t *testing.T) {
	doc := calc(t, leagueFile, "fit", "--method", "mle", "-", "--anchor", "random=400")
	if p := ranking(t, doc, "random"); p["rating"] != 400.0 || p["anchored"] != true || p["error"] != 0.0 {
		t.Errorf("want the anchor where it was put, found %v", p)
	}
	p := ranking(t, doc, "new")
	points, expected := 45+10+90+2.5, p["expected"].(float64)
	if math.Abs(points-expected) > 1e-6 || p["error"].(float64) <= 0 || p["los"].(float64) < 0.5 || p["rank"] != 1.0 {
		t.Errorf("want the points made to be expected, found %v", p)
	}
	ordo := calc(t, leagueFile, "fit", "-", "--anchor", "random=400", "--scale", "ordo")
	scale := (ranking(t, ordo, "new")["rating"].(float64) - 400) / (p["rating"].(float64) - 400)
	if math.Abs(scale-1.0087847) > 5e-8 {
		t.Errorf("want Ordo's scale 1.0087847 times as wide, found %v", scale)
	}
	for _, args := range [][]string{
		{"--draws", "davidson", "--mean", "1500"},
		{"--draws", "win_loss"},
		{"--draws", "bayeselo", "--scale", "bayeselo", "--advantage", "32.8", "--draw-elo", "97.3", "--prior", "2"},
		{"--covariance"},
		{"--method", "elo", "--k", "24"},
		{"--method", "glicko2"},
		{"--method", "pl", "--prior", "1"},
	} {
		doc := calc(t, leagueFile, append([]string{"fit", "-"}, args...)...)
		for i, name := range []string{"new", "old", "random"} {
			if p := ranking(t, doc, name); p["rank"] != float64(i+1) || p["games"] == 0.0 {
				t.Errorf("%v: want %s at rank %d, found %v", args, name, i+1, p)
			}
		}
	}
	riftWith(t, leagueFile, nil, "calc", "fit", "-", "-o", "table").want(t, exitDone, "RANK  NAME    RATING  ERROR  GAMES  WINS  DRAWS  LOSSES   SCORE     LOS\n   1  new", "")
}

// The ratings do not depend on the form of a file and the order of its lines.
func TestCalcFitReadsEveryForm(t *testing.T) {
	want := calc(t, "a,b,wins,draws,losses\nx,y,2,1,1\ny,z,1,0,1\nx,z,1,0,0\nz,x,1,0,0\n", "fit", "-")
	for _, text := range []string{
		"x,y,2,1,1\ny,z,1,0,1\nx,z,1,0,0\nz,x,1,0,0\n",
		"White, Black, Result\nz,x,1-0\nx,z,win\ny,z,1\ny,z,z\nx,y,1/2-1/2\nx,y,0\nx,y,1.0\nx,y,x\nx,y,*\n",
		"\ufeffx,y,1\nx,y,1\nx,y,0.5\nx,y,0-1\n# a remark\ny,z,w\ny,z,l\nx,z,1\nz,x,1\n",
		"rank_b,rank_a,b,a\n2,1,y,x\n2,1,y,x\n1,1,y,x\n1,2,y,x\n2,1,z,y\n1,2,z,y\n2,1,z,x\n2,1,x,z\n",
		"winner,loser\nx,y\nx,y\nx,y\n",
	} {
		found := calc(t, text, "fit", "-", "--prior", "0.0001")
		if strings.HasPrefix(text, "winner") {
			continue // has no draws: it only has to be read
		}
		for _, name := range []string{"x", "y", "z"} {
			a, b := ranking(t, want, name), ranking(t, found, name)
			if math.Abs(a["rating"].(float64)-b["rating"].(float64)) > 0.1 || a["games"] != b["games"] || a["draws"] != b["draws"] {
				t.Errorf("%q: want %v, found %v", text, a, b)
			}
		}
	}
}

func TestCalcFitOfTables(t *testing.T) {
	seated := "a,b,c,d,ranks\np,q,r,,1;2;3\nq,r,p,s,2 1 3 4\ns,p,q,,3-1-2\nr,s,p,q,\"2,3,4,1\"\nq,p,s,r,3 1 1 4\n"
	doc := calc(t, seated, "fit", "--method", "pl", "-", "--prior", "1", "--advantage", "fit")
	if doc["games"] != 5.0 || len(doc["seats"].([]any)) != 4 {
		t.Errorf("want 5 games and 4 seats, found %v", doc)
	}
	finish := calc(t, "first,second,third\np,q,r\nq,r,p\nr,p,q\n", "fit", "--method", "pl", "-")
	for _, name := range []string{"p", "q", "r"} {
		if v := ranking(t, finish, name)["rating"].(float64); math.Abs(v) > 1e-9 {
			t.Errorf("want a circle to be even, found %v", finish["rankings"])
		}
	}
	riftWith(t, seated, nil, "calc", "fit", "-").want(t, exitError, "", "line 2: method mle rates games of two, found 3 players: --method pl rates those")
	elo := calc(t, seated, "fit", "--method", "elo", "-")
	if p := ranking(t, elo, "q"); p["wins"] != 1.0 || p["losses"] != 4.0 || p["draws"] != 0.0 {
		t.Errorf("found %v", p)
	}
}

func TestCalcFitByTime(t *testing.T) {
	days := "day,a,b,result\n1,shusaku,shusai,1\n2,shusaku,shusai,0\n3,shusaku,shusai,0\n4,shusaku,shusai,0\n4,shusaku,shusai,0\n"
	p := ranking(t, calc(t, days, "fit", "--method", "whr", "-"), "shusaku")
	for i, want := range []float64{-92.0931, -93.8230, -95.1153, -95.9747} {
		if found := p["days"].([]any)[i].(map[string]any)["rating"].(float64); math.Abs(found-want) > 1e-3 {
			t.Errorf("day %d: want %v, found %v", i+1, want, found)
		}
	}
	riftWith(t, leagueFile, nil, "calc", "fit", "--method", "whr", "-").want(t, exitError, "", "want a column that says when")
	// By time, not by line: another order of lines is the same league.
	lines := strings.Split(strings.TrimSuffix(strings.ReplaceAll(days, "4,", "2026-01-04,"), "\n"), "\n")
	turned := lines[0] + "\n"
	for i := len(lines) - 1; i > 0; i-- {
		turned += lines[i] + "\n"
	}
	for _, method := range []string{"elo", "glicko2", "whr"} {
		args := []string{"calc", "fit", "--method", method, "-"}
		if one, other := riftWith(t, strings.Join(lines, "\n"), nil, args...), riftWith(t, turned, nil, args...); one != other || one.code != exitDone {
			t.Errorf("%s: want the same bytes, found\n%+v\n%+v", method, one, other)
		}
	}
}

// Every fault is named with its line.
func TestCalcFitNamesEveryFault(t *testing.T) {
	r := riftWith(t, "a,b,result,day\nx,x,1,1\nx,,1,1\nx,y,2,1\nx,y,1,tomorrow\nx,y,1,1\n", nil, "calc", "fit", "-")
	for _, want := range []string{
		`line 2: "x" against itself`, "line 3: want the name of player 2", `line 4: want 1, 0.5 or 0 of the first player`, `line 5: want a whole number, a date`,
	} {
		r.want(t, exitError, "", want)
	}
	for _, c := range []struct{ text, want string }{
		{"", "want rows of games, found none"},
		{"a,b,result\n", "want rows of games, found none"},
		{"a,b\nx,y\n", "line 1: want columns that say who won"},
		{"a,b,wins\nx,y,1\n", "line 1: want both wins and losses"},
		{"x;y;1\n", "line 1: want a header such as a,b,wins,draws,losses"},
		{"a,b,wins,losses\nx,y,0,0\n", "line 2: want at least one game"},
		{"a,b,wins,losses\nx,y,1e9,0\n", `line 2: wins: want a whole number of at most 1000000000, found "1e9"`},
		{"a,b,c,ranks\nx,y,z,1 1 2\n", "line 2: want ranks from 1"},
		{"a,b,c,ranks\nx,y,z,1 2\n", "line 2: want a rank for each of 3 players"},
		{"a,b,result\nx,\"y,1\n", "line 2: extraneous or missing"},
		{"a,b,result\nx,y,1\n", "players x: none of the others they are connected with ever took a point"},
		{strings.Repeat("x,x,1\n", 150), "and: 50 faults more"},
	} {
		riftWith(t, c.text, nil, "calc", "fit", "-").want(t, exitError, "", c.want)
	}
	riftWith(t, leagueFile, nil, "calc", "fit", "-", "--k", "3", "--anchor", "new", "--advantage", "x").want(t, exitError, "", "--k: method mle does not read it")
	riftWith(t, leagueFile, nil, "calc", "fit", "-", "--method", "x").want(t, exitError, "", "want one of mle, elo, glicko2, whr, pl")
	riftWith(t, leagueFile, nil, "calc", "fit", "-", "--method", "elo", "--anchor", "z=1").want(t, exitError, "", "--anchor z: has no games")
	rift(t, "calc", "fit", filepath.Join(t.TempDir(), "none.csv")).want(t, exitError, "", "no such file")
}

// Any file is refused with its faults, or every one of its rows is complete.
func FuzzResults(f *testing.F) {
	f.Add(leagueFile)
	f.Add("White,Black,Result,Date\nx,y,1-0,2026-01-31\n")
	f.Add("a,b,c,d,ranks\np,q,r,,1;2;3\n")
	f.Add("x,y,1\n\"")
	f.Fuzz(func(t *testing.T, text string) {
		games, err := readResults(strings.NewReader(text))
		if err != nil {
			return
		}
		for _, r := range games.rows {
			if len(r.players) < 2 || r.ranks == nil && r.Games() == 0 || r.ranks != nil && len(r.ranks) != len(r.players) || len(r.players) > 2 && r.ranks == nil {
				t.Fatalf("%q is read as %+v", text, r)
			}
			for i, name := range r.players {
				if name == "" || len(name) > maxPlayerName || i > 0 && name == r.players[i-1] {
					t.Fatalf("%q is read as %+v", text, r)
				}
			}
		}
	})
}

func BenchmarkReadResults(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 1))
	var text strings.Builder
	text.WriteString("a,b,result\n")
	for range 100_000 {
		fmt.Fprintf(&text, "model-%05d,model-%05d,%s\n", random.IntN(5000), 5000+random.IntN(5000), []string{"1", "0.5", "0"}[random.IntN(3)])
	}
	b.SetBytes(int64(text.Len()))
	for b.Loop() {
		if _, err := readResults(strings.NewReader(text.String())); err != nil {
			b.Fatal(err)
		}
	}
}

// A file on disk is read as standard input is.
func TestCalcFitOfAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "league.csv")
	if err := os.WriteFile(path, []byte(leagueFile), 0o600); err != nil {
		t.Fatal(err)
	}
	if one, other := rift(t, "calc", "fit", path), riftWith(t, leagueFile, nil, "calc", "fit", "-"); one != other {
		t.Errorf("found\n%+v\n%+v", one, other)
	}
}

// A test that is evaluated after each batch has bounds that are corrected for the overshoot;
// one that is evaluated once has Wald's.
func TestCalcSPRTByBatches(t *testing.T) {
	rows := strings.Repeat("1,3,7,6,3\n", 40)
	doc := calc(t, rows, "sprt", "--elo1", "20", "--batches", "-")
	looks := doc["batches"].([]any)
	last := looks[len(looks)-1].(map[string]any)
	if doc["decision"] != "better" || doc["batch"] != float64(len(looks)) || len(looks) == 40 {
		t.Fatalf("want it to end before its rows, found %v after %d looks", doc["decision"], len(looks))
	}
	if upper := last["upper"].(float64); upper >= 2.9444389791664403 || last["llr"].(float64) < upper || looks[len(looks)-2].(map[string]any)["llr"].(float64) >= upper {
		t.Errorf("want a bound moved in, passed by the last look only, found %v", last)
	}
	games := calc(t, "3,4,3\n# a remark\n3,4,3\n", "sprt", "--elo1", "20", "--batches", "-")
	if games["decision"] != "open" || len(games["batches"].([]any)) != 2 {
		t.Errorf("found %v", games)
	}
	for text, want := range map[string]string{
		"1,2,3,4,5\n1,2,3\n": "line 2: want 5 counts as in the first row, found 3", "1,2,x,4,5\n": `line 1: count 3: want a whole number`, "": "want rows of counts, found none",
	} {
		riftWith(t, text, nil, "calc", "sprt", "--elo1", "20", "--batches", "-").want(t, exitError, "", want)
	}
	riftWith(t, rows, nil, "calc", "sprt", "--batches", "-", "--wdl", "1,1,1").want(t, exitError, "", "not both")
}

func FuzzBatches(f *testing.F) {
	f.Add("1,2,3,4,5\n0,0,0,0,0\n")
	f.Add("# won, drawn, lost\n1,2,3\n")
	f.Fuzz(func(t *testing.T, text string) {
		batches, err := readBatches(strings.NewReader(text))
		if err != nil {
			return
		}
		for _, cells := range batches {
			if len(cells) != len(batches[0]) || len(cells) != 3 && len(cells) != 5 {
				t.Fatalf("%q is read as %v", text, batches)
			}
		}
	})
}
