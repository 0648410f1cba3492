package main

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/rating"
)

// fitFlags are the settings of calc fit.
type fitFlags struct {
	method     string
	anchors    []string
	draws      string
	prior      float64
	scale      string
	mean       float64
	advantage  string
	drawElo    float64
	k          float64
	initial    float64
	tau        float64
	drift      float64
	covariance bool
}

// fitMethods are the ways to rate a pool, each with the flags that it reads besides
// --method.
var fitMethods = []struct {
	name  string
	flags []string
	run   func(*fitFlags, *gameFile, []rating.Anchor) (fitAnswer, error)
}{
	{"mle", []string{"anchor", "draws", "prior", "scale", "mean", "advantage", "draw-elo", "covariance"}, (*fitFlags).mle},
	{"elo", []string{"anchor", "k", "initial"}, (*fitFlags).elo},
	{"glicko2", []string{"tau"}, (*fitFlags).glicko2},
	{"whr", []string{"drift", "prior", "advantage"}, (*fitFlags).whr},
	{"pl", []string{"anchor", "prior", "scale", "mean", "advantage", "covariance"}, (*fitFlags).pl},
}

func fitMethodNames() []string {
	names := make([]string, len(fitMethods))
	for i, m := range fitMethods {
		names[i] = m.name
	}
	return names
}

func newCalcFit(a *app) *cobra.Command {
	var f fitFlags
	c := &cobra.Command{
		Use:   "fit FILE",
		Short: "Rate a pool of players by their games",
		Long: `fit reads games from a file (- is standard input) of comma-separated rows and rates
everybody in it:

  mle      the ratings under which all games together are likeliest (Bradley and
           Terry's model), with errors; --draws says what a draw is
  elo      game by game, by time where there is such a column, else row by row
  glicko2  by rating period (the time column; without one all is one period)
  whr      whole-history rating by day (the time column)
  pl       games of three and four players (Plackett and Luce's model)

Columns, by name in any order: a,b,wins,draws,losses; or one game a row: a,b,result
with the points of a, 1-0, win, a name, * for a game that broke off; or players and
ranks: a,b,c,ranks with 2;1;3 or rank_a,rank_b,rank_c; or first,second,third in
finishing order. a is the first seat. day, date, time or period is the time.

error is half the 95 % interval, relative to the anchors, or to the mean where there
are none; los is the likelihood to be better than the next in rank. Sets of
players that no games connect are rated apart: their ratings share no scale.

BayesElo's numbers: --draws bayeselo --scale bayeselo --advantage 32.8 --draw-elo 97.3
--prior 2. Ordo's: --scale ordo.`,
		Example: `  rift calc fit --method mle games.csv --anchor random=400 --draws davidson
  rift calc fit games.csv --advantage fit --scale ordo --mean 2300 -o table
  rift calc fit --method elo games.csv --k 32 --initial 1500
  rift calc fit --method pl tables.csv --advantage fit --prior 1`,
		Args: exactly("FILE"),
		RunE: func(c *cobra.Command, args []string) error { return a.calcFit(c.Flags(), &f, args[0]) },
	}
	flags := c.Flags()
	flags.StringVar(&f.method, "method", "mle", "how: "+strings.Join(fitMethodNames(), ", "))
	flags.StringArrayVar(&f.anchors, "anchor", nil, "NAME=R: a rating that is given; several times for several")
	flags.StringVar(&f.draws, "draws", string(rating.Half), "what a draw is: "+choices(rating.DrawModels))
	flags.Float64Var(&f.prior, "prior", 0, "virtual draws of each player, shared out among its opponents (whr: games won and lost on the first day, default 1)")
	flags.StringVar(&f.scale, "scale", string(rating.Logistic), "what a point is: "+choices(rating.Scales))
	flags.Float64Var(&f.mean, "mean", 0, "mean rating of players without an anchor")
	flags.StringVar(&f.advantage, "advantage", "0", "Elo of the first seat, or fit to find it (pl: what each seat is worth)")
	flags.Float64Var(&f.drawElo, "draw-elo", 0, "draw constant of --draws bayeselo (default: fitted)")
	flags.Float64Var(&f.k, "k", 32, "most points that a game moves (elo)")
	flags.Float64Var(&f.initial, "initial", 1500, "rating to begin with (elo)")
	flags.Float64Var(&f.tau, "tau", 0.5, "how fast volatility changes (glicko2)")
	flags.Float64Var(&f.drift, "drift", rating.DefaultHistory.Drift, "Elo² that a day adds to what is not known (whr)")
	flags.BoolVar(&f.covariance, "covariance", false, "print the covariance of all ratings too (mle, pl)")
	register(c, "method", fitMethodNames()...)
	register(c, "draws", strings.Split(choices(rating.DrawModels), ", ")...)
	register(c, "scale", strings.Split(choices(rating.Scales), ", ")...)
	return c
}

