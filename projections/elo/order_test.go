package elo_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
	"github.com/ringrift/rift/projections"
	eloview "github.com/ringrift/rift/projections/elo"
	policyview "github.com/ringrift/rift/projections/policy"
	"github.com/ringrift/rift/projections/store"
)

// node is the read models of one node.
type node struct {
	t      rapid.TB
	models *store.Memory
	at     domain.Position
}

func newNode(t rapid.TB, every int) *node {
	catalog, err := domain.NewCatalog(nil, elo.Events(), domain.PolicyEvents(nil))
	if err != nil {
		t.Fatal(err)
	}
	section := domain.Sections{elo.DefaultPolicy()}
	models, err := store.NewMemory([]projections.Projection{policyview.Model{Sections: section}.Projection(), eloview.ProjectionEvery(every)}, nil, catalog, store.Options{Strict: true})
	if err != nil {
		t.Fatal(err)
	}
	return &node{t: t, models: models}
}

func (n *node) apply(events ...domain.Event) {
	for _, event := range events {
		data, err := json.Marshal(event)
		if err != nil {
			n.t.Fatal(err)
		}
		n.at++
		e := domain.Envelope{Position: n.at, Stream: "elo-hex8_2p", Time: time.Unix(int64(n.at), 0).UTC(), Type: event.EventType(), Event: event, Data: data}
		if err := n.models.Apply(e); err != nil {
			n.t.Fatal(err)
		}
	}
}

// ranking is what a node answers, without the position.
func (n *node) ranking(asked eloview.RankingsAsked) string {
	var text string
	if err := n.models.View(func(v projections.View) error {
		answer, err := eloview.RankingsOf(v, asked)
		if err != nil {
			text = err.Error()
			return nil
		}
		data, err := json.Marshal(answer)
		text = string(data)
		return err
	}); err != nil {
		n.t.Fatal(err)
	}
	return text
}

func (n *node) checkpoints() (count int) {
	if err := n.models.View(func(v projections.View) (err error) {
		count, err = eloview.Checkpoints(v, "hex8_2p")
		return err
	}); err != nil {
		n.t.Fatal(err)
	}
	return count
}

// facts draws games and results, some at one time and some at none.
func facts(t *rapid.T, most int) []domain.Event {
	name := rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "heuristic", "random"})
	worker := rapid.SampledFrom([]domain.NodeID{"", "gpu-1", "gpu-2"})
	var all []domain.Event
	for i := range rapid.IntRange(1, most).Draw(t, "facts") {
		var at *time.Time
		if hour := rapid.IntRange(0, 120).Draw(t, "hour"); hour > 0 {
			moment := time.Unix(1_767_000_000, 0).UTC().Add(time.Duration(hour) * time.Hour)
			at = &moment
		}
		if rapid.IntRange(0, 9).Draw(t, "kind") == 0 {
			result := elo.OpponentResult{Opponent: "random", Wins: rapid.IntRange(0, 30).Draw(t, "wins"), Losses: rapid.IntRange(0, 30).Draw(t, "losses"), Draws: rapid.IntRange(0, 5).Draw(t, "draws")}
			all = append(all, elo.ResultsRecorded{ConfigKey: "hex8_2p", FactID: fmt.Sprint("task:", i), ModelID: domain.ModelID(name.Draw(t, "model")), Results: []elo.OpponentResult{result, {Opponent: "heuristic", Wins: 1}}, PlayedAt: at, Worker: worker.Draw(t, "worker")})
			continue
		}
		match := elo.MatchRecorded{
			ConfigKey: "hex8_2p", GameID: fmt.Sprint("g", i), PlayedAt: at, Worker: worker.Draw(t, "worker"),
			Participants: []elo.MatchPlayer{{ModelID: name.Draw(t, "first")}, {ModelID: name.Draw(t, "second")}},
			Ranks:        rapid.SampledFrom([][]int{{1, 2}, {2, 1}, {1, 1}}).Draw(t, "ranks"),
		}
		match.MatchID = match.Identity()
		all = append(all, match)
	}
	return all
}

var everyMethod = []eloview.RankingsAsked{
	{},
	{K: "40:3,20", Anchors: "none"},
	{Method: "elo", Period: "day"},
	{Method: "mle"},
	{Method: "mle", Draws: "davidson", Advantage: "25"},
	{Mode: "bayeselo"},
	{Mode: "ordo"},
	{Method: "pl", Advantage: "fit"},
	{Method: "glicko2"},
	{Method: "whr"},
}

