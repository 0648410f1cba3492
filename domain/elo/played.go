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

// Played is what a fact tells the ratings.
type Played struct {
	ID      string           `json:"id"`
	At      int64            `json:"at,omitempty"` // microseconds since 1970; 0: nobody said when
	Worker  domain.NodeID    `json:"worker,omitempty"`
	Players []string         `json:"players"`           // in the order of their seats; of results the model alone
	Ranks   []int            `json:"ranks,omitempty"`   // of a game, in standard form
	Results []OpponentResult `json:"results,omitempty"` // of the model, by opponent
	// Excluded is a fact that is known and does not count.
	Excluded bool `json:"excluded,omitempty"`
}

// PlayedOf reads a fact of the ratings.
func PlayedOf(fact Fact) Played {
	switch e := fact.Event().(type) {
	case MatchRecorded:
		p := Played{ID: e.MatchID, At: micros(e.PlayedAt), Worker: e.Worker, Ranks: Standard(e.Ranks)}
		for _, player := range e.Participants {
			p.Players = append(p.Players, player.Name())
		}
		if len(p.Ranks) != len(p.Players) {
			p.Players, p.Ranks = nil, nil // an old fact that says nothing
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

// momentDigits is how many digits a moment takes in an order key.
const momentDigits = 17

// OrderKey sorts facts as incremental ratings play them: by the time of the game,
// those that have none first, then by identity. It is the same on every node,
// whenever the fact came there.
func (p Played) OrderKey() string {
	digits := strconv.FormatInt(p.At, 10)
	return strings.Repeat("0", max(momentDigits-len(digits), 0)) + digits + p.ID
}

// told gives a fact without a time that of its report. Published ratings play it then:
// among games of no time it would come late each time, and have all others of them
// rated again.
func (p Played) told(at time.Time) Played {
	if p.At == 0 && !at.IsZero() {
		p.At = micros(&at)
	}
	return p
}

// Outcome is a number of games alike on one day.
type Outcome struct {
	Day     int           `json:"day"` // since 1970; −1: nobody said when
	Worker  domain.NodeID `json:"worker,omitempty"`
	Seated  bool          `json:"seated,omitempty"` // players are in the order of their seats
	Players []string      `json:"players"`
	Ranks   []int         `json:"ranks"` // in standard form
	Games   int           `json:"games"`
}

// Key names the outcome among those of its config; outcomes of one day are together.
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

// duelRanks are the ranks of a game of two that the first lost, drew and won.
var duelRanks = [3][]int{{2, 1}, {1, 1}, {1, 2}}

// Outcomes are the games of a fact. A game in which a player sits twice says
// nothing of anybody's strength, and is none of them.
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

// meeting is the games of two players in one fact.
type meeting struct {
	a, b       string
	rating.WDL // of a
}

// meetings are the pairs of players in a fact; a player against itself is none.
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

// outcome is one game of two by their ranks, as the first has it.
func outcome(rank, other int) rating.WDL {
	switch {
	case rank < other:
		return rating.WDL{Wins: 1}
	case rank > other:
		return rating.WDL{Losses: 1}
	}
	return rating.WDL{Draws: 1}
}
