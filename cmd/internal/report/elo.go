package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
)

// Elo is the fold of a report on ratings: the facts about games, and the published
// ratings. All facts up to the end of the window are rated; only published ratings in the
// window are drawn.
type Elo struct {
	excerpt
	catalog *domain.Catalog
	policy  elo.Policy
	configs map[domain.ConfigKey]*ratedGame
	open    bool
}

// ratedGame is the facts and published ratings of one config.
type ratedGame struct {
	facts    []elo.Played
	known    map[string]bool
	excluded map[string]bool
	moves    []ratingMove
}

// ratingMove is a published rating.
type ratingMove struct {
	at     time.Time
	model  string
	rating float64
}

// The bounds of a report on ratings.
const (
	maxEloFacts = 4 << 20
	maxEloMoves = 1 << 20
	eloCrossed  = 20 // players in a crosstable
	eloDrawn    = 6  // players whose curves are drawn
)

// Types returns the types of events that the report needs.
func (f *Elo) Types() []string { return slices.Sorted(maps.Keys(eloHandlers)) }

// NewElo returns a fold without events.
func NewElo(catalog *domain.Catalog, window Window) *Elo {
	return &Elo{excerpt: newExcerpt(window), catalog: catalog, policy: elo.DefaultPolicy(), configs: map[domain.ConfigKey]*ratedGame{}}
}

// eloHandlers are the handlers of the report, by event type.
var eloHandlers = func() map[string]func(*Elo, domain.Envelope) error {
	table := map[string]func(*Elo, domain.Envelope) error{}
	eloOn(table, func(f *Elo, _ domain.Envelope, e elo.MatchRecorded) error {
		return f.fact(e.ConfigKey, elo.Fact{Match: &e})
	})
	eloOn(table, func(f *Elo, _ domain.Envelope, e elo.ResultsRecorded) error {
		return f.fact(e.ConfigKey, elo.Fact{Results: &e})
	})
	eloOn(table, func(f *Elo, _ domain.Envelope, e elo.GamesExcluded) error {
		f.game(e.ConfigKey).excluded[e.Excluded().Key()] = true
		return nil
	})
	eloOn(table, func(f *Elo, _ domain.Envelope, e elo.ExclusionLifted) error {
		delete(f.game(e.ConfigKey).excluded, e.Excluded().Key())
		return nil
	})
	eloOn(table, func(f *Elo, envelope domain.Envelope, e elo.Updated) error {
		if !f.holds(envelope) {
			return nil
		}
		g := f.game(e.ConfigKey)
		if g.moves = append(g.moves, ratingMove{envelope.Time, string(e.ModelID), e.New}); len(g.moves) > maxEloMoves {
			return domain.Errorf(domain.TooLarge, "report: want at most %d moves of ratings, found more; --from leaves the older out", maxEloMoves)
		}
		return nil
	})
	eloOn(table, func(f *Elo, _ domain.Envelope, e domain.PolicyChanged) error {
		if e.Name != domain.PolicyDefaultName {
			return nil
		}
		document, err := domain.Sections{elo.DefaultPolicy()}.Read(e.Policy)
		f.policy = elo.PolicyOf(document)
		return err
	})
	return table
}()

func eloOn[E domain.Event](table map[string]func(*Elo, domain.Envelope) error, do func(*Elo, domain.Envelope, E) error) {
	var zero E
	table[zero.EventType()] = func(f *Elo, e domain.Envelope) error {
		event, ok := e.Event.(E)
		if !ok {
			return nil
		}
		return do(f, e, event)
	}
}

func (f *Elo) game(config domain.ConfigKey) *ratedGame {
	g := f.configs[config]
	if g == nil {
		g = &ratedGame{known: map[string]bool{}, excluded: map[string]bool{}}
		f.configs[config] = g
	}
	return g
}

func (f *Elo) fact(config domain.ConfigKey, fact elo.Fact) error {
	g, played := f.game(config), elo.PlayedOf(fact)
	if g.known[played.ID] || len(played.Players) == 0 {
		return nil
	}
	g.known[played.ID] = true
	if g.facts = append(g.facts, played); len(g.facts) > maxEloFacts {
		return domain.Errorf(domain.TooLarge, "report: want at most %d facts of %s, found more", maxEloFacts, config)
	}
	return nil
}

// Apply folds the next event. It returns false once the window is over.
func (f *Elo) Apply(e domain.Envelope) (more bool, err error) {
	if looks, more := f.sees(e); !looks {
		return more, nil
	}
	handle, ours := eloHandlers[e.Type]
	if !ours {
		return true, nil
	}
	if err := f.catalog.Fill(&e); err != nil {
		return false, domain.Errorf(domain.CodeOf(err), "event %d: %w", e.Position, err)
	}
	f.note(e)
	if f.count(e) {
		f.open = true
	}
	return true, handle(f, e)
}