// Two nodes with the same facts show the same digits, by every method: whatever
// order they heard of them in, wherever checkpoints fell, and whether a fact was
// excluded before or after others came.
func TestRankingsAreOfTheFactsAndNotOfTheirOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := facts(t, 24)
		here, there := newNode(t, 3), newNode(t, 1000)
		here.apply(all...)
		shuffled := make([]domain.Event, len(all))
		copy(shuffled, all)
		chance := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		chance.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		half := rapid.IntRange(0, len(all)).Draw(t, "half")
		there.apply(shuffled[:half]...)
		var excluded []domain.Event
		if match, ok := all[rapid.IntRange(0, len(all)-1).Draw(t, "excluded")].(elo.MatchRecorded); ok {
			excluded = append(excluded, elo.GamesExcluded{ConfigKey: "hex8_2p", MatchID: match.MatchID, Reason: "r"})
		}
		if rapid.Bool().Draw(t, "worker too") {
			excluded = append(excluded, elo.GamesExcluded{ConfigKey: "hex8_2p", Worker: "gpu-2", Reason: "r"})
		}
		there.apply(excluded...)
		there.apply(shuffled[half:]...)
		there.apply(shuffled...) // told again
		here.apply(excluded...)
		compare := func(what string) {
			for _, asked := range everyMethod {
				asked.ConfigKey = "hex8_2p"
				if one, other := here.ranking(asked), there.ranking(asked); one != other {
					t.Fatalf("%s, %+v: want the same of both, found\n%s\n%s", what, asked, one, other)
				}
			}
		}
		compare("excluded")
		without := newNode(t, 5)
		for _, fact := range all {
			match, isMatch := fact.(elo.MatchRecorded)
			results, _ := fact.(elo.ResultsRecorded)
			if !slices.ContainsFunc(excluded, func(e domain.Event) bool {
				x := e.(elo.GamesExcluded)
				return x.Worker != "" && (match.Worker == x.Worker || results.Worker == x.Worker) || isMatch && match.MatchID == x.MatchID
			}) {
				without.apply(fact)
			}
		}
		excluding := there
		there = without
		compare("never told")
		there = excluding
		lift := func(e domain.Event) elo.ExclusionLifted {
			x := e.(elo.GamesExcluded)
			return elo.ExclusionLifted{ConfigKey: "hex8_2p", Worker: x.Worker, MatchID: x.MatchID}
		}
		for i := range excluded {
			here.apply(lift(excluded[len(excluded)-1-i]))
			there.apply(lift(excluded[i]))
		}
		compare("lifted")
		fresh := newNode(t, 7)
		fresh.apply(all...)
		there = fresh
		compare("never excluded")
	})
}

// A fact that comes late takes only the checkpoints behind it, further facts bring
// them back one by one, and another policy takes them all.
func TestCheckpointsFollowTheFacts(t *testing.T) {
	n := newNode(t, 2)
	game := func(i, second int) elo.MatchRecorded {
		at := time.Unix(1_767_000_000+int64(second), 0).UTC()
		m := elo.MatchRecorded{ConfigKey: "hex8_2p", GameID: fmt.Sprint("g", i), PlayedAt: &at, Participants: []elo.MatchPlayer{{ModelID: "a"}, {ModelID: "b"}}, Ranks: []int{1, 2}}
		m.MatchID = m.Identity()
		return m
	}
	for i := range 200 {
		n.apply(game(i, 100*i))
	}
	if many := n.checkpoints(); many < 4 || many > 30 {
		t.Fatalf("want a few checkpoints of 200 facts, found %d", many)
	}
	n.apply(game(1000, 50)) // behind the first
	if got := n.checkpoints(); got != 1 {
		t.Fatalf("want the checkpoints behind a late fact gone and the first again, found %d", got)
	}
	for i := range 8 {
		n.apply(game(2000+i, 40_000+i))
	}
	if got := n.checkpoints(); got < 4 {
		t.Fatalf("want checkpoints to come back with further facts, found %d", got)
	}
	before := n.ranking(eloview.RankingsAsked{ConfigKey: "hex8_2p"})
	changed := elo.DefaultPolicy()
	changed.K = []elo.KStep{{K: 10}}
	n.apply(domain.PolicyChanged{Name: domain.PolicyDefaultName, Policy: domain.Policy{}.With(changed)})
	if got := n.checkpoints(); got != 0 {
		t.Fatalf("want no checkpoint of another policy, found %d", got)
	}
	if after := n.ranking(eloview.RankingsAsked{ConfigKey: "hex8_2p"}); after == before {
		t.Fatal("want the ranking to follow the policy")
	}
	if again := n.ranking(eloview.RankingsAsked{ConfigKey: "hex8_2p", K: "32"}); again != before {
		t.Fatalf("want the settings of a request to be all that counts, found\n%s\n%s", before, again)
	}
}
