package elo_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
)

// publisher is what a node's decisions publish.
type publisher struct {
	ratings elo.Ratings
	now     time.Time
	last    map[domain.ModelID]elo.Updated
	events  int // that moved ratings
}

func (p *publisher) tell(events ...domain.Event) (moved []elo.Updated) {
	p.ratings, moved = p.ratings.Follow("hex8_2p", events, p.now, elo.DefaultPolicy(), 1000)
	for _, e := range moved {
		p.last[e.ModelID] = e
	}
	p.events += len(moved)
	return moved
}

// published returns the last published rating of every player with games that
// count.
func (p *publisher) published() string {
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(p.last)) {
		if e := p.last[name]; e.GamesPlayed > 0 {
			lines = append(lines, fmt.Sprint(name, " ", e.New, " ", e.Error))
		}
	}
	return fmt.Sprint(lines)
}

// someFacts draws games and results, some at one time and some at none.
func someFacts(t *rapid.T, most int) []domain.Event {
	name := rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "heuristic", "random"})
	worker := rapid.SampledFrom([]domain.NodeID{"", "gpu-1", "gpu-2"})
	var all []domain.Event
	for i := range rapid.IntRange(1, most).Draw(t, "facts") {
		var at *time.Time
		if hour := rapid.IntRange(0, 40).Draw(t, "hour"); hour > 0 {
			moment := time.Unix(1_767_000_000, 0).UTC().Add(time.Duration(hour) * time.Hour)
			at = &moment
		}
		if rapid.IntRange(0, 9).Draw(t, "kind") == 0 {
			results := []elo.OpponentResult{{Opponent: "random", Wins: rapid.IntRange(0, 30).Draw(t, "wins"), Losses: 3}, {Opponent: name.Draw(t, "other"), Wins: 1}}
			all = append(all, elo.ResultsRecorded{ConfigKey: "hex8_2p", FactID: fmt.Sprint("task:", i), ModelID: domain.ModelID(name.Draw(t, "model")), Results: results, PlayedAt: at, Worker: worker.Draw(t, "worker")})
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

// What is published last of each player is of the facts that count, and not of the
// order in which they came, nor of how many came at once, nor of when an exclusion did;
// nor of facts that were excluded, or excluded for a time.
func TestPublishedRatingsAreOfTheFactsAndNotOfTheirOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := someFacts(t, 150)
		excluded := elo.GamesExcluded{ConfigKey: "hex8_2p", Worker: "gpu-2"}
		shuffled := slices.Clone(all)
		chance := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		if rapid.Bool().Draw(t, "shuffled") {
			chance.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		}
		stays := rapid.Bool().Draw(t, "stays excluded")
		early, late := rapid.IntRange(0, len(all)).Draw(t, "early"), rapid.IntRange(0, len(all)).Draw(t, "late")
		here := publisher{last: map[domain.ModelID]elo.Updated{}}
		for i := 0; i <= len(shuffled); {
			if i >= early && !here.ratings.Excludes(excluded.Excluded()) && (stays || i < late) {
				here.tell(excluded)
			}
			if i >= late && !stays && here.ratings.Excludes(excluded.Excluded()) {
				here.tell(elo.ExclusionLifted{ConfigKey: "hex8_2p", Worker: "gpu-2"})
			}
			if i == len(shuffled) {
				break
			}
			n := min(rapid.SampledFrom([]int{1, 1, 1, 7}).Draw(t, "at once"), len(shuffled)-i)
			here.tell(shuffled[i : i+n]...)
			i += n
		}
		there := publisher{last: map[domain.ModelID]elo.Updated{}}
		for _, fact := range inOrder(all) {
			if worker := playedOf(fact).Worker; !stays || worker != "gpu-2" {
				there.tell(fact)
			}
		}
		if want, found := there.published(), here.published(); want != found {
			t.Fatalf("want\n%s\nfound\n%s", want, found)
		}
		for range 3 { // repeated facts change nothing
			if moved := here.tell(shuffled...); len(moved) > 0 {
				t.Fatalf("want nothing moved by facts that are known, found %v", moved)
			}
		}
	})
}

