package store

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ringrift/rift/projections"
)

// A cachedTable is a sorted map that leaves the one before it as it was.
func TestStockAgreesWithASortedSlice(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	model := map[string]string{}
	listed := func(s *cachedTable, span projections.Span) (keys []string) {
		for one := range s.scan(span) {
			keys = append(keys, one.key+"="+string(one.cell.JSON))
		}
		return keys
	}
	now := &cachedTable{}
	for round := range 600 {
		before, was := now, listed(now, projections.Span{})
		changed := map[string]*entry{}
		for range 1 + random.IntN(12) {
			e := &entry{key: fmt.Sprintf("%c%03d", 'a'+random.IntN(3), random.IntN(150))}
			if random.IntN(5) > 1 == (round%200 < 120) { // it grows, and then it shrinks
				e.cell = &projections.Cell{JSON: fmt.Append(nil, round)}
			}
			changed[e.key] = e
		}
		var rows []pendingRow
		for _, e := range changed {
			if e.cell == nil {
				rows = append(rows, pendingRow{entry: e, change: remove})
				delete(model, e.key)
				continue
			}
			rows = append(rows, pendingRow{entry: e, json: e.cell.JSON})
			model[e.key] = string(e.cell.JSON)
		}
		slices.SortFunc(rows, func(a, b pendingRow) int { return byKey(a.entry, b.entry) })
		now = before.with(rows)
		if again := listed(before, projections.Span{}); !slices.Equal(again, was) {
			t.Fatalf("round %d changed what was shown before it", round)
		}
		if now.rows != len(model) {
			t.Fatalf("round %d: want %d rows, found %d", round, len(model), now.rows)
		}
		key := fmt.Sprintf("%c%03d", 'a'+random.IntN(3), random.IntN(150))
		if one, value := now.get(key), model[key]; (one == nil) != (value == "") || one != nil && string(one.cell.JSON) != value {
			t.Fatalf("round %d: %s: want %q, found %v", round, key, value, one)
		}
		for _, span := range []projections.Span{{}, {Prefix: "b"}, {From: key}, {Prefix: "b", From: key}, {Reverse: true}, {Prefix: "b", Reverse: true}, {From: key, Reverse: true}, {Prefix: key[:1], From: key, Reverse: true}} {
			var want []string
			for k, v := range model {
				if len(span.Prefix) > 0 && k[:1] != span.Prefix || !span.Reverse && k < span.From || span.Reverse && span.From != "" && k >= span.From {
					continue
				}
				want = append(want, k+"="+v)
			}
			slices.Sort(want)
			if span.Reverse {
				slices.Reverse(want)
			}
			if got := listed(now, span); !slices.Equal(got, want) {
				t.Fatalf("round %d, %+v: want %v, found %v", round, span, want, got)
			}
		}
	}
}
