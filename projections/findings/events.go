package findings

import (
	"fmt"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/admin"
	"github.com/ringrift/rift/domain/gauntlet"
	"github.com/ringrift/rift/projections"
)

func findUnhandled(tx projections.Tx, e domain.Envelope, event admin.EventUnhandled) error {
	return find(tx, e, FindingWiring, Warning, event.Name, func(row *FindingRow) {
		row.Summary = fmt.Sprintf("%s was published %s: %s (reported by %s)", event.Name, timesOf(row.Count), event.Reason, event.Reporter)
	})
}

// findDamaged keeps one finding for all events that the log has lost.
func findDamaged(tx projections.Tx, e domain.Envelope, _ admin.EventLost) error {
	return find(tx, e, FindingDamaged, Critical, "log", func(row *FindingRow) {
		row.Summary = "1 event of the log was damaged on disk and is lost: what it said is in no state that follows from the log"
		if row.Count > 1 {
			row.Summary = fmt.Sprintf("%d events of the log were damaged on disk and are lost: what they said is in no state that follows from the log", row.Count)
		}
	})
}

func findPoller(tx projections.Tx, e domain.Envelope, event gauntlet.PollerResumed) error {
	name := projections.Pair(string(event.NodeID), event.Poller)
	before, seen, err := findingsCursorTable.Get(tx, name)
	if err != nil {
		return err
	}
	// The lines of a file may be in reverse order, so the later one is found by its time.
	from, to := before.AfterID, event.AfterID
	if e.Time.Before(before.At) {
		from, to = to, from
	}
	if seen && to < from {
		subject := event.Poller + " on " + string(event.NodeID)
		if err := find(tx, e, FindingCursor, Warning, subject, func(row *FindingRow) {
			row.evidence(before.Position, before.Source)
			row.Summary = fmt.Sprintf("%s went on from event %d, having been at %d: the shared table was replaced, events in it are lost or read again", subject, to, from)
		}); err != nil {
			return err
		}
	}
	if seen && e.Time.Before(before.At) {
		return nil
	}
	return findingsCursorTable.Put(tx, name, cursorRow{event.AfterID, e.Time, e.Position, e.Meta.Correlation})
}

func findEvaluationDead(tx projections.Tx, e domain.Envelope, event gauntlet.EvaluationDead) error {
	return find(tx, e, FindingUnrated, Warning, event.Model, func(row *FindingRow) {
		row.Summary = fmt.Sprintf("%s was given up %s without a measurement: %s", event.Model, timesOf(row.Count), event.Reason)
	})
}

// findCriticalLine keeps one finding for a line that a process logs repeatedly. Lines that
// differ only in numbers are the same line.
func findCriticalLine(tx projections.Tx, e domain.Envelope, event admin.CriticalLogged) error {
	subject := domain.Clip(string(event.NodeID)+" "+event.Logger+": "+withoutNumbers(event.Message), 200)
	return find(tx, e, FindingLine, Critical, subject, func(row *FindingRow) {
		row.Summary = fmt.Sprintf("%s logged on %s %s: %s", event.Logger, event.NodeID, timesOf(row.Count), domain.Clip(event.Message, 300))
	})
}

// withoutNumbers returns a text with every number replaced by #.
func withoutNumbers(text string) string {
	short := make([]rune, 0, len(text))
	for _, r := range text {
		if r >= '0' && r <= '9' {
			if n := len(short); n > 0 && short[n-1] == '#' {
				continue
			}
			r = '#'
		}
		short = append(short, r)
	}
	return string(short)
}

func findFailover(tx projections.Tx, e domain.Envelope, event admin.StandbyTookOver) error {
	return find(tx, e, FindingFailover, Critical, string(event.NodeID), func(row *FindingRow) {
		row.Summary = fmt.Sprintf("%s took over as coordinator %s: %s", event.NodeID, timesOf(row.Count), event.Reason)
	})
}

// findGap reports a period without recordings. What could have happened in it is not
// judged.
func findGap(tx projections.Tx, e domain.Envelope, event admin.RecordingGap) error {
	if err := find(tx, e, FindingGap, Warning, "before "+event.After, func(row *FindingRow) {
		row.cover(event.From)
		after := "the recording ended"
		if event.Before != "" {
			after = event.Before + " ended"
		}
		row.Summary = fmt.Sprintf("nothing was recorded for %s: %s at %s, %s begins at %s", SpanOf(event.Until.Sub(event.From)), after, event.From.Format(domain.Timestamp), event.After, event.Until.Format(domain.Timestamp))
	}); err != nil {
		return err
	}
	pulse, _, err := findingsPulseTable.Get(tx, "queue")
	if err != nil {
		return err
	}
	pulse.gap(event.Until)
	if err := findingsPulseTable.Put(tx, "queue", pulse); err != nil {
		return err
	}
	return pulseBeat(tx, e, nil)
}
