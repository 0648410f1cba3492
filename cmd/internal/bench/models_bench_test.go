package bench

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
	electionview "github.com/ringrift/rift/projections/election"
	findingsview "github.com/ringrift/rift/projections/findings"
	nodesview "github.com/ringrift/rift/projections/nodes"
	policyview "github.com/ringrift/rift/projections/policy"
	"github.com/ringrift/rift/projections/store"
	workview "github.com/ringrift/rift/projections/work"
)

// BenchmarkModels compares a rebuild of the queue's read models with one of all read
// models, and with one of all read models and reactors.
func BenchmarkModels(b *testing.B) {
	const events = 100_000
	dir := filepath.Join(b.TempDir(), "log")
	if err := fill(b.Context(), dir, Mixed(events, mixedSeed)); err != nil {
		b.Fatal(err)
	}
	queue := []projections.Projection{
		policyview.Model{Sections: wiring.Sections()}.Projection(), workview.Projection(), nodesview.Projection(),
		electionview.Projection(), findingsview.Projection(),
	}
	for _, one := range []struct {
		name     string
		models   []projections.Projection
		reactors []projections.Reactor
	}{{"queue", queue, nil}, {"all", wiring.Projections(), nil}, {"reactors", wiring.Projections(), wiring.Reactors()}} {
		b.Run(one.name, func(b *testing.B) {
			var took time.Duration
			for b.Loop() {
				took += rebuildOf(b, dir, one.models, one.reactors, events)
			}
			b.ReportMetric(float64(b.N*events)/took.Seconds(), "events/s")
		})
	}
}

// rebuildOf builds read models of a log in a new folder. Reactors begin at the first
// event.
func rebuildOf(b *testing.B, logDir string, models []projections.Projection, reactors []projections.Reactor, events int) time.Duration {
	b.Helper()
	log, catalog, err := openForFold(logDir)
	if err != nil {
		b.Fatal(err)
	}
	defer log.Close()
	opened, err := store.Open(b.TempDir(), models, reactors, catalog, store.Options{
		Codec: wiring.FastCodec{}, Strict: true, OutboxMax: -1,
		ReactFrom: func(string, domain.Position) domain.Position { return 0 },
	})
	if err != nil {
		b.Fatal(err)
	}
	defer opened.Close()
	began := time.Now()
	if err := opened.Run(b.Context(), log, store.Until{CaughtUp: true}); err != nil {
		b.Fatal(err)
	}
	if opened.Position() != domain.Position(events) {
		b.Fatalf("want %d events, found %d", events, opened.Position())
	}
	return time.Since(began)
}
