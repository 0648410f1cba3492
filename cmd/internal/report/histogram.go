package report

import (
	"math/bits"
	"time"
)

// Histogram counts durations in buckets of growing width, so that millions of them take a
// few kilobytes. Below 64 ms a bucket is 1 ms wide; above, each power of two is divided
// into 32 buckets. A percentile is the middle of its bucket, which is wrong by at most
// 1/64 (1.6 %). Count, mean and maximum are exact. The zero value is empty.
type Histogram struct {
	counts []uint64 // up to the largest bucket seen
	count  uint64
	sum    time.Duration
	max    time.Duration
}

const (
	exactBelow = 64 // milliseconds
	subBuckets = 32
)

// bucketOf returns the bucket of a duration in milliseconds.
func bucketOf(ms uint64) int {
	if ms < exactBelow {
		return int(ms)
	}
	power := bits.Len64(ms) - 1 // at least 6
	return exactBelow + (power-6)*subBuckets + int(ms>>(power-5)) - subBuckets
}

// middleOf returns the middle of a bucket.
func middleOf(bucket int) time.Duration {
	if bucket < exactBelow {
		return time.Duration(bucket) * time.Millisecond
	}
	power, part := (bucket-exactBelow)/subBuckets+6, uint64((bucket-exactBelow)%subBuckets+subBuckets)
	width := time.Millisecond << (power - 5)
	return time.Duration(part)*width + width/2
}

// Add counts a duration. A negative one, which clocks that disagree cause, counts as 0.
func (h *Histogram) Add(d time.Duration) {
	d = max(d, 0)
	bucket := bucketOf(uint64(d.Milliseconds()))
	for len(h.counts) <= bucket {
		h.counts = append(h.counts, 0)
	}
	h.counts[bucket]++
	h.count++
	h.sum += d
	h.max = max(h.max, d)
}

// Merge adds the durations of another histogram.
func (h *Histogram) Merge(other *Histogram) {
	for len(h.counts) < len(other.counts) {
		h.counts = append(h.counts, 0)
	}
	for i, n := range other.counts {
		h.counts[i] += n
	}
	h.count += other.count
	h.sum += other.sum
	h.max = max(h.max, other.max)
}

// Count returns the number of durations.
func (h *Histogram) Count() uint64 { return h.count }

// Max returns the longest duration; 0 if there is none.
func (h *Histogram) Max() time.Duration { return h.max }

// Mean returns the mean duration; 0 if there is none.
func (h *Histogram) Mean() time.Duration {
	if h.count == 0 {
		return 0
	}
	return h.sum / time.Duration(h.count)
}

// Percentile returns the duration that percent of the durations do not exceed, by nearest
// rank; 0 if there is none.
func (h *Histogram) Percentile(percent uint64) time.Duration {
	if h.count == 0 {
		return 0
	}
	rank := max((h.count*percent+99)/100, 1)
	for bucket, n := range h.counts {
		if rank <= n {
			return min(middleOf(bucket), h.max)
		}
		rank -= n
	}
	return h.max
}

// percentileOf returns the exact percentile of sorted durations, by nearest rank.
func percentileOf(sorted []time.Duration, percent int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[max((len(sorted)*percent+99)/100, 1)-1]
}
