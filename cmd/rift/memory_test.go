package main

import (
	"errors"
	"math"
	"testing"

	"github.com/ringrift/rift/cmd/internal/config"
)

// The parts of a memory limit do not exceed it, and none of them is zero.
func TestMemoryIsSharedOut(t *testing.T) {
	for limit := int64(64 << 20); limit <= 1<<40; limit += limit / 3 {
		m := memoryOf(limit)
		if sum := m.collector + m.program() + m.log + m.models + m.past(); sum != limit {
			t.Errorf("%d: want the heap and what lies beside it to be all of it, found %d", limit, sum)
		}
		if held := m.callers + m.aggregates + 2*m.queue; held > m.collector*3/4 {
			t.Errorf("%d: want a quarter of the heap left for the rows in use, found %d of %d held", limit, held, m.collector)
		}
		for name, part := range map[string]int64{"log": m.log, "models": m.models, "aggregates": m.aggregates, "callers": m.callers, "queue": m.queue} {
			if part < limit/64 && part < 1<<20 {
				t.Errorf("%d: want something for %s, found %d", limit, name, part)
			}
		}
	}
	if m := memoryOf(0); m != (memoryPlan{}) {
		t.Errorf("want the usual sizes without a limit, found %+v", m)
	}
}

// The memory limit is the one that was set, or else that of the control group.
func TestMemoryLimit(t *testing.T) {
	allowed := func(limit uint64, err error) func() (uint64, error) {
		return func() (uint64, error) { return limit, err }
	}
	for _, c := range []struct {
		asked   int64
		allowed func() (uint64, error)
		limit   int64
		from    string
	}{
		{1 << 30, allowed(1<<29, nil), 1 << 30, "memory_limit"},
		{0, allowed(1000<<20, nil), 900 << 20, "control group"},
		{0, allowed(0, errors.New("no limit")), 0, ""},
		{0, allowed(1<<63-4096, nil), 0, ""},
	} {
		if limit, from := memoryLimit(c.asked, c.allowed); limit != c.limit || from != c.from {
			t.Errorf("%d: want %d of %q, found %d of %q", c.asked, c.limit, c.from, limit, from)
		}
	}
}

// Every part of the memory plan is applied to its component.
func TestMemoryReachesItsParts(t *testing.T) {
	s := &nodeServer{memory: memoryOf(int64(config.LeastMemory))}
	s.settings.Limits.Connections = 4096
	parts, edge, log := s.nodeConfig("models", false), s.edgeConfig(), s.logOptions()
	if want := 2048; edge.Connections > want || edge.Connections <= 0 {
		t.Errorf("want at most %d connections, found %d", want, edge.Connections)
	}
	if want, calls := 256, s.memory.calls(); calls != want {
		t.Errorf("want %d calls of EventStoreDB clients, found %d", want, calls)
	}
	for name, pair := range map[string][2]int64{
		"the log":                 {log.CacheBytes, 32 << 20},
		"the read models":         {parts.Store.CacheBytes, 16 << 20},
		"the cache of aggregates": {parts.AggregateBytes, 16 << 20},
		"callers":                 {edge.Bytes, 64 << 20},
		"EventStoreDB clients":    {s.memory.clients(), 16 << 20},
		"the queue":               {parts.QueueBytes, s.memory.queue},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: want %d bytes, found %d", name, pair[1], pair[0])
		}
	}
}

// The number of connections is the one that was set, as far as memory and file descriptors
// allow it.
func TestConnectionsFitTheProcess(t *testing.T) {
	for _, c := range []struct {
		asked, memory int
		files         uint64
		want          int
	}{
		{4096, 0, math.MaxUint64, 4096},
		{4096, 2048, math.MaxUint64, 2048},
		{1000, 2048, math.MaxUint64, 1000},
		{4096, 0, 5000, 2800},
		{4096, 0, 1024, 512},
		{4096, 0, 0, 1},
	} {
		if got := boundConnections(c.asked, c.memory, c.files); got != c.want {
			t.Errorf("%d asked, %d in memory, %d files: want %d, found %d", c.asked, c.memory, c.files, c.want, got)
		}
	}
	if files := openFiles(); files < 64 {
		t.Errorf("want the files that this process may open, found %d", files)
	}
}
