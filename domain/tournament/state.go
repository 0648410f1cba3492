package tournament

import (
	"fmt"
	"iter"
	"slices"

	"github.com/ringrift/rift/domain"
)

// Table is a pairing of a round with its results so far.
type Table struct {
	Round int    `json:"round"`
	Part  string `json:"part,omitempty"` // of a knock-out
	Pairing
	Games   int      `json:"games"` // requested; 0 for a bye
	Played  []Game   `json:"played,omitempty"`
	Outcome *Outcome `json:"outcome,omitempty"`
	Out     []Item   `json:"out,omitempty"`     // items that play its games
	Failure string   `json:"failure,omitempty"` // its games failed too often; it needs an operator
}

// Game returns a played game.
func (t Table) Game(number int) (Game, bool) {
	at := slices.IndexFunc(t.Played, func(g Game) bool { return g.Number == number })
	if at < 0 {
		return Game{}, false
	}
	return t.Played[at], true
}

// Key orders pairings by round and number.
func Key(round, number int) string { return fmt.Sprintf("%04d.%04d", round, number) }

// Evolve applies a fact about the pairing.
func (t Table) Evolve(event domain.Event) Table {
	switch e := event.(type) {
	case GameRecorded:
		if _, known := t.Game(e.Game.Number); !known {
			at := slices.IndexFunc(t.Played, func(g Game) bool { return g.Number > e.Game.Number })
			if at < 0 {
				at = len(t.Played)
			}
			t.Played = slices.Insert(slices.Clone(t.Played), at, e.Game)
			t.Out = t.outBut(t.allPlayed)
		}
	case GamesAsked:
		for _, item := range e.Items {
			if item.Round == t.Round && item.Pairing == t.Number {
				t.Out = append(slices.Clip(t.Out), item)
			}
		}
	case ItemsDropped:
		t.Out = t.outBut(func(item Item) bool {
			return slices.ContainsFunc(e.Items, func(dropped Item) bool { return dropped.TaskID == item.TaskID })
		})
	case PairingExtended:
		t.Games = e.Games
	case PairingDecided:
		t.Outcome, t.Failure, t.Out = &e.Outcome, "", nil
	case GamesFailed:
		t.Out = t.outBut(func(item Item) bool { return item.TaskID == e.TaskID })
		if e.Final && t.Outcome == nil {
			t.Failure = e.Reason
		}
	}
	return t
}

// allPlayed reports whether all games of an item are played.
func (t Table) allPlayed(item Item) bool {
	for game := item.First; game < item.First+item.Games; game++ {
		if _, played := t.Game(game); !played {
			return false
		}
	}
	return true
}

// outBut returns the outstanding items except those that match.
func (t Table) outBut(gone func(Item) bool) (left []Item) {
	for _, item := range t.Out {
		if !gone(item) {
			left = append(left, item)
		}
	}
	return left
}

// Item returns an outstanding item.
func (t Table) Item(task domain.TaskID) (Item, bool) {
	at := slices.IndexFunc(t.Out, func(item Item) bool { return item.TaskID == task })
	if at < 0 {
		return Item{}, false
	}
	return t.Out[at], true
}

// Tables returns the initial pairings of a paired round.
func (e RoundPaired) Tables(started Started) []Table {
	tables := make([]Table, len(e.Pairings))
	for i, p := range e.Pairings {
		tables[i] = Table{Round: e.Round, Part: e.Part, Pairing: p}
		if !p.Bye() {
			tables[i].Games = started.GamesPerPairing
		}
	}
	return tables
}

// Tournament is the state of a tournament, folded from its stream.
type Tournament struct {
	Started   *Started
	Paired    int // rounds
	Open      int // pairings that are not decided
	Failed    int // of them, those that need an operator
	Games     int // played
	Ranked    *Ranked
	Cancelled *Cancelled

	tables    domain.Ordered[Table]
	withdrawn domain.Ordered[struct{}]
}

