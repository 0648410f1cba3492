package play

import (
	"context"
	"fmt"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/match"
)

// MaxSeries limits the games of a series.
const MaxSeries = 100_000

// Series is games of the same players, with each opening played once from every
// seating.
type Series struct {
	Table
	Specs []Spec
	Games int
	Seed  uint64
	Empty bool // start from the empty board instead of openings
}

// Score is the result of a player in a series.
type Score struct {
	Player string  `json:"player"`
	Games  int     `json:"games"`
	Wins   int     `json:"wins"`  // alone at the first rank
	Draws  int     `json:"draws"` // at a shared first rank
	Losses int     `json:"losses"`
	Score  float64 `json:"score"` // share of points; ranking above another player is one point
}

// Names returns the players' names in the series; identical players are numbered.
func (s Series) Names() []string {
	names := make([]string, len(s.Specs))
	times := map[string]int{}
	for i, spec := range s.Specs {
		name := spec.String()
		if times[name]++; times[name] > 1 {
			name = fmt.Sprintf("%s#%d", name, times[name])
		}
		names[i] = name
	}
	return names
}

// Play plays the games and passes each to tell as it ends.
func (s Series) Play(ctx context.Context, tell func(match.Answer, Outcome) error) ([]Score, error) {
	var c domain.Checks
	domain.Within(&c, "games", s.Games, 1, MaxSeries)
	if err := domain.Faulty("play", c); err != nil {
		return nil, err
	}
	names, n := s.Names(), len(s.Specs)
	scores := make([]Score, n)
	for i := range scores {
		scores[i].Player = names[i]
	}
	for k := range s.Games {
		seed := s.Seed + uint64(k)
		opening := s.Seed + uint64(k/n)
		seats, who, sat := make([]Spec, n), make([]int, n), make([]string, n)
		for seat := range n {
			who[seat] = (seat + k) % n
			seats[seat], sat[seat] = s.Specs[who[seat]], names[who[seat]]
		}
		begin := &opening
		if s.Empty {
			begin = nil
		}
		out, err := s.Table.Play(ctx, seed, begin, seats)
		if err != nil {
			return nil, err
		}
		count(scores, who, out.Ranks)
		answer := match.Answer{GameID: fmt.Sprintf("g%d", k+1), Participants: sat, Result: match.Result{Ranks: out.Ranks}, Plies: out.Plies, Seed: seed}
		if err := tell(answer, out); err != nil {
			return nil, err
		}
	}
	for i := range scores {
		scores[i].Score /= float64(s.Games * (n - 1))
	}
	return scores, nil
}

// count adds a game's ranks to the scores of its players.
func count(scores []Score, who, ranks []int) {
	first := 0
	for _, rank := range ranks {
		if rank == 1 {
			first++
		}
	}
	for seat, rank := range ranks {
		score := &scores[who[seat]]
		score.Games++
		switch {
		case rank > 1:
			score.Losses++
		case first > 1:
			score.Draws++
		default:
			score.Wins++
		}
		for other, theirs := range ranks {
			switch {
			case other == seat:
			case rank < theirs:
				score.Score++
			case rank == theirs:
				score.Score += 0.5
			}
		}
	}
}
