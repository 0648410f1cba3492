package gauntlet

import (
	"fmt"
	"slices"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
	"github.com/ringrift/rift/domain/rating"
)

// Gauntlet is the state of one gauntlet, folded from its stream.
type Gauntlet struct {
	Started  *Started             `json:"started,omitempty"`
	Played   []elo.OpponentResult `json:"played,omitempty"`   // by the parts that count
	Counted  int                  `json:"counted,omitempty"`  // number of parts that count
	Queued   int                  `json:"queued,omitempty"`   // number of parts that have had an item
	Look     *Look                `json:"look,omitempty"`     // the last one
	Item     domain.TaskID        `json:"item,omitempty"`     // the item that ended last, or the first of the round
	Excluded []domain.NodeID      `json:"excluded,omitempty"` // workers whose games do not count
	Finished *Finished            `json:"finished,omitempty"` // the end of the last round started

	looked    int // games against the tested opponent at the last test
	overshoot rating.Overshoot
	parts     domain.Ordered[PartState]
	tasks     domain.Ordered[int] // live item of a part → its number
}

// PartState is the state of a part.
type PartState struct {
	TaskID  domain.TaskID // of its last item
	Try     int
	Done    bool
	NodeID  domain.NodeID
	Results []elo.OpponentResult
	Failure string
}

func partKey(number int) string { return fmt.Sprintf("%09d", number) }

// PartState returns the state of a part; false if no item was queued for it.
func (g Gauntlet) PartState(number int) (PartState, bool) { return g.parts.Get(partKey(number)) }

// PartOf returns the part of a work item, if it is the part's last item.
func (g Gauntlet) PartOf(task domain.TaskID) (number int, known bool) {
	number, known = g.tasks.Get(string(task))
	if known {
		part, _ := g.PartState(number)
		known = part.TaskID == task
	}
	return number, known
}

// Parts returns the number of parts of the round.
func (g Gauntlet) Parts() int {
	if g.Started.ItemGames == 0 {
		return g.Queued
	}
	return g.Started.Parts()
}

// Open lists the outstanding items.
func (g Gauntlet) Open() []domain.TaskID {
	var open []domain.TaskID
	for _, part := range g.parts.All() {
		if !part.Done {
			open = append(open, part.TaskID)
		}
	}
	return open
}

// First lists the parts whose items are queued at the start of a round.
func (e Started) First() []QueuedPart {
	queue := []QueuedPart{{0, e.TaskID}}
	for k := 1; k < min(e.Parts(), e.OpenItems); k++ {
		queue = append(queue, QueuedPart{k, PartTask(e.GauntletID, e.Round, k, 0)})
	}
	return queue
}

// Evolve applies a fact.
func (g Gauntlet) Evolve(fact domain.Envelope) Gauntlet {
	switch e := fact.Event.(type) {
	case Started:
		g = Gauntlet{Started: &e, Item: e.TaskID}.queue(e.First())
	case Played:
		if g.running() {
			g = g.playedPart(e)
		}
	case WorkerExcluded:
		if g.running() && !slices.Contains(g.Excluded, e.NodeID) {
			g.Excluded = append(slices.Clone(g.Excluded), e.NodeID)
			g.looked, g.overshoot, g.Look = 0, rating.Overshoot{}, nil
			g = g.queue(e.Queue).counts(e.Counted)
		}
	case Continued:
		if g.running() && g.Item == e.After {
			last := g.Queued - 1
			g = g.playedPart(Played{TaskID: e.After, Part: last, Results: e.Results, Counted: Counted{Parts: last + 1, Results: Together(g.Played, e.Results)}})
			g = g.queue([]QueuedPart{{last + 1, e.TaskID}})
			g.Look, g.Item = &Look{Part: last, LLR: e.LLR}, e.TaskID
		}
	case Finished:
		if g.running() && g.Started.TaskID == e.TaskID {
			g.Finished = &e
		}
	}
	return g
}

func (g Gauntlet) running() bool { return g.Started != nil && g.Finished == nil }

func (g Gauntlet) playedPart(e Played) Gauntlet {
	part, _ := g.PartState(e.Part)
	part.TaskID, part.Done, part.NodeID, part.Results, part.Failure = e.TaskID, true, e.NodeID, e.Results, e.Failure
	g.parts, g.Item = g.parts.With(partKey(e.Part), part), e.TaskID
	return g.counts(e.Counted).queue(e.Queue)
}

// counts applies what counts after an event.
func (g Gauntlet) counts(c Counted) Gauntlet {
	g.Counted, g.Played = c.Parts, c.Results
	for _, look := range c.Looks {
		if g.Look = &look; look.Judged {
			g.looked = look.Games
		}
	}
	if c.Overshoot != nil {
		g.overshoot = *c.Overshoot
	}
	return g
}

func (g Gauntlet) queue(queue []QueuedPart) Gauntlet {
	for _, q := range queue {
		try := 0
		if before, had := g.PartState(q.Part); had {
			try = before.Try + 1
		}
		g.parts = g.parts.With(partKey(q.Part), PartState{TaskID: q.TaskID, Try: try})
		g.tasks = g.tasks.With(string(q.TaskID), q.Part)
		g.Queued = max(g.Queued, q.Part+1)
	}
	return g
}

// Together adds results by opponent. Pairs are only kept if all games against an
// opponent were paired.
func Together(a, b []elo.OpponentResult) []elo.OpponentResult {
	sum := slices.Clone(a)
	for _, more := range b {
		at := slices.IndexFunc(sum, func(r elo.OpponentResult) bool { return r.Opponent == more.Opponent })
		if at < 0 {
			sum = append(sum, more)
			continue
		}
		one := sum[at]
		paired := len(one.Pentanomial) == len(more.Pentanomial)
		one.Wins, one.Losses, one.Draws, one.Errors = one.Wins+more.Wins, one.Losses+more.Losses, one.Draws+more.Draws, one.Errors+more.Errors
		pairs := slices.Clone(one.Pentanomial)
		for i := range pairs {
			if paired {
				pairs[i] += more.Pentanomial[i]
			}
		}
		if one.Pentanomial = pairs; !paired {
			one.Pentanomial = nil
		}
		sum[at] = one
	}
	return sum
}

// State returns "unknown", "running", "done" or "failed".
func (g Gauntlet) State() string {
	switch {
	case g.Started == nil:
		return "unknown"
	case g.Finished == nil:
		return "running"
	case g.Finished.Decision == GauntletFailed:
		return "failed"
	}
	return "done"
}