// State returns "unknown", "running", "stalled" (a pairing needs an operator),
// "done" or "cancelled".
func (t Tournament) State() string {
	switch {
	case t.Ranked != nil:
		return "done"
	case t.Cancelled != nil:
		return "cancelled"
	case t.Started == nil:
		return "unknown"
	case t.Failed > 0:
		return "stalled"
	}
	return "running"
}

// Over reports whether the tournament has ended; further results do not count.
func (t Tournament) Over() bool { return t.Ranked != nil || t.Cancelled != nil }

// Table returns a pairing.
func (t Tournament) Table(round, number int) (Table, bool) { return t.tables.Get(Key(round, number)) }

// Tables yields the pairings, round by round.
func (t Tournament) Tables() iter.Seq[Table] {
	return func(yield func(Table) bool) {
		for _, table := range t.tables.All() {
			if !yield(table) {
				return
			}
		}
	}
}

// Items lists the outstanding items.
func (t Tournament) Items() (out []Item) {
	for table := range t.Tables() {
		out = append(out, table.Out...)
	}
	return out
}

// Withdrawn reports whether a participant has withdrawn.
func (t Tournament) Withdrawn(name string) bool { return t.withdrawn.Has(name) }

// Away lists the numbers of the withdrawn participants.
func (t Tournament) Away() (numbers []int) {
	for name := range t.withdrawn.All() {
		if number := t.Started.Number(name); number > 0 {
			numbers = append(numbers, number)
		}
	}
	slices.Sort(numbers)
	return numbers
}

// Evolve applies a fact.
func (t Tournament) Evolve(fact domain.Envelope) Tournament {
	switch e := fact.Event.(type) {
	case Started:
		t.Started = &e
	case RoundPaired:
		if t.Started == nil {
			return t
		}
		t.Paired = max(t.Paired, e.Round)
		for _, table := range e.Tables(*t.Started) {
			t.tables = t.tables.With(Key(table.Round, table.Number), table)
			t.Open++
		}
	case GameRecorded:
		t = t.step(e.Round, e.Pairing, e)
	case PairingExtended:
		t = t.step(e.Round, e.Pairing, e)
	case PairingDecided:
		t = t.step(e.Round, e.Pairing, e)
	case GamesFailed:
		t = t.step(e.Round, e.Pairing, e)
	case GamesAsked:
		for _, at := range placesOf(e.Items) {
			t = t.step(at[0], at[1], e)
		}
	case ItemsDropped:
		for _, at := range placesOf(e.Items) {
			t = t.step(at[0], at[1], e)
		}
	case Withdrawn:
		t.withdrawn = t.withdrawn.With(e.Participant, struct{}{})
	case Ranked:
		t.Ranked = &e
	case Cancelled:
		t.Cancelled = &e
	}
	return t
}

// step applies a fact about one pairing.
func (t Tournament) step(round, number int, event domain.Event) Tournament {
	key := Key(round, number)
	before, known := t.tables.Get(key)
	if !known {
		return t
	}
	after := before.Evolve(event)
	t.tables = t.tables.With(key, after)
	t.Games += len(after.Played) - len(before.Played)
	if before.Outcome == nil && after.Outcome != nil {
		t.Open--
	}
	switch {
	case before.Failure == "" && after.Failure != "":
		t.Failed++
	case before.Failure != "" && after.Failure == "":
		t.Failed--
	}
	return t
}

// placesOf lists the rounds and numbers of the pairings that items play, each once.
func placesOf(items []Item) (places [][2]int) {
	for _, item := range items {
		place := [2]int{item.Round, item.Pairing}
		if len(places) == 0 || places[len(places)-1] != place {
			places = append(places, place)
		}
	}
	return places
}

// Places lists the rounds and numbers of the pairings that the items play. The
// items of a pairing are adjacent.
func (e GamesAsked) Places() [][2]int { return placesOf(e.Items) }

// Places lists the rounds and numbers of the pairings that the items played.
func (e ItemsDropped) Places() [][2]int { return placesOf(e.Items) }

// Seat returns the index of a player of the pairing.
func (t Table) Seat(name string) (int, bool) {
	at := slices.Index(t.Players, name)
	return at, at >= 0
}
