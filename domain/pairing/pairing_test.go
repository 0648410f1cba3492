package pairing_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/ringrift/rift/domain/pairing"
)

func shown(rounds [][]pairing.Pairing) string {
	var lines []string
	for _, round := range rounds {
		var words []string
		for _, p := range round {
			words = append(words, fmt.Sprintf("%d-%d", p.White, p.Black))
		}
		lines = append(lines, strings.Join(words, " "))
	}
	return strings.Join(lines, " | ")
}

// Berger's tables as federations print them, White first.
func TestBergerTables(t *testing.T) {
	for n, want := range map[int]string{
		4: "1-4 2-3 | 4-3 1-2 | 2-4 3-1",
		6: "1-6 2-5 3-4 | 6-4 5-3 1-2 | 2-6 3-1 4-5 | 6-5 1-4 2-3 | 3-6 4-2 5-1",
		8: "1-8 2-7 3-6 4-5 | 8-5 6-4 7-3 1-2 | 2-8 3-1 4-7 5-6 | 8-6 7-5 1-4 2-3 | 3-8 4-2 5-1 6-7 | 8-7 1-6 2-5 3-4 | 4-8 5-3 6-2 7-1",
		3: "2-3 1-0 | 1-2 3-0 | 3-1 2-0",
	} {
		rounds, err := pairing.RoundRobin(n)
		if err != nil {
			t.Fatal(err)
		}
		if found := shown(rounds); found != want {
			t.Errorf("%d players: want\n%s\nfound\n%s", n, want, found)
		}
	}
}

func TestRoundRobinsMeetEveryoneOnce(t *testing.T) {
	for n := 2; n <= 40; n++ {
		single, err := pairing.RoundRobin(n)
		if err != nil {
			t.Fatal(err)
		}
		double, err := pairing.DoubleRoundRobin(n)
		if err != nil {
			t.Fatal(err)
		}
		for times, rounds := range map[int][][]pairing.Pairing{1: single, 2: double} {
			met, colour, running := map[pairing.Pairing]int{}, map[int]int{}, map[int]int{}
			for _, round := range rounds {
				seen := map[int]bool{}
				for _, p := range round {
					if seen[p.White] || seen[p.Black] {
						t.Fatalf("%d players: somebody plays twice in %v", n, round)
					}
					seen[p.White], seen[p.Black] = true, true
					if p.Bye() {
						running[p.White] = 0
						continue
					}
					met[p]++
					colour[p.White]++
					colour[p.Black]--
					running[p.White], running[p.Black] = max(running[p.White], 0)+1, min(running[p.Black], 0)-1
					if times == 2 && (running[p.White] > 2 || running[p.Black] < -2) {
						t.Errorf("%d players: %v is the third of one colour running", n, p)
					}
				}
				if len(seen) != n+n%2 {
					t.Errorf("%d players: want everybody in the round, found %v", n, round)
				}
			}
			if len(rounds) != times*(n-1+n%2) {
				t.Errorf("%d players: found %d rounds", n, len(rounds))
			}
			for a := 1; a <= n; a++ {
				if c := colour[a]; c > 1 || c < -1 || times == 2 && c != 0 {
					t.Errorf("%d players: colours of %d differ by %d", n, a, c)
				}
				for b := 1; b < a; b++ {
					one, other := met[pairing.Pairing{White: a, Black: b}], met[pairing.Pairing{White: b, Black: a}]
					if one+other != times || times == 2 && one != other {
						t.Errorf("%d players: %d and %d meet %d and %d times", n, a, b, one, other)
					}
				}
			}
		}
	}
}

func won(white, black int) pairing.Meeting {
	return pairing.Meeting{Pairing: pairing.Pairing{White: white, Black: black}, Points: [2]int{2, 0}}
}

func lost(white, black int) pairing.Meeting {
	return pairing.Meeting{Pairing: pairing.Pairing{White: white, Black: black}, Points: [2]int{0, 2}}
}

