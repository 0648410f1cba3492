package main

import (
	"errors"
	"testing"

	"github.com/ringrift/rift/cmd/internal/config"
)

// The parts of a limit are never more than it, and no part is nothing.
func TestMemoryIsSharedOut(t *testing.T) {
	for limit := int64(64 << 20); limit <= 1<<40; limit += limit / 3 {
		m := memoryOf(limit)
		if sum := m.collector + m.program() + m.log + m.models + m.past(); sum != limit {
			t.Errorf("%d: want the heap and what lies beside it to be all of it, found %d", limit, sum)
		}
		if held := m.callers + m.remembered; held > m.collector*3/4 {
			t.Errorf("%d: want a quarter of the heap left for the queue and the rows in use, found %d of %d held", limit, held, m.collector)
		}
		for name, part := range map[string]int64{"log": m.log, "models": m.models, "remembered": m.remembered, "callers": m.callers} {
			if part < limit/64 && part < 1<<20 {
				t.Errorf("%d: want something for %s, found %d", limit, name, part)
			}
		}
	}
	if m := memoryOf(0); m != (memoryPlan{}) {
		t.Errorf("want the usual sizes without a limit, found %+v", m)
	}
}

// What is asked for counts, then what the control group allows.
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

// Every part of the plan reaches what it is for.
func TestMemoryReachesItsParts(t *testing.T) {
	s := &nodeServer{memory: memoryOf(int64(config.LeastMemory))}
	parts, edge, log := s.nodeConfig("models", false), s.edgeConfig(), s.logOptions()
	for name, pair := range map[string][2]int64{
		"the log":                             {log.CacheBytes, 32 << 20},
		"the read models":                     {parts.Store.CacheBytes, 16 << 20},
		"what is remembered between commands": {parts.Remembered, 16 << 20},
		"callers":                             {edge.Bytes, 64 << 20},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: want %d bytes, found %d", name, pair[1], pair[0])
		}
	}
}
