package work

import (
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
)

// MomentRow marks the position of an item's end and its time, so that queries of a time
// find their place in the history. Clocks may run backwards: items that ended at or after
// Position ended at or after At minus Back.
type MomentRow struct {
	At       time.Time       `json:"at"`
	Position domain.Position `json:"position"`
	Back     int64           `json:"back_us,omitempty"` // of the last mark: the longest time by which an item ended before an earlier mark
}

// momentStep is the least time between two marks.
const momentStep = 10 * time.Second

// lastMoment is the key of a copy of the last mark. It sorts after all others.
const lastMoment = "~"

// noteEnd adds a mark for an end, if it is momentStep later than the last one.
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

// endedBetween returns positions between which all items ended that ended at or after one
// time and before another (zero: no bound). Other items may have ended there too.
func endedBetween(v projections.View, since, until time.Time) (from, to domain.Position, err error) {
	if !since.IsZero() { // items that ended before a mark ended less than momentStep after the mark before it
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
