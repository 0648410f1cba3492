package logtest

import (
	"errors"
	"fmt"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// agreesWithMemory does the same random things to the engine and to the
// reference and compares every answer.
func agreesWithMemory(t *testing.T, open func(testing.TB) eventlog.Log) {
	rapid.Check(t, func(r *rapid.T) {
		scope := &scope{TB: t}
		defer scope.end()
		m := &model{t: t, engine: open(scope), memory: eventlog.NewMemory()}
		r.Repeat(map[string]func(*rapid.T){
			"append":    m.append,
			"repeat":    m.repeat,
			"many":      m.many,
			"limit":     m.limit,
			"stream":    m.readStream,
			"all":       m.readAll,
			"find":      m.find,
			"subscribe": m.subscribe,
			"":          m.heads,
		})
	})
}

// scope ends what was opened for one history before the next.
type scope struct {
	testing.TB
	cleanups []func()
}

func (s *scope) Cleanup(f func()) { s.cleanups = append(s.cleanups, f) }

func (s *scope) end() {
	for len(s.cleanups) > 0 {
		last := len(s.cleanups) - 1
		f := s.cleanups[last]
		s.cleanups = s.cleanups[:last]
		f()
	}
}

type model struct {
	t              *testing.T
	engine, memory eventlog.Log
	appends        []appended
}

type appended struct {
	stream domain.StreamID
	events []eventlog.Proposed
}

var (
	modelStreams   = rapid.SampledFrom([]domain.StreamID{"task-a", "task-ab", "node-a", "elo-a-b"})
	modelRevisions = rapid.OneOf(rapid.Just(domain.AnyRevision), rapid.Just(domain.NoStream), rapid.Just(domain.StreamExists),
		rapid.Custom(func(r *rapid.T) domain.Revision { return domain.Revision(rapid.IntRange(-3, 30).Draw(r, "exact")) }))
	modelDirections = rapid.Custom(func(r *rapid.T) eventlog.Direction {
		return eventlog.Direction(rapid.Bool().Draw(r, "backward"))
	})
)

func (m *model) append(r *rapid.T) {
	w := modelWrite(r)
	m.both(r, w.Stream, w.Expected, w.Events)
}

func modelWrite(r *rapid.T) eventlog.Write {
	stream := modelStreams.Draw(r, "stream")
	expected := modelRevisions.Draw(r, "expected")
	if rapid.Bool().Draw(r, "fitting") {
		expected = domain.AnyRevision
	}
	names := rapid.SliceOfNDistinct(rapid.IntRange(0, 60), 1, 6, rapid.ID[int]).Draw(r, "events")
	made := make([]eventlog.Proposed, len(names))
	for i, name := range names {
		made[i] = event(fmt.Sprint("model", name))
	}
	return eventlog.Write{Stream: stream, Expected: expected, Events: made}
}

// many does in one call what the reference does one by one.
func (m *model) many(r *rapid.T) {
	writes := rapid.SliceOfN(rapid.Custom(modelWrite), 0, 5).Draw(r, "writes")
	found := m.engine.AppendMany(testContext(m.t), writes)
	want := OneByOne(testContext(m.t), m.memory, writes)
	if len(want) != len(found) {
		r.Fatalf("many appends: want %d outcomes, found %d", len(want), len(found))
	}
	for i := range want {
		sameError(r, fmt.Sprint("write ", i), want[i].Err, found[i].Err)
		if !reflect.DeepEqual(want[i].Receipt, found[i].Receipt) {
			r.Fatalf("write %d: want %+v, found %+v", i, want[i].Receipt, found[i].Receipt)
		}
		if want[i].Err == nil {
			m.appends = append(m.appends, appended{writes[i].Stream, writes[i].Events})
		}
	}
}

// repeat sends again a part of what was sent before.
func (m *model) repeat(r *rapid.T) {
	if len(m.appends) == 0 {
		r.Skip("nothing to repeat")
	}
	old := rapid.SampledFrom(m.appends).Draw(r, "append")
	from := rapid.IntRange(0, len(old.events)-1).Draw(r, "from")
	to := rapid.IntRange(from+1, len(old.events)).Draw(r, "to")
	m.both(r, old.stream, modelRevisions.Draw(r, "expected"), old.events[from:to])
}

func (m *model) both(r *rapid.T, stream domain.StreamID, expected domain.Revision, made []eventlog.Proposed) {
	want, wantErr := m.memory.Append(testContext(m.t), stream, expected, made...)
	found, err := m.engine.Append(testContext(m.t), stream, expected, made...)
	sameError(r, "append", wantErr, err)
	if !reflect.DeepEqual(want, found) {
		r.Fatalf("append: want %+v, found %+v", want, found)
	}
	if err == nil {
		m.appends = append(m.appends, appended{stream, made})
	}
}

func (m *model) limit(r *rapid.T) {
	stream := modelStreams.Draw(r, "stream")
	meta := eventlog.StreamMeta{
		MaxCount:       rapid.Int64Range(-1, 8).Draw(r, "count"),
		TruncateBefore: domain.Revision(rapid.IntRange(-1, 12).Draw(r, "truncate")),
		Tombstone:      rapid.IntRange(0, 9).Draw(r, "tombstone") == 0,
	}
	wantErr := curator(m.t, m.memory).SetStreamMeta(testContext(m.t), stream, meta)
	sameError(r, "limit", wantErr, curator(m.t, m.engine).SetStreamMeta(testContext(m.t), stream, meta))
	want, _ := curator(m.t, m.memory).StreamMeta(testContext(m.t), stream)
	found, err := curator(m.t, m.engine).StreamMeta(testContext(m.t), stream)
	if err != nil || want != found {
		r.Fatalf("limits of %s: want %+v, found %+v, %v", stream, want, found, err)
	}
}

func (m *model) readStream(r *rapid.T) {
	stream := modelStreams.Draw(r, "stream")
	from := domain.Revision(rapid.IntRange(-2, 40).Draw(r, "from"))
	if rapid.Bool().Draw(r, "from the end") {
		from = eventlog.EndRevision
	}
	direction := modelDirections.Draw(r, "direction")
	want, _ := collect(m.t, m.memory.Read(testContext(m.t), stream, from, direction))
	found, err := collect(m.t, m.engine.Read(testContext(m.t), stream, from, direction))
	m.same(r, "read of a stream", want, found, err)
}

func (m *model) readAll(r *rapid.T) {
	from := domain.Position(rapid.IntRange(0, 100).Draw(r, "from"))
	if rapid.Bool().Draw(r, "from the end") {
		from = eventlog.End
	}
	direction := modelDirections.Draw(r, "direction")
	filter := m.filter(r)
	want, _ := collect(m.t, m.memory.ReadAll(testContext(m.t), from, direction, filter))
	found, err := collect(m.t, m.engine.ReadAll(testContext(m.t), from, direction, filter))
	m.same(r, "read of everything", want, found, err)
}

func (m *model) filter(r *rapid.T) eventlog.Filter {
	return eventlog.Filter{
		Streams: rapid.SliceOfN(rapid.SampledFrom([]string{"task-", "task-a", "node-", "elo-a-", "zzz"}), 0, 2).Draw(r, "prefixes"),
		Types:   rapid.SliceOfN(rapid.SampledFrom([]string{"KIND_0", "KIND_1", "KIND_2", "KIND_3"}), 0, 3).Draw(r, "types"),
	}
}

func (m *model) find(r *rapid.T) {
	stream := modelStreams.Draw(r, "stream")
	id := event(fmt.Sprint("model", rapid.IntRange(0, 60).Draw(r, "event"))).ID
	want, wantThere, _ := m.memory.Find(testContext(m.t), stream, id)
	found, there, err := m.engine.Find(testContext(m.t), stream, id)
	if err != nil || wantThere != there {
		r.Fatalf("find %s in %s: want %v, found %v, %v", id, stream, wantThere, there, err)
	}
	if diff := differ(want, found); diff != "" {
		r.Fatalf("find %s in %s: %s", id, stream, diff)
	}
}

func (m *model) subscribe(r *rapid.T) {
	head, _ := m.memory.Head(testContext(m.t))
	after := domain.Position(rapid.Uint64Range(0, uint64(head)).Draw(r, "after"))
	filter := m.filter(r)
	want, err := collect(m.t, m.memory.ReadAll(testContext(m.t), after+1, eventlog.Forward, filter))
	m.same(r, "subscription", want, follow(m.t, m.engine, after, head, filter).events, err)
}

func (m *model) heads(r *rapid.T) {
	want, _ := m.memory.Head(testContext(m.t))
	found, err := m.engine.Head(testContext(m.t))
	if err != nil || want != found {
		r.Fatalf("head: want %d, found %d, %v", want, found, err)
	}
}

func (m *model) same(r *rapid.T, what string, want, found []domain.Envelope, err error) {
	if err != nil {
		r.Fatalf("%s: %v", what, err)
	}
	if diff := diffEvents(want, found); diff != "" {
		r.Fatalf("%s: %s", what, diff)
	}
}

// sameError compares codes, and of conflicts what they found.
func sameError(r *rapid.T, what string, want, found error) {
	if (want == nil) != (found == nil) || want != nil && domain.CodeOf(want) != domain.CodeOf(found) {
		r.Fatalf("%s: want the error %v, found %v", what, want, found)
	}
	var wantConflict, conflict *eventlog.Conflict
	if errors.As(want, &wantConflict) && (!errors.As(found, &conflict) || *conflict != *wantConflict) {
		r.Fatalf("%s: want the conflict %v, found %v", what, want, found)
	}
}
