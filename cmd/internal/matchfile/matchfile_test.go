package matchfile_test

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ringrift/rift/cmd/internal/matchfile"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
)

func digests(facts []elo.Fact) []string {
	var all []string
	for _, fact := range facts {
		all = append(all, fact.ID()+" "+fact.Digest())
	}
	return all
}

// drawn are facts of a game for so many players.
func drawn(t *rapid.T, config domain.ConfigKey) []elo.Fact {
	name := rapid.StringMatching(`[@a-zA-Z0-9_.:" \\-]{0,7}[a-z0-9"\\]`)
	var all []elo.Fact
	known := map[string]bool{}
	for i := range rapid.IntRange(1, 12).Draw(t, "facts") {
		var at *time.Time
		if micros := rapid.Int64Range(0, 4e15).Draw(t, "at"); micros > 0 {
			moment := time.UnixMicro(micros).UTC()
			at = &moment
		}
		if config.Players() == 2 && rapid.Bool().Draw(t, "results") {
			fact := elo.ResultsRecorded{ConfigKey: config, FactID: fmt.Sprint("task:", i), ModelID: domain.ModelID(name.Draw(t, "model")), PlayedAt: at}
			for range rapid.IntRange(1, 3).Draw(t, "opponents") {
				fact.Results = append(fact.Results, elo.OpponentResult{Opponent: name.Draw(t, "opponent"), Wins: rapid.IntRange(1, 100).Draw(t, "wins"), Draws: rapid.IntRange(0, 9).Draw(t, "draws")})
			}
			if len((elo.Fact{Results: &fact}).Faults(config)) == 0 {
				all = append(all, elo.Fact{Results: &fact})
			}
			continue
		}
		match := elo.MatchRecorded{ConfigKey: config, GameID: fmt.Sprint("g", i), PlayedAt: at, Worker: "gpu-1"}
		for range config.Players() {
			match.Participants = append(match.Participants, elo.MatchPlayer{ModelID: name.Draw(t, "player"), Harness: rapid.SampledFrom([]string{"", "gumbel"}).Draw(t, "harness")})
			match.Ranks = append(match.Ranks, rapid.IntRange(1, config.Players()).Draw(t, "rank"))
		}
		if match.Ranks = elo.Standard(match.Ranks); rapid.Bool().Draw(t, "seeded") {
			seed := rapid.Uint64().Draw(t, "seed")
			match.Seed = &seed
		}
		match.MatchID = match.Identity()
		if fact := (elo.Fact{Match: &match}); len(fact.Faults(config)) == 0 && !known[match.MatchID] {
			known[match.MatchID] = true
			all = append(all, fact)
		}
	}
	return all
}

// What is written reads back as the same facts, with the same names and digests.
func TestFactsComeBackFromFiles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		config := rapid.SampledFrom([]domain.ConfigKey{"hex8_2p", "hex8_3p", "hex8_4p"}).Draw(t, "config")
		facts := drawn(t, config)
		if len(facts) == 0 {
			return
		}
		var file bytes.Buffer
		if err := matchfile.WriteCSV(&file, facts); err != nil {
			t.Fatal(err)
		}
		read, err := matchfile.ReadCSV(bytes.NewReader(file.Bytes()), config)
		if err != nil || !slices.Equal(digests(read.Facts), digests(facts)) {
			t.Fatalf("csv: want\n%v\nfound\n%v %v\n%s", digests(facts), digests(read.Facts), err, file.Bytes())
		}
		games := slices.DeleteFunc(slices.Clone(facts), func(f elo.Fact) bool { return f.Match == nil })
		file.Reset()
		left, err := matchfile.WritePGN(&file, facts)
		if err != nil || left != len(facts)-len(games) {
			t.Fatalf("want %d results left out, found %d %v", len(facts)-len(games), left, err)
		}
		if len(games) == 0 {
			return
		}
		if read, err = matchfile.ReadPGN(bytes.NewReader(file.Bytes()), config); err != nil || !reflect.DeepEqual(digests(read.Facts), digests(games)) {
			t.Fatalf("pgn: want\n%v\nfound\n%v %v\n%s", digests(games), digests(read.Facts), err, file.Bytes())
		}
	})
}

