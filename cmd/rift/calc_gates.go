package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
	"github.com/ringrift/rift/domain/gauntlet"
	"github.com/ringrift/rift/domain/rating"
	"github.com/ringrift/rift/domain/training"
)

// gatesFlags are the settings of calc gates.
type gatesFlags struct {
	elo       float64
	games     int
	draws     float64
	inUse     float64
	learnt    int64
	config    string
	runs      int
	seed      uint64
	settings  []string
	preset    string
	velocity  float64
	quality   float64
	baselines int
}

func newCalcGates(a *app) *cobra.Command {
	var f gatesFlags
	c := &cobra.Command{
		Use:   "gates",
		Short: "Tell how often a candidate of a given strength passes the promotion gates",
		Long: `gates simulates evaluations of a candidate that is --elo better than the model in use
and judges each by the promotion gates of this build's default policy, of a preset
(--preset), or of either with --set KEY=VALUE: how often all gates are passed, and each. Games against the model in
use are played in pairs, in parts as a gauntlet plays them, until the sequential test
decides or --games are over.

passed is the share of runs, with its 95 % interval. The same flags give the same
answer.`,
		Example: `  rift calc gates --elo 50 --games 400
  rift calc gates --elo 0 --games 400 --runs 20000 -o table
  rift calc gates --elo 0 --preset win-rate -o table
  rift calc gates --elo 50 --set promotion.elo_gain=10 --set gauntlet.sprt_elo1=40`,
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			p, err := a.printer()
			if err != nil {
				return err
			}
			return a.calcGates(c.Context(), p, &f)
		},
	}
	flags := c.Flags()
	flags.Float64Var(&f.elo, "elo", 50, "by how much the candidate is better than the model in use")
	flags.IntVar(&f.games, "games", 0, "most games against the model in use (default: the policy's)")
	flags.IntVar(&f.baselines, "baseline-games", 0, "games against each baseline (default: the policy's)")
	flags.Float64Var(&f.draws, "draw-rate", 0.1, "share of games between equals that are drawn")
	flags.Float64Var(&f.inUse, "in-use-elo", 1600, "rating of the model in use")
	flags.Int64Var(&f.learnt, "total-games", 10_000, "games that the config has to learn from")
	flags.StringVar(&f.config, "config-key", "hex8_2p", "the game, for its number of players")
	flags.IntVar(&f.runs, "runs", 10_000, "evaluations to simulate")
	flags.Uint64Var(&f.seed, "seed", 1, "what results are drawn from")
	flags.Float64Var(&f.velocity, "velocity", 0, "Elo per hour that the game gained lately")
	flags.Float64Var(&f.quality, "quality", 1, "last reading of the quality of its data, 0 to 1")
	flags.StringVar(&f.preset, "preset", "", "judge by the gates of this preset: "+presetNames())
	flags.StringArrayVar(&f.settings, "set", nil, "KEY=VALUE: a number of the policy; several times for several")
	register(c, "preset", presets()...)
	return c
}

// presets returns the names of the promotion presets, presetNames a description of
// each.
func presets() (names []string) {
	for _, preset := range training.Presets() {
		names = append(names, preset.Name)
	}
	return names
}

func presetNames() string {
	var said []string
	for _, preset := range training.Presets() {
		said = append(said, preset.Name+" ("+preset.About+")")
	}
	return strings.Join(said, "; ")
}

// gatesAnswer is the document of calc gates.
type gatesAnswer struct {
	Elo      float64      `json:"elo"`
	Games    int          `json:"games"` // upper bound of games against the model in use
	Runs     int          `json:"runs"`
	Promoted int          `json:"promoted"`
	Passed   float64      `json:"passed"` // share of runs that passed every gate
	Low      float64      `json:"low"`    // lower end of its 95 % interval
	High     float64      `json:"high"`
	Mean     float64      `json:"mean_games"` // games needed against the model in use
	Gates    []gateAnswer `json:"gates"`      // the gate that stops most candidates first
}

