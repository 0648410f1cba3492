package node

import (
	"container/list"
	"hash/maphash"
	"reflect"
	"sync"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
)

// maxAggregates and maxAggregateBytes bound an aggregateCache. An aggregate that is not in
// it is read from the log.
const (
	maxAggregates     = 16384
	maxAggregateBytes = 128 << 20
	maxTail           = 1024 // events of one stream that are not folded yet
)

// aggregateCache keeps the most recently used aggregates, each with hashes of the ids of
// all commands that wrote to its stream.
type aggregateCache struct {
	mu       sync.Mutex
	seed     maphash.Seed
	streams  map[domain.StreamID]*list.Element // of *cachedAggregate
	recent   *list.List                        // the most recently used first
	bytes    int
	maxCount int
	maxBytes int
}

type cachedAggregate struct {
	stream    domain.StreamID
	kind      any
	aggregate commands.Aggregate
	wrote     map[uint64]struct{} // hashes of the ids of commands
	weight    int                 // estimated bytes
	state     int                 // bytes that State referred to when it was measured
	payload   int                 // bytes of payload since then
}

func newAggregateCache(bytes int64) *aggregateCache {
	if bytes == 0 {
		bytes = maxAggregateBytes
	}
	return &aggregateCache{seed: maphash.MakeSeed(), streams: map[domain.StreamID]*list.Element{}, recent: list.New(), maxCount: maxAggregates, maxBytes: int(bytes)}
}

// Get returns the aggregate of a stream.
func (m *aggregateCache) Get(stream domain.StreamID, kind any, command string) (aggregate commands.Aggregate, known, wrote bool) {
	hash := maphash.String(m.seed, command)
	m.mu.Lock()
	defer m.mu.Unlock()
	at, known := m.streams[stream]
	if !known || at.Value.(*cachedAggregate).kind != kind {
		return commands.Aggregate{}, false, false
	}
	m.recent.MoveToFront(at)
	one := at.Value.(*cachedAggregate)
	_, wrote = one.wrote[hash]
	return one.aggregate, true, wrote
}

// Put stores the aggregate of a stream.
func (m *aggregateCache) Put(stream domain.StreamID, kind any, from domain.Revision, aggregate commands.Aggregate, ids []string, bytes int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at, known := m.streams[stream]
	if !known {
		if from != domain.NoStream {
			return // it was evicted, and with it the hashes of earlier commands
		}
		at = m.recent.PushFront(&cachedAggregate{stream: stream})
		m.streams[stream] = at
	}
	one := at.Value.(*cachedAggregate)
	switch {
	case !known || from == domain.NoStream && (one.kind != kind || one.aggregate.Revision < aggregate.Revision):
		*one = cachedAggregate{stream: stream, kind: kind, weight: one.weight, wrote: make(map[uint64]struct{}, len(ids))}
	case one.kind != kind || one.aggregate.Revision != from:
		return
	}
	one.aggregate = aggregate
	for _, id := range ids {
		one.wrote[maphash.String(m.seed, id)] = struct{}{}
	}
	m.weigh(one, bytes)
}

// Extend adds events that were appended without reading the stream. An aggregate that Get
// returned before does not change.
func (m *aggregateCache) Extend(stream domain.StreamID, events []domain.Envelope) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at, known := m.streams[stream]
	if !known || len(events) == 0 {
		return
	}
	one := at.Value.(*cachedAggregate)
	aggregate := &one.aggregate
	if aggregate.Revision+1 != events[0].Revision || len(aggregate.Tail)+len(events) > maxTail {
		return // it stays behind, and the next decision reads the events that it lacks
	}
	bytes := 0
	for _, e := range events {
		e.Event = nil
		aggregate.Tail = append(aggregate.Tail, e)
		aggregate.Revision, aggregate.Position = e.Revision, e.Position
		one.wrote[maphash.String(m.seed, e.Meta.Command)] = struct{}{}
		bytes += len(e.Data)
	}
	m.weigh(one, bytes)
}

// The estimated bytes of an entry with its envelopes, of a hash in a map, and the bytes of
// payload from which on a state is measured.
const (
	aggregateWeight = 1 << 10
	wroteWeight     = 24
	measureFrom     = 16 << 10
)

// weigh updates the weight of an entry after bytes more of payload, and evicts entries
// beyond the bounds. The weight of a state is the payload that was folded into it, until
// that is measureFrom bytes; then it is measured, and again when it may have doubled.
func (m *aggregateCache) weigh(one *cachedAggregate, bytes int) {
	one.payload += bytes
	if one.payload > one.state+measureFrom {
		one.state, one.payload = sizeOf(one.aggregate.State), 0
		for _, e := range one.aggregate.Tail {
			one.payload += len(e.Data)
		}
	}
	m.bytes -= one.weight
	one.weight = aggregateWeight + one.state + one.payload + wroteWeight*len(one.wrote)
	m.bytes += one.weight
	if one.weight > m.maxBytes/2 {
		m.forget(m.streams[one.stream]) // it would evict too many others
	}
	for m.recent.Len() > m.maxCount || m.bytes > m.maxBytes {
		m.forget(m.recent.Back())
	}
}

func (m *aggregateCache) forget(at *list.Element) {
	old := m.recent.Remove(at).(*cachedAggregate)
	delete(m.streams, old.stream)
	m.bytes -= old.weight
}

// sizeOf returns about how many bytes a value takes with all that it refers to. What two
// parts share by pointer counts once.
func sizeOf(value any) int {
	seen := map[uintptr]bool{}
	var of func(v reflect.Value) int
	// of returns the bytes that a value refers to, without its own.
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

// plain reports whether values of a type refer to nothing.
func plain(t reflect.Type) bool {
	return t.Kind() >= reflect.Bool && t.Kind() <= reflect.Complex128
}
