package gauntlet

import (
	"fmt"
	"slices"

	"github.com/ringrift/rift/commands"
	trainingcmd "github.com/ringrift/rift/commands/training"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
	"github.com/ringrift/rift/domain/gauntlet"
	"github.com/ringrift/rift/domain/rating"
)

// finishGauntlet reports the result of an item of a round.
type finishGauntlet struct {
	GauntletID gauntlet.ID          `json:"gauntlet_id"`
	TaskID     domain.TaskID        `json:"task_id"`
	NodeID     domain.NodeID        `json:"node_id,omitempty"`
	Results    []elo.OpponentResult `json:"results,omitempty"`
	Failure    string               `json:"failure,omitempty"`
}

func (finishGauntlet) CommandType() string       { return "gauntlet.finish" }
func (c finishGauntlet) Stream() domain.StreamID { return c.GauntletID.Stream() }

// finishPart counts the parts that are complete, in their order, and decides
// whether to queue more parts, to exclude a worker whose games differ from the
// others', or to end the gauntlet. A part without a usable result ends it with the
// parts before; games that were broken off do not count.
func finishPart(g gauntlet.Gauntlet, c finishGauntlet, facts domain.Facts) ([]domain.Event, error) {
	number, known := g.PartOf(c.TaskID)
	if part, _ := g.PartState(number); g.State() != "running" || !known || part.Done {
		return nil, nil
	}
	policy := gauntlet.PolicyOf(facts.Policy)
	played := gauntlet.Played{
		GauntletID: c.GauntletID, TaskID: c.TaskID, Part: number, NodeID: c.NodeID, Results: c.Results, Failure: c.Failure,
		Counted: gauntlet.Counted{Parts: g.Counted, Results: g.Played},
	}
	if slices.Contains(g.Excluded, c.NodeID) { // the worker held this item when it was excluded
		part, _ := g.PartState(number)
		played.Results, played.Failure = nil, fmt.Sprintf("%s is excluded from the gauntlet", c.NodeID)
		played.Queue = []gauntlet.QueuedPart{{Part: number, TaskID: gauntlet.PartTask(c.GauntletID, g.Started.Round, number, part.Try+1)}}
		return []domain.Event{played}, nil
	}
	if played.Failure == "" {
		played.Failure = unfit(g, c.Results)
	}
	var ending gauntlet.Ending
	played.Counted, ending = g.Evolve(domain.Envelope{Event: played}).Count(policy)
	if !ending.Over {
		played.Queue = g.Ahead(played.Counted.Parts)
		return []domain.Event{played}, nil
	}
	after := g.Evolve(domain.Envelope{Event: played})
	if odd, found := after.Odd(policy); found && !ending.Failed {
		return []domain.Event{played, exclusion(after, odd, policy)}, nil
	}
	return []domain.Event{played, finished(after, ending, c.NodeID, policy)}, nil
}

// unfit returns why results contain no countable game; empty if they do.
func unfit(g gauntlet.Gauntlet, results []elo.OpponentResult) string {
	games := 0
	for _, result := range results {
		if !slices.Contains(g.Started.Opponents, result.Opponent) {
			return fmt.Sprintf("want games against the opponents of the gauntlet, found some against %s", domain.Clip(result.Opponent, 64))
		}
		games += result.Games()
	}
	if games == 0 {
		return "no game came to an end"
	}
	return ""
}

// finished returns the end of a gauntlet with what its games show.
func finished(g gauntlet.Gauntlet, ending gauntlet.Ending, node domain.NodeID, policy gauntlet.Policy) gauntlet.Finished {
	end := gauntlet.Finished{
		GauntletID: g.Started.GauntletID, TaskID: g.Started.TaskID, NodeID: node, Results: g.Played, Decision: gauntlet.GauntletMeasured, Reason: ending.Failure, Cancel: g.Open(),
	}
	for _, result := range g.Played {
		end.Games += result.Games()
	}
	if score, played := trainingcmd.Overall(g.Played); played {
		end.Score = &score
	}
	tested, played := g.TestedResult()
	switch {
	case ending.Failed:
		end.Decision = gauntlet.GauntletFailed
	case end.Games == 0:
		end.Decision, end.Reason = gauntlet.GauntletFailed, commands.Or(end.Reason, "no game came to an end")
	case played:
		strength(&end, g, tested, ending, policy)
	}
	return end
}

