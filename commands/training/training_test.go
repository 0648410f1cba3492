package training

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
	"github.com/ringrift/rift/domain/training"
)

// loopMachine runs one game's training with arbitrary reports, in any order and any
// number of times.
type loopMachine struct {
	state    training.Training
	now      time.Time
	commands int
	policy   domain.Policy

	running  domain.TaskID
	promoted map[domain.ModelID]bool
	blocks   map[string]bool
	games    int64 // that arrived
}

const loopConfig = domain.ConfigKey("hex8_2p")

func (m *loopMachine) facts() domain.Facts {
	m.commands++
	return domain.Facts{Now: m.now, Command: fmt.Sprint("c", m.commands), Policy: m.policy}
}

// take applies what a decision came to and checks what must never happen.
func (m *loopMachine) take(t *rapid.T, events []domain.Event, results []elo.OpponentResult) {
	for _, event := range events {
		if v, ok := event.(domain.Validator); ok {
			if faults := v.Validate(); len(faults) > 0 {
				t.Fatalf("%s is not valid: %v", event.EventType(), faults)
			}
		}
		switch e := event.(type) {
		case training.Started:
			if m.running != "" {
				t.Fatalf("training %s started while %s runs", e.TaskID, m.running)
			}
			m.running = e.TaskID
		case training.Completed:
			if e.TaskID == m.running {
				m.running = ""
			}
		case training.Failed:
			if e.TaskID == m.running || e.TaskID == "" {
				m.running = ""
			}
		case training.Requested:
			if m.running != "" || len(m.blocks) > 0 {
				t.Fatalf("training asked for while %q runs, blocked by %v", m.running, m.blocks)
			}
		case training.Blocked:
			m.blocks[e.Reason] = true
		case training.Unblocked:
			if !m.blocks[e.Reason] {
				t.Fatalf("reason %s lifted, and it did not hold", e.Reason)
			}
			delete(m.blocks, e.Reason)
		case training.DataNoted:
			m.games += e.Games
		case training.ModelPromoted:
			if m.promoted[e.ModelID] {
				t.Fatalf("model %s promoted twice", e.ModelID)
			}
			m.promoted[e.ModelID] = true
			games := 0
			for _, r := range results {
				games += r.Games()
			}
			if games == 0 {
				t.Fatalf("model %s promoted with no game", e.ModelID)
			}
		case training.SelfplayAdjusted:
			if e.Rate < training.PolicyOf(m.policy).MinRate || e.Rate > training.PolicyOf(m.policy).MaxRate {
				t.Fatalf("rate %v is out of its bounds", e.Rate)
			}
		}
		m.state = m.state.Evolve(domain.Envelope{Type: event.EventType(), Time: m.now, Event: event})
	}
}

func (m *loopMachine) check(t *rapid.T) {
	running := domain.TaskID("")
	if m.state.Running != nil {
		running = m.state.Running.TaskID
	}
	if running != m.running {
		t.Fatalf("want %q to run, found %q", m.running, running)
	}
	var causes []training.AdjustCause
	for _, f := range m.state.Factors {
		if slices.Contains(causes, f.Cause) {
			t.Fatalf("cause %s holds two factors", f.Cause)
		}
		causes = append(causes, f.Cause)
	}
	if m.state.Games < 0 || m.state.TotalGames != m.games || m.state.Games > m.games {
		t.Fatalf("%d games arrived; found %d new of %d", m.games, m.state.Games, m.state.TotalGames)
	}
	if len(m.state.Blocks) != len(m.blocks) {
		t.Fatalf("want blocks %v, found %v", m.blocks, m.state.Blocks)
	}
}

