package gauntlet

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
	"github.com/ringrift/rift/domain/gauntlet"
	"github.com/ringrift/rift/domain/match"
	"github.com/ringrift/rift/domain/rating"
	"github.com/ringrift/rift/domain/training"
)

// world is a queue with workers that play the parts of one gauntlet. What a part
// brings depends on the part alone, as real games do on their seeds.
type world struct {
	g        gauntlet.Gauntlet
	policy   domain.Policy
	strength float64 // chance of the model to win a game
	queued   []gauntlet.QueuedPart
	excluded []domain.NodeID
	odd      int // workers that are excluded on the way
	worker   func(domain.NodeID, elo.OpponentResult) elo.OpponentResult
}

func newWorld(t fatal, policy gauntlet.Policy, command ExecuteGauntlet, strength float64) *world {
	w := &world{policy: domain.Sections{policy}.Default(), strength: strength, worker: func(_ domain.NodeID, r elo.OpponentResult) elo.OpponentResult { return r }}
	facts := domain.Facts{Policy: w.policy}
	completed, err := completeGauntlet(command, facts)
	if err != nil {
		t.Fatal(err)
	}
	events, err := executeGauntlet(w.g, completed, facts)
	if err != nil {
		t.Fatal(err)
	}
	w.take(events)
	return w
}

type fatal interface{ Fatal(...any) }

func (w *world) take(events []domain.Event) {
	for _, event := range events {
		w.g = w.g.Evolve(domain.Envelope{Event: event})
		switch e := event.(type) {
		case gauntlet.Started:
			w.queued = append(w.queued, e.First()...)
		case gauntlet.Played:
			w.queued = append(w.queued, e.Queue...)
		case gauntlet.WorkerExcluded:
			w.queued = append(w.queued, e.Queue...)
			w.excluded = append(w.excluded, e.NodeID)
		}
	}
}

// answers plays the games of a part and returns them like a worker.
func (w *world) answers(part int) []match.Answer {
	games := w.g.Started.GamesOf(part)
	answers := make([]match.Answer, len(games))
	for i, game := range games {
		random := rand.New(rand.NewPCG(game.Seed, 7))
		own := slices.IndexFunc(game.Participants, func(p match.Participant) bool { return p.ModelID == string(w.g.Started.ModelID) })
		ranks := make([]int, len(game.Participants))
		for seat := range ranks {
			ranks[seat] = 2
		}
		winner := (own + 1) % len(ranks)
		if random.Float64() < w.strength {
			winner = own
		}
		ranks[winner] = 1
		names := make([]string, len(game.Participants))
		for seat, p := range game.Participants {
			names[seat] = p.ModelID
		}
		answers[i] = match.Answer{GameID: game.GameID, Participants: names, Result: match.Result{Ranks: ranks}, Plies: 20, Seed: game.Seed}
	}
	return answers
}

func (w *world) report(t fatal, q gauntlet.QueuedPart, node domain.NodeID) {
	encoded, err := match.Encode(w.answers(q.Part), true)
	if err != nil {
		t.Fatal(err)
	}
	results, err := partResults(*w.g.Started, q.Part, encoded, training.Known())
	if err != nil {
		t.Fatal(err)
	}
	results[0] = w.worker(node, results[0])
	events, err := finishPart(w.g, finishGauntlet{GauntletID: w.g.Started.GauntletID, TaskID: q.TaskID, NodeID: node, Results: results}, domain.Facts{Policy: w.policy})
	if err != nil {
		t.Fatal(err)
	}
	w.take(events)
}

func (w *world) exclude(t fatal, node domain.NodeID) {
	events, err := excludeWorker(w.g, ExcludeWorker{GauntletID: w.g.Started.GauntletID, NodeID: node, Reason: "no good"}, domain.Facts{Policy: w.policy})
	if err != nil {
		t.Fatal(err)
	}
	w.take(events)
}

