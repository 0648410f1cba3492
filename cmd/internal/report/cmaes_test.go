package report_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ringrift/rift/cmd/internal/report"
	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/cmaes"
	"github.com/ringrift/rift/domain/cmaesrun"
)

// searched folds a search of five generations, the last of them under way, with a restart
// in the middle, a lost candidate and a late one.
func searched(t *testing.T, window report.Window) *report.Searches {
	t.Helper()
	catalog, err := wiring.Catalog()
	if err != nil {
		t.Fatal(err)
	}
	f, err := report.NewSearches(catalog, window)
	if err != nil {
		t.Fatal(err)
	}
	events := []domain.Event{cmaesrun.Started{Run: "r", Search: cmaes.Options{X0: []float64{1, 2}, Sigma0: 0.5}, Objective: cmaesrun.Objective{Variables: []string{"bridge", "edge"}}}}
	for g := range 5 {
		restarts := g / 3
		events = append(events, cmaesrun.GenerationAsked{Run: "r", Generation: g, Restarts: restarts, Population: 4 << restarts, Sigma: 0.5 / float64(g+1), AxisRatio: 1 + float64(g), Stds: []float64{0.5, 0.25}, Evaluations: 4 * g})
		if g == 1 {
			events = append(events, cmaesrun.CandidateLost{Run: "r", Generation: 1, Reason: "the node died"}, cmaesrun.CandidateLate{Run: "r", Generation: 0, Index: 3, Now: 1})
		}
		if g < 4 {
			events = append(events, cmaesrun.GenerationTold{Run: "r", Generation: g, Candidates: 4, Least: 8 / float64(g+1), Median: 10, Most: 12, Evaluations: 4 * (g + 1), Improved: &cmaesrun.Best{X: []float64{1, 1}, Fitness: 8 / float64(g+1), Generation: g}})
		}
		if g == 2 {
			events = append(events, cmaesrun.Restarted{Run: "r", Ended: cmaes.Ended{Population: 4, Sigma0: 0.5, Evaluations: 12, Generations: 3, Stop: []cmaes.Reason{{Name: "tolfun", Bound: 1e-11}}}, Restarts: 1, Population: 8, Sigma0: 0.5})
		}
	}
	began := time.Date(2026, 3, 6, 12, 0, 0, 0, time.UTC)
	for i, event := range events {
		data, err := json.Marshal(event)
		if err != nil {
			t.Fatal(err)
		}
		e := domain.Envelope{Position: domain.Position(i + 1), Stream: "cmaes-r", ID: domain.DeriveID("test", i), Type: event.EventType(), Version: 1, Time: began.Add(time.Duration(i) * time.Minute), Data: data, Event: event}
		if _, err := f.Apply(e); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

func TestSearchReport(t *testing.T) {
	told, err := searched(t, report.Window{}).Report("")
	if err != nil {
		t.Fatal(err)
	}
	one := told.One
	if one == nil || one.Lost != 1 || one.Late != 1 || len(one.Restarts) != 1 || one.Best.Fitness != 2 || len(told.Generations) != 5 {
		t.Fatalf("found %+v", told)
	}
	if g := told.Generations; g[0].Late != 1 || g[1].Lost != 1 || *g[2].Least != 8.0/3 || g[3].Population != 8 || g[4].Least != nil {
		t.Errorf("found %+v", g)
	}
	if told.Log.Events != 13 || told.Log.First != 1 || told.Log.Last != 13 || len(told.Log.Digest) != 64 {
		t.Errorf("found %+v", told.Log)
	}
	var first, second bytes.Buffer
	if err := told.SVG(&first); err != nil {
		t.Fatal(err)
	}
	if err := told.SVG(&second); err != nil || !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("want the same drawing from the same events")
	}
	for _, want := range []string{"Fitness of run r", "axis ratio", "bridge", "samples lost", "digest " + told.Log.ShortDigest()} {
		if !strings.Contains(first.String(), want) {
			t.Errorf("want %q in the drawing", want)
		}
	}
	// A window behind all events is empty, and one that ends early ends the fold.
	if f := searched(t, report.Window{From: 100}); !f.Empty() {
		t.Error("want nothing in a window behind the log")
	}
	early, err := searched(t, report.Window{To: 3}).Report("r")
	if err != nil || len(early.Generations) != 1 || early.Log.Last != 3 || early.Log.Digest == told.Log.Digest {
		t.Errorf("found %+v, %v", early, err)
	}
	if _, err := searched(t, report.Window{}).Report("nobody"); domain.CodeOf(err) != domain.NotFound {
		t.Errorf("want no such run, found %v", err)
	}
	if err := (report.SearchReport{}).SVG(&first); err == nil || !strings.Contains(fmt.Sprint(err), "one run") {
		t.Errorf("found %v", err)
	}
}
