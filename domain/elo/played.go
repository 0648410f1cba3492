package elo

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/rating"
)

// Played is what the ratings use of a fact.
type Played struct {
	ID      string           `json:"id"`
	At      int64            `json:"at,omitempty"` // microseconds since 1970; 0: unknown
	Worker  domain.NodeID    `json:"worker,omitempty"`
	Players []string         `json:"players"`           // in seat order; of results, the model alone
	Ranks   []int            `json:"ranks,omitempty"`   // of a game, in standard form
	Results []OpponentResult `json:"results,omitempty"` // of the model, by opponent
	// Excluded marks a fact that is recorded but does not count.
	Excluded bool `json:"excluded,omitempty"`
}

// PlayedOf converts a fact of the ratings.
func PlayedOf(fact Fact) Played {
	switch e := fact.Event().(type) {
	case MatchRecorded:
		p := Played{ID: e.MatchID, At: micros(e.PlayedAt), Worker: e.Worker, Ranks: Standard(e.Ranks)}
		for _, player := range e.Participants {
			p.Players = append(p.Players, player.Name())
		}
		if len(p.Ranks) != len(p.Players) {
			p.Players, p.Ranks = nil, nil // an old fact without valid content
		}
		return p
	case ResultsRecorded:
		p := Played{ID: e.FactID, At: micros(e.PlayedAt), Worker: e.Worker, Players: []string{string(e.ModelID)}}
		for _, r := range e.Results {
			p.Results = append(p.Results, OpponentResult{Opponent: r.Opponent, Wins: r.Wins, Losses: r.Losses, Draws: r.Draws})
		}
		slices.SortStableFunc(p.Results, func(a, b OpponentResult) int { return cmp.Compare(a.Opponent, b.Opponent) })
		return p
	}
	return Played{}
}

func micros(at *time.Time) int64 {
	if at == nil {
		return 0
	}
	return max(at.UnixMicro(), 1)
}

// momentDigits is the number of digits of a time in an order key.
const momentDigits = 17

// OrderKey returns a key that sorts facts in the order in which incremental ratings
// play them: by the time of the game, those without a time first, then by identity.
// It is the same on every node, whenever the fact arrived.
func (p Played) OrderKey() string {
	digits := strconv.FormatInt(p.At, 10)
	return strings.Repeat("0", max(momentDigits-len(digits), 0)) + digits + p.ID
}

// withTime sets the time of a fact without one to the time of its report. Without a
// time it would sort first, so that every such fact would count as late and all
// later ones would be rated again.
func (p Played) withTime(at time.Time) Played {
	if p.At == 0 && !at.IsZero() {
		p.At = micros(&at)
	}
	return p
}

// Outcome is a number of equal games on one day.
type Outcome struct {
	Day     int           `json:"day"` // since 1970; −1: unknown
	Worker  domain.NodeID `json:"worker,omitempty"`
	Seated  bool          `json:"seated,omitempty"` // players are in seat order
	Players []string      `json:"players"`
	Ranks   []int         `json:"ranks"` // in standard form
	Games   int           `json:"games"`
}

// Key returns the key of the outcome, unique within its config; outcomes of one day
// are adjacent.
func (o Outcome) Key() string {
	var b strings.Builder
	day := strconv.Itoa(o.Day + 1)
	b.WriteString(strings.Repeat("0", max(6-len(day), 0)) + day)
	for i, name := range o.Players {
		b.WriteString("\x00" + name + "\x00" + strconv.Itoa(o.Ranks[i]))
	}
	b.WriteString("\x00" + strconv.FormatBool(o.Seated) + "\x00" + string(o.Worker))
	return b.String()
}

// duelRanks lists the ranks of a two-player game that the first player lost, drew
// and won.
var duelRanks = [3][]int{{2, 1}, {1, 1}, {1, 2}}

// Outcomes returns the games of a fact, except those in which a player has two
// seats, because they say nothing about strength.
func (p Played) Outcomes() []Outcome {
	day := -1
	if p.At > 0 {
		day = int(p.At / dayMicros)
	}
	var all []Outcome
	if len(p.Results) == 0 {
		if !p.distinct() {
			return nil
		}
		return []Outcome{{Day: day, Worker: p.Worker, Seated: true, Players: p.Players, Ranks: p.Ranks, Games: 1}}
	}
	for _, r := range p.Results {
		if r.Opponent == p.Players[0] {
			continue
		}
		for points, n := range [3]int{r.Losses, r.Draws, r.Wins} {
			if n > 0 {
				all = append(all, Outcome{Day: day, Worker: p.Worker, Players: []string{p.Players[0], r.Opponent}, Ranks: duelRanks[points], Games: n})
			}
		}
	}
	return all
}

func (p Played) distinct() bool {
	for i, name := range p.Players {
		if slices.Contains(p.Players[:i], name) {
			return false
		}
	}
	return len(p.Players) > 1
}

// meeting is the games between two players in one fact.
type meeting struct {
	a, b       string
	rating.WDL // of a
}

// meetings returns the pairs of different players in a fact.
func (p Played) meetings() []meeting {
	var all []meeting
	for _, r := range p.Results {
		if r.Opponent != p.Players[0] && r.Games() > 0 {
			all = append(all, meeting{p.Players[0], r.Opponent, rating.WDL{Wins: r.Wins, Draws: r.Draws, Losses: r.Losses}})
		}
	}
	for i := range p.Ranks {
		for j := range i {
			if p.Players[i] == p.Players[j] {
				continue
			}
			all = append(all, meeting{p.Players[i], p.Players[j], outcome(p.Ranks[i], p.Ranks[j])})
		}
	}
	return all
}

// outcome returns the result of one pair from its ranks, from the first player's
// view.
func outcome(rank, other int) rating.WDL {
	switch {
	case rank < other:
		return rating.WDL{Wins: 1}
	case rank > other:
		return rating.WDL{Losses: 1}
	}
	return rating.WDL{Draws: 1}
}