// run lets workers take items in any order, and kills them now and then: the item
// goes back into the queue, and a report may come twice.
func (w *world) run(t fatal, workers int, killed float64, random *rand.Rand) gauntlet.Finished {
	type held struct {
		q    gauntlet.QueuedPart
		node domain.NodeID
	}
	var out []held
	for range 100_000 {
		if w.g.Finished != nil {
			return *w.g.Finished
		}
		if len(w.queued) > 0 && len(out) < workers {
			at := random.IntN(len(w.queued))
			node := domain.NodeID(fmt.Sprintf("w%d", random.IntN(workers)))
			if slices.Contains(w.excluded, node) {
				continue
			}
			out = append(out, held{w.queued[at], node})
			w.queued = slices.Delete(w.queued, at, at+1)
			if random.IntN(2) == 0 {
				continue
			}
		}
		if len(out) == 0 {
			t.Fatal("the gauntlet waits and nothing is queued")
		}
		if w.odd > 0 && random.IntN(12) == 0 { // an operator excludes the worker
			w.odd--
			w.exclude(t, domain.NodeID(fmt.Sprintf("w%d", w.odd)))
		}
		at := random.IntN(len(out))
		h := out[at]
		out = slices.Delete(out, at, at+1)
		if random.Float64() < killed {
			w.queued = append(w.queued, h.q)
			continue
		}
		w.report(t, h.q, h.node)
		if random.IntN(4) == 0 {
			w.report(t, h.q, h.node) // repeated
		}
	}
	t.Fatal("the gauntlet does not end")
	return gauntlet.Finished{}
}

// essence returns an end without the players of parts and the outstanding items.
func essence(t fatal, f gauntlet.Finished) string {
	f.NodeID, f.Cancel = "", nil
	data, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// Two hundred games over eight workers of which a fifth is killed at random, and some
// are excluded on the way: every game counts once, and the decision, to its last digit,
// is that of a single worker that plays the parts one after the other.
func TestTheDecisionIsThatOfOneWorker(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		policy := gauntlet.DefaultPolicy()
		policy.TestGames = rapid.SampledFrom([]int{20, 40, 100}).Draw(t, "test games")
		policy.OpenItems = rapid.IntRange(1, 20).Draw(t, "open items")
		policy.SPRTOvershoot = rapid.Bool().Draw(t, "overshoot")
		policy.SPRTModel = rapid.SampledFrom(rating.Models).Draw(t, "model")
		policy.SPRTElo1 = rapid.SampledFrom([]float64{40, 150}).Draw(t, "elo1")
		command := ExecuteGauntlet{ConfigKey: "hex8_2p", ModelID: "m2", Baselines: []string{"random", "m1"}, InUse: "m1", Games: 100}
		if rapid.Bool().Draw(t, "one opponent") {
			command.Baselines, command.Games = []string{"m1"}, 200
		}
		strength := rapid.SampledFrom([]float64{0.3, 0.5, 0.6, 0.8, 1}).Draw(t, "strength")
		alone := newWorld(t, policy, command, strength)
		for alone.g.Finished == nil {
			q := alone.queued[0]
			alone.queued = alone.queued[1:]
			alone.report(t, q, "alone")
		}
		many := newWorld(t, policy, command, strength)
		many.odd = rapid.IntRange(0, 4).Draw(t, "excluded")
		end := many.run(t, 8, 0.2, rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "order"), 1)))
		if a, b := essence(t, *alone.g.Finished), essence(t, end); a != b {
			t.Fatalf("one worker:\n%s\neight:\n%s", a, b)
		}
		games := 0
		for _, result := range end.Results {
			games += result.Games()
			if result.Errors > 0 || result.Games() > command.Games {
				t.Fatalf("found %+v", result)
			}
		}
		if games != end.Games || end.Decision == "open" && games != 200 {
			t.Fatalf("want every game once, found %d of %d, decision %s", games, end.Games, end.Decision)
		}
	})
}

