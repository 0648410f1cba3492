package node

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ringrift/rift/commands"
	nodescmd "github.com/ringrift/rift/commands/nodes"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/eventlog"
)

// A bus with a cache returns and appends the same as one that reads every stream from its
// start, whatever is evicted, whatever other writers append, and however often commands
// are repeated.
func TestWhatIsRememberedChangesNoDecision(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		plain, log := eventlog.NewMemory(), eventlog.NewMemory()
		reading := decider(t, plain, nil)
		limits := func() *untouched {
			m := &untouched{aggregateCache: newAggregateCache(0), looks: map[domain.StreamID]string{}}
			m.maxCount = rapid.SampledFrom([]int{1, 3, 1000}).Draw(t, "aggregates")
			return m
		}
		cache := limits()
		remembering := decider(t, log, cache)
		type sent struct {
			id      string
			command domain.Command
		}
		var earlier []sent
		now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		for i := range rapid.IntRange(1, 30).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 90).Draw(t, "seconds")) * time.Second)
			one := sent{fmt.Sprintf("c%d", i), someCommand(t, reading)}
			switch rapid.IntRange(0, 9).Draw(t, "what") {
			case 0: // the cache is empty again
				cache = limits()
				remembering.Aggregates = cache
			case 1: // another writer, whose command may be repeated here
				foreign := work.CompletionRejected{TaskID: "t1", Lease: 1, Reason: "elsewhere"}
				for _, log := range []eventlog.Log{plain, log} {
					data, err := json.Marshal(foreign)
					if err != nil {
						t.Fatal(err)
					}
					id := "foreign"
					if len(earlier) > 0 {
						id = earlier[len(earlier)-1].id
					}
					_, err = log.Append(t.Context(), "task-t1", domain.AnyRevision, eventlog.Proposed{
						ID: domain.DeriveID(fmt.Sprint("foreign", i), 0), Type: foreign.EventType(), Version: 1, Time: now, Meta: domain.Meta{Command: id}, Data: data,
					})
					if err != nil {
						t.Fatal(err)
					}
				}
			case 2, 3: // a repetition, with the same body or another
				if len(earlier) > 0 {
					again := earlier[rapid.IntRange(0, len(earlier)-1).Draw(t, "again")]
					one.id = again.id
					if rapid.IntRange(0, 3).Draw(t, "other") > 0 {
						one.command = again.command
					}
				}
			}
			earlier = append(earlier, one)
			facts := domain.Facts{Now: now, Command: one.id, Node: "n", Actor: "a", Policy: domain.Policy{}, Seed: SeedOf(one.id)}
			do := (*commands.Bus).Do
			if rapid.IntRange(0, 5).Draw(t, "dry") == 0 {
				do = (*commands.Bus).Try
			}
			want, wantErr := do(reading, t.Context(), facts, one.command)
			found, foundErr := do(remembering, t.Context(), facts, one.command)
			if a, b := told(t, want, wantErr), told(t, found, foundErr); a != b {
				t.Fatalf("%s %s %+v: want\n%s\nfound\n%s", one.id, one.command.CommandType(), one.command, a, b)
			}
			if cache.fault != "" {
				t.Fatalf("after %s: %s", one.command.CommandType(), cache.fault)
			}
		}
		if a, b := written(t, plain), written(t, log); a != b {
			t.Fatalf("want the log\n%s\nfound\n%s", a, b)
		}
	})
}

// A decision reads no event that was read before, however long its stream is.
func TestADecisionReadsNothingTwice(t *testing.T) {
	log := &readings{Log: eventlog.NewMemory()}
	cache := newAggregateCache(0)
	bus := decider(t, log, cache)
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	play := func(game int) commands.Result {
		result, err := bus.Do(t.Context(), factsOf(fmt.Sprint("c", game), now), played(game))
		if err != nil {
			t.Fatal(err)
		}
		return result
	}
	const games = 500
	for game := range games {
		play(game)
	}
	if n := log.events.Load(); n != 0 {
		t.Errorf("want nothing read of what was just written, found %d events", n)
	}
	bus.Aggregates = newAggregateCache(0)
	play(games)
	once := log.events.Load()
	if once < games {
		t.Errorf("want the stream read after a start, found %d events", once)
	}
	for game := range 50 {
		play(games + 1 + game)
	}
	if n := log.events.Load(); n != once {
		t.Errorf("want nothing read twice, found %d events", n-once)
	}
	if again := play(7); !again.Duplicate {
		t.Error("want a repeated command to be answered as such")
	}
}

