package elo

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/rating"
)

// ResultsRecorded: the results of an evaluation count for the ratings. Facts
// are immutable; ratings are a fold of them.
type ResultsRecorded struct {
	ConfigKey domain.ConfigKey `json:"config_key"`
	FactID    string           `json:"fact_id"` // the evaluation's identity; it counts once
	ModelID   domain.ModelID   `json:"model_id"`
	Results   []OpponentResult `json:"results"`
}

func (ResultsRecorded) EventType() string       { return "ELO_RESULTS_RECORDED" }
func (e ResultsRecorded) Home() domain.StreamID { return e.ConfigKey.EloStream() }

func (e ResultsRecorded) Validate() []domain.Fault {
	var c domain.Checks
	c.Config(e.ConfigKey)
	c.Text("fact_id", e.FactID)
	c.Name("model_id", string(e.ModelID))
	resultChecks(&c, e.Results)
	return c
}

// Digest names the fact by all that it says.
func (e ResultsRecorded) Digest() string { return contentHash(e) }

// MatchPlayer is a player of a game: a model, under the harness that drove it.
type MatchPlayer struct {
	ModelID string `json:"model_id"`          // a model or the name of a baseline
	Harness string `json:"harness,omitempty"` // ratings are kept per model and harness
}

// Name is what the ratings call the player.
func (p MatchPlayer) Name() string {
	if p.Harness == "" {
		return p.ModelID
	}
	return p.ModelID + ":" + p.Harness
}

// MatchRecorded: a game was played and counts for the ratings.
type MatchRecorded struct {
	ConfigKey    domain.ConfigKey `json:"config_key"`
	MatchID      string           `json:"match_id"`     // the hash of what follows, but the worker
	Participants []MatchPlayer    `json:"participants"` // in the order of their seats
	Ranks        []int            `json:"ranks"`        // 1 for the winner; shared ranks are draws
	GameID       string           `json:"game_id,omitempty"`
	Seed         *uint64          `json:"seed,omitempty"`
	Worker       domain.NodeID    `json:"worker,omitempty"`
}

func (MatchRecorded) EventType() string       { return "ELO_MATCH_RECORDED" }
func (e MatchRecorded) Home() domain.StreamID { return e.ConfigKey.EloStream() }

// Identity is the hash of the game itself: the same game told by two nodes is
// one fact, and the game belongs to its config.
func (e MatchRecorded) Identity() string {
	e.MatchID, e.Worker = "", ""
	return contentHash(e)
}

func (e MatchRecorded) Validate() []domain.Fault {
	var c domain.Checks
	c.Config(e.ConfigKey)
	if players := e.ConfigKey.Players(); players > 0 && len(e.Participants) != players {
		c.Fault("participants", "want the %d players of %s, found %d", players, e.ConfigKey, len(e.Participants))
	}
	for _, player := range e.Participants {
		c.Name("participants.model_id", player.ModelID)
		c.MaybeName("participants.harness", player.Harness)
		if name := player.Name(); len(name) > domain.MaxName {
			c.Fault("participants.harness", "want model and harness in at most %d bytes together, found %d", domain.MaxName-1, len(name)-1)
		}
	}
	if len(e.Ranks) != len(e.Participants) {
		c.Fault("result.ranks", "want one rank per participant, found %d for %d", len(e.Ranks), len(e.Participants))
	}
	for _, rank := range e.Ranks {
		domain.Within(&c, "result.ranks", rank, 1, domain.MaxPlayers)
	}
	if len(e.Ranks) > 0 && !slices.Contains(e.Ranks, 1) {
		c.Fault("result.ranks", "want a first rank")
	}
	c.MaybeName("game_id", e.GameID)
	c.MaybeName("worker", string(e.Worker))
	return c
}

// contentHash names a fact by its content: what it is, on every node.
func contentHash(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		data = fmt.Append(nil, v) // not a number in JSON; it is no fact either way
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:16])
}

// EvaluationIdentity names an evaluation: by the work item that played it, or
// by its content where no item is named.
func (e EvaluationCompleted) EvaluationIdentity() string {
	if e.TaskID != "" {
		return "task:" + string(e.TaskID)
	}
	return "content:" + e.ContentIdentity()
}

// ContentIdentity is the hash of an evaluation's results.
func (e EvaluationCompleted) ContentIdentity() string {
	results := slices.SortedFunc(slices.Values(e.Results), func(a, b OpponentResult) int { return cmp.Compare(a.Opponent, b.Opponent) })
	return contentHash(struct {
		ConfigKey domain.ConfigKey
		ModelID   domain.ModelID
		Results   []OpponentResult
	}{e.ConfigKey, e.ModelID, results})
}

// Ratings is the state of the ratings of a game, folded from its stream.
type Ratings struct {
	facts   domain.Ordered[struct{}] // identities of all facts that count
	games   domain.Ordered[string]   // game id → match id
	players domain.Ordered[Player]
	weight  float64 // of a pair in a game; 0 before the first fact
}

// Player is a player as its games show it.
type Player struct {
	Name    string
	Rating  *float64 // as last published; nil: not yet
	Error   float64
	against domain.Ordered[rating.WDL]
}

// Games counts the player's games, pairs of them with more than two players.
func (p Player) Games() int {
	games := 0
	for _, wdl := range p.against.All() {
		games += wdl.Games()
	}
	return games
}

