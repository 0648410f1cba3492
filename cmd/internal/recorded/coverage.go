package recorded

import (
	"iter"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/admin"
)

// coverage finds the gaps in time that none of several text logs covers.
type coverage struct {
	r     *reading
	files []int
	begun map[int]bool // files of which a line was read
	ended map[int]bool // files that were read to their end
}

// shortestGap is the shortest gap that becomes an event.
const shortestGap = 10 * time.Minute

func newCoverage(r *reading, files []int) *coverage {
	return &coverage{r: r, files: files, begun: map[int]bool{}, ended: map[int]bool{}}
}

// until yields the lines of a file and records its end.
func (c *coverage) until(file int, lines iter.Seq2[stamped, error]) iter.Seq2[stamped, error] {
	return func(yield func(stamped, error) bool) {
		for line, err := range lines {
			if !yield(line, err) {
				return
			}
		}
		c.ended[file] = true
	}
}

// reach handles the start of a file. If every file that began before it has ended, it
// emits a RecordingGap for the time between, from shortestGap on.
func (c *coverage) reach(file int) error {
	if c.begun[file] {
		return nil
	}
	c.begun[file] = true
	var from, until time.Time
	var before, after string
	for _, i := range c.files {
		report := &c.r.report.Files[i]
		switch {
		case report.First == nil:
		case c.ended[i] && c.begun[i] && i != file:
			if report.Last.After(from) {
				from, before = *report.Last, report.Name
			}
		case c.begun[i] && i != file:
			return nil // that file covers the time
		case until.IsZero() || report.First.Before(until):
			until, after = *report.First, report.Name
		}
	}
	if from.IsZero() || until.Sub(from) < shortestGap {
		return nil
	}
	stream := admin.Stream(c.r.options.Cluster)
	return c.r.emit(fact{
		stream: stream, time: until, place: after, meta: domain.Meta{Correlation: after},
		event: admin.RecordingGap{From: domain.Instant(from), Until: domain.Instant(until), Before: before, After: after},
	})
}
