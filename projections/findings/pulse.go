package findings

import (
	"fmt"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/admin"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/projections"
)

// pulseBeat updates the state of the queue and finds its silences, gaps and excess. change
// updates the counts for an event; nil if the event changes none.
func pulseBeat(tx projections.Tx, e domain.Envelope, change func(*pulseRow)) error {
	if err := findStale(tx, e); err != nil {
		return err
	}
	before, err := findingsPulseTable.Shared(tx, "queue")
	if err != nil {
		return err
	}
	pulse, seen := &pulseRow{}, before != nil && before.ProgressAt != 0
	if before != nil {
		*pulse = *before
	}
	if !seen {
		*pulse = pulseRow{Hard: work.DefaultPolicy().HardLimit, Progress: e.Time, ProgressAt: e.Position, Gap: pulse.Gap}
	}
	// If no items are pending, there may be nothing to record.
	if quiet := e.Time.Sub(pulse.Last); seen && quiet >= silentFor && pulse.Pending > 0 && e.Type != (admin.RecordingGap{}).EventType() {
		if err := find(tx, e, FindingGap, Warning, "behind "+pulse.LastPosition.String(), func(row *FindingRow) {
			row.evidence(pulse.LastPosition, "")
			row.Position = pulse.LastPosition
			row.cover(pulse.Last)
			row.Summary = fmt.Sprintf("nothing was recorded for %s behind %d, from %s to %s", SpanOf(quiet), pulse.LastPosition, pulse.Last.Format(domain.Timestamp), e.Time.Format(domain.Timestamp))
		}); err != nil {
			return err
		}
		pulse.gap(e.Time)
	}
	if quiet := pulse.quiet(); pulse.Pending > 0 && !pulse.Silent && e.Time.Sub(quiet) >= silentFor {
		pulse.Silent = true
		if err := findSilence(tx, e, pulse, quiet); err != nil {
			return err
		}
	}
	pending := pulse.Pending
	if change != nil {
		change(pulse)
	}
	if pending == 0 && pulse.Pending > 0 {
		pulse.Waiting, pulse.Silent = e.Time, false
	}
	over := pulse.Hard > 0 && pulse.Pending > pulse.Hard
	if over && !pulse.Over {
		if err := find(tx, e, FindingOverLimit, Critical, "queue", func(row *FindingRow) {
			row.Summary = fmt.Sprintf("%d items were pending, more than the hard limit of %d", pulse.Pending, pulse.Hard)
		}); err != nil {
			return err
		}
	}
	pulse.Over = over
	if e.Time.After(pulse.Last) {
		pulse.Last = e.Time
	}
	pulse.LastPosition = e.Position
	return findingsPulseTable.PutShared(tx, "queue", pulse)
}

// quiet returns the time since which items have been pending without progress.
func (p *pulseRow) quiet() time.Time {
	quiet := p.Progress
	for _, since := range []time.Time{p.Waiting, p.Gap} {
		if since.After(quiet) {
			quiet = since
		}
	}
	return quiet
}

// gap notes that the log lacks what happened before a time.
func (p *pulseRow) gap(until time.Time) {
	if until.After(p.Gap) {
		p.Gap = until
	}
}

func findSilence(tx projections.Tx, e domain.Envelope, pulse *pulseRow, quiet time.Time) error {
	return find(tx, e, FindingSilent, Warning, "behind "+pulse.ProgressAt.String(), func(row *FindingRow) {
		row.evidence(pulse.ProgressAt, "")
		row.Position = pulse.ProgressAt
		row.cover(quiet)
		row.Summary = fmt.Sprintf("nothing was claimed or finished for %s behind %d while %s pending", row.Lasted, pulse.ProgressAt, were(pulse.Pending))
	})
}

func were(items int) string {
	if items == 1 {
		return "1 item was"
	}
	return fmt.Sprintf("%d items were", items)
}

// progress notes that an item was claimed, reported on or finished.
func (p *pulseRow) progress(e domain.Envelope) {
	if e.Time.After(p.Progress) {
		p.Progress = e.Time
	}
	p.ProgressAt, p.Silent = e.Position, false
}
