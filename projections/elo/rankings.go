package elo

import (
	"fmt"
	"strings"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
	"github.com/ringrift/rift/projections"
	policyview "github.com/ringrift/rift/projections/policy"
)

// RankingsAsked is the query for the ratings of a game. Missing settings come from
// the policy; a setting that the method does not use is a fault.
type RankingsAsked struct {
	ConfigKey string `query:"config_key" required:"true"`
	Method    string `query:"method" doc:"elo, mle, glicko2, whr, pl, published"`
	Mode      string `query:"mode" doc:"ordo, bayeselo: every setting as that program has it"`
	K         string `query:"k" doc:"elo: 32, or 40:30,20 for 40 below 30 games, then 20"`
	Initial   string `query:"initial" doc:"elo: a player's rating before its first game"`
	Period    string `query:"period" doc:"elo: game, or day: all games of a day move ratings at once"`
	Anchors   string `query:"anchors" doc:"elo, mle, pl: NAME=RATING,… or none"`
	Draws     string `query:"draws" doc:"mle: half, win_loss, davidson, bayeselo"`
	Scale     string `query:"scale" doc:"mle, pl: logistic, ordo, bayeselo"`
	Prior     string `query:"prior" doc:"mle, pl: virtual draws of each player; whr: games won and lost on its first day"`
	Mean      string `query:"mean" doc:"mle, pl: of players without an anchor; whr: of an unknown player"`
	Advantage string `query:"advantage" doc:"mle, whr: Elo of the first seat; mle, pl: fit"`
	DrawElo   string `query:"draw_elo" doc:"mle: draw constant of draws=bayeselo; fitted by default"`
	Tau       string `query:"tau" doc:"glicko2: how fast volatility changes"`
	Drift     string `query:"drift" doc:"whr: Elo² that a day adds to what is not known"`
	From      int    `query:"from" doc:"the first row wanted, from 1"`
	Limit     int    `query:"limit"`
}

// Asked returns the requested settings.
func (q RankingsAsked) Asked() elo.Asked {
	return elo.Asked{
		Method: q.Method, Mode: q.Mode, K: q.K, Initial: q.Initial, Period: q.Period, Anchors: q.Anchors, Draws: q.Draws, Scale: q.Scale, Prior: q.Prior,
		Mean: q.Mean, Advantage: q.Advantage, DrawElo: q.DrawElo, Tau: q.Tau, Drift: q.Drift,
	}
}

// read resolves the settings against the policy in force.
func (q RankingsAsked) read(v projections.View) (config domain.ConfigKey, policy elo.Policy, options elo.Options, faults []domain.Fault, err error) {
	config, wrong := domain.ParseConfigKey(q.ConfigKey)
	if wrong != nil {
		faults = append(faults, domain.Fault{Field: "config_key", Reason: wrong.Error()})
	}
	document, _, err := policyview.InForce(v)
	if err != nil {
		return config, policy, options, nil, err
	}
	policy = elo.PolicyOf(document)
	options, more := policy.Options(q.Asked())
	return config, policy, options, append(faults, more...), nil
}

// Rankings is a page of the players of a game by rating.
type Rankings struct {
	ConfigKey domain.ConfigKey `json:"config_key"`
	Method    elo.Method       `json:"method"`
	elo.Ranking
	Next int `json:"next,omitempty" doc:"ask again with from=next for more"`
}

// maxFitted limits the outcomes of a fit, and maxByDay those of whr, which iterates
// over all of them many times.
const (
	maxFitted = 5_000_000
	maxByDay  = 200_000
)

// RankingsOf rates the players of a game by all facts that count, best first. Every
// node computes the same from the facts, so no ranking is stored, only checkpoints
// of the incremental one.
func RankingsOf(v projections.View, q RankingsAsked) (Rankings, error) {
	config, policy, options, faults, err := q.read(v)
	if err != nil {
		return Rankings{}, err
	}
	limit, err := projections.Page(q.Limit)
	if err != nil {
		faults = append(faults, domain.Fault{Field: "limit", Reason: fmt.Sprintf("want 1 to %d, found %d", projections.MaxPage, q.Limit)})
	}
	if q.From < 0 {
		faults = append(faults, domain.Fault{Field: "from", Reason: fmt.Sprintf("want a row from 1, found %d", q.From)})
	}
	if err := domain.Faulty("query", faults); err != nil {
		return Rankings{}, err
	}
	ranking, err := rankingBy(v, config, policy, options)
	if err != nil {
		return Rankings{}, err
	}
	answer := Rankings{ConfigKey: config, Method: options.Method, Ranking: ranking}
	from := min(max(q.From-1, 0), len(ranking.Rankings))
	to := min(from+limit, len(ranking.Rankings))
	if answer.Rankings = ranking.Rankings[from:to]; to < len(ranking.Rankings) {
		answer.Next = to + 1
	}
	return answer, nil
}