// A worker whose results are not those of the others is excluded before anything is
// decided, and the end is that of the games without it.
func TestAnOddWorkerIsExcluded(t *testing.T) {
	policy := gauntlet.DefaultPolicy()
	command := ExecuteGauntlet{ConfigKey: "hex8_2p", ModelID: "m2", Baselines: []string{"m1"}, Games: 1600, SPRT: &gauntlet.SPRT{Elo0: -200, Elo1: 200}}
	loses := func(node domain.NodeID, r elo.OpponentResult) elo.OpponentResult {
		if node != "w3" {
			return r
		}
		return elo.OpponentResult{Opponent: r.Opponent, Losses: r.Games(), Pentanomial: []int{r.Games() / 2, 0, 0, 0, 0}}
	}
	policy.TestGames = 1600
	honest := newWorld(t, policy, command, 0.6)
	want := honest.run(t, 8, 0, rand.New(rand.NewPCG(1, 1)))
	w := newWorld(t, policy, command, 0.6)
	w.worker = loses
	got := w.run(t, 8, 0, rand.New(rand.NewPCG(2, 2)))
	if !slices.Equal(w.excluded, []domain.NodeID{"w3"}) {
		t.Errorf("want w3 excluded, found %v", w.excluded)
	}
	if a, b := essence(t, want), essence(t, got); a != b {
		t.Errorf("honest workers:\n%s\nwith an odd one:\n%s", a, b)
	}
	if len(honest.excluded) > 0 {
		t.Errorf("want no honest worker excluded, found %v", honest.excluded)
	}
	policy.ScreenP = 0
	off := newWorld(t, policy, command, 0.6)
	off.worker = loses
	off.run(t, 8, 0, rand.New(rand.NewPCG(2, 2)))
	if len(off.excluded) > 0 {
		t.Errorf("want nobody excluded when screening is off, found %v", off.excluded)
	}
}

// The end agrees with package rating for the same counts, including the estimate
// after an early stop.
func TestTheEndIsThatOfRating(t *testing.T) {
	policy := gauntlet.DefaultPolicy()
	policy.TestGames = 20
	command := ExecuteGauntlet{ConfigKey: "hex8_2p", ModelID: "m2", Baselines: []string{"m1"}, Games: 400, SPRT: &gauntlet.SPRT{Model: rating.NormalizedModel, Elo0: 0, Elo1: 60}}
	w := newWorld(t, policy, command, 0.65)
	end := w.run(t, 4, 0, rand.New(rand.NewPCG(3, 3)))
	result := end.Results[0]
	test := rating.Test{Model: rating.NormalizedModel, Elo0: 0, Elo1: 60, Alpha: 0.05, Beta: 0.05}
	llr, err := test.LLR(result.Distribution())
	if err != nil || end.LLR == nil || math.Abs(*end.LLR-llr) > 1e-12 || end.Decision != "better" || end.Games >= 400 {
		t.Errorf("found %+v, want an LLR of %v, %v", end, llr, err)
	}
	estimate, err := test.Estimate(result.Distribution())
	if err != nil || end.Stopped == nil || end.Stopped.Elo != estimate.Elo || end.Stopped.Low >= end.Stopped.High {
		t.Errorf("found %+v, want %+v, %v", end.Stopped, estimate, err)
	}
	if len(end.Wilson) != 2 || end.Wilson[0] >= *end.Score || end.Wilson[1] <= *end.Score || end.Alike {
		t.Errorf("found %+v", end)
	}
	all := newWorld(t, policy, command, 1)
	if end := all.run(t, 4, 0, rand.New(rand.NewPCG(3, 3))); !end.Alike || end.Decision != "better" {
		t.Errorf("want games that all ended alike flagged, found %+v", end)
	}
}

// A part without a result ends a gauntlet with the parts before it; later ones do
// not count, whether they arrived or not.
func TestAPartThatComesToNothing(t *testing.T) {
	command := ExecuteGauntlet{ConfigKey: "hex8_2p", ModelID: "m2", Baselines: []string{"m1"}, Games: 100}
	w := newWorld(t, gauntlet.DefaultPolicy(), command, 0.5)
	q := w.queued
	w.report(t, q[4], "w1")
	w.report(t, q[0], "w1")
	fails := func(task domain.TaskID) {
		events, err := finishPart(w.g, finishGauntlet{GauntletID: w.g.Started.GauntletID, TaskID: task, Failure: "out of memory"}, domain.Facts{Policy: w.policy})
		if err != nil {
			t.Fatal(err)
		}
		w.take(events)
	}
	fails(q[2].TaskID)
	if w.g.Finished != nil {
		t.Fatal("want the second part waited for")
	}
	w.report(t, q[1], "w2")
	if f := w.g.Finished; f == nil || f.Games != 40 || f.Decision != "open" || f.Reason != "out of memory" || !slices.Equal(f.Cancel, []domain.TaskID{q[3].TaskID}) {
		t.Errorf("found %+v", w.g.Finished)
	}
}

