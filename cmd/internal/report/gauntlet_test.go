package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
	"github.com/ringrift/rift/domain/gauntlet"
	"github.com/ringrift/rift/domain/rating"
)

// aGauntlet is a gauntlet of 12 parts, some of them played by three workers, with a fourth
// worker excluded.
func aGauntlet(t *testing.T, parts int) *Fold {
	t.Helper()
	catalog, err := wiring.Catalog()
	if err != nil {
		t.Fatal(err)
	}
	f, err := NewGauntlet(catalog, Window{}, "")
	if err != nil {
		t.Fatal(err)
	}
	policy, id := gauntlet.DefaultPolicy(), gauntlet.IDOf("hex8_2p", "m2")
	var g gauntlet.Gauntlet
	position := 0
	say := func(event domain.Event) {
		g = g.Evolve(domain.Envelope{Event: event})
		data, err := json.Marshal(event)
		if err != nil {
			t.Fatal(err)
		}
		position++
		e := domain.Envelope{Position: domain.Position(position), Stream: id.Stream(), ID: domain.DeriveID("gauntlet", position), Type: event.EventType(), Version: 1, Time: began, Data: data}
		if _, err := f.Apply(e); err != nil {
			t.Fatal(err)
		}
	}
	say(gauntlet.Started{
		GauntletID: id, ConfigKey: "hex8_2p", ModelID: "m2", Opponents: []string{"m1"}, Games: 240, TaskID: gauntlet.RoundTask(id, 1), Round: 1,
		ItemGames: 20, OpenItems: 12, TestGames: 100, SPRT: &gauntlet.SPRT{Elo0: 0, Elo1: 40, Alpha: 0.05, Beta: 0.05},
	})
	for k := range parts {
		played := gauntlet.Played{
			GauntletID: id, TaskID: g.Started.First()[k].TaskID, Part: k, NodeID: domain.NodeID(fmt.Sprintf("w%d", k%3)),
			Results: []elo.OpponentResult{{Opponent: "m1", Wins: 11, Losses: 9, Pentanomial: []int{2, 0, 5, 0, 3}}},
		}
		played.Counted, _ = g.Evolve(domain.Envelope{Event: played}).Count(policy)
		say(played)
	}
	excluded := gauntlet.WorkerExcluded{GauntletID: id, NodeID: "w9", Reason: "odd"}
	excluded.Counted, _ = g.Recount(policy)
	say(excluded)
	return f
}

func TestGauntletReport(t *testing.T) {
	f := aGauntlet(t, 6)
	g, err := f.Gauntlet()
	if err != nil {
		t.Fatal(err)
	}
	cells := []float64{12, 0, 30, 0, 18}
	llr, estimate := rating.LLR(cells, 0, 40), rating.Measure(cells)
	if g.State != "running" || g.Games != 120 || g.Wanted != 240 || len(g.Looks) != 6 || g.Test == nil {
		t.Fatalf("found %+v", g)
	}
	test := g.Test
	if !near(test.LLR, llr) || !near(test.Elo, estimate.Elo) || !near(test.Error, estimate.Error) || test.Unit != "pairs" || test.Games != 120 || test.Most != 240 {
		t.Errorf("found %+v, want llr %v and %+v", test, llr, estimate)
	}
	if test.Remaining == nil || test.Passes == nil || test.WouldEnd == nil || test.PassesAt == nil {
		t.Fatalf("want an open test foreseen, found %+v", test)
	}
	if end := float64(*test.WouldEnd); math.Abs(end-120*test.Upper/llr) > 2 || test.Tends != "better" {
		t.Errorf("found the end at %v games, want about %v", end, 120*test.Upper/llr)
	}
	if len(g.Workers) != 3 || g.Workers[0].Games != 40 || !near(g.Workers[0].Score, 0.55) || len(g.Excluded) != 1 {
		t.Errorf("found workers %+v, excluded %+v", g.Workers, g.Excluded)
	}
	// PassesAt is the least Elo at which the test accepts after all games.
	at := rating.Expected(*test.PassesAt)
	mean, variance := scores(cells)
	if got := (rating.Expected(40) - 0.5) * (2*at - rating.Expected(40) - 0.5) * 120 / (2 * variance); !near(got, test.Upper) || at <= mean {
		t.Errorf("would pass at %v, where the ratio is %v", *test.PassesAt, got)
	}
	var drawn, again bytes.Buffer
	if err := g.SVG(&drawn); err != nil {
		t.Fatal(err)
	}
	if err := g.SVG(&again); err != nil || drawn.String() != again.String() || !strings.Contains(drawn.String(), "log likelihood ratio") {
		t.Error("want the same drawing twice")
	}
	if !slices.Contains(f.Types(), "GAUNTLET_FINISHED") || slices.Contains(f.Types(), "TASK_CLAIMED") {
		t.Errorf("found types %v", f.Types())
	}
	none := aGauntlet(t, 0)
	if g, err := none.Gauntlet(); err != nil || g.Test != nil || g.SVG(&again) != nil {
		t.Errorf("found %+v, %v", g, err)
	}
	none.gauntlets.wanted = "other"
	if _, err := none.Gauntlet(); domain.CodeOf(err) != domain.NotFound {
		t.Errorf("found %v", err)
	}
}
