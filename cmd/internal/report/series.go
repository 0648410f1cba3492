package report

import "time"

// maxBins bounds a series: when it is full, neighbours are joined, which doubles the
// width of every bin.
const maxBins = 240

// bin is what happened in one period.
type bin struct {
	arrived, claimed, done int
	touched                bool // level was called
	pending, held          int  // at its end
	peak                   int  // most pending in it
	waits                  Histogram
}

// series is the queue over time, in bins of equal width from origin on.
type series struct {
	origin time.Time
	width  time.Duration
	bins   []bin
}

// at returns the bin of a time. A time before origin belongs to the first bin.
func (s *series) at(moment time.Time) *bin {
	if s.width == 0 {
		s.origin, s.width = moment.Truncate(time.Minute), time.Minute
	}
	for moment.Sub(s.origin)/s.width >= maxBins {
		s.join()
	}
	index := max(int(moment.Sub(s.origin)/s.width), 0)
	for len(s.bins) <= index {
		s.bins = append(s.bins, bin{})
	}
	return &s.bins[index]
}

func (s *series) join() {
	half := make([]bin, 0, maxBins)
	for i := 0; i < len(s.bins); i += 2 {
		joined := s.bins[i]
		if i+1 < len(s.bins) {
			joined.add(&s.bins[i+1])
		}
		half = append(half, joined)
	}
	s.bins, s.width = half, 2*s.width
}

// add joins the next bin to b.
func (b *bin) add(next *bin) {
	b.arrived += next.arrived
	b.claimed += next.claimed
	b.done += next.done
	b.waits.Merge(&next.waits)
	b.peak = max(b.peak, next.peak)
	if next.touched {
		b.touched, b.pending, b.held = true, next.pending, next.held
	}
}

// level records the length of the queue at a time.
func (s *series) level(moment time.Time, pending, held int) {
	b := s.at(moment)
	b.touched, b.pending, b.held, b.peak = true, pending, held, max(b.peak, pending)
}

// Point is one bin of a series in a report.
type Point struct {
	From       time.Time `json:"from"`
	Pending    int       `json:"pending"` // at the end of the bin
	Held       int       `json:"held"`
	Peak       int       `json:"peak_pending"`
	Arrived    int       `json:"arrived"`
	Claimed    int       `json:"claimed"`
	Done       int       `json:"done"`
	WaitP50    Seconds   `json:"wait_p50_seconds"` // of the claims in it; 0 without claims
	WaitP95    Seconds   `json:"wait_p95_seconds"`
	unmeasured bool      // no claim in it
}

// points returns the bins. A bin without events has the level of the one before.
func (s *series) points() []Point {
	points := make([]Point, len(s.bins))
	pending, held := 0, 0
	for i := range s.bins {
		b := &s.bins[i]
		peak := max(b.peak, pending)
		if b.touched {
			pending, held = b.pending, b.held
		}
		points[i] = Point{
			From: s.origin.Add(time.Duration(i) * s.width).UTC(), Pending: pending, Held: held, Peak: peak,
			Arrived: b.arrived, Claimed: b.claimed, Done: b.done,
			WaitP50: seconds(b.waits.Percentile(50)), WaitP95: seconds(b.waits.Percentile(95)), unmeasured: b.waits.count == 0,
		}
	}
	return points
}