// Whatever order facts arrive in, and however often: one training per game, one
// promotion per model, none without games, a block lifted for its own reason only.
func TestTheLoopNeverReachesAnImpossibleState(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &loopMachine{
			now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), policy: domain.Policy{},
			promoted: map[domain.ModelID]bool{}, blocks: map[string]bool{},
		}
		task := rapid.Custom(func(t *rapid.T) domain.TaskID {
			return domain.TaskID(fmt.Sprint("t", rapid.IntRange(1, 4).Draw(t, "task")))
		})
		node := rapid.Custom(func(t *rapid.T) domain.NodeID {
			return domain.NodeID(fmt.Sprint("n", rapid.IntRange(1, 2).Draw(t, "node")))
		})
		model := rapid.Custom(func(t *rapid.T) domain.ModelID {
			return domain.ModelID(fmt.Sprint("m", rapid.IntRange(1, 3).Draw(t, "model")))
		})
		decided := func(t *rapid.T) func([]domain.Event, error) {
			return func(events []domain.Event, _ error) { m.take(t, events, nil) }
		}
		said := func(t *rapid.T, event domain.Event) { m.take(t, []domain.Event{event}, nil) }
		t.Repeat(map[string]func(*rapid.T){
			"start": func(t *rapid.T) {
				decided(t)(startTraining(m.state, StartTraining{
					Event: training.Started{ConfigKey: loopConfig, TaskID: task.Draw(t, "t"), NodeID: node.Draw(t, "n")},
					Queue: rapid.Bool().Draw(t, "queue"),
				}, m.facts()))
			},
			"finish": func(t *rapid.T) {
				done := training.Completed{ConfigKey: loopConfig, TaskID: task.Draw(t, "t"), Success: rapid.Bool().Draw(t, "ok")}
				if done.Success {
					done.ModelID = model.Draw(t, "m")
				}
				decided(t)(finishTraining(m.state, FinishTraining{done}, m.facts()))
			},
			"fail": func(t *rapid.T) {
				decided(t)(failTraining(m.state, FailTraining{
					Event: training.Failed{ConfigKey: loopConfig, TaskID: task.Draw(t, "t"), Error: "e", Retrying: rapid.Bool().Draw(t, "retrying")},
					Queue: rapid.Bool().Draw(t, "queue"),
				}, m.facts()))
			},
			"games": func(t *rapid.T) {
				decided(t)(noteTrainingData(m.state, noteData{loopConfig, rapid.Int64Range(0, 400).Draw(t, "games"), fmt.Sprint("sync:", rapid.IntRange(1, 30).Draw(t, "sync"))}, m.facts()))
			},
			"consider": func(t *rapid.T) { decided(t)(considerATraining(m.state, considerTraining{loopConfig}, m.facts())) },
			"block": func(t *rapid.T) {
				decided(t)(blockTraining(m.state, BlockTraining{ConfigKey: loopConfig, Reason: rapid.SampledFrom([]string{"quality", "operator"}).Draw(t, "reason")}, m.facts()))
			},
			"unblock": func(t *rapid.T) {
				decided(t)(unblockTraining(m.state, UnblockTraining{ConfigKey: loopConfig, Reason: rapid.SampledFrom([]string{"quality", "operator"}).Draw(t, "reason")}, m.facts()))
			},
			"quality": func(t *rapid.T) {
				said(t, training.QualityDegraded{ConfigKey: loopConfig, QualityScore: rapid.Float64Range(0, 1).Draw(t, "score"), Threshold: 0.6})
				decided(t)(adjustTraining(m.state, AdjustTraining{ConfigKey: loopConfig, Cause: training.CauseQuality}, m.facts()))
			},
			"velocity": func(t *rapid.T) {
				trend := rapid.SampledFrom(elo.Trends).Draw(t, "trend")
				said(t, elo.VelocityChanged{ConfigKey: loopConfig, Velocity: rapid.Float64Range(-5, 50).Draw(t, "velocity"), Trend: trend})
				decided(t)(adjustTraining(m.state, AdjustTraining{ConfigKey: loopConfig, Cause: training.CauseVelocity, Reading: training.Reading{Trend: trend}}, m.facts()))
			},
			"boost": func(t *rapid.T) {
				before, held := m.state.Boost(m.now)
				boost := training.ExplorationBoost{
					ConfigKey: loopConfig, BoostFactor: rapid.Float64Range(1, 4).Draw(t, "boost"),
					DurationSeconds: domain.Seconds(rapid.IntRange(1, 5000).Draw(t, "seconds")),
				}
				said(t, boost)
				after, _ := m.state.Boost(m.now)
				if held && (after.Factor < before.Factor || after.Factor == before.Factor && after.Until.Before(before.Until)) {
					t.Fatalf("a boost of %v until %v was weakened to %v until %v", before.Factor, before.Until, after.Factor, after.Until)
				}
			},
			"recompute": func(t *rapid.T) {
				decided(t)(adjustTraining(m.state, AdjustTraining{ConfigKey: loopConfig, Cause: rapid.SampledFrom(training.AdjustCauses).Draw(t, "cause")}, m.facts()))
			},
			"judge": func(t *rapid.T) {
				wins := rapid.IntRange(0, 500).Draw(t, "wins")
				results := []elo.OpponentResult{
					{Opponent: "random", Wins: wins, Losses: wins / 20, Errors: 3},
					{Opponent: "heuristic", Wins: wins, Losses: wins / 5},
				}
				if m.state.Model != "" {
					results = append(results, elo.OpponentResult{Opponent: string(m.state.Model), Wins: wins, Losses: wins / 3})
				}
				candidate := model.Draw(t, "m")
				events, err := judgePromotion(m.state, DecidePromotion{
					ConfigKey: loopConfig, ModelID: candidate, Results: results,
					Evaluation: fmt.Sprint("task:e", rapid.IntRange(1, 30).Draw(t, "evaluation")),
				}, m.facts())
				if err != nil {
					t.Fatal(err)
				}
				m.take(t, events, results)
			},
			"time": func(t *rapid.T) {
				m.now = m.now.Add(time.Duration(rapid.IntRange(1, 7200).Draw(t, "seconds")) * time.Second)
			},
			"": m.check,
		})
	})
}

// Recomputing a cause on the same state at the same moment changes nothing more.
func TestAdjustingTwiceIsAdjustingOnce(t *testing.T) {
	m := &loopMachine{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), policy: domain.Policy{}}
	state := training.Training{}.Evolve(domain.Envelope{Time: m.now, Event: training.QualityDegraded{ConfigKey: loopConfig, QualityScore: 0.2, Threshold: 0.6}})
	adjust := AdjustTraining{ConfigKey: loopConfig, Cause: training.CauseQuality}
	events, err := adjustTraining(state, adjust, m.facts())
	if err != nil || len(events) != 3 {
		t.Fatalf("want a block, a factor and a pace, found %d events, %v", len(events), err)
	}
	for _, event := range events {
		state = state.Evolve(domain.Envelope{Time: m.now, Event: event})
	}
	if again, err := adjustTraining(state, adjust, m.facts()); err != nil || len(again) > 0 {
		t.Errorf("want nothing more, found %v, %v", again, err)
	}
}
