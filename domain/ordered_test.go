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

// TestOrderedIsBalanced has entries come in any order, so that every turn of the
// tree is needed: no branch may have sides whose heights differ by two.
func TestOrderedIsBalanced(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var o Ordered[int]
		for i, key := range rapid.SliceOfN(rapid.StringMatching("[a-z]{1,2}"), 0, 64).Draw(t, "keys") {
			o = o.With(key, i)
			if _, fault := heightOf(o.root); fault != "" {
				t.Fatalf("after %q: %s", key, fault)
			}
		}
	})
}

func heightOf(b *branch[int]) (height int, fault string) {
	if b == nil {
		return 0, ""
	}
	left, fault := heightOf(b.left)
	right, more := heightOf(b.right)
	switch height = max(left, right) + 1; {
	case fault+more != "":
		return height, fault + more
	case left-right > 1 || right-left > 1:
		return height, fmt.Sprintf("want sides of %q alike, found heights %d and %d", b.key, left, right)
	case height != b.height:
		return height, fmt.Sprintf("want %q to be %d tall, found it says %d", b.key, height, b.height)
	}
	return height, ""
}

func TestOrderedFrom(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.StringMatching(`[a-d]{0,3}`)
		var o Ordered[int]
		for i, k := range rapid.SliceOf(key).Draw(t, "keys") {
			o = o.With(k, i)
		}
		from := key.Draw(t, "from")
		var want, found []string
		for k := range o.All() {
			if k >= from {
				want = append(want, k)
			}
		}
		for k := range o.From(from) {
			found = append(found, k)
		}
		if !slices.Equal(want, found) {
			t.Fatalf("from %q: want %v, found %v", from, want, found)
		}
		for k := range o.From(from) {
			if k != want[0] {
				t.Fatalf("want %q first, found %q", want[0], k)
			}
			break
		}
	})
}
