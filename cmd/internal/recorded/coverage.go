package recorded

import (
	"iter"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/admin"
)

// coverage follows which of several text logs were being written, so that a
// stretch of time that none of them covers is named.
type coverage struct {
	r     *reading
	files []int
	begun map[int]bool
	ended map[int]bool
}

// shortestGap is the least time between recordings that is worth a word.
const shortestGap = 10 * time.Minute

func newCoverage(r *reading, files []int) *coverage {
	return &coverage{r: r, files: files, begun: map[int]bool{}, ended: map[int]bool{}}
}

// until yields the lines of a log and notes its end.
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

// reach notes a line of a log. Where it is the first and every log before it had
// ended, it says from when to when nothing was recorded.
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
			return nil // it goes on
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
