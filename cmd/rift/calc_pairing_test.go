package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ringrift/rift/domain/pairing"
)

// roundsOf writes the rounds of calc pairing: pairings with a dash, byes with a star.
func roundsOf(t *testing.T, doc map[string]any) string {
	t.Helper()
	var lines []string
	for _, r := range doc["rounds"].([]any) {
		var words []string
		for _, p := range r.(map[string]any)["pairings"].([]any) {
			entry := p.(map[string]any)
			var players []string
			for _, n := range entry["players"].([]any) {
				players = append(players, fmt.Sprint(n))
			}
			word := strings.Join(players, "-")
			if entry["bye"] == true {
				word += "*"
			}
			words = append(words, word)
		}
		lines = append(lines, strings.Join(words, " "))
	}
	return strings.Join(lines, " | ")
}

func TestCalcPairing(t *testing.T) {
	c9 := "round,white,black,result\n1,1,3,1-0\n1,4,2,0-1\n"
	c5 := "1,1,4,1-0\n1,5,2,0-1\n1,3,6,1\n2,2,1,0\n2,4,3,0-1\n2,6,5,0-1\n"
	for _, c := range []struct {
		stdin string
		args  []string
		want  string
	}{
		{"", []string{"--format", "round_robin", "--players", "6"}, "1-6 2-5 3-4 | 6-4 5-3 1-2 | 2-6 3-1 4-5 | 6-5 1-4 2-3 | 3-6 4-2 5-1"},
		{"", []string{"--format", "berger", "--players", "8", "--round", "3"}, "2-8 3-1 4-7 5-6"},
		{"", []string{"--format", "double_round_robin", "--players", "3"}, "2-3 1* | 3-1 2* | 1-2 3* | 3-2 1* | 2-1 3* | 1-3 2*"},
		{"", []string{"--format", "gauntlet", "--players", "4"}, "1-2 | 3-1 | 1-4"},
		{"", []string{"--format", "swiss", "--players", "5"}, "1-2 4-3 5*"},
		{c9, []string{"--format", "dutch", "--players", "5", "--rounds", "3", "--results", "-"}, "1-3 4-2 | 2-1 3-5 4*"},
		{c5, []string{"--format", "dutch", "--players", "6", "--rounds", "3", "--results", "-", "--absent", "4", "--round", "3"}, "1-5 3-2 6*"},
		{"", []string{"--format", "single_elimination", "--players", "3"}, "1* 2-3 | 1-0"},
		{"1,2,3,0-1\n", []string{"--format", "single", "--players", "3", "--results", "-"}, "1* 2-3 | 1-3"},
		{"", []string{"--format", "tables", "--players", "4", "--size", "3", "--rounds", "2"}, "1-2-3 4* | 2-1-4 3*"},
	} {
		if found := roundsOf(t, calc(t, c.stdin, append([]string{"pairing"}, c.args...)...)); found != c.want {
			t.Errorf("%v: want %s, found %s", c.args, c.want, found)
		}
	}
	riftWith(t, c5, nil, "calc", "pairing", "--format", "swiss", "--players", "6", "--results", "-", "-o", "table").want(t, exitDone,
		"RANK  PLAYER  POINTS  WINS  DRAWS  LOST  DIRECT   CUT 1  BUCHHOLZ      SB\n   1       1     2.0     2      0     0     0.0     1.0       1.0    1.00", "")
}

func TestCalcPairingRefuses(t *testing.T) {
	for _, c := range []struct {
		stdin string
		args  []string
		want  string
	}{
		{"", []string{"--format", "ladder", "--players", "4"}, "no such format"},
		{"", []string{"--players", "0", "--size", "3"}, "--size: format round_robin does not read it"},
		{"", []string{"--players", "1"}, "players: want 2 to 512, found 1"},
		{"", []string{"--players", "4", "--round", "9"}, "round 9: there is none"},
		{"1,1,2,1-0\n1,2,3,x\nz,1,2,1\n", []string{"--format", "swiss", "--players", "4", "--results", "-"}, `line 3: want the number of the round, found "z"`},
		{"1,1,2,1-0\n1,2,3,1\n", []string{"--format", "swiss", "--players", "4", "--results", "-"}, "player 2 has two meetings in the round"},
		{"1,1,7,1-0\n", []string{"--format", "round_robin", "--players", "4", "--results", "-"}, "want players from 1 to 4"},
		{"1,1,2,1/2-1/2\n", []string{"--format", "single", "--players", "2", "--results", "-"}, "want a winner of 1 and 2, found a draw"},
		{"1,1,2,1-0\n", []string{"--format", "single", "--players", "4", "--results", "-"}, "1 against 2 is no match of the bracket"},
		{"1,1,2,1\n1,1,2,\"", []string{"--format", "swiss", "--players", "4", "--results", "-"}, "line 2: extraneous or missing"},
	} {
		riftWith(t, c.stdin, nil, append([]string{"calc", "pairing"}, c.args...)...).want(t, exitError, "", c.want)
	}
}

// Whatever a file holds, it is refused, or its rows can be ranked or are refused then.
func FuzzRounds(f *testing.F) {
	f.Add("round,white,black,result\n1,1,2,1-0\n1,3,,bye\n2,1,3,+-\n")
	f.Add("round,white,black,wins,draws,losses\n1,1,2,3,,1\n")
	f.Fuzz(func(t *testing.T, text string) {
		rows, err := readRounds(strings.NewReader(text))
		if err != nil {
			return
		}
		var round pairing.Round
		for _, r := range rows {
			if r.meeting.White < 1 || r.meeting.Black < 0 || r.meeting.Points[0] < 0 || r.meeting.Points[1] < 0 {
				t.Fatalf("%q is read as %+v", text, r)
			}
			round = append(round, r.meeting)
		}
		if standings, err := pairing.Standings(16, []pairing.Round{round}, pairing.TieBreaks); err == nil && len(standings) != 16 {
			t.Fatalf("%q: found %d standings", text, len(standings))
		}
	})
}
