package work

import (
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
)

// MomentRow marks where on the log items began to end at a moment, so that a
// question about a time finds its place in the history. Clocks may run back:
// whatever ended at or after Position ended at or after At, less Back.
type MomentRow struct {
	At       time.Time       `json:"at"`
	Position domain.Position `json:"position"`
	Back     int64           `json:"back_us,omitempty"` // of the last one: how far behind a mark anything ever ended
}

// momentStep is how far marks are apart at least.
const momentStep = 10 * time.Second

// lastMoment is the key of another copy of the last mark; it sorts behind all.
const lastMoment = "~"

// noteEnd marks the moment of an end, if it is a step later than any before.
func noteEnd(tx projections.Tx, e domain.Envelope) error {
	last, found, err := workMomentsTable.Get(tx, lastMoment)
	if err != nil {
		return err
	}
	switch {
	case !found || !e.Time.Before(last.At.Add(momentStep)):
		last.At, last.Position = e.Time, e.Position
		if err := workMomentsTable.Put(tx, projections.TimeKey(e.Time), MomentRow{At: e.Time, Position: e.Position}); err != nil {
			return err
		}
	case last.At.Sub(e.Time).Microseconds() > last.Back:
		last.Back = last.At.Sub(e.Time).Microseconds()
	default:
		return nil
	}
	return workMomentsTable.Put(tx, lastMoment, last)
}

// endedBetween bounds the positions at which items ended at or after one moment
// and before another (zero: no bound). Whatever ended in time lies between them;
// some of what lies there may have ended out of it.
func endedBetween(v projections.View, since, until time.Time) (from, to domain.Position, err error) {
	if !since.IsZero() { // what ended before a mark ended less than a step after the one before it
		for entry, err := range workMomentsTable.Scan(v, projections.Span{From: projections.TimeKey(since) + "\x00", Reverse: true}) {
			if err != nil {
				return 0, 0, err
			}
			from = entry.Row.Position
			break
		}
	}
	if !until.IsZero() {
		last, _, err := workMomentsTable.Get(v, lastMoment)
		if err != nil {
			return 0, 0, err
		}
		after := until.Add(time.Duration(last.Back) * time.Microsecond)
		for entry, err := range workMomentsTable.Scan(v, projections.Span{From: projections.TimeKey(after)}) {
			if err != nil {
				return 0, 0, err
			}
			if entry.Key != lastMoment {
				to = entry.Row.Position
			}
			break
		}
	}
	return from, to, nil
}
