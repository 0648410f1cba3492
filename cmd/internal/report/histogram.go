package report

import (
	"math/bits"
	"time"
)

// Histogram counts durations in buckets that grow with them, so that millions
// of them take a few kilobytes. Below 64 ms a bucket is one millisecond; above,
// every power of two is cut into 32, and a percentile is the middle of its
// bucket: off by 1/64 of itself (1.6 %) at most. Count, sum and extremes are
// exact. The zero value is empty.
type Histogram struct {
	counts []uint64 // grows to the largest bucket seen; at most maxBucket
	count  uint64
	sum    time.Duration
	max    time.Duration
}

const (
	exactBelow = 64 // milliseconds
	subBuckets = 32
)

// bucketOf is the bucket of a number of milliseconds.
func bucketOf(ms uint64) int {
	if ms < exactBelow {
		return int(ms)
	}
	power := bits.Len64(ms) - 1 // at least 6
	return exactBelow + (power-6)*subBuckets + int(ms>>(power-5)) - subBuckets
}

// middleOf is the duration that stands for a bucket.
func middleOf(bucket int) time.Duration {
	if bucket < exactBelow {
		return time.Duration(bucket) * time.Millisecond
	}
	power, part := (bucket-exactBelow)/subBuckets+6, uint64((bucket-exactBelow)%subBuckets+subBuckets)
	width := time.Millisecond << (power - 5)
	return time.Duration(part)*width + width/2
}

// Add counts a duration; one below zero, from clocks that disagree, is zero.
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

// Merge adds what another one counted.
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

// Count is how many durations there are.
func (h *Histogram) Count() uint64 { return h.count }

// Max is the longest; 0 when there is none.
func (h *Histogram) Max() time.Duration { return h.max }

// Mean is their mean; 0 when there is none.
func (h *Histogram) Mean() time.Duration {
	if h.count == 0 {
		return 0
	}
	return h.sum / time.Duration(h.count)
}

// Percentile is the duration that percent of them do not exceed, by nearest
// rank; 0 when there is none.
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

// percentileOf is the same of sorted durations, exactly.
func percentileOf(sorted []time.Duration, percent int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[max((len(sorted)*percent+99)/100, 1)-1]
}