// strength fills in the result of the games against the tested opponent.
func strength(end *gauntlet.Finished, g gauntlet.Gauntlet, tested elo.OpponentResult, ending gauntlet.Ending, policy gauntlet.Policy) {
	sprt := g.SPRT(policy)
	cells := tested.Distribution()
	estimate := rating.Measure(cells)
	end.Elo, end.Error, end.LOS, end.Decision = &estimate.Elo, &estimate.Error, &estimate.LOS, string(ending.Verdict)
	end.Alike = rating.Alike(cells)
	if g.Look != nil {
		end.LLR = &g.Look.LLR
		if g.Look.Lower < g.Look.Upper {
			end.Lower, end.Upper = &g.Look.Lower, &g.Look.Upper
		}
	}
	if low, high, err := rating.Wilson(float64(tested.Wins)+float64(tested.Draws)/2, float64(tested.Games()), rating.Z95); err == nil {
		end.Wilson = []float64{domain.Round6(low), domain.Round6(high)}
	}
	if ending.Verdict == rating.Open {
		return
	}
	if stopped, err := sprt.Test().Estimate(sprt.Cells(tested)); err == nil {
		end.Stopped = &gauntlet.Stopped{Elo: stopped.Elo, Low: stopped.Low, High: stopped.High, LOS: stopped.LOS}
	}
	if left := g.Started.TestedGames() - tested.Games(); left > 0 {
		end.Reason = commands.Or(end.Reason, fmt.Sprintf("decided after %d of at most %d games against %s", tested.Games(), g.Started.TestedGames(), g.Started.Tested()))
	}
}

// exclusion returns the event that takes back the games of a worker.
func exclusion(g gauntlet.Gauntlet, odd gauntlet.Screened, policy gauntlet.Policy) gauntlet.WorkerExcluded {
	event := gauntlet.WorkerExcluded{
		GauntletID: g.Started.GauntletID, NodeID: odd.NodeID, P: &odd.P, Residual: &odd.Residual,
		Reason: fmt.Sprintf("its results are %.1f standard deviations off those of other workers", odd.Residual),
	}
	event.Counted, event.Queue, event.Games = g.Without(odd.NodeID, policy)
	return event
}

// ExcludeWorker takes back the games of a worker in a running gauntlet: others play
// its parts again, and the test is computed without them.
type ExcludeWorker struct {
	GauntletID gauntlet.ID   `json:"gauntlet_id"`
	NodeID     domain.NodeID `json:"node_id"`
	Reason     string        `json:"reason"`
}

func (ExcludeWorker) CommandType() string       { return "gauntlet.exclude" }
func (c ExcludeWorker) Stream() domain.StreamID { return c.GauntletID.Stream() }

func completeExclude(c ExcludeWorker, _ domain.Facts) (ExcludeWorker, error) {
	return c, domain.Faulty("gauntlet.exclude", gauntlet.WorkerExcluded{GauntletID: c.GauntletID, NodeID: c.NodeID, Reason: c.Reason}.Validate())
}

// maxExcluded limits the workers that a gauntlet excludes, which is the limit of an
// item's excluded nodes.
const maxExcluded = 32

func excludeWorker(g gauntlet.Gauntlet, c ExcludeWorker, facts domain.Facts) ([]domain.Event, error) {
	switch {
	case g.Started == nil:
		return nil, domain.Errorf(domain.NotFound, "no gauntlet %q is known", domain.Clip(string(c.GauntletID), 64))
	case slices.Contains(g.Excluded, c.NodeID):
		return nil, nil
	case g.Finished != nil:
		return nil, domain.Errorf(domain.Conflict, "gauntlet %s is over: want one that runs", c.GauntletID)
	case len(g.Excluded) >= maxExcluded:
		return nil, domain.Errorf(domain.TooMany, "gauntlet %s: want at most %d workers excluded", c.GauntletID, maxExcluded)
	}
	event := gauntlet.WorkerExcluded{GauntletID: c.GauntletID, NodeID: c.NodeID, Reason: c.Reason}
	event.Counted, event.Queue, event.Games = g.Without(c.NodeID, gauntlet.PolicyOf(facts.Policy))
	return []domain.Event{event}, nil
}