// A fact without a time is played when it is reported: it changes the ratings of
// its own players only, however many facts there are before it.
func TestAFactWithoutATimeIsPlayedWhenItIsTold(t *testing.T) {
	node := publisher{last: map[domain.ModelID]elo.Updated{}, now: time.Unix(1_767_000_000, 0).UTC()}
	for _, fact := range season(300) {
		match := fact.(elo.MatchRecorded)
		match.PlayedAt = nil
		match.MatchID = match.Identity()
		node.now = node.now.Add(time.Second)
		for _, moved := range node.tell(match) {
			if !slices.ContainsFunc(match.Participants, func(p elo.MatchPlayer) bool { return p.ModelID == string(moved.ModelID) }) {
				t.Fatalf("want only the players of %s moved, found %s", match.GameID, moved.ModelID)
			}
		}
	}
}

func playedOf(fact domain.Event) elo.Played {
	switch e := fact.(type) {
	case elo.MatchRecorded:
		return elo.PlayedOf(elo.Fact{Match: &e})
	case elo.ResultsRecorded:
		return elo.PlayedOf(elo.Fact{Results: &e})
	}
	return elo.Played{}
}

func inOrder(facts []domain.Event) []domain.Event {
	return slices.SortedFunc(slices.Values(facts), func(a, b domain.Event) int {
		if playedOf(a).OrderKey() < playedOf(b).OrderKey() {
			return -1
		}
		return 1
	})
}

// season is games of many models, one after the other.
func season(games int) []domain.Event {
	all := make([]domain.Event, games)
	for i := range all {
		at := time.Unix(1_767_000_000+int64(i), 0).UTC()
		m := elo.MatchRecorded{
			ConfigKey: "hex8_2p", GameID: fmt.Sprint("g", i), PlayedAt: &at, Ranks: []int{1 + i%2, 2 - i%2},
			Participants: []elo.MatchPlayer{{ModelID: fmt.Sprint("m", i/50)}, {ModelID: fmt.Sprint("m", max(i/50-1-i%4, 0), "x")}},
		}
		m.MatchID = m.Identity()
		all[i] = m
	}
	return all
}

// A fact in the order of games moves its own players alone, however many facts came
// before; a late one republishes those that it changed.
func TestFactsInOrderMoveTheirPlayersAlone(t *testing.T) {
	all := season(500)
	node := publisher{last: map[domain.ModelID]elo.Updated{}}
	for _, fact := range slices.Delete(slices.Clone(all), 40, 41) {
		for _, e := range node.tell(fact) {
			if !slices.Contains(playedOf(fact).Players, string(e.ModelID)) {
				t.Fatalf("want the players of %v moved, found %s", playedOf(fact).Players, e.ModelID)
			}
		}
	}
	if moved := node.tell(all[40]); len(moved) < 3 {
		t.Fatalf("want a late fact to move those who met its players later too, found %v", moved)
	}
	other := publisher{last: map[domain.ModelID]elo.Updated{}}
	for _, fact := range all {
		other.tell(fact)
	}
	if want, found := other.published(), node.published(); want != found {
		t.Fatalf("want\n%s\nfound\n%s", want, found)
	}
}

// BenchmarkFollow takes facts in after 10,000 others: in the order of games, the one
// before the last 100, and one before half of them.
func BenchmarkFollow(b *testing.B) {
	const games = 10_000
	all := season(games)
	for name, hole := range map[string]int{"in order": games - 1, "100 late": games - 100, "half late": games / 2} {
		node := publisher{last: map[domain.ModelID]elo.Updated{}}
		for i, fact := range all {
			if i != hole {
				node.tell(fact)
			}
		}
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if after, moved := node.ratings.Follow("hex8_2p", all[hole:hole+1], time.Time{}, elo.DefaultPolicy(), 1000); len(moved) == 0 || !after.Knows(all[hole].(elo.MatchRecorded).MatchID) {
					b.Fatal("want ratings moved")
				}
			}
		})
	}
}