// Counts tells whether a fact counts already.
func (r Ratings) Counts(fact string) bool { return r.facts.Has(fact) }

// Match finds the match that a game was recorded as.
func (r Ratings) Match(game string) (string, bool) { return r.games.Get(game) }

// Evolve applies a fact.
func (r Ratings) Evolve(fact domain.Envelope) Ratings {
	switch e := fact.Event.(type) {
	case ResultsRecorded:
		if r = r.ready(e.ConfigKey); r.Counts(e.FactID) {
			return r
		}
		r.facts = r.facts.With(e.FactID, struct{}{})
		for _, result := range e.Results {
			r = r.meet(string(e.ModelID), result.Opponent, rating.WDL{Wins: result.Wins, Draws: result.Draws, Losses: result.Losses})
		}
	case MatchRecorded:
		if r = r.ready(e.ConfigKey); r.Counts(e.MatchID) {
			return r
		}
		r.facts = r.facts.With(e.MatchID, struct{}{})
		if e.GameID != "" {
			r.games = r.games.With(e.GameID, e.MatchID)
		}
		for i, a := range e.Participants {
			for j, b := range e.Participants[:i] {
				var wdl rating.WDL
				switch {
				case e.Ranks[i] < e.Ranks[j]:
					wdl.Wins = 1
				case e.Ranks[i] > e.Ranks[j]:
					wdl.Losses = 1
				default:
					wdl.Draws = 1
				}
				r = r.meet(a.Name(), b.Name(), wdl)
			}
		}
	case Updated:
		r = r.ready(e.ConfigKey)
		player := r.player(string(e.ModelID))
		player.Rating, player.Error = &e.New, e.Error
		r.players = r.players.With(player.Name, player)
	}
	return r
}

func (r Ratings) ready(config domain.ConfigKey) Ratings {
	if r.weight == 0 {
		r.weight = 1 / float64(max(config.Players()-1, 1))
	}
	return r
}

func (r Ratings) player(name string) Player {
	if player, known := r.players.Get(name); known {
		return player
	}
	return Player{Name: name}
}

// meet counts games of two players for both; a player against itself counts for nobody.
func (r Ratings) meet(a, b string, wdl rating.WDL) Ratings {
	if a == b || wdl.Games() == 0 {
		return r
	}
	add := func(one, other string, w rating.WDL) {
		p := r.player(one)
		sum, _ := p.against.Get(other)
		p.against = p.against.With(other, rating.WDL{Wins: sum.Wins + w.Wins, Draws: sum.Draws + w.Draws, Losses: sum.Losses + w.Losses})
		r.players = r.players.With(one, p)
	}
	add(a, b, wdl)
	add(b, a, rating.WDL{Wins: wdl.Losses, Draws: wdl.Draws, Losses: wdl.Wins})
	return r
}

// rated is what a player's games are measured against.
func (r Ratings) rated(name string, p Policy) float64 {
	if pin, pinned := p.Pin(name); pinned {
		return pin
	}
	if player := r.player(name); player.Rating != nil {
		return *player.Rating
	}
	return p.Initial
}

// Rerate computes the ratings of players anew from all their games, one after
// the other, each against what the others are rated then, and says which moved.
// Baselines are pinned: nothing moves them.
func (r Ratings) Rerate(config domain.ConfigKey, names []string, p Policy) []Updated {
	r = r.ready(config)
	var moved []Updated
	for _, name := range names {
		if _, pinned := p.Pin(name); pinned {
			continue
		}
		player := r.player(name)
		var games []rating.Against
		for opponent, wdl := range player.against.All() {
			games = append(games, rating.Against{Rating: r.rated(opponent, p), WDL: wdl, Weight: r.weight})
		}
		if len(games) == 0 {
			continue
		}
		old := r.rated(name, p)
		elo, deviation := rating.Anchored(p.Initial, p.Deviation, games)
		elo, deviation = round2(elo), round2(deviation)
		if player.Rating != nil && math.Abs(elo-old) < p.Smallest && deviation == player.Error {
			continue
		}
		event := Updated{ConfigKey: config, ModelID: domain.ModelID(name), Old: old, New: elo, Error: deviation, GamesPlayed: player.Games()}
		moved = append(moved, event)
		r = r.Evolve(domain.Envelope{Event: event})
	}
	return moved
}

// round2 keeps two decimals: a rating's error is hundreds of times that.
func round2(v float64) float64 { return math.Round(v*100) / 100 }

// Standings are the players by rating, the best first, each with how likely it is
// stronger than the next. Between two pinned ratings there is nothing to learn.
func (r Ratings) Standings(p Policy) []Standing {
	type place struct {
		Name          string
		rating, error float64
		pinned        bool
	}
	var places []place
	for name, player := range r.players.All() {
		if pin, pinned := p.Pin(name); pinned {
			places = append(places, place{name, pin, 0, true})
		} else if player.Rating != nil {
			places = append(places, place{name, *player.Rating, player.Error, false})
		}
	}
	slices.SortStableFunc(places, func(a, b place) int { return cmp.Compare(b.rating, a.rating) })
	var standings []Standing
	for i := range len(places) - 1 {
		if a, b := places[i], places[i+1]; !a.pinned || !b.pinned {
			standings = append(standings, Standing{a.Name, b.Name, domain.Round6(rating.Superiority(a.rating-b.rating, math.Hypot(a.error, b.error)))})
		}
	}
	return standings
}