func choices[T ~string](words []T) string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = string(w)
	}
	return strings.Join(out, ", ")
}

func (a *app) calcFit(flags *pflag.FlagSet, f *fitFlags, path string) error {
	p, err := a.printer()
	if err != nil {
		return err
	}
	anchors, err := f.check(flags)
	if err != nil {
		return err
	}
	games, err := a.openResults(path)
	if err != nil {
		return err
	}
	at := slices.Index(fitMethodNames(), f.method)
	answer, err := fitMethods[at].run(f, games, anchors)
	if err != nil {
		return calcError(err)
	}
	answer.Method = f.method
	return p.Print(answer.listing())
}

// check refuses an unknown method, and a flag that the method does not read.
func (f *fitFlags) check(flags *pflag.FlagSet) ([]rating.Anchor, error) {
	at := slices.Index(fitMethodNames(), f.method)
	if at < 0 {
		return nil, usagef("--method %s: want one of %s", f.method, strings.Join(fitMethodNames(), ", "))
	}
	var faults []domain.Fault
	for _, other := range fitMethods {
		for _, flag := range other.flags {
			said := slices.ContainsFunc(faults, func(have domain.Fault) bool { return have.Field == "--"+flag })
			if flags.Changed(flag) && !slices.Contains(fitMethods[at].flags, flag) && !said {
				faults = append(faults, domain.Fault{Field: "--" + flag, Reason: "method " + f.method + " does not read it"})
			}
		}
	}
	var anchors []rating.Anchor
	for _, text := range f.anchors {
		split := strings.LastIndex(text, "=")
		if split <= 0 {
			faults = append(faults, domain.Fault{Field: "--anchor", Reason: fmt.Sprintf("want NAME=RATING, found %q", text)})
			continue
		}
		value, err := strconv.ParseFloat(text[split+1:], 64)
		if err != nil {
			faults = append(faults, domain.Fault{Field: "--anchor", Reason: fmt.Sprintf("want a number behind =, found %q", text)})
			continue
		}
		anchors = append(anchors, rating.Anchor{Name: text[:split], Rating: value})
	}
	if _, _, err := f.seat(); err != nil {
		faults = append(faults, domain.Fault{Field: "--advantage", Reason: err.Error()})
	}
	if f.method == "whr" && !flags.Changed("prior") {
		f.prior = rating.DefaultHistory.Prior
	}
	return anchors, domain.Faulty("fit", faults)
}

// seat decodes --advantage.
func (f *fitFlags) seat() (elo float64, fitted bool, err error) {
	if f.advantage == "fit" {
		return 0, true, nil
	}
	elo, err = strconv.ParseFloat(f.advantage, 64)
	if err != nil {
		return 0, false, fmt.Errorf("want Elo, or fit, found %q", f.advantage)
	}
	return elo, false, nil
}

// duels returns the rows as results of pairs.
func (g *gameFile) duels(method string) ([]rating.Result, error) {
	results := make([]rating.Result, len(g.rows))
	for i, r := range g.rows {
		if len(r.players) != 2 {
			return nil, domain.Faulty("results", []domain.Fault{{Field: "line " + strconv.Itoa(r.line), Reason: fmt.Sprintf("method %s rates games of two, found %d players: --method pl rates those", method, len(r.players))}})
		}
		results[i] = rating.Result{A: r.players[0], B: r.players[1], Wins: r.Wins, Draws: r.Draws, Losses: r.Losses}
	}
	return results, nil
}

