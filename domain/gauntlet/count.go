package gauntlet

import (
	"fmt"

	"github.com/ringrift/rift/domain/elo"
	"github.com/ringrift/rift/domain/rating"
)

// Ending is the state of a gauntlet after its parts were counted.
type Ending struct {
	Over    bool
	Verdict rating.Verdict // of the test
	Failure string         // the part that failed, or what is wrong with the games
	Failed  bool           // the games have no usable result
}

// SPRT returns the sequential test of the round; for an older log without one, the
// policy's.
func (g Gauntlet) SPRT(policy Policy) SPRT {
	if s := g.Started.SPRT; s != nil {
		return *s
	}
	return policy.SPRT()
}

// SPRT returns the test of gauntlets that name none.
func (p Policy) SPRT() SPRT {
	return SPRT{Model: p.SPRTModel, Elo0: p.SPRTElo0, Elo1: p.SPRTElo1, Alpha: p.SPRTAlpha, Beta: p.SPRTBeta, Overshoot: p.SPRTOvershoot}
}

// Cells returns the results for a test, worst first: pairs if games were paired and
// the model of the test supports pairs, otherwise games.
func (s SPRT) Cells(r elo.OpponentResult) []float64 {
	if s.Model == rating.BayesEloModel || s.Model == rating.CutechessModel {
		r.Pentanomial = nil
	}
	return r.Distribution()
}

// Count counts the finished parts in the order of their numbers, from the first
// that does not count yet to the first unfinished one, and computes the test after
// each. The counts, each look and the ending depend on the results of the parts
// only, and not on the order in which they arrived or on the number of workers.
func (g Gauntlet) Count(policy Policy) (Counted, Ending) {
	c := counter{
		g: g, test: g.SPRT(policy), policy: policy, looked: g.looked, overshoot: g.overshoot,
		counted: Counted{Parts: g.Counted, Results: g.Played}, ending: Ending{Verdict: rating.Open},
	}
	for parts := g.Parts(); !c.ending.Over && c.counted.Parts < parts; {
		part, queued := g.PartState(c.counted.Parts)
		if !queued || !part.Done {
			break
		}
		c.add(part, c.counted.Parts+1 == parts)
	}
	if c.overshoot != g.overshoot {
		c.counted.Overshoot = &c.overshoot
	}
	return c.counted, c.ending
}

// Recount is Count from the first part on, for use after results were taken back.
func (g Gauntlet) Recount(policy Policy) (Counted, Ending) {
	g.Counted, g.Played, g.looked, g.overshoot = 0, nil, 0, rating.Overshoot{}
	counted, ending := g.Count(policy)
	if counted.Overshoot == nil {
		counted.Overshoot = &rating.Overshoot{}
	}
	return counted, ending
}

type counter struct {
	g         Gauntlet
	test      SPRT
	policy    Policy
	looked    int
	overshoot rating.Overshoot
	counted   Counted
	ending    Ending
}

// add counts a part, and reports whether the gauntlet ends with it.
func (c *counter) add(part PartState, last bool) {
	c.counted.Results = Together(c.counted.Results, part.Results)
	c.counted.Parts++
	measured, tested := true, elo.OpponentResult{}
	for _, opponent := range c.g.Started.Opponents {
		result := against(c.counted.Results, opponent)
		if opponent == c.g.Started.Tested() {
			tested = result
		} else if result.Games() < c.g.Started.GamesAgainst(opponent) {
			measured = false
		}
		// A few pairs may all end 1-1 by chance, so require as many games as
		// between two looks.
		if result.Monotonous(max(c.policy.SameGames, min(c.g.Started.TestGames, c.g.Started.GamesAgainst(opponent)))) {
			c.ending.Failed = true
			c.ending.Failure = fmt.Sprintf("all %d games against %s went the same way: one game was played again and again", result.Games(), opponent)
		}
	}
	if part.Failure != "" && c.ending.Failure == "" {
		c.ending.Failure = part.Failure
	}
	wanted := 0
	if c.g.Started.Tested() != "" {
		wanted = c.g.Started.TestedGames()
	}
	over := last || c.ending.Failure != "" || measured && tested.Games() >= wanted
	if tested.Games() > 0 && (len(part.Results) > 0 || over) {
		c.look(tested, over || tested.Games()-c.looked >= c.g.Started.TestGames)
	}
	c.ending.Over = over || measured && c.ending.Verdict != rating.Open
}

// look computes the test, and decides by it if judge is true.
func (c *counter) look(tested elo.OpponentResult, judge bool) {
	test := c.test.Test()
	llr, err := test.LLR(c.test.Cells(tested))
	if err != nil {
		return // results so far from both hypotheses that the ratio is not finite
	}
	bounds := test.Bounds()
	if judge && tested.Games() != c.looked {
		c.looked = tested.Games()
		if c.test.Overshoot {
			c.overshoot = c.overshoot.After(llr)
		}
	}
	if c.test.Overshoot {
		bounds = c.overshoot.Correct(bounds)
	}
	if judge && c.ending.Verdict == rating.Open {
		c.ending.Verdict = bounds.Judge(llr)
	}
	estimate := rating.Measure(tested.Distribution())
	c.counted.Looks = append(c.counted.Looks, Look{
		Part: c.counted.Parts - 1, Games: tested.Games(), LLR: llr, Lower: bounds.Lower, Upper: bounds.Upper, Elo: estimate.Elo, Error: estimate.Error, Judged: judge,
	})
}

// against returns the results against an opponent.
func against(results []elo.OpponentResult, opponent string) elo.OpponentResult {
	for _, r := range results {
		if r.Opponent == opponent {
			return r
		}
	}
	return elo.OpponentResult{Opponent: opponent}
}

// TestedResult returns the results against the opponent of the test.
func (g Gauntlet) TestedResult() (elo.OpponentResult, bool) {
	result := against(g.Played, g.Started.Tested())
	return result, result.Games() > 0
}

// Ahead lists the parts to queue items for next.
func (g Gauntlet) Ahead(counted int) []QueuedPart {
	if g.Started.ItemGames == 0 {
		return nil
	}
	var queue []QueuedPart
	for k := g.Queued; k < min(g.Parts(), counted+g.Started.OpenItems); k++ {
		queue = append(queue, QueuedPart{k, PartTask(g.Started.GauntletID, g.Started.Round, k, 0)})
	}
	return queue
}