type gateAnswer struct {
	Gate   string  `json:"gate"`
	Passed float64 `json:"passed"`
}

// gateRun simulates one evaluation.
type gateRun struct {
	flags     *gatesFlags
	promotion training.PromotionPolicy
	gauntlet  gauntlet.Policy
	elo       elo.Policy
	random    *rand.Rand
}

func (f *gatesFlags) policy() (domain.Policy, []domain.Fault) {
	sections := wiring.Sections()
	policy := sections.Default()
	if f.preset != "" {
		preset, known := training.FindPreset(f.preset)
		if !known {
			return policy, []domain.Fault{{Field: "--preset", Reason: fmt.Sprintf("want one of %s, found %q", strings.Join(presets(), ", "), f.preset)}}
		}
		changed, faults := sections.Change(policy, preset.Change)
		if len(faults) > 0 {
			return policy, faults
		}
		policy = changed
	}
	if len(f.settings) == 0 {
		return policy, nil
	}
	change, err := policyChange(f.settings)
	if err != nil {
		return policy, describe(err).Faults
	}
	return sections.Change(policy, change)
}

func (f *gatesFlags) check() (gateRun, error) {
	policy, faults := f.policy()
	fault := func(flag, format string, args ...any) {
		faults = append(faults, domain.Fault{Field: flag, Reason: fmt.Sprintf(format, args...)})
	}
	if !(f.elo >= -2000 && f.elo <= 2000) {
		fault("--elo", "want -2000 to 2000, found %v", f.elo)
	}
	if !(f.draws >= 0 && f.draws < 1) {
		fault("--draw-rate", "want 0 to less than 1, found %v", f.draws)
	}
	if f.games < 0 || f.games > 1_000_000 || f.baselines < 0 || f.baselines > 1_000_000 {
		fault("--games", "want 1 to 1000000, found %d and %d", f.games, f.baselines)
	}
	if f.runs < 1 || f.runs > 10_000_000 {
		fault("--runs", "want 1 to 10000000, found %d", f.runs)
	}
	if !(f.inUse >= -10_000 && f.inUse <= 10_000) {
		fault("--in-use-elo", "want -10000 to 10000, found %v", f.inUse)
	}
	if domain.ConfigKey(f.config).Players() == 0 {
		fault("--config-key", "want a game such as hex8_2p, found %q", f.config)
	}
	if len(faults) > 0 {
		return gateRun{}, domain.Faulty("gates", faults)
	}
	run := gateRun{flags: f, promotion: training.PromotionPolicyOf(policy), gauntlet: gauntlet.PolicyOf(policy), elo: elo.PolicyOf(policy), random: rand.New(rand.NewPCG(f.seed, 0))}
	if f.games == 0 {
		f.games = max(run.gauntlet.Games, run.gauntlet.InUseGames)
	}
	if f.baselines == 0 {
		f.baselines = run.gauntlet.Games
	}
	return run, nil
}

// play draws the results of so many games, rounded down to whole pairs, between players
// whose Elo differs by the given number.
func (g *gateRun) play(result *elo.OpponentResult, difference float64, games int) {
	expected := rating.Expected(difference)
	draw := g.flags.draws * 4 * expected * (1 - expected) // unequal players draw less often
	win := expected - draw/2
	for range games / 2 {
		points := 0
		for range 2 {
			switch u := g.random.Float64(); {
			case u < win:
				result.Wins++
				points += 2
			case u < win+draw:
				result.Draws++
				points++
			default:
				result.Losses++
			}
		}
		result.Pentanomial[points]++
	}
}

