package pairing

// TableGame is a game of several players, or a bye. Ranks are in the order of the
// players.
type TableGame struct {
	Players  []int `json:"players"`
	Ranks    []int `json:"ranks,omitempty"`
	Unplayed bool  `json:"unplayed,omitempty"` // its points count, but it was not played
	Bye      int   `json:"bye,omitempty"`      // half points of a single player
}

// TableStandings ranks players of games of three and four: a game counts as one
// between each two of its players, which gives the points of TablePoints.
// Tie-breaks are as in Standings; wins are unshared first ranks.
func TableStandings(players int, games []TableGame, breaks []TieBreak) ([]Standing, error) {
	var f faults
	if players < 1 || players > MaxPlayers {
		f.add("players", "want 1 to %d, found %d", MaxPlayers, players)
		return nil, f.err("standings")
	}
	f.tableGames(players, games)
	f.breaks(breaks)
	if err := f.err("standings"); err != nil {
		return nil, err
	}
	all := make(records, players+1)
	for _, g := range games {
		if len(g.Ranks) == 0 {
			r := &all[g.Players[0]]
			r.points += g.Bye
			r.opponents = append(r.opponents, opponent{own: g.Bye})
			continue
		}
		for i, p := range g.Players {
			all[p].table(g, i)
		}
	}
	return all.standings(players, breaks), nil
}

// table adds a game of the player at index i of it.
func (r *record) table(g TableGame, i int) {
	first, shared := true, false
	for j, q := range g.Players {
		if j == i {
			continue
		}
		own, theirs := 1, 1
		if g.Ranks[i] < g.Ranks[j] {
			own, theirs = 2, 0
		} else if g.Ranks[i] > g.Ranks[j] {
			own, theirs = 0, 2
		}
		first, shared = first && own > 0, shared || own == 1
		r.points += own
		if g.Unplayed {
			r.opponents = append(r.opponents, opponent{own: own})
		} else {
			r.opponents = append(r.opponents, opponent{q, own, theirs})
		}
	}
	switch {
	case g.Unplayed:
	case first && !shared:
		r.won++
	case first:
		r.drawn++
	default:
		r.lost++
	}
}

func (f *faults) tableGames(players int, games []TableGame) {
	for i, g := range games {
		if len(g.Ranks) > 0 && len(g.Ranks) != len(g.Players) || len(g.Ranks) == 0 && len(g.Players) != 1 {
			f.add("games", "game %d: want a rank for each of its %d players, found %d", i+1, len(g.Players), len(g.Ranks))
			return
		}
		for _, p := range g.Players {
			if p < 1 || p > players {
				f.add("games", "game %d: want players from 1 to %d, found %d", i+1, players, p)
				return
			}
		}
	}
}