// Every fault of a file is reported with its line, and a file with faults gives no
// facts.
func TestEveryFaultIsNamedByLine(t *testing.T) {
	for _, test := range []struct {
		name, text string
		read       func(string) (matchfile.File, error)
		want       []string
	}{
		{"csv", "a,b,result,game_id,seed,played_at\nx,y,1-0,g1,7,2026-01-31\nx,y,2-0,g2,,\nx,,1-0,g3,,\nx,y,*,g4,,\nx,y,0-1,g5,-1,\nx,y,0-1,g6,,yesterday\n", csvOf, []string{
			"line 3: want 1-0, 0-1, 1/2-1/2 or *", "line 4: participants: want the 2 players", "line 6: seed: want a whole number", "line 7: played_at: want a date",
		}},
		{"csv counts", "a,b,3,0,1\nx,y,-1,0,1\nx,x,1,0,0\nx,y,0,0,0\nx,y,1,0,0,9\n", csvOf, []string{
			"line 2: wins: want a whole number from 0", "line 4: want 1 to", "line 5: want at most 5 fields",
		}},
		{"csv header", "a,b,winner\n", csvOf, []string{`line 1: want columns of a,`, `found "winner"`}},
		{"csv two ways", "a,b,ranks,wins,draws,losses\nx,y,1;2,1,0,0\nx,y,1;2;3,,,\nx,y,one,,,\nx,y,,1,,\n", csvOf, []string{
			"line 2: want one of ranks, result, and wins", "line 3: result.ranks: want one rank per participant", "line 4: ranks: want up to 4 numbers", "line 5: draws: want a whole number",
		}},
		{"csv names", "a,b,wins,draws,losses,fact_id\nx,y,1,0,0,f\nz,y,1,0,0,f\n", csvOf, []string{"line 3: fact_id f: want rows of one model"}},
		{"csv quote", "a,b,result\nx,\"y,1-0\n", csvOf, []string{"line 2: "}},
		{"pgn", "[White \"x\"]\n[Black \"y\"]\n[Result \"1-0\"]\n[MatchId \"00\"]\n\n1-0\n\n[White \"x\"]\n[Result \"1-0\"]\n\n*\n[White x]\n[Black \"y\"]\n[Black \"z\"]\n", pgnOf, []string{
			"line 1: match id: want ", "line 8: want a tag Black", `line 12: want a tag such as [White "name"]`, "line 14: tag Black stands twice", "line 13: want a tag White",
		}},
		{"nothing", "", pgnOf, []string{"line 1: want games, found none"}},
		{"moves alone", "1. a1 b2\n", pgnOf, []string{"line 1: want tags"}},
	} {
		file, err := test.read(test.text)
		if err == nil || len(file.Facts) > 0 {
			t.Errorf("%s: want no facts, found %v %v", test.name, file.Facts, err)
			continue
		}
		for _, want := range test.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: want %q named, found %v", test.name, want, err)
			}
		}
	}
}

func csvOf(text string) (matchfile.File, error) {
	return matchfile.ReadCSV(strings.NewReader(text), "hex8_2p")
}

func pgnOf(text string) (matchfile.File, error) {
	return matchfile.ReadPGN(strings.NewReader(text), "hex8_2p")
}

// The same file gives the same facts, and equal rows of counts in it are separate
// facts.
func TestRowsOfCountsAreFactsOfTheirOwn(t *testing.T) {
	text := "a,b,wins,draws,losses\nx,y,3,1,2\nx,y,3,1,2\nx,z,1,0,0\n"
	one, err := csvOf(text)
	if err != nil {
		t.Fatal(err)
	}
	other, _ := csvOf(text)
	if len(one.Facts) != 3 || !slices.Equal(digests(one.Facts), digests(other.Facts)) || one.Facts[0].ID() == one.Facts[1].ID() {
		t.Fatalf("want three facts, the same each time, found %v %v", digests(one.Facts), digests(other.Facts))
	}
}

