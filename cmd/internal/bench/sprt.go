package bench

import (
	"context"
	"math"
	"math/rand/v2"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
	"github.com/ringrift/rift/domain/gauntlet"
	"github.com/ringrift/rift/domain/rating"
)

// Tests says which sequential tests are simulated.
type Tests struct {
	SPRT      gauntlet.SPRT
	Truths    []float64 // strengths of the candidate, in logistic Elo; none: the hypotheses and the middle
	Count     int       // tests at each
	ItemGames int       // of a part
	TestGames int       // between two looks
	Most      int       // games of a test
	DrawRate  float64   // of games between equals
	Advantage float64   // of the first seat, in Elo
	Seed      uint64
	Policy    gauntlet.Policy
}

// Rate is how tests of a candidate ended.
type Rate struct {
	Elo      float64   `json:"elo"` // its true strength
	Tests    int       `json:"tests"`
	Better   int       `json:"better"`
	Worse    int       `json:"worse"`
	Open     int       `json:"open"` // when the games were over
	Passed   float64   `json:"passed"`
	Interval []float64 `json:"interval"` // 95 %, of passed (Wilson)
	Games    float64   `json:"mean_games"`
	Theory   *float64  `json:"theory"`       // the probability to pass of a test that is looked at all the time
	Units    *float64  `json:"theory_games"` // its mean games
	Limit    *float64  `json:"limit"`        // the stated error rate: most that may pass at elo0, or fail at elo1
	Wrong    float64   `json:"wrong"`        // share of tests that err, of those with a limit
	Met      bool      `json:"met"`          // wrong is not above the limit, by its 95 % interval
}

// Check names what is wrong with the settings.
func (t Tests) Check() error {
	var c domain.Checks
	domain.Within(&c, "tests", t.Count, 1, 1_000_000)
	domain.Within(&c, "games", t.Most, 2, 1_000_000)
	domain.Within(&c, "draw_rate", t.DrawRate, 0, 0.95)
	domain.Within(&c, "advantage", t.Advantage, -600, 600)
	domain.Within(&c, "item_games", t.ItemGames, 2, 1000)
	domain.Within(&c, "test_games", t.TestGames, 1, 1_000_000)
	for _, truth := range t.Truths {
		domain.Within(&c, "elo", truth, -600, 600)
	}
	if err := t.SPRT.Test().Check(); err != nil {
		c.Fault("sprt", "%s", err)
	}
	return domain.Faulty("bench sprt", c)
}

// Rates simulates tests as a gauntlet runs them: parts of games in pairs from both
// seats, counted and looked at by the same code. Tell hears how many tests are done.
func (t Tests) Rates(ctx context.Context, tell func(done int)) ([]Rate, error) {
	if t.Truths == nil {
		t.Truths = []float64{t.SPRT.Elo0, (t.SPRT.Elo0 + t.SPRT.Elo1) / 2, t.SPRT.Elo1}
	}
	if err := t.Check(); err != nil {
		return nil, err
	}
	var rates []Rate
	for k, truth := range t.Truths {
		random := rand.New(rand.NewPCG(t.Seed, uint64(k)))
		rate, games := Rate{Elo: truth, Tests: t.Count}, 0
		law := t.law(truth)
		for n := range t.Count {
			if err := ctx.Err(); err != nil {
				return nil, domain.Errorf(domain.Unavailable, "bench sprt: %w", err)
			}
			verdict, played := t.one(law, random)
			games += played
			switch verdict {
			case rating.Better:
				rate.Better++
			case rating.Worse:
				rate.Worse++
			case rating.Open:
				rate.Open++
			}
			tell(k*t.Count + n + 1)
		}
		rate.Games = float64(games) / float64(t.Count)
		rates = append(rates, t.judge(rate, law))
	}
	return rates, nil
}

