package node

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"pgregory.net/rapid"

	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/commands"
	elocmd "github.com/ringrift/rift/commands/elo"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
	"github.com/ringrift/rift/domain/training"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/eventlog"
)

// readings counts the events that are read from a log.
type readings struct {
	eventlog.Log
	events atomic.Int64
}

func (r *readings) Read(ctx context.Context, stream domain.StreamID, from domain.Revision, direction eventlog.Direction) iter.Seq2[domain.Envelope, error] {
	return func(yield func(domain.Envelope, error) bool) {
		for e, err := range r.Log.Read(ctx, stream, from, direction) {
			r.events.Add(1)
			if !yield(e, err) {
				return
			}
		}
	}
}

// failing is the part of testing.TB that the decider uses.
type failing interface {
	Helper()
	Fatal(args ...any)
}

// decider is a bus on a log, without read models.
func decider(t failing, log eventlog.Log, cache commands.AggregateCache) *commands.Bus {
	t.Helper()
	catalog, err := wiring.Catalog()
	if err != nil {
		t.Fatal(err)
	}
	bus, err := commands.NewBus(log, catalog, nil, wiring.Specs()...)
	if err != nil {
		t.Fatal(err)
	}
	bus.Aggregates = cache
	return bus
}

// untouched is a cache that detects changes of the aggregates in it.
type untouched struct {
	*aggregateCache
	mu    sync.Mutex
	looks map[domain.StreamID]string
	fault string
}

func (u *untouched) check(stream domain.StreamID, kind any) {
	past, known, _ := u.aggregateCache.Get(stream, kind, "")
	if look, kept := u.looks[stream]; known && kept && look != lookOf(past.State) {
		u.fault = fmt.Sprintf("%s: the state was\n%s\nand is\n%s", stream, look, lookOf(past.State))
	}
}

func (u *untouched) Get(stream domain.StreamID, kind any, command string) (commands.Aggregate, bool, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.check(stream, kind)
	return u.aggregateCache.Get(stream, kind, command)
}

func (u *untouched) Put(stream domain.StreamID, kind any, from domain.Revision, past commands.Aggregate, ids []string, bytes int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.check(stream, kind)
	u.aggregateCache.Put(stream, kind, from, past, ids, bytes)
	delete(u.looks, stream)
	if now, known, _ := u.aggregateCache.Get(stream, kind, ""); known {
		u.looks[stream] = lookOf(now.State)
	}
}

// lookOf returns a text of a value and everything that it refers to.
func lookOf(value any) string {
	var b strings.Builder
	var write func(v reflect.Value)
	write = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.Pointer, reflect.Interface:
			if v.IsNil() {
				b.WriteString("nil")
				return
			}
			write(v.Elem())
		case reflect.Struct:
			b.WriteString("{")
			for i := range v.NumField() {
				write(v.Field(i))
				b.WriteString(" ")
			}
			b.WriteString("}")
		case reflect.Slice:
			b.WriteString("[")
			for i := range v.Len() {
				write(v.Index(i))
				b.WriteString(" ")
			}
			b.WriteString("]")
		case reflect.Map:
			fmt.Fprintf(&b, "map of %d", v.Len()) // states have no maps
		default:
			fmt.Fprint(&b, v)
		}
	}
	if value != nil {
		write(reflect.ValueOf(value))
	}
	return b.String()
}