// evaluate simulates one evaluation and judges it by the gates.
func (g *gateRun) evaluate(now time.Time) (gates []training.GateVerdict, games int) {
	const inUse = domain.ModelID("in-use")
	f := g.flags
	facts := training.PromotionFacts{
		ConfigKey: domain.ConfigKey(f.config), ModelID: "candidate", InUse: inUse, TotalGames: f.learnt, Now: now,
		Current: &training.RatedAt{Elo: f.inUse}, Velocity: &f.velocity, Quality: &f.quality,
	}
	for _, baseline := range g.gauntlet.Baselines {
		result := elo.OpponentResult{Opponent: baseline, Pentanomial: make([]int, 5)}
		strength, known := g.elo.Pin(baseline)
		if !known {
			strength = f.inUse
		}
		g.play(&result, f.inUse+f.elo-strength, f.baselines)
		facts.Results = append(facts.Results, result)
	}
	result := elo.OpponentResult{Opponent: string(inUse), Pentanomial: make([]int, 5)}
	bounds := rating.Wald(g.gauntlet.SPRTAlpha, g.gauntlet.SPRTBeta)
	for result.Games() < f.games-1 {
		g.play(&result, f.elo, min(max(g.gauntlet.TestGames, 2), f.games-result.Games()))
		if bounds.Judge(rating.LLR(result.Distribution(), g.gauntlet.SPRTElo0, g.gauntlet.SPRTElo1)) != rating.Open {
			break
		}
	}
	estimate := rating.Measure(result.Distribution())
	facts.Candidate = &training.RatedAt{Elo: f.inUse + estimate.Elo, Error: estimate.Error / rating.Z95}
	facts.Results = append(facts.Results, result)
	return training.PromotionGates(facts, g.promotion, g.gauntlet), result.Games()
}

func (a *app) calcGates(ctx context.Context, p *output.Printer, f *gatesFlags) error {
	run, err := f.check()
	if err != nil {
		return err
	}
	progress := a.progress("simulating", "runs", int64(f.runs))
	defer progress.Done()
	answer := gatesAnswer{Elo: f.elo, Games: f.games, Runs: f.runs}
	passed := map[string]int{}
	for i := range f.runs {
		if err := ctx.Err(); err != nil {
			return err
		}
		gates, games := run.evaluate(a.now())
		all := true
		for _, gate := range gates {
			all = all && !gate.Stops()
			if _, known := passed[gate.Gate]; !known {
				answer.Gates = append(answer.Gates, gateAnswer{Gate: gate.Gate})
				passed[gate.Gate] = 0
			}
			if gate.OK {
				passed[gate.Gate]++
			}
		}
		if all {
			answer.Promoted++
		}
		answer.Mean += float64(games) / float64(f.runs)
		progress.Set(int64(i + 1))
	}
	progress.Done()
	for i := range answer.Gates {
		answer.Gates[i].Passed = float64(passed[answer.Gates[i].Gate]) / float64(f.runs)
	}
	slices.SortStableFunc(answer.Gates, func(a, b gateAnswer) int {
		switch {
		case a.Passed < b.Passed:
			return -1
		case a.Passed > b.Passed:
			return 1
		}
		return 0
	})
	answer.Passed = float64(answer.Promoted) / float64(f.runs)
	if answer.Low, answer.High, err = rating.Wilson(float64(answer.Promoted), float64(f.runs), rating.Z95); err != nil {
		return calcError(err)
	}
	return p.Print(answer.listing())
}

func (g *gatesAnswer) listing() output.Listing {
	l := output.Listing{
		Doc: g, Columns: []output.Column{{Name: "gate"}, {Name: "passed", Right: true}},
		Below: fmt.Sprintf("\na candidate %v Elo better is promoted in %.2f %% of %s (%.2f to %.2f at 95 %%), after %.0f of at most %s",
			g.Elo, 100*g.Passed, output.Plural(g.Runs, "run"), 100*g.Low, 100*g.High, g.Mean, output.Plural(g.Games, "game")),
	}
	for _, gate := range g.Gates {
		l.Items = append(l.Items, gate)
		l.Rows = append(l.Rows, []any{gate.Gate, fmt.Sprintf("%.2f %%", 100*gate.Passed)})
	}
	return l
}
