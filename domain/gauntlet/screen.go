package gauntlet

import (
	"slices"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
	"github.com/ringrift/rift/domain/rating"
)

// Screened is the result of comparing one worker of a gauntlet with the others.
type Screened struct {
	NodeID   domain.NodeID
	Games    int
	P        float64 // the same for all: probability of differences this large between equal workers
	Residual float64 // deviation of this worker, in standard deviations; 0: too few games
}

// Screen compares the outcomes of workers against one opponent, the tested one or
// the one with the most games: pairs lost, drawn and won if games were paired,
// otherwise games (as fishtest's purge_run). Workers are sorted by name.
func (g Gauntlet) Screen() []Screened {
	opponent, most := g.Started.Tested(), 0
	if opponent == "" {
		for _, result := range g.Played {
			if result.Games() > most {
				opponent, most = result.Opponent, result.Games()
			}
		}
	}
	by := map[domain.NodeID]elo.OpponentResult{}
	paired := len(against(g.Played, opponent).Pentanomial) == 5
	var nodes []domain.NodeID
	for number := range g.Counted {
		part, _ := g.PartState(number)
		result := against(part.Results, opponent)
		if part.NodeID == "" || result.Games() == 0 {
			continue
		}
		before, known := by[part.NodeID]
		if !known {
			nodes, before = append(nodes, part.NodeID), elo.OpponentResult{Opponent: opponent, Pentanomial: make([]int, len(result.Pentanomial))}
		}
		by[part.NodeID] = Together([]elo.OpponentResult{before}, []elo.OpponentResult{result})[0]
	}
	slices.Sort(nodes)
	rows := make([][]float64, len(nodes))
	for i, node := range nodes {
		cells := by[node].Distribution()
		if paired && len(cells) == 5 {
			cells = []float64{cells[0] + cells[1], cells[2], cells[3] + cells[4]}
		}
		rows[i] = cells
	}
	p, residuals, err := rating.Screen(rows)
	if err != nil {
		return nil
	}
	screened := make([]Screened, len(nodes))
	for i, node := range nodes {
		screened[i] = Screened{node, by[node].Games(), p, residuals[i]}
	}
	return screened
}

// Odd returns the worker to exclude, if any. With fewer than three workers that
// played enough games it is not possible to tell which one is wrong.
func (g Gauntlet) Odd(policy Policy) (Screened, bool) {
	var worst Screened
	enough := 0
	for _, s := range g.Screen() {
		if s.Residual != 0 {
			enough++
		}
		if s.Residual > worst.Residual {
			worst = s
		}
	}
	odd := policy.ScreenP > 0 && enough >= 3 && (worst.P < policy.ScreenP || worst.Residual > policy.ScreenResidual)
	return worst, odd
}

// Without takes back the games of a worker: it returns the parts to queue again,
// and counts the rest again.
func (g Gauntlet) Without(node domain.NodeID, policy Policy) (counted Counted, queue []QueuedPart, games int) {
	for number := range g.Queued {
		part, _ := g.PartState(number)
		if !part.Done || part.NodeID != node {
			continue
		}
		for _, result := range part.Results {
			games += result.Games()
		}
		queue = append(queue, QueuedPart{number, PartTask(g.Started.GauntletID, g.Started.Round, number, part.Try+1)})
	}
	counted, _ = g.queue(queue).Recount(policy)
	return counted, queue, games
}