// judge holds a rate against what is stated and what theory says.
func (t Tests) judge(rate Rate, law pairLaw) Rate {
	rate.Passed = float64(rate.Better) / float64(rate.Tests)
	rate.Met = true
	low, high, err := rating.Wilson(float64(rate.Better), float64(rate.Tests), rating.Z95)
	if err == nil {
		rate.Interval = []float64{low, high}
	}
	variance := law.variance()
	if expect, err := t.SPRT.Test().Expect(rate.Elo, true, variance); err == nil && t.SPRT.Test().Model == rating.LogisticModel {
		games := 2 * expect.Units
		rate.Theory, rate.Units = &expect.Pass, &games
	}
	limit := func(stated float64, wrong int) {
		rate.Limit, rate.Wrong = &stated, float64(wrong)/float64(rate.Tests)
		if low, _, err := rating.Wilson(float64(wrong), float64(rate.Tests), rating.Z95); err == nil {
			rate.Met = low <= stated
		}
	}
	if t.SPRT.Test().Model != rating.LogisticModel {
		return rate // truths are logistic: those of other models are not their hypotheses
	}
	switch rate.Elo {
	case t.SPRT.Elo0:
		limit(t.SPRT.Alpha, rate.Better)
	case t.SPRT.Elo1:
		limit(t.SPRT.Beta, rate.Worse)
	}
	return rate
}

// pairLaw is the chances of a candidate in the two games of a pair: lost, drawn, won.
type pairLaw [2][3]float64

// law finds the chances with which the mean score is that of a strength.
func (t Tests) law(elo float64) pairLaw {
	chances := func(difference float64) [3]float64 {
		score := rating.Expected(difference)
		draws := t.DrawRate * 4 * score * (1 - score)
		return [3]float64{1 - score - draws/2, draws, score - draws/2}
	}
	of := func(shift float64) pairLaw {
		return pairLaw{chances(shift + t.Advantage), chances(shift - t.Advantage)}
	}
	low, high := -2000.0, 2000.0
	for range 200 {
		middle := (low + high) / 2
		if l := of(middle); l.score() < rating.Expected(elo) {
			low = middle
		} else {
			high = middle
		}
	}
	return of((low + high) / 2)
}

func (l pairLaw) score() float64 {
	return (l[0][2] + l[0][1]/2 + l[1][2] + l[1][1]/2) / 2
}

// variance is that of a pair's mean score.
func (l pairLaw) variance() float64 {
	sum := 0.0
	for _, game := range l {
		mean := game[2] + game[1]/2
		sum += game[2]*(1-mean)*(1-mean) + game[1]*(0.5-mean)*(0.5-mean) + game[0]*mean*mean
	}
	return sum / 4
}

// one runs a test to its end.
func (t Tests) one(law pairLaw, random *rand.Rand) (rating.Verdict, int) {
	id := gauntlet.IDOf("hex8_2p", "candidate")
	var g gauntlet.Gauntlet
	g = g.Evolve(domain.Envelope{Event: gauntlet.Started{
		GauntletID: id, ConfigKey: "hex8_2p", ModelID: "candidate", Opponents: []string{"in-use"}, Games: t.Most / 2 * 2, SPRT: &t.SPRT,
		TaskID: "p0", Round: 1, ItemGames: t.ItemGames / 2 * 2, OpenItems: 1, TestGames: t.TestGames,
	}})
	policy := t.Policy
	policy.SameGames = math.MaxInt // the question is the test's errors alone
	for k := range g.Started.Parts() {
		played := gauntlet.Played{GauntletID: id, Part: k, Results: []elo.OpponentResult{pairs(law, g.Started.Part(k).Games/2, random)}, Counted: gauntlet.Counted{Parts: g.Counted, Results: g.Played}}
		counted, ending := g.Evolve(domain.Envelope{Event: played}).Count(policy)
		if ending.Over {
			return ending.Verdict, counted.Results[0].Games()
		}
		played.Counted = counted
		g = g.Evolve(domain.Envelope{Event: played})
	}
	return rating.Open, t.Most
}

// pairs draws the results of so many pairs.
func pairs(law pairLaw, count int, random *rand.Rand) elo.OpponentResult {
	result := elo.OpponentResult{Opponent: "in-use", Pentanomial: make([]int, 5)}
	for range count {
		points := 0
		for _, game := range law {
			switch drawn := random.Float64(); {
			case drawn < game[0]:
				result.Losses++
			case drawn < game[0]+game[1]:
				result.Draws++
				points++
			default:
				result.Wins++
				points += 2
			}
		}
		result.Pentanomial[points]++
	}
	return result
}