// Two cases from bbpPairings' tests of the Dutch system of 2025: the bye goes to
// the player with fewer unplayed rounds (C9), and to the lowest score although that
// splits the leaders (C5).
func TestDutchCases(t *testing.T) {
	for name, c := range map[string]struct {
		s    pairing.Swiss
		want string
	}{
		"C9": {pairing.Swiss{Players: 5, Rounds: 3, History: []pairing.Round{{won(1, 3), lost(4, 2)}}}, "2-1 3-5 4-0"},
		"C5": {pairing.Swiss{Players: 6, Rounds: 3, Absent: []int{4}, History: []pairing.Round{
			{won(1, 4), lost(5, 2), won(3, 6)}, {lost(2, 1), lost(4, 3), lost(6, 5)},
		}}, "1-5 3-2 6-0"},
	} {
		for run := range 2 {
			round, err := c.s.Dutch()
			if err != nil {
				t.Fatal(err)
			}
			if found := shown([][]pairing.Pairing{round}); found != c.want {
				t.Errorf("%s, run %d: want %s, found %s", name, run, c.want, found)
			}
		}
	}
}

// The first round: the upper half meets the lower one, or neighbours meet.
func TestFirstRounds(t *testing.T) {
	for _, c := range []struct {
		n             int
		dutch, monrad string
	}{
		{8, "1-5 6-2 3-7 8-4", "1-2 4-3 5-6 8-7"},
		{5, "1-3 4-2 5-0", "1-2 4-3 5-0"},
	} {
		s := pairing.Swiss{Players: c.n}
		dutch, err := s.Dutch()
		if err != nil {
			t.Fatal(err)
		}
		monrad, err := s.Monrad()
		if err != nil {
			t.Fatal(err)
		}
		if found := shown([][]pairing.Pairing{dutch}); found != c.dutch {
			t.Errorf("%d players, Dutch: want %s, found %s", c.n, c.dutch, found)
		}
		if found := shown([][]pairing.Pairing{monrad}); found != c.monrad {
			t.Errorf("%d players, Monrad: want %s, found %s", c.n, c.monrad, found)
		}
	}
}

