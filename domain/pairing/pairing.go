// Package pairing computes who meets whom: round robins, Swiss rounds, knock-out
// brackets, tables of three and four, and the standings. It identifies players by
// number, 1 being the first seed, and knows nothing of games, events or time: the
// same history gives the same pairings.
//
// It uses no randomness. Where a rule book would draw lots, the smaller number goes
// first.
//
// Read this file first, then roundrobin.go, swiss.go (and dutch.go, matching.go),
// elimination.go, tables.go, standings.go.
package pairing

import (
	"fmt"
	"strings"
)

// Pairing is two players, the one in the first seat (White) first. Black 0 means
// White has a bye.
type Pairing struct {
	White int `json:"white"`
	Black int `json:"black"`
}

// Bye reports whether the pairing is a bye.
func (p Pairing) Bye() bool { return p.Black == 0 }

// Meeting is a pairing of a finished round, with the half points of both players: 2
// and 0 is a won game, 3 and 1 a match of two games won by one and a half points. A
// player that is in no meeting of a round was absent from it.
type Meeting struct {
	Pairing
	Points   [2]int `json:"points"`
	Unplayed bool   `json:"unplayed,omitempty"` // decided without a game, as every bye is
}

// Played reports whether there was a game.
func (m Meeting) Played() bool { return !m.Unplayed && m.Black != 0 }

// Round is the meetings of one round.
type Round []Meeting

// Limits of what is paired.
const (
	MaxPlayers     = 512
	MaxSwissRounds = 100
	maxPoints      = 1_000_000
)

// Fault is one thing wrong with an input.
type Fault struct{ Field, Reason string }

// Invalid is the error of an input that cannot be paired, with every fault.
type Invalid struct {
	What   string
	Faults []Fault
}

// Error lists the faults.
func (e *Invalid) Error() string {
	parts := make([]string, len(e.Faults))
	for i, f := range e.Faults {
		parts[i] = f.Field + ": " + f.Reason
	}
	return e.What + ": " + strings.Join(parts, "; ")
}

type faults []Fault

func (f *faults) add(field, format string, args ...any) {
	*f = append(*f, Fault{field, fmt.Sprintf(format, args...)})
}

func (f faults) err(what string) error {
	if len(f) == 0 {
		return nil
	}
	return &Invalid{what, f}
}

func checkPlayers(what string, n, most int) error {
	var f faults
	if n < 2 || n > most {
		f.add("players", "want 2 to %d, found %d", most, n)
	}
	return f.err(what)
}

// history checks for existing players, one meeting per round for each, and possible
// points.
func (f *faults) history(players int, rounds []Round) {
	if len(rounds) > MaxSwissRounds {
		f.add("rounds", "want at most %d, found %d", MaxSwissRounds, len(rounds))
		return
	}
	for r, round := range rounds {
		seen := map[int]bool{}
		for _, m := range round {
			field := fmt.Sprintf("round %d, %d against %d", r+1, m.White, m.Black)
			for side, p := range [2]int{m.White, m.Black} {
				switch {
				case side == 1 && p == 0:
				case p < 1 || p > players:
					f.add(field, "want players from 1 to %d", players)
				case seen[p]:
					f.add(field, "player %d has two meetings in the round", p)
				default:
					seen[p] = true
				}
				if m.Points[side] < 0 || m.Points[side] > maxPoints {
					f.add(field, "want 0 to %d half points, found %d", maxPoints, m.Points[side])
				}
			}
		}
	}
}
