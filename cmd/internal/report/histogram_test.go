package report

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A percentile is within 1.6 % of the exact one, or within a millisecond.
func TestPercentilesAreAsNearAsTheySay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOfN(rapid.Int64Range(0, int64(400*24*time.Hour)), 1, 300).Draw(t, "durations")
		var h, left, right Histogram
		exact := make([]time.Duration, 0, len(all))
		for i, n := range all {
			h.Add(time.Duration(n))
			if i%2 == 0 {
				left.Add(time.Duration(n))
			} else {
				right.Add(time.Duration(n))
			}
			exact = append(exact, time.Duration(n))
		}
		slices.Sort(exact)
		left.Merge(&right)
		for _, percent := range []int{1, 50, 95, 99, 100} {
			want, found := percentileOf(exact, percent), h.Percentile(uint64(percent))
			if off := (found - want).Abs(); off > time.Millisecond && float64(off) > 0.016*float64(want) {
				t.Fatalf("p%d: want %v, found %v", percent, want, found)
			}
			if merged := left.Percentile(uint64(percent)); merged != found {
				t.Fatalf("p%d: found %v in one and %v in two that were merged", percent, found, merged)
			}
		}
		if h.Max() != exact[len(exact)-1] || h.Count() != uint64(len(all)) || len(h.counts) > 1200 {
			t.Fatalf("found max %v of %d in %d buckets", h.Max(), h.Count(), len(h.counts))
		}
	})
}

func TestBucketsMeet(t *testing.T) {
	last := -1
	for ms := uint64(0); ms < 1<<14; ms++ {
		bucket := bucketOf(ms)
		if bucket != last && bucket != last+1 {
			t.Fatalf("%d ms: want bucket %d or the next, found %d", ms, last, bucket)
		}
		last = bucket
		if middle := middleOf(bucket); bucketOf(uint64(middle.Milliseconds())) != bucket {
			t.Fatalf("bucket %d: its middle %v lies in %d", bucket, middle, bucketOf(uint64(middle.Milliseconds())))
		}
	}
}

// However long the log, the bins are bounded and count everything.
func TestSeriesStaysBounded(t *testing.T) {
	var s series
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range 5000 {
		at := start.Add(time.Duration(i) * 17 * time.Minute)
		s.at(at).arrived++
		s.level(at, i, 1)
	}
	s.at(start.Add(-time.Hour)).arrived++ // a clock that went back
	s.level(time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), 7, 0)
	points := s.points()
	arrived, peak := 0, 0
	for _, point := range points {
		arrived += point.Arrived
		peak = max(peak, point.Peak)
	}
	if len(points) > maxBins || arrived != 5001 || peak != 4999 || points[len(points)-1].Pending != 7 {
		t.Errorf("found %d bins, %d arrived, peak %d, %d pending at the end", len(points), arrived, peak, points[len(points)-1].Pending)
	}
}
