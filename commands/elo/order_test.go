package elo_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ringrift/rift/commands"
	elocmd "github.com/ringrift/rift/commands/elo"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
	"github.com/ringrift/rift/eventlog"
)

// published appends games to a log one after the other, and returns the last rating
// of each model in ELO_UPDATED.
func published(t *rapid.T, games []elocmd.RecordMatch) string {
	catalog, err := domain.NewCatalog(nil, elo.Events())
	if err != nil {
		t.Fatal(err)
	}
	bus, err := commands.NewBus(eventlog.NewMemory(), catalog, nil, elocmd.Specs())
	if err != nil {
		t.Fatal(err)
	}
	last := map[domain.ModelID]string{}
	for i, game := range games {
		facts := domain.Facts{Now: time.Unix(1_767_000_000+int64(i), 0), Command: fmt.Sprintf("%s at %d", game.GameID, i)}
		result, err := bus.Do(t.Context(), facts, game)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range result.Events {
			if moved, ok := e.Event.(elo.Updated); ok {
				last[moved.ModelID] = fmt.Sprint(moved.ModelID, " ", moved.New, " ", moved.Error, " ", moved.GamesPlayed)
			}
		}
	}
	return fmt.Sprint(slices.Sorted(maps.Values(last)))
}

// The last published rating of a model does not depend on when its games were
// reported, if their time is known.
func TestPublishedRatingsDoNotDependOnWhenGamesAreTold(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom([]string{"a", "b", "c", "d", "heuristic"})
		games := make([]elocmd.RecordMatch, rapid.IntRange(1, 25).Draw(t, "games"))
		for i := range games {
			games[i] = elocmd.RecordMatch{
				ConfigKey: "hex8_2p", GameID: fmt.Sprint("g", i), Result: elocmd.MatchResult{Ranks: []int{1, 2}},
				Participants: []elo.MatchPlayer{{ModelID: name.Draw(t, "first")}, {ModelID: name.Draw(t, "second")}},
			}
			at := time.Unix(1_766_000_000, 0).UTC().Add(time.Duration(rapid.IntRange(1, 10).Draw(t, "hour")) * time.Hour)
			games[i].PlayedAt = &at
		}
		want, found := published(t, games), published(t, append(rapid.Permutation(games).Draw(t, "told"), games...))
		if want != found {
			t.Fatalf("want\n%s\nfound\n%s", want, found)
		}
	})
}