func rankingBy(v projections.View, config domain.ConfigKey, policy elo.Policy, options elo.Options) (elo.Ranking, error) {
	if options.Method == elo.MethodElo {
		return chainRanking(v, config, options)
	}
	games, err := outcomes(v, config)
	if err != nil {
		return elo.Ranking{}, err
	}
	if options.Method == elo.MethodPublished {
		return published(v, config, policy, options, games)
	}
	if options.Method == elo.MethodWHR && len(games) > maxByDay {
		return elo.Ranking{}, domain.Errorf(domain.TooLarge, "ranking of %s by whr: want at most %d different outcomes, found %d; method glicko2 goes by day too", config, maxByDay, len(games))
	}
	return elo.Rank(config, options, games)
}

func chainRanking(v projections.View, config domain.ConfigKey, options elo.Options) (elo.Ranking, error) {
	row, _, err := eloMarksTable.Get(v, string(config))
	if err != nil {
		return elo.Ranking{}, err
	}
	chain, _, err := playChain(v, config, options, row.Marks, 0)
	if err != nil {
		return elo.Ranking{}, err
	}
	return chain.Ranking(options), nil
}

func published(v projections.View, config domain.ConfigKey, policy elo.Policy, options elo.Options, games []elo.Outcome) (elo.Ranking, error) {
	var ratings []elo.PublishedRating
	for entry, err := range eloPlayersTable.Scan(v, projections.Span{Prefix: projections.Pair(string(config), "")}) {
		if err != nil {
			return elo.Ranking{}, err
		}
		_, name, _ := strings.Cut(entry.Key, "\x00")
		ratings = append(ratings, elo.PublishedRating{Name: name, Rating: entry.Row.Rating, Error: entry.Row.Error})
	}
	return policy.Published(options, games, ratings), nil
}

// outcomes returns the games that count, summed by day.
func outcomes(v projections.View, config domain.ConfigKey) ([]elo.Outcome, error) {
	workers, err := excludedWorkers(v, config)
	if err != nil {
		return nil, err
	}
	var games []elo.Outcome
	for entry, err := range eloOutcomesTable.Scan(v, projections.Span{Prefix: projections.Pair(string(config), "")}) {
		if err != nil {
			return nil, err
		}
		if entry.Row.Worker != "" && workers[entry.Row.Worker] {
			continue
		}
		if games = append(games, entry.Row); len(games) > maxFitted {
			return nil, domain.Errorf(domain.TooLarge, "ranking of %s: want at most %d different outcomes, found more; method elo has no such bound", config, maxFitted)
		}
	}
	return games, nil
}

// Crosstable is the results of players against each other, in ranking order.
type Crosstable struct {
	ConfigKey domain.ConfigKey `json:"config_key"`
	Method    elo.Method       `json:"method"`
	elo.Crosstable
}

// maxCrossed limits the players of a crosstable.
const maxCrossed = 100

// CrosstableOf returns the crosstable of the first players of a ranking.
func CrosstableOf(v projections.View, q RankingsAsked) (Crosstable, error) {
	config, policy, options, faults, err := q.read(v)
	if err != nil {
		return Crosstable{}, err
	}
	most := q.Limit
	if most == 0 {
		most = 20
	}
	if most < 1 || most > maxCrossed {
		faults = append(faults, domain.Fault{Field: "limit", Reason: fmt.Sprintf("want 1 to %d, found %d", maxCrossed, q.Limit)})
	}
	if q.From != 0 {
		faults = append(faults, domain.Fault{Field: "from", Reason: "a crosstable has no pages"})
	}
	if err := domain.Faulty("query", faults); err != nil {
		return Crosstable{}, err
	}
	games, err := outcomes(v, config)
	if err != nil {
		return Crosstable{}, err
	}
	var ranking elo.Ranking
	var covariance *elo.Covariance
	if options.Method == elo.MethodElo || options.Method == elo.MethodPublished {
		ranking, err = rankingBy(v, config, policy, options)
	} else {
		ranking, covariance, err = elo.RankCovariant(config, options, games)
	}
	if err != nil {
		return Crosstable{}, err
	}
	return Crosstable{config, options.Method, elo.Cross(ranking, games, covariance, most)}, nil
}