// A tournament with random results: nobody meets the same opponent twice or has two
// byes while that is possible, everybody present is paired once, and by the Dutch
// system nobody has one colour three times in a row or three times more often than
// the other.
func TestSwissKeepsItsRules(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := pairing.Swiss{Players: rapid.IntRange(2, 14).Draw(t, "players")}
		dutch := rapid.Bool().Draw(t, "dutch")
		met, byes := map[[2]int]bool{}, map[int]int{}
		balance, running := map[int]int{}, map[int]int{}
		for range rapid.IntRange(1, (s.Players+1)/2).Draw(t, "rounds") {
			s.Absent = nil
			if s.Players > 3 && rapid.IntRange(0, 4).Draw(t, "away") == 0 {
				s.Absent = []int{rapid.IntRange(1, s.Players).Draw(t, "absent")}
			}
			next := s.Monrad
			if dutch {
				next = s.Dutch
			}
			round, err := next()
			var invalid *pairing.Invalid
			if dutch && errors.As(err, &invalid) {
				return // no legal round is left; for Monrad that is checked below
			}
			if err != nil {
				t.Fatal(err)
			}
			again, _ := next()
			if !reflect.DeepEqual(round, again) {
				t.Fatalf("found %v and %v", round, again)
			}
			played, seen := pairing.Round{}, map[int]bool{}
			for _, p := range round {
				for _, x := range []int{p.White, p.Black} {
					if seen[x] && x > 0 {
						t.Fatalf("%d is paired twice in %v", x, round)
					}
					seen[x] = true
				}
				if p.Bye() {
					byes[p.White]++
					if byes[p.White] > 1 && dutch {
						t.Errorf("%d has a second bye", p.White)
					}
					played = append(played, pairing.Meeting{Pairing: p, Points: [2]int{2, 0}, Unplayed: true})
					continue
				}
				key := [2]int{min(p.White, p.Black), max(p.White, p.Black)}
				if met[key] && (dutch || len(s.History) < s.Players/2-len(s.Absent)-1) {
					t.Errorf("round %d: %v meet again", len(s.History)+1, key)
				}
				met[key] = true
				for player, colour := range map[int]int{p.White: 1, p.Black: -1} {
					balance[player] += colour
					if running[player]*colour < 0 {
						running[player] = 0
					}
					running[player] += colour
					if r, b := running[player], balance[player]; dutch && (r > 2 || r < -2 || b > 2 || b < -2) {
						t.Errorf("round %d: %d has %d running and %d more of one colour", len(s.History)+1, player, r, b)
					}
				}
				half := rapid.IntRange(0, 2).Draw(t, "points")
				played = append(played, pairing.Meeting{Pairing: p, Points: [2]int{half, 2 - half}})
			}
			if want := s.Players - len(s.Absent); len(seen)-btoi(seen[0]) != want {
				t.Fatalf("want %d players in %v", want, round)
			}
			s.History = append(s.History, played)
		}
	})
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestSwissRefuses(t *testing.T) {
	two := pairing.Swiss{Players: 2, History: []pairing.Round{{won(1, 2)}}}
	if _, err := two.Dutch(); err == nil {
		t.Error("want a rematch to be refused")
	}
	if round, err := two.Monrad(); err != nil || shown([][]pairing.Pairing{round}) != "2-1" {
		t.Errorf("want a rematch where there is no other way, with colours turned, found %v and %v", round, err)
	}
	for name, s := range map[string]pairing.Swiss{
		"one player": {Players: 1}, "too many": {Players: 513}, "over": {Players: 4, Rounds: 1, History: []pairing.Round{{won(1, 2), won(3, 4)}}},
		"a stranger": {Players: 4, History: []pairing.Round{{won(1, 5)}}}, "twice": {Players: 4, History: []pairing.Round{{won(1, 2), won(2, 3)}}},
		"nobody": {Players: 2, Absent: []int{1, 2}}, "absent stranger": {Players: 2, Absent: []int{3}},
	} {
		var invalid *pairing.Invalid
		if round, err := s.Monrad(); !errors.As(err, &invalid) {
			t.Errorf("%s: want an Invalid, found %v and %v", name, round, err)
		}
	}
}

func TestTablesAreFair(t *testing.T) {
	for _, size := range []int{3, 4} {
		for n := size; n <= 20; n++ {
			rounds, err := pairing.Tables(n, size, 12)
			if err != nil {
				t.Fatal(err)
			}
			played, seats := make([]int, n+1), map[[2]int]int{}
			met := map[[2]int]int{}
			for _, round := range rounds {
				seen := map[int]bool{}
				for _, table := range round.Tables {
					if len(table) != size {
						t.Fatalf("want tables of %d, found %v", size, table)
					}
					for s, p := range table {
						if seen[p] || p < 1 || p > n {
							t.Fatalf("%d players: %d in %v", n, p, round)
						}
						seen[p] = true
						played[p]++
						seats[[2]int{p, s}]++
						for _, q := range table[s+1:] {
							met[[2]int{min(p, q), max(p, q)}]++
						}
					}
				}
				for _, p := range round.Byes {
					seen[p] = true
				}
				if len(seen) != n || len(round.Byes) != n%size {
					t.Errorf("%d players at tables of %d: found %v", n, size, round)
				}
			}
			least, most := played[1], played[1]
			for p := 1; p <= n; p++ {
				least, most = min(least, played[p]), max(most, played[p])
				for s := range size {
					if want := float64(played[p]) / float64(size); float64(seats[[2]int{p, s}]) > want+2 || float64(seats[[2]int{p, s}]) < want-2 {
						t.Errorf("%d players at tables of %d: %d sat %d times in seat %d of %d games", n, size, p, seats[[2]int{p, s}], s+1, played[p])
					}
				}
			}
			if most-least > 1 {
				t.Errorf("%d players at tables of %d: somebody plays %d and somebody %d games", n, size, least, most)
			}
			lo, hi := 1000, 0
			for p := 1; p <= n; p++ {
				for q := p + 1; q <= n; q++ {
					lo, hi = min(lo, met[[2]int{p, q}]), max(hi, met[[2]int{p, q}])
				}
			}
			if hi-lo > 3 {
				t.Errorf("%d players at tables of %d: pairs meet %d to %d times", n, size, lo, hi)
			}
		}
	}
	if found := pairing.TablePoints([]int{2, 1, 2, 4}); !reflect.DeepEqual(found, []int{3, 6, 3, 0}) {
		t.Errorf("found points %v", found)
	}
	if _, err := pairing.Tables(3, 5, 0); err == nil {
		t.Error("want tables of five to be refused")
	}
}

