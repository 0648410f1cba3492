package training

import (
	"encoding/json"

	"github.com/ringrift/rift/domain"
)

// GateMode is what a promotion gate can do.
type GateMode string

// The modes.
const (
	GateOff      GateMode = "off"      // not evaluated
	GateAdvisory GateMode = "advisory" // evaluated, but blocks no promotion
	GateRequired GateMode = "required" // blocks the promotion unless it passes
)

// GateAnswer is the verdict of a gate.
type GateAnswer string

// The answers.
const (
	GatePasses GateAnswer = "pass"
	GateFails  GateAnswer = "fail"
)

// GateRule is the setting of one gate.
type GateRule struct {
	Mode       GateMode   `json:"mode" doc:"mode of this promotion gate: off, advisory (evaluated, but blocks nothing), required"`
	NoEvidence GateAnswer `json:"no_evidence" doc:"verdict of this promotion gate without data: pass, fail"`
}

// GateRules holds the rule of each gate.
type GateRules struct {
	Games            GateRule `json:"games"`
	WinRateRandom    GateRule `json:"win_rate_random"`
	WinRateHeuristic GateRule `json:"win_rate_heuristic"`
	WinRateInUse     GateRule `json:"win_rate_in_use"`
	EloGain          GateRule `json:"elo_gain"`
	EloInterval      GateRule `json:"elo_interval"`
	HeadToHead       GateRule `json:"head_to_head"`
	Velocity         GateRule `json:"velocity"`
	DataQuality      GateRule `json:"data_quality"`
	Cooldown         GateRule `json:"cooldown"`
}

// The names of the gates in events and policies.
const (
	gateGames            = "games"
	gateWinRateRandom    = "win_rate_random"
	gateWinRateHeuristic = "win_rate_heuristic"
	gateWinRateInUse     = "win_rate_in_use"
	gateEloInterval      = "elo_interval"
	gateHeadToHead       = "head_to_head"
	gateVelocity         = "velocity"
	gateDataQuality      = "data_quality"
	gateCooldown         = "cooldown"
)

// namedRule is a rule with the name of its gate.
type namedRule struct {
	name string
	GateRule
}

// named lists the rules in the order in which gates are evaluated.
func (r GateRules) named() []namedRule {
	return []namedRule{
		{gateGames, r.Games},
		{gateWinRateRandom, r.WinRateRandom},
		{gateWinRateHeuristic, r.WinRateHeuristic},
		{gateWinRateInUse, r.WinRateInUse},
		{GateEloGain, r.EloGain},
		{gateEloInterval, r.EloInterval},
		{gateHeadToHead, r.HeadToHead},
		{gateVelocity, r.Velocity},
		{gateDataQuality, r.DataQuality},
		{gateCooldown, r.Cooldown},
	}
}

// DefaultGateRules requires proof of progress over the model in use, and lets a
// candidate pass when there is no reading of velocity or quality.
func DefaultGateRules() GateRules {
	proof, unlessBad := GateRule{GateRequired, GateFails}, GateRule{GateRequired, GatePasses}
	return GateRules{
		Games: proof, WinRateRandom: proof, WinRateHeuristic: proof, WinRateInUse: GateRule{GateOff, GateFails},
		EloGain: proof, EloInterval: proof, HeadToHead: proof,
		Velocity: unlessBad, DataQuality: unlessBad, Cooldown: unlessBad,
	}
}

func (r GateRules) check(c *domain.PolicyChecks) {
	required := 0
	for _, gate := range r.named() {
		switch gate.Mode {
		case GateRequired:
			required++
		case GateOff, GateAdvisory:
		default:
			c.Fault("promotion.gates."+gate.name+".mode", "want off, advisory or required, found %q", domain.Clip(string(gate.Mode), 64))
		}
		if gate.NoEvidence != GatePasses && gate.NoEvidence != GateFails {
			c.Fault("promotion.gates."+gate.name+".no_evidence", "want pass or fail, found %q", domain.Clip(string(gate.NoEvidence), 64))
		}
	}
	if required == 0 {
		c.Fault("promotion.gates", "want at least one gate required, or every candidate is promoted")
	}
}

// Preset is a named change of the policy for promotions.
type Preset struct {
	Name   string
	About  string
	Change json.RawMessage // a merge patch (RFC 7396) for the whole document
}

// Presets lists the presets. All of them set the same settings, so that one can
// replace another.
func Presets() []Preset {
	return []Preset{
		{"default", "proof of progress: a sequential test of 40 against 0 Elo, gain and interval, baselines held", json.RawMessage(`{"promotion":null,"gauntlet":{"games":null,"in_use_games":null,"sprt_elo0":null,"sprt_elo1":null,"sprt_alpha":null,"sprt_beta":null}}`)},
		{"strict", "more games, error rates of 1 in 100, and nothing unknown passes", strictPreset},
		{"win-rate", "50 games against the model in use, promoted at a score of 0.55: cheap, and often wrong", winRatePreset},
	}
}

// FindPreset returns the preset with a name.
func FindPreset(name string) (Preset, bool) {
	for _, preset := range Presets() {
		if preset.Name == name {
			return preset, true
		}
	}
	return Preset{}, false
}

var strictPreset = json.RawMessage(`{"promotion":{"games":100,"production_games":200,"elo_gain":25,"bootstrap_gain":25,"min_quality":0.55,"cooldown_seconds":3600,"gates":{` +
	`"games":{"mode":"required","no_evidence":"fail"},"win_rate_random":{"mode":"required","no_evidence":"fail"},"win_rate_heuristic":{"mode":"required","no_evidence":"fail"},` +
	`"win_rate_in_use":{"mode":"off","no_evidence":"fail"},"elo_gain":{"mode":"required","no_evidence":"fail"},"elo_interval":{"mode":"required","no_evidence":"fail"},` +
	`"head_to_head":{"mode":"required","no_evidence":"fail"},"velocity":{"mode":"required","no_evidence":"fail"},"data_quality":{"mode":"required","no_evidence":"fail"},` +
	`"cooldown":{"mode":"required","no_evidence":"pass"}}},` +
	`"gauntlet":{"games":200,"in_use_games":1200,"sprt_elo0":0,"sprt_elo1":40,"sprt_alpha":0.01,"sprt_beta":0.01}}`)

var winRatePreset = json.RawMessage(`{"promotion":{"games":50,"production_games":50,"in_use_score":0.55,"gates":{` +
	`"games":{"mode":"required","no_evidence":"fail"},"win_rate_random":{"mode":"off","no_evidence":"fail"},"win_rate_heuristic":{"mode":"off","no_evidence":"fail"},` +
	`"win_rate_in_use":{"mode":"required","no_evidence":"fail"},"elo_gain":{"mode":"advisory","no_evidence":"fail"},"elo_interval":{"mode":"off","no_evidence":"fail"},` +
	`"head_to_head":{"mode":"off","no_evidence":"fail"},"velocity":{"mode":"off","no_evidence":"pass"},"data_quality":{"mode":"off","no_evidence":"pass"},` +
	`"cooldown":{"mode":"off","no_evidence":"pass"}}},` +
	`"gauntlet":{"games":50,"in_use_games":50,"sprt_elo0":null,"sprt_elo1":null,"sprt_alpha":null,"sprt_beta":null}}`)
