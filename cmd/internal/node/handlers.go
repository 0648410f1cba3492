package node

import (
	"context"
	"time"

	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections"
	"github.com/ringrift/rift/projections/store"
	"github.com/ringrift/rift/transport"
)

// Handlers lists the handlers of events with what they read, write and command, and their
// counters.
func (b backend) Handlers(ctx context.Context) (transport.Handlers, error) {
	answer := transport.Handlers{Position: b.node.store.Position(), Handlers: []transport.HandlerRow{}}
	reactors := map[string]projections.Reactor{}
	for _, reactor := range wiring.Reactors() {
		reactors[reactor.Name] = reactor
	}
	models := map[string]projections.Projection{}
	for _, model := range wiring.Projections() {
		models[model.Name] = model
	}
	observed := wiring.Observations()
	times := map[domain.Position]*time.Time{}
	for _, stat := range b.node.store.Handlers() {
		row := transport.HandlerRow{
			Name: stat.Name, Event: stat.Event, Kind: string(stat.Kind),
			Runs: stat.Runs, Failures: stat.Failures, DeadLetters: int(stat.DeadLetters), Position: stat.Last, Lag: stat.Lag,
		}
		switch stat.Kind {
		case store.KindReactor:
			row.About, row.Commands, row.Reads = reactors[stat.Name].About, reactors[stat.Name].Issues, observed.Reads[stat.Name]
		case store.KindProjection:
			tables := models[stat.Projection].Tables
			row.Reads, row.Writes = tables, tables
		case store.KindDecode:
			row.Writes = []string{store.DeadLetterTable}
		}
		if documented, is := wiring.DocumentedBy(stat.Event); is && stat.Kind != store.KindDecode {
			row.Number, row.Documented = documented.Number, documented.Name
		}
		var err error
		if row.LastRun, err = b.timeOf(ctx, times, stat.Last); err != nil {
			return answer, err
		}
		answer.Handlers = append(answer.Handlers, row)
	}
	return answer, nil
}

// timeOf returns the time of the event at a position, nil for none. Most handlers share a
// few positions, which are looked up once.
func (b backend) timeOf(ctx context.Context, known map[domain.Position]*time.Time, at domain.Position) (*time.Time, error) {
	if found, is := known[at]; is || at == 0 {
		return found, nil
	}
	for e, err := range b.node.log.ReadAll(ctx, at, eventlog.Forward, eventlog.Filter{From: at, To: at}) {
		if err != nil {
			return nil, err
		}
		known[at] = &e.Time
	}
	return known[at], nil
}