func (f *fitFlags) mle(games *gameFile, anchors []rating.Anchor) (fitAnswer, error) {
	results, err := games.duels("mle")
	if err != nil {
		return fitAnswer{}, err
	}
	seat, fitSeat, _ := f.seat()
	if fitSeat && !games.seated {
		return fitAnswer{}, usagef("--advantage fit: want columns of seats, found winners and losers")
	}
	o := rating.FitOptions{
		Draws: rating.DrawModel(f.draws), Scale: rating.Scale(f.scale), Anchors: anchors, Mean: f.mean, Prior: f.prior,
		Advantage: seat, FitAdvantage: fitSeat, DrawElo: f.drawElo, Covariance: f.covariance,
	}
	fitted, err := rating.Fit(results, o)
	if err != nil {
		return fitAnswer{}, err
	}
	answer := fittedAnswer(fitted)
	answer.Draws, answer.Scale, answer.Advantage = f.draws, f.scale, &fitted.Advantage
	answer.DrawRate = &fitted.DrawRate
	if fitSeat {
		half := rating.Z95 * fitted.AdvantageError
		answer.AdvantageError = &half
	}
	if o.Draws == rating.BayesElo {
		answer.DrawElo = &fitted.DrawElo
	}
	return answer, nil
}

func (f *fitFlags) pl(games *gameFile, anchors []rating.Anchor) (fitAnswer, error) {
	_, fitSeats, _ := f.seat()
	if fitSeats && !games.seated {
		return fitAnswer{}, usagef("--advantage fit: want columns of seats with ranks, found a finishing order")
	}
	if !fitSeats && f.advantage != "0" {
		return fitAnswer{}, usagef("--advantage: method pl knows 0 and fit, found %s", f.advantage)
	}
	var ranked []rating.Ranked
	for _, r := range games.rows {
		if r.ranks != nil {
			ranked = append(ranked, rating.Ranked{Players: r.players, Ranks: r.ranks})
			continue
		}
		for outcome, n := range [3]int{r.Wins, r.Draws, r.Losses} {
			if n > 0 {
				ranked = append(ranked, rating.Ranked{Players: r.players, Ranks: duelRanks[2-outcome], Games: n})
			}
		}
	}
	fitted, err := rating.FitRanked(ranked, rating.RankOptions{
		Scale: rating.Scale(f.scale), Anchors: anchors, Mean: f.mean, Prior: f.prior, FitSeats: fitSeats, Covariance: f.covariance,
	})
	if err != nil {
		return fitAnswer{}, err
	}
	answer := fittedAnswer(&fitted.Fitted)
	answer.Scale = f.scale
	for i, s := range fitted.Seats {
		answer.Seats = append(answer.Seats, seatAnswer{i + 1, s.Elo, rating.Z95 * s.Error, s.Error})
	}
	return answer, nil
}

// inOrder sorts rows by time, and rows of one time by their content, so that the order
// of lines does not matter. Without a time column the lines are the order.
func (g *gameFile) inOrder() []gameRow {
	rows := slices.Clone(g.rows)
	if !g.timed {
		return rows
	}
	slices.SortStableFunc(rows, func(a, b gameRow) int {
		return cmp.Or(cmp.Compare(a.day, b.day), slices.Compare(a.players, b.players), slices.Compare(a.ranks, b.ranks),
			cmp.Compare(a.Wins, b.Wins), cmp.Compare(a.Draws, b.Draws), cmp.Compare(a.Losses, b.Losses))
	})
	return rows
}

// everybody returns the players sorted by name.
func everybody(rows []gameRow) ([]string, map[string]int) {
	index := map[string]int{}
	var names []string
	for _, r := range rows {
		for _, name := range r.players {
			if _, known := index[name]; !known {
				index[name] = 0
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	for i, name := range names {
		index[name] = i
	}
	return names, index
}
