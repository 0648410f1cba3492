package training_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
	"github.com/ringrift/rift/domain/gauntlet"
	"github.com/ringrift/rift/domain/training"
)

var sections = domain.Sections{training.DefaultPromotionPolicy(), gauntlet.DefaultPolicy()}

func preset(t *testing.T, name string) domain.Policy {
	t.Helper()
	found, known := training.FindPreset(name)
	if !known {
		t.Fatalf("want a preset %s", name)
	}
	policy, faults := sections.Change(sections.Default(), found.Change)
	if len(faults) > 0 {
		t.Fatalf("%s: %v", name, faults)
	}
	return policy
}

func judge(policy domain.Policy, f training.PromotionFacts) (promoted bool, gates []training.GateVerdict) {
	gates = training.PromotionGates(f, training.PromotionPolicyOf(policy), gauntlet.PolicyOf(policy))
	for _, gate := range gates {
		if gate.Stops() {
			return false, gates
		}
	}
	return true, gates
}

// wonOf50 are the games that 47 candidates, one after the other, won of 50 against the
// model in use, the rest being lost: 19 scored 0.55 and more.
var wonOf50 = []int{
	31, 24, 22, 29, 26, 19, 28, 23, 27, 25, 33, 21, 26, 28, 24, 20, 30, 27, 22, 28, 25, 17, 29, 26,
	23, 32, 27, 24, 28, 21, 26, 29, 18, 25, 28, 27, 30, 22, 24, 28, 26, 34, 23, 31, 28, 29, 28,
}

// The way in which the original promoted is a policy document: of 47 iterations, each 50
// games against the model in use, the preset promotes 19, and the default none.
func TestWinRatePromotesAsTheOriginalDid(t *testing.T) {
	for name, want := range map[string]int{"win-rate": 19, "default": 0, "strict": 0} {
		policy := preset(t, name)
		inUse, promotions := domain.ModelID("m0"), 0
		for i, won := range wonOf50 {
			candidate := domain.ModelID("m" + string(rune('a'+i%26)) + string(rune('a'+i/26)))
			promoted, _ := judge(policy, training.PromotionFacts{
				ConfigKey: "square8_2p", ModelID: candidate, InUse: inUse, Now: time.Date(2026, 1, 2, i, 0, 0, 0, time.UTC),
				Results: []elo.OpponentResult{{Opponent: string(inUse), Wins: won, Losses: 50 - won}},
			})
			if promoted {
				inUse = candidate
				promotions++
			}
		}
		if promotions != want {
			t.Errorf("%s: want %d promotions in %d iterations, found %d", name, want, len(wonOf50), promotions)
		}
	}
}

// A gate without data says so, and the policy decides its verdict; an advisory gate
// blocks nothing, and one that is off is not evaluated.
func TestGatesAreSetByThePolicy(t *testing.T) {
	facts := training.PromotionFacts{
		ConfigKey: "hex8_2p", ModelID: "m1", InUse: "m0", Now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Results: []elo.OpponentResult{{Opponent: "random", Wins: 100}, {Opponent: "heuristic", Wins: 100}, {Opponent: "m0", Wins: 400, Losses: 200}},
	}
	change := func(text string) domain.Policy {
		policy, faults := sections.Change(sections.Default(), []byte(text))
		if len(faults) > 0 {
			t.Fatal(faults)
		}
		return policy
	}
	find := func(gates []training.GateVerdict, name string) (training.GateVerdict, bool) {
		for _, gate := range gates {
			if gate.Gate == name {
				return gate, true
			}
		}
		return training.GateVerdict{}, false
	}
	promoted, gates := judge(sections.Default(), facts)
	velocity, _ := find(gates, "velocity")
	if _, asked := find(gates, "win_rate_in_use"); !promoted || asked || !velocity.OK || !velocity.NoEvidence || velocity.Reason != "no evidence: not known" {
		t.Errorf("found %v %+v", promoted, gates)
	}
	promoted, gates = judge(change(`{"promotion":{"gates":{"velocity":{"no_evidence":"fail"}}}}`), facts)
	if velocity, _ = find(gates, "velocity"); promoted || velocity.OK || !velocity.Stops() {
		t.Errorf("found %v %+v", promoted, velocity)
	}
	promoted, gates = judge(change(`{"promotion":{"gates":{"velocity":{"no_evidence":"fail","mode":"advisory"}}}}`), facts)
	if velocity, _ = find(gates, "velocity"); !promoted || velocity.OK || velocity.Mode != training.GateAdvisory {
		t.Errorf("found %v %+v", promoted, velocity)
	}
	facts.Results = facts.Results[1:]
	if promoted, _ = judge(sections.Default(), facts); promoted {
		t.Error("want it stopped without games against random")
	}
	promoted, gates = judge(change(`{"promotion":{"gates":{"win_rate_random":{"mode":"off"}}}}`), facts)
	if games, _ := find(gates, "games"); !promoted || *games.Input != 100 {
		t.Errorf("want games asked of those opponents only that another gate asks about, found %v %+v", promoted, gates)
	}
	_, faults := sections.Change(sections.Default(), []byte(`{"promotion":{"in_use_score":2,"gates":{"games":{"mode":"maybe"},"cooldown":{"no_evidence":"so what"},"speed":{"mode":"off"}}}}`))
	for _, want := range []string{"promotion.in_use_score", "promotion.gates.games.mode", "promotion.gates.cooldown.no_evidence", "promotion.gates.speed.mode"} {
		found := false
		for _, fault := range faults {
			found = found || strings.HasSuffix(fault.Field, want)
		}
		if !found {
			t.Errorf("want a fault of %s, found %v", want, faults)
		}
	}
}

// A document from before gates could be configured reads with every gate as it was.
func TestOldDocumentsKeepTheirGates(t *testing.T) {
	var written domain.Policy
	if err := json.Unmarshal([]byte(`{"promotion":{"games":60}}`), &written); err != nil {
		t.Fatal(err)
	}
	old, err := sections.Read(written)
	if err != nil {
		t.Fatal(err)
	}
	if p := training.PromotionPolicyOf(old); p.Gates != training.DefaultGateRules() || p.Games != 60 {
		t.Errorf("found %+v", p)
	}
	everything := `{"promotion":{"gates":{`
	for i, gate := range []string{"games", "win_rate_random", "win_rate_heuristic", "win_rate_in_use", "elo_gain", "elo_interval", "head_to_head", "velocity", "data_quality", "cooldown"} {
		if i > 0 {
			everything += ","
		}
		everything += `"` + gate + `":{"mode":"off"}`
	}
	if _, faults := sections.Change(sections.Default(), []byte(everything+`}}}`)); len(faults) == 0 {
		t.Error("want a fault where no gate is required: every candidate would be promoted")
	}
	// One preset follows another without a trace.
	policy := sections.Default()
	for _, name := range []string{"strict", "win-rate", "default"} {
		found, _ := training.FindPreset(name)
		changed, faults := sections.Change(policy, found.Change)
		if len(faults) > 0 {
			t.Fatal(faults)
		}
		policy = changed
	}
	if left, err := sections.Differences(sections.Default(), policy); err != nil || len(left) > 0 {
		t.Errorf("want the default document again, found %v, %v", left, err)
	}
}
