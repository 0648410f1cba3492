package esdb

import (
	"context"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// PositionAt returns the position of the log at a time: the largest position up to which
// no event is later than t. Times of events are data and may go backwards, so the log is
// read from its beginning up to the first event that is later.
func (l *Log) PositionAt(ctx context.Context, t time.Time) (at domain.Position, err error) {
	for e, err := range l.ReadAll(ctx, 0, eventlog.Forward, eventlog.Filter{}) {
		if err != nil {
			return 0, err
		}
		if e.Time.After(t) {
			break
		}
		at = e.Position
	}
	return at, nil
}
