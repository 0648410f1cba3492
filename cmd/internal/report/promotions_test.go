package report_test

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/ringrift/rift/cmd/internal/report"
	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
	"github.com/ringrift/rift/domain/training"
)

// A gain is measured by the games against the model before; gains and errors add up.
func TestPromotionsReport(t *testing.T) {
	catalog, err := wiring.Catalog()
	if err != nil {
		t.Fatal(err)
	}
	f := report.NewPromotions(catalog, report.Window{})
	if !f.Empty() {
		t.Error("want nothing at first")
	}
	evaluated := func(model, opponent string, wins, draws, losses int) elo.EvaluationCompleted {
		return elo.EvaluationCompleted{ConfigKey: "hex8_2p", ModelID: domain.ModelID(model), GamesPlayed: wins + draws + losses, Results: []elo.OpponentResult{
			{Opponent: "random", Wins: 7}, {Opponent: opponent, Wins: wins, Draws: draws, Losses: losses},
		}}
	}
	for i, event := range []domain.Event{
		training.ModelPromoted{ConfigKey: "hex8_2p", ModelID: "a"},
		evaluated("b", "a", 136, 111, 96),
		training.ModelPromoted{ConfigKey: "hex8_2p", ModelID: "b", Previous: "a"},
		training.ModelPromoted{ConfigKey: "square8_2p", ModelID: "x"},
		evaluated("c", "b", 136, 111, 96),
		training.ModelPromoted{ConfigKey: "hex8_2p", ModelID: "c"}, // of old: it does not say over whom
		training.ModelPromoted{ConfigKey: "hex8_2p", ModelID: "d", Previous: "c"},
	} {
		data, err := json.Marshal(event)
		if err != nil {
			t.Fatal(err)
		}
		e := domain.Envelope{Position: domain.Position(i + 1), ID: domain.DeriveID("test", i), Type: event.EventType(), Version: 1, Time: time.Date(2026, 3, 6, 12, i, 0, 0, time.UTC), Data: data}
		if _, err := f.Apply(e); err != nil {
			t.Fatal(err)
		}
	}
	told := f.Report("hex8_2p")
	if len(told.Promotions) != 4 || len(f.Report("").Promotions) != 5 || told.Log.Events != 7 {
		t.Fatalf("found %+v", told)
	}
	b, c, d := told.Promotions[1], told.Promotions[2], told.Promotions[3]
	near := func(found, want float64) bool { return math.Abs(found-want) < 0.005 }
	if b.Games != 343 || !near(*b.Gain, 40.70) || !near(*b.Error, 30.43) || c.Over != "b" || !near(c.Total, 81.40) || !near(c.Margin, 30.427*math.Sqrt2) {
		t.Errorf("found %+v, %+v", b, c)
	}
	if d.Gain != nil || d.Total != c.Total {
		t.Errorf("want no gain of a model without games, found %+v", d)
	}
	var drawing bytes.Buffer
	if err := f.Report("").SVG(&drawing); err != nil || !strings.Contains(drawing.String(), "square8_2p") {
		t.Errorf("found %v", err)
	}
}