// A round robin of four by hand: 1 beats 2 and 3, 2 beats 3 and 4, 3 beats 4, 4 beats 1.
func TestStandings(t *testing.T) {
	history := []pairing.Round{{lost(1, 4), won(2, 3)}, {lost(4, 3), won(1, 2)}, {won(2, 4), lost(3, 1)}}
	standings, err := pairing.Standings(4, history, pairing.TieBreaks)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, s := range standings {
		found = append(found, fmt.Sprint(s.Rank, s.Player, s.Points, s.Games, s.Won, s.Drawn, s.Lost, s.TieBreaks))
	}
	// Direct encounters decide both ties: 1 beat 2, 3 beat 4. Each met all others:
	// Buchholz is 6 less the own points; Sonneborn and Berger's 1: 2 + 1, 2: 1 + 1.
	want := []string{"1 1 2 3 2 0 1 [1 3 4 3 2]", "2 2 2 3 2 0 1 [0 3 4 2 2]", "3 3 1 3 1 0 2 [1 4 5 1 1]", "4 4 1 3 1 0 2 [0 4 5 2 1]"}
	if !reflect.DeepEqual(found, want) {
		t.Errorf("want\n%s\nfound\n%s", strings.Join(want, "\n"), strings.Join(found, "\n"))
	}
	// A bye is a game against somebody with the own points; who is alike shares a rank.
	bye, err := pairing.Standings(3, []pairing.Round{{{Pairing: pairing.Pairing{White: 1, Black: 2}, Points: [2]int{1, 1}}, {Pairing: pairing.Pairing{White: 3}, Points: [2]int{2}, Unplayed: true}}}, []pairing.TieBreak{pairing.Buchholz, pairing.SonnebornBerger})
	if err != nil {
		t.Fatal(err)
	}
	if bye[0].Player != 3 || !reflect.DeepEqual(bye[0].TieBreaks, []float64{1, 1}) || bye[0].Games != 0 || bye[1].Rank != 2 || bye[2].Rank != 2 || bye[1].TieBreaks[1] != 0.25 {
		t.Errorf("found %+v", bye)
	}
	if _, err := pairing.Standings(2, nil, []pairing.TieBreak{"luck"}); err == nil {
		t.Error("want a tie-break that is none to be refused")
	}
}

func Example() {
	s := pairing.Swiss{Players: 5, Rounds: 3}
	for range 2 {
		round, err := s.Monrad()
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(round)
		var played pairing.Round
		for _, p := range round { // the smaller number wins
			points := [2]int{2, 0}
			if !p.Bye() && p.Black < p.White {
				points = [2]int{0, 2}
			}
			played = append(played, pairing.Meeting{Pairing: p, Points: points, Unplayed: p.Bye()})
		}
		s.History = append(s.History, played)
	}
	// Output:
	// [{1 2} {4 3} {5 0}]
	// [{3 1} {2 5} {4 0}]
}