// Ratings is a report on the ratings of one config.
type Ratings struct {
	ConfigKey domain.ConfigKey `json:"config_key"`
	Method    elo.Method       `json:"method"`
	elo.Ranking
	Cross  elo.Crosstable `json:"crosstable"` // of the first players
	Curves []Curve        `json:"curves"`     // of the first players
	Log    Footer         `json:"log"`
}

// Curve is a player's rating over time: by day if the method rates days, else as
// published.
type Curve struct {
	ModelID string       `json:"model_id"`
	Points  []CurvePoint `json:"points"`
}

// CurvePoint is a rating at a time.
type CurvePoint struct {
	At     time.Time `json:"at"`
	Rating float64   `json:"rating"`
}

// Report rates the players of a config: of the named or the only one.
func (f *Elo) Report(config string, asked elo.Asked) (Ratings, error) {
	var there []string
	for key, g := range f.configs {
		if len(g.facts) > 0 || len(g.moves) > 0 {
			there = append(there, string(key))
		}
	}
	slices.Sort(there)
	switch {
	case config == "" && len(there) == 1:
		config = there[0]
	case config == "" && len(there) > 1:
		return Ratings{}, domain.Faulty("report", []domain.Fault{{Field: "--config-key", Reason: "want one of " + strings.Join(there, ", ")}})
	case config == "" || !slices.Contains(there, config):
		return Ratings{}, domain.Errorf(domain.NotFound, "report: no game is rated here by that name: want one of %v, found %q", there, config)
	}
	options, faults := f.policy.Options(asked)
	if options.Method == elo.MethodPublished {
		faults = append(faults, domain.Fault{Field: "--method", Reason: "want one that rates by facts; the curves are of published ratings"})
	}
	if err := domain.Faulty("report", faults); err != nil {
		return Ratings{}, err
	}
	g := f.configs[domain.ConfigKey(config)]
	out := Ratings{ConfigKey: domain.ConfigKey(config), Method: options.Method}
	games := g.counting()
	var covariance *elo.Covariance
	var outcomes []elo.Outcome
	for _, played := range games {
		outcomes = append(outcomes, played.Outcomes()...)
	}
	if options.Method == elo.MethodElo {
		chain := elo.NewChain(options)
		for _, played := range games {
			chain.Play(played)
		}
		out.Ranking = chain.Ranking(options)
	} else {
		var err error
		if out.Ranking, covariance, err = elo.RankCovariant(out.ConfigKey, options, outcomes); err != nil {
			return Ratings{}, err
		}
	}
	out.Cross = elo.Cross(out.Ranking, outcomes, covariance, eloCrossed)
	out.Curves = g.curves(out.Ranking)
	out.Log = f.footer()
	return out, nil
}

// Empty reports whether no event was in the window.
func (f *Elo) Empty() bool { return !f.open || len(f.configs) == 0 }

// counting returns the facts that are not excluded, in the order of play.
func (g *ratedGame) counting() []elo.Played {
	games := make([]elo.Played, 0, len(g.facts))
	for _, played := range g.facts {
		worker := elo.Excluded{Worker: played.Worker}
		if g.excluded[elo.Excluded{MatchID: played.ID}.Key()] || played.Worker != "" && g.excluded[worker.Key()] {
			continue
		}
		games = append(games, played)
	}
	slices.SortFunc(games, func(a, b elo.Played) int { return strings.Compare(a.OrderKey(), b.OrderKey()) })
	return games
}

// curves returns the curves of the first models.
func (g *ratedGame) curves(ranking elo.Ranking) []Curve {
	curves := []Curve{}
	for _, row := range ranking.Rankings {
		if len(curves) == eloDrawn {
			break
		}
		curve := Curve{ModelID: row.ModelID}
		for _, day := range row.Days {
			if at, err := time.Parse(time.DateOnly, day.Day); err == nil {
				curve.Points = append(curve.Points, CurvePoint{at, day.Rating})
			}
		}
		if ranking.Options.Method != elo.MethodWHR {
			for _, move := range g.moves {
				if move.model == row.ModelID {
					curve.Points = append(curve.Points, CurvePoint{move.at.UTC(), move.rating})
				}
			}
		}
		if len(curve.Points) > 0 {
			curves = append(curves, curve)
		}
	}
	return curves
}

// Title returns the title of the report.
func (r Ratings) Title() string { return fmt.Sprintf("Ratings of %s by %s", r.ConfigKey, r.Method) }
