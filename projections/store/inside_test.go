package store

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/ringrift/rift/domain"
)

func TestOrderedAgreesWithASortedSlice(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var o ordered
	var model []string
	for i := range 20000 {
		key := fmt.Sprintf("%05d", random.IntN(6000))
		if i < 3000 {
			key = fmt.Sprintf("%05d", i) // keys that come in order
		}
		place, found := slices.BinarySearch(model, key)
		switch {
		case !found && random.IntN(3) > 0 || i < 3000:
			o.insert(&entry{key: key})
			model = slices.Insert(model, place, key)
		case found && random.IntN(2) == 0:
			o.remove(key)
			model = slices.Delete(model, place, place+1)
		case !found:
			o.remove(key)
		}
		key = fmt.Sprintf("%05d", random.IntN(6001))
		place, found = slices.BinarySearch(model, key)
		after := place
		if found {
			after++
		}
		want := func(i int) string {
			if i < 0 || i >= len(model) {
				return "none"
			}
			return model[i]
		}
		got := func(e *entry) string {
			if e == nil {
				return "none"
			}
			return e.key
		}
		for what, pair := range map[string][2]string{
			"from":  {got(o.from(key)), want(place)},
			"after": {got(o.after(key)), want(after)},
			"below": {got(o.below(key)), want(place - 1)},
			"last":  {got(o.last()), want(len(model) - 1)},
		} {
			if pair[0] != pair[1] {
				t.Fatalf("step %d: %s %s: got %s, want %s", i, what, key, pair[0], pair[1])
			}
		}
	}
	for _, chunk := range o.chunks {
		if len(chunk) == 0 || len(chunk) > chunkMax {
			t.Errorf("chunk of %d", len(chunk))
		}
	}
}

func TestKeyFilterNeverForgetsAndSeldomErrs(t *testing.T) {
	f := newKeyFilter()
	const n = 100_000
	for i := range n {
		f.put(fmt.Sprint("key ", i))
		f.put(fmt.Sprint("key ", i/2)) // again: it takes no more room
	}
	wrong := 0
	for i := range n {
		if !f.mayHave(fmt.Sprint("key ", i)) {
			t.Fatalf("forgot key %d", i)
		}
		if f.mayHave(fmt.Sprint("other ", i)) {
			wrong++
		}
	}
	if wrong > n/4 {
		t.Errorf("want it to spare most searches, found it wrong %d times of %d", wrong, n)
	}
	size := 0
	for _, layer := range f.layers {
		size += 8 * len(layer.words)
	}
	if size > 8*n {
		t.Errorf("want a few bytes for each key, found %d for %d", size, n)
	}
}

// The defaults keep every position of a log of ten million events within 50,000
// events of a snapshot before it, and a longer log never loses its beginning.
func TestThinningKeepsEveryPositionNearASnapshot(t *testing.T) {
	policy := SnapshotPolicy{}.withDefaults()
	random := rand.New(rand.NewPCG(1, 2))
	var list []snapshot
	check := func(most domain.Position) {
		t.Helper()
		var before domain.Position
		for _, kept := range list {
			if kept.position-before > most {
				t.Fatalf("want no gap over %d, found one from %d to %d", most, before, kept.position)
			}
			before = kept.position
		}
	}
	at := domain.Position(0)
	grow := func(upTo domain.Position) {
		for at < upTo {
			at += domain.Position(policy.Every + random.IntN(512)) // a live store takes them a little late
			list = append(list, snapshot{position: at})
			if len(list) > policy.Keep {
				drop := thin(list)
				list = slices.Delete(list, drop, drop+1)
			}
		}
	}
	for upTo := domain.Position(1_000_000); upTo <= 10_000_000; upTo += 1_000_000 {
		grow(upTo)
		check(50_000)
	}
	grow(60_000_000)
	if newest := list[len(list)-1].position; newest != at {
		t.Errorf("want the newest at %d kept, found %d", at, newest)
	}
	check(800_000) // among those of the beginning
	for i, kept := range list[1:] {
		if gap := kept.position - list[i].position; at-kept.position < 10_000_000 && gap > 150_000 {
			t.Errorf("want the last ten million dense, found a gap of %d before %d", gap, kept.position)
		}
	}
}

func TestKeysSortAsWhatTheyStandFor(t *testing.T) {
	keys := [][]byte{
		outboxKey(Cursor{}), outboxKey(Cursor{1, "a", 0}), outboxKey(Cursor{1, "a", 1}), outboxKey(Cursor{1, "ab", 0}),
		outboxKey(Cursor{2, "", 0}), outboxKey(Cursor{2, "a", 0}), outboxKey(Cursor{256, "a", 0}),
	}
	if !slices.IsSortedFunc(keys, func(a, b []byte) int { return strings.Compare(string(a), string(b)) }) {
		t.Errorf("want them in order: %q", keys)
	}
	for prefix, want := range map[string]string{"a": "b", "a\xff": "b", "": "", "\xff\xff": "", "a\x00": "a\x01"} {
		if got := string(keyAfter([]byte(prefix))); got != want {
			t.Errorf("after %q: got %q, want %q", prefix, got, want)
		}
	}
}