// Whatever a file holds, it is read to valid facts or refused.
func fuzz(f *testing.F, read func(string) (matchfile.File, error), seeds ...string) {
	for _, seed := range seeds {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		file, err := read(text)
		if err != nil {
			if domain.CodeOf(err) != domain.Invalid {
				t.Fatalf("want faults, found %v", err)
			}
			return
		}
		for _, fact := range file.Facts {
			if faults := fact.Faults("hex8_2p"); len(faults) > 0 {
				t.Fatalf("want valid facts, found %v", faults)
			}
		}
		var out bytes.Buffer
		if err := matchfile.WriteCSV(&out, file.Facts); err != nil {
			t.Fatal(err)
		}
		if len(file.Facts) == 0 {
			return
		}
		again, err := matchfile.ReadCSV(&out, "hex8_2p")
		if err != nil || !slices.Equal(digests(again.Facts), digests(file.Facts)) {
			t.Fatalf("want the same facts from what was written, found %v", err)
		}
	})
}

func FuzzReadCSV(f *testing.F) {
	fuzz(f, csvOf, "a,b,result\nx,y,1-0\n", "x,y,1,2,3\n", "a,b,ranks,fact_id,harness_a\nx,y,1;2,,h\n", "a,b,wins,draws,losses,fact_id\nx,y,1,0,0,f\nx,z,1,0,0,f\n", "\"")
}

func FuzzReadPGN(f *testing.F) {
	fuzz(f, pgnOf, "[White \"x\"]\n[Black \"y\"]\n[Result \"1-0\"]\n\n1. a1 {[x]} 1-0\n", "[Player1 \"a\\\"\"]\n[Player2 \"b\"]\n[Ranks \"1 2\"]\n", "[Event \"\"]\n{", "[White \"x\"]\n[Black \"y\"]\n[Result \"*\"]\n")
}

func TestRowsAndGamesAreBounded(t *testing.T) {
	_, err := matchfile.ReadCSV(strings.NewReader("a,b,wins,draws,losses\nx,y,1,0,0\n\""+strings.Repeat("x", 2<<20)+"\",y,1,0,0\n"), "hex8_2p")
	if err == nil || !strings.Contains(err.Error(), "line 3: want at most 1048576 bytes in a record, found more") {
		t.Errorf("want the bound of a row and its line, found %v", err)
	}
	var game strings.Builder
	for i := range 300 {
		fmt.Fprintf(&game, "[Tag%d \"x\"]\n", i)
	}
	_, err = matchfile.ReadPGN(strings.NewReader(game.String()+"\n*\n"), "hex8_2p")
	if err == nil || !strings.Contains(err.Error(), "line 1: want at most 256 tags in a game, found more") {
		t.Errorf("want the bound of a game's tags and its line, found %v", err)
	}
}

func TestNoFormulaIsWritten(t *testing.T) {
	for _, name := range []string{"@SUM:A1", "-x", "-1", "--a", "plain"} {
		fact := elo.ResultsRecorded{ConfigKey: "hex8_2p", FactID: "task:1", ModelID: domain.ModelID(name), Results: []elo.OpponentResult{{Opponent: name + "2", Wins: 1}}}
		var text bytes.Buffer
		if err := matchfile.WriteCSV(&text, []elo.Fact{{Results: &fact}}); err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(bytes.NewReader(text.Bytes())).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		for _, cell := range rows[1] {
			if _, err := strconv.ParseFloat(cell, 64); err != nil && cell != "" && strings.ContainsAny(cell[:1], "=+-@") {
				t.Errorf("%s: want no cell that is a formula, found %q", name, cell)
			}
		}
		read, err := matchfile.ReadCSV(&text, "hex8_2p")
		if err != nil || len(read.Facts) != 1 || read.Facts[0].Results.ModelID != domain.ModelID(name) {
			t.Errorf("want %q read back, found %+v, %v", name, read.Facts, err)
		}
	}
}
