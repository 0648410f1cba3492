package pairing

import (
	"testing"

	"pgregory.net/rapid"
)

// best tries every matching.
func best(n int, weight func(i, j int) int64) int64 {
	used := make([]bool, n)
	var from func(i int) int64
	from = func(i int) int64 {
		for i < n && used[i] {
			i++
		}
		if i == n {
			return 0
		}
		used[i] = true
		most := from(i + 1)
		for j := i + 1; j < n; j++ {
			if w := weight(i, j); !used[j] && w > 0 {
				used[j] = true
				most = max(most, w+from(i+1))
				used[j] = false
			}
		}
		used[i] = false
		return most
	}
	return from(0)
}

func TestHeaviestIsTheHeaviest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 10).Draw(t, "n")
		most := rapid.SampledFrom([]int64{1, 3, 10, 1 << 58}).Draw(t, "most")
		weights := make([][]int64, n)
		for i := range weights {
			weights[i] = make([]int64, n)
			for j := range i {
				if rapid.IntRange(0, 3).Draw(t, "edge") > 0 {
					weights[i][j] = rapid.Int64Range(1, most).Draw(t, "weight")
					weights[j][i] = weights[i][j]
				}
			}
		}
		weight := func(i, j int) int64 { return weights[i][j] }
		found := int64(0)
		for i, j := range heaviest(n, weight) {
			if j < 0 {
				continue
			}
			if other := heaviest(n, weight)[j]; other != i || weights[i][j] == 0 {
				t.Fatalf("%d is matched with %d, which is matched with %d", i, j, other)
			}
			if i < j {
				found += weights[i][j]
			}
		}
		if want := best(n, weight); found != want {
			t.Errorf("want a weight of %d, found %d", want, found)
		}
	})
}

func BenchmarkHeaviest(b *testing.B) {
	weight := func(i, j int) int64 {
		return 1_000_000 + int64((i*7919+j*104729+(i^j)*31)%99991) + int64((j*7919+i*104729)%99991)
	}
	for b.Loop() {
		heaviest(256, weight)
	}
}
