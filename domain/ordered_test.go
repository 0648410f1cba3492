package domain

import (
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestOrderedIsAMapThatNeverChanges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type version struct {
			made  Ordered[int]
			Model map[string]int
		}
		versions := []version{{Model: map[string]int{}}}
		for i := range rapid.IntRange(1, 60).Draw(t, "steps") {
			from := versions[rapid.IntRange(0, len(versions)-1).Draw(t, "from")]
			key := fmt.Sprintf("k%d", rapid.IntRange(0, 40).Draw(t, "key"))
			model := maps.Clone(from.Model)
			model[key] = i
			versions = append(versions, version{from.made.With(key, i), model})
		}
		for _, v := range versions {
			var keys []string
			for key, value := range v.made.All() {
				keys = append(keys, key)
				if want, known := v.Model[key]; !known || want != value {
					t.Fatalf("%s: want %d, found %d", key, want, value)
				}
				if found, known := v.made.Get(key); !known || found != value {
					t.Fatalf("get %s: want %d, found %d, %v", key, value, found, known)
				}
			}
			if want := slices.Sorted(maps.Keys(v.Model)); !slices.Equal(keys, want) {
				t.Fatalf("want the keys %v, found %v", want, keys)
			}
			if v.made.Has("never") {
				t.Fatal("want no entry that nobody made")
			}
		}
	})
}

func TestOrderedStaysFlat(t *testing.T) {
	var o Ordered[struct{}]
	const n = 1 << 14
	for i := range n {
		o = o.With(fmt.Sprintf("%08d", i), struct{}{}) // the worst order for a tree that is not turned
	}
	if most := bits.Len(n) * 3 / 2; o.root.height > most {
		t.Errorf("want a height of at most %d for %d entries, found %d", most, n, o.root.height)
	}
}