// With three players the first one wins, and the second of three draws.
func TestThreePlayersAreTallied(t *testing.T) {
	command := ExecuteGauntlet{ConfigKey: "hex8_3p", ModelID: "m2", Baselines: []string{"m1"}, Games: 10}
	w := newWorld(t, gauntlet.DefaultPolicy(), command, 0.5)
	if part := w.g.Started.Part(0); part.Games != 12 {
		t.Fatalf("want ten games as twelve, found %+v", part)
	}
	games := w.g.Started.GamesOf(0)
	answers := make([]match.Answer, len(games))
	want := elo.OpponentResult{Opponent: "m1"}
	for i, game := range games {
		if *game.Opening != *games[i/3*3].Opening || game.Participants[i%3].ModelID != "m2" {
			t.Errorf("game %d: found %+v", i, game)
		}
		ranks := [][]int{{1, 2, 2}, {1, 2, 3}, {3, 1, 2}, {1, 1, 1}, {2, 1, 2}}[i%5]
		switch ranks[i%3] {
		case 1:
			want.Wins++
			if ranks[(i+1)%3] == 1 {
				want.Wins, want.Draws = want.Wins-1, want.Draws+1
			}
		case 3:
			want.Losses++
		default:
			if slices.Index(ranks, 1) >= 0 && ranks[(i+1)%3]+ranks[(i+2)%3] == 3 {
				want.Losses++ // behind one, equal to the other
			} else {
				want.Draws++
			}
		}
		answers[i] = match.Answer{Result: match.Result{Ranks: ranks}}
	}
	if got := w.g.Started.Tally(0, answers); got.Wins != want.Wins || got.Draws != want.Draws || got.Losses != want.Losses || got.Pentanomial != nil {
		t.Errorf("found %+v, want %+v", got, want)
	}
}

// Whatever a worker brings, it is games against opponents of the gauntlet, or an error.
func FuzzPartResults(f *testing.F) {
	w := newWorld(f, gauntlet.DefaultPolicy(), ExecuteGauntlet{ConfigKey: "hex8_2p", ModelID: "m2", Baselines: []string{"m1"}, Games: 4}, 0.5)
	answer, err := match.Encode(w.answers(0), true)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(answer)
	f.Add([]byte(`{"games_played":4,"results":[{"opponent":"m1","wins":3,"losses":1,"draws":0,"pentanomial":[0,0,1,0,1]}]}`))
	f.Add([]byte(`{"games_played":4,"results":[{"opponent":"m1","wins":1e309,"losses":-1}]}`))
	f.Add([]byte(`{"games":[{"game_id":"x","result":{"ranks":[1,1]}}]}`))
	f.Fuzz(func(t *testing.T, result []byte) {
		if !json.Valid(result) {
			return // a node takes no such result
		}
		results, err := partResults(*w.g.Started, 0, result, training.Known("config_key", "hex8_2p", "task_id", "t", "model_id", "m2"))
		if err != nil {
			return
		}
		events, err := finishPart(w.g, finishGauntlet{GauntletID: w.g.Started.GauntletID, TaskID: w.g.Started.TaskID, NodeID: "w", Results: results}, domain.Facts{Policy: w.policy})
		if err != nil {
			t.Fatal(err)
		}
		for _, event := range events {
			if data, err := json.Marshal(event); err != nil {
				t.Fatalf("%+v: %v", event, err)
			} else if faults := event.(interface{ Validate() []domain.Fault }).Validate(); len(faults) > 0 {
				t.Fatalf("%s: %v", data, faults)
			}
		}
	})
}