// Concurrent decisions on one stream are all stored, each once.
func TestDecisionsAtOnceOnOneStream(t *testing.T) {
	log := eventlog.NewMemory()
	bus := decider(t, log, newAggregateCache(0))
	bus.Retries = 1000
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	const writers, games = 8, 25
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for i := range games {
				game := w*games + i
				for range 2 { // the second time it is a repetition
					if _, err := bus.Do(t.Context(), factsOf(fmt.Sprint("c", game), now), played(game)); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	all.Wait()
	matches := map[string]int{}
	for e, err := range log.Read(t.Context(), "elo-hex8_2p", 0, eventlog.Forward) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Type == (elo.MatchRecorded{}).EventType() {
			matches[e.Meta.Command]++
		}
	}
	if len(matches) != writers*games {
		t.Errorf("want %d games, found %d", writers*games, len(matches))
	}
	for id, n := range matches {
		if n != 1 {
			t.Errorf("%s: want its game once, found it %d times", id, n)
		}
	}
}

// The cache is bounded by number and bytes, and the weight of a state that grows includes
// what it refers to.
func TestAggregateCacheIsBounded(t *testing.T) {
	log := eventlog.NewMemory()
	cache := newAggregateCache(0)
	cache.maxCount, cache.maxBytes = 20, 100<<10
	bus := decider(t, log, cache)
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	add := func(id string, payload int) {
		command := nodescmd.RegisterNode{NodeID: domain.NodeID(id), Facts: fmt.Appendf(nil, `{"x":%q}`, strings.Repeat("y", payload))}
		if _, err := bus.Do(t.Context(), factsOf("c"+id, now), command); err != nil {
			t.Fatal(err)
		}
		sum := 0
		for at := cache.recent.Front(); at != nil; at = at.Next() {
			sum += at.Value.(*cachedAggregate).weight
		}
		if cache.recent.Len() != len(cache.streams) || cache.recent.Len() > cache.maxCount || cache.bytes != sum || sum > cache.maxBytes {
			t.Fatalf("after %s: want %d entries and %d bytes at most, counted rightly, found %d, %d, %d of %d", id, cache.maxCount, cache.maxBytes, cache.recent.Len(), len(cache.streams), cache.bytes, sum)
		}
	}
	for i := range 50 {
		add(fmt.Sprint("small", i), 10)
	}
	if n := cache.recent.Len(); n != cache.maxCount {
		t.Errorf("want %d entries, found %d", cache.maxCount, n)
	}
	for i := range 10 {
		add(fmt.Sprint("large", i), 15<<10)
	}
	if n := cache.recent.Len(); n > 7 || n < 4 {
		t.Errorf("want as many large entries as their bytes admit, found %d", n)
	}
	before := cache.recent.Len()
	add("huge", 60<<10)
	if n := cache.recent.Len(); n != before || cache.streams["node-huge"] != nil {
		t.Errorf("want nothing kept that is too large by itself, and all else, found %d entries of %d", n, before)
	}
	cache.maxBytes *= 4
	for game := range 300 {
		if _, err := bus.Do(t.Context(), factsOf(fmt.Sprint("g", game), now), played(game)); err != nil {
			t.Fatal(err)
		}
	}
	if at, known := cache.streams["elo-hex8_2p"]; !known || at.Value.(*cachedAggregate).state == 0 {
		t.Error("want a long stream's state measured")
	}
}

// BenchmarkDecision decides on a short and on a long stream, with and without a cache.
// With the cache the cost does not depend on the length.
func BenchmarkDecision(b *testing.B) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, length := range []int{100, 10_000, 100_000} {
		for _, remembers := range []bool{true, false} {
			if !remembers && length > 10_000 {
				continue // takes minutes
			}
			b.Run(fmt.Sprintf("events=%d/remembers=%v", length, remembers), func(b *testing.B) {
				log := eventlog.NewMemory()
				bus := decider(b, log, newAggregateCache(0))
				game := 0
				play := func() {
					if _, err := bus.Do(b.Context(), factsOf(fmt.Sprint("c", game), now), played(game)); err != nil {
						b.Fatal(err)
					}
					game++
				}
				for head := domain.Position(0); head < domain.Position(length); {
					play()
					var err error
					if head, err = log.Head(b.Context()); err != nil {
						b.Fatal(err)
					}
				}
				if !remembers {
					bus.Aggregates = nil
				}
				for b.Loop() {
					play()
				}
			})
		}
	}
}

// TestAggregateCacheIgnoresStaleBases adds states and events that do not follow the cached
// ones: commands in between are missing, so that accepting them would lose the hashes of
// those commands.
func TestAggregateCacheIgnoresStaleBases(t *testing.T) {
	const stream, kind = "task-t1", "items"
	at := func(revision domain.Revision, state string) commands.Aggregate {
		return commands.Aggregate{State: state, Revision: revision, Position: domain.Position(revision) + 1}
	}
	m := newAggregateCache(0)
	remembers := func(when string, revision domain.Revision, state string, wrote ...string) {
		t.Helper()
		past, known, _ := m.Get(stream, kind, "")
		if !known || past.Revision != revision || past.State != state {
			t.Fatalf("%s: want %q at revision %d, found %+v, %v", when, state, revision, past, known)
		}
		for _, command := range []string{"a", "b", "c"} {
			if _, _, found := m.Get(stream, kind, command); found != slices.Contains(wrote, command) {
				t.Errorf("%s: want only %q to have written, found %q: %v", when, wrote, command, found)
			}
		}
	}
	m.Put(stream, kind, 3, at(4, "from nowhere"), []string{"a"}, 1)
	if _, known, _ := m.Get(stream, kind, "a"); known {
		t.Fatal("want a state ignored that rests on one that was forgotten")
	}
	m.Put(stream, kind, domain.NoStream, at(5, "read"), []string{"a"}, 1)
	remembers("read whole", 5, "read", "a")
	m.Put(stream, kind, 7, at(8, "ahead"), []string{"c"}, 1)
	remembers("a base ahead", 5, "read", "a")
	m.Put(stream, kind, 4, at(6, "behind"), []string{"c"}, 1)
	remembers("a base behind", 5, "read", "a")
	m.Put(stream, kind, domain.NoStream, at(4, "read earlier"), []string{"c"}, 1)
	remembers("read whole before", 5, "read", "a")
	m.Extend(stream, []domain.Envelope{{Revision: 7, Meta: domain.Meta{Command: "c"}}})
	remembers("events with a gap", 5, "read", "a")
	m.Extend(stream, []domain.Envelope{{Revision: 5, Meta: domain.Meta{Command: "c"}}})
	remembers("events again", 5, "read", "a")
	m.Put(stream, kind, 5, at(6, "next"), []string{"b"}, 1)
	remembers("the base itself", 6, "next", "a", "b")
}
