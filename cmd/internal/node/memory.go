package node

import (
	"container/list"
	"hash/maphash"
	"reflect"
	"sync"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
)

// The bounds of what is remembered of streams. What is beyond them is read from
// the log when it is needed again.
const (
	maxPasts     = 16384
	maxPastBytes = 128 << 20
	maxTail      = 1024 // events of one stream that are not folded yet
)

// memory remembers what streams come to, those used last. It holds the ids of
// the commands that wrote to each as hashes: one that is not there did not.
type memory struct {
	mu     sync.Mutex
	seed   maphash.Seed
	pasts  map[domain.StreamID]*list.Element // of *remembered
	recent *list.List                        // the one used last in front
	bytes  int
	most   int // of pasts
	heavy  int // most bytes
}

type remembered struct {
	stream  domain.StreamID
	kind    any
	past    commands.Aggregate
	wrote   map[uint64]struct{} // hashes of commands
	weight  int                 // bytes, about
	state   int                 // bytes that State was found to refer to
	payload int                 // bytes of payload since then
}

func newMemory(bytes int64) *memory {
	if bytes == 0 {
		bytes = maxPastBytes
	}
	return &memory{seed: maphash.MakeSeed(), pasts: map[domain.StreamID]*list.Element{}, recent: list.New(), most: maxPasts, heavy: int(bytes)}
}

// Recall gives what a stream comes to.
func (m *memory) Recall(stream domain.StreamID, kind any, command string) (past commands.Aggregate, known, wrote bool) {
	hash := maphash.String(m.seed, command)
	m.mu.Lock()
	defer m.mu.Unlock()
	at, known := m.pasts[stream]
	if !known || at.Value.(*remembered).kind != kind {
		return commands.Aggregate{}, false, false
	}
	m.recent.MoveToFront(at)
	one := at.Value.(*remembered)
	_, wrote = one.wrote[hash]
	return one.past, true, wrote
}

// Keep takes over what a stream comes to.
func (m *memory) Keep(stream domain.StreamID, kind any, from domain.Revision, past commands.Aggregate, ids []string, bytes int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at, known := m.pasts[stream]
	if !known {
		if from != domain.NoStream {
			return // it was forgotten meanwhile, and with it who wrote
		}
		at = m.recent.PushFront(&remembered{stream: stream})
		m.pasts[stream] = at
	}
	one := at.Value.(*remembered)
	switch {
	case !known || from == domain.NoStream && (one.kind != kind || one.past.Revision < past.Revision):
		*one = remembered{stream: stream, kind: kind, weight: one.weight, wrote: make(map[uint64]struct{}, len(ids))}
	case one.kind != kind || one.past.Revision != from:
		return
	}
	one.past = past
	for _, id := range ids {
		one.wrote[maphash.String(m.seed, id)] = struct{}{}
	}
	m.weigh(one, bytes)
}

// Extend takes over events that were appended unread. Whoever was given the tail
// before sees no more of it than then.
func (m *memory) Extend(stream domain.StreamID, events []domain.Envelope) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at, known := m.pasts[stream]
	if !known || len(events) == 0 {
		return
	}
	one := at.Value.(*remembered)
	past := &one.past
	if past.Revision+1 != events[0].Revision || len(past.Tail)+len(events) > maxTail {
		return // it stays behind, and the next decision reads what it misses
	}
	bytes := 0
	for _, e := range events {
		e.Event = nil
		past.Tail = append(past.Tail, e)
		past.Revision, past.Position = e.Revision, e.Position
		one.wrote[maphash.String(m.seed, e.Meta.Command)] = struct{}{}
		bytes += len(e.Data)
	}
	m.weigh(one, bytes)
}

// The weight of what is not measured: an entry with its envelopes, and a hash in
// a map.
const (
	pastWeight  = 1 << 10
	wroteWeight = 24
	measureFrom = 16 << 10
)

// weigh takes an entry's weight anew after so many bytes of payload more, and
// lets go of what is too much. A state is taken to weigh what was folded into it
// until that is a lot: then it is measured, and again when it may have doubled.
func (m *memory) weigh(one *remembered, bytes int) {
	one.payload += bytes
	if one.payload > one.state+measureFrom {
		one.state, one.payload = sizeOf(one.past.State), 0
		for _, e := range one.past.Tail {
			one.payload += len(e.Data)
		}
	}
	m.bytes -= one.weight
	one.weight = pastWeight + one.state + one.payload + wroteWeight*len(one.wrote)
	m.bytes += one.weight
	if one.weight > m.heavy/2 {
		m.forget(m.pasts[one.stream]) // rather than all others
	}
	for m.recent.Len() > m.most || m.bytes > m.heavy {
		m.forget(m.recent.Back())
	}
}

func (m *memory) forget(at *list.Element) {
	old := m.recent.Remove(at).(*remembered)
	delete(m.pasts, old.stream)
	m.bytes -= old.weight
}

// sizeOf is about how many bytes a value refers to. What two parts share counts
// once where they share it by pointer.
func sizeOf(value any) int {
	seen := map[uintptr]bool{}
	var of func(v reflect.Value) int
	// below is what a value refers to, besides its own bytes.
	of = func(v reflect.Value) int {
		switch v.Kind() {
		case reflect.String:
			return v.Len()
		case reflect.Pointer:
			if v.IsNil() || seen[v.Pointer()] {
				return 0
			}
			seen[v.Pointer()] = true
			return int(v.Type().Elem().Size()) + of(v.Elem())
		case reflect.Interface:
			if v.IsNil() {
				return 0
			}
			return int(v.Elem().Type().Size()) + of(v.Elem())
		case reflect.Slice:
			size := v.Cap() * int(v.Type().Elem().Size())
			if plain(v.Type().Elem()) {
				return size
			}
			for i := range v.Len() {
				size += of(v.Index(i))
			}
			return size
		case reflect.Array:
			size := 0
			for i := range v.Len() {
				size += of(v.Index(i))
			}
			return size
		case reflect.Map:
			size := 0
			for entries := v.MapRange(); entries.Next(); {
				size += int(v.Type().Key().Size()+v.Type().Elem().Size()) + of(entries.Key()) + of(entries.Value())
			}
			return size
		case reflect.Struct:
			size := 0
			for i := range v.NumField() {
				size += of(v.Field(i))
			}
			return size
		default:
			return 0
		}
	}
	if value == nil {
		return 0
	}
	v := reflect.ValueOf(value)
	return int(v.Type().Size()) + of(v)
}

// plain tells types whose values refer to nothing.
func plain(t reflect.Type) bool {
	return t.Kind() >= reflect.Bool && t.Kind() <= reflect.Complex128
}