// someCommand returns a random command on one of a few streams.
func someCommand(t *rapid.T, bus *commands.Bus) domain.Command {
	item := rapid.SampledFrom([]string{"t1", "t2"}).Draw(t, "item")
	lease := rapid.IntRange(1, 3).Draw(t, "lease")
	n := rapid.IntRange(0, 5).Draw(t, "n")
	report := fmt.Sprintf(`{"task_id":%q,"lease":%d}`, item, lease)
	one := rapid.SampledFrom([][2]string{
		{"spawn", ""},
		{"work.lease", fmt.Sprintf(`{"task_id":%q,"node_id":"gpu-%d"}`, item, n)},
		{"work.start", report},
		{"work.heartbeat", report},
		{"work.complete", report},
		{"work.fail", fmt.Sprintf(`{"task_id":%q,"lease":%d,"error":"out of memory"}`, item, lease)},
		{"work.release", report},
		{"work.cancel", fmt.Sprintf(`{"task_id":%q}`, item)},
		{"work.retry", fmt.Sprintf(`{"task_id":%q}`, item)},
		{"work.requeue", fmt.Sprintf(`{"task_id":%q}`, item)},
		{"work.revoke", fmt.Sprintf(`{"task_id":%q,"lease":%d,"reason":"sick"}`, item, lease)},
		{"elo.match", fmt.Sprintf(`{"config_key":"hex8_2p","participants":[{"model_id":"m%d"},{"model_id":"heuristic"}],"result":{"ranks":[%d,2]},"game_id":"g%d"}`, n, lease, n)},
		{"elo.record", fmt.Sprintf(`{"config_key":"hex8_2p","fact_id":"f%d","model_id":"m1","results":[{"opponent":"random","wins":%d,"losses":1}]}`, n, lease)},
		{"evaluation.record", fmt.Sprintf(`{"event":{"config_key":"hex8_2p","model_id":"m1","results":[{"opponent":"random","wins":%d,"losses":1}]}}`, n)},
		{"training.block", fmt.Sprintf(`{"config_key":"hex8_2p","reason":"r%d"}`, n)},
		{"training.unblock", fmt.Sprintf(`{"config_key":"hex8_2p","reason":"r%d"}`, n)},
		{"nodes.register", fmt.Sprintf(`{"node_id":"gpu-1","facts":{"slots":%d}}`, n)},
		{"admin.pause", fmt.Sprintf(`{"kind":"selfplay","reason":"r%d"}`, n)},
		{"admin.resume", fmt.Sprintf(`{"kind":"selfplay","reason":"r%d"}`, n)},
		{"policies.set", fmt.Sprintf(`{"name":"default","policy":{"work":{"max_attempts":%d}},"reason":"r"}`, n+1)},
		{"events.append", ""},
	}).Draw(t, "command")
	switch one[0] {
	case "spawn": // without a queue nothing can be added
		return commands.AppendEvent{Target: domain.TaskID(item).Stream(), Expected: domain.AnyRevision, Event: work.Spawned{
			TaskID: domain.TaskID(item), TaskType: "selfplay", TimeoutSeconds: 60, MaxAttempts: 2, Payload: fmt.Appendf(nil, `{"n":%d}`, n),
		}}
	case "events.append":
		return commands.AppendEvent{Target: "training-hex8_2p", Expected: domain.AnyRevision, Event: training.QualityDegraded{ConfigKey: "hex8_2p", QualityScore: float64(n) / 10, Threshold: 0.6}}
	}
	spec, known := bus.Spec(one[0])
	if !known {
		t.Fatalf("no command %s", one[0])
	}
	pointer := spec.New()
	if err := json.Unmarshal([]byte(one[1]), pointer); err != nil {
		t.Fatal(err)
	}
	return spec.Value(pointer)
}

// told is the text of everything that a command returns to its caller.
func told(t *rapid.T, result commands.Result, err error) string {
	text, failed := json.Marshal(result)
	if failed != nil {
		t.Fatal(failed)
	}
	return fmt.Sprintf("%s %v", text, err)
}

func written(t *rapid.T, log eventlog.Log) string {
	var b strings.Builder
	for e, err := range log.ReadAll(t.Context(), 1, eventlog.Forward, eventlog.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%d %s@%d %s %s %v %+v %s\n", e.Position, e.Stream, e.Revision, e.ID, e.Type, e.Time, e.Meta, e.Data)
	}
	return b.String()
}

func played(game int) elocmd.RecordMatch {
	return elocmd.RecordMatch{
		ConfigKey: "hex8_2p", GameID: fmt.Sprint("g", game),
		Participants: []elo.MatchPlayer{{ModelID: fmt.Sprint("m", game%5)}, {ModelID: "heuristic"}},
		Result:       elocmd.MatchResult{Ranks: []int{1 + game%2, 2 - game%2}},
	}
}

func factsOf(id string, now time.Time) domain.Facts {
	return domain.Facts{Now: now, Command: id, Node: "n", Policy: domain.Policy{}, Seed: SeedOf(id)}
}
