package findings

import (
	"fmt"
	"strings"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/election"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/projections"
)

// findUnadded checks that the first event of an item is the one that adds it. Revisions
// begin with 0, so any other event with revision 0 is about an item that was never added.
func findUnadded(tx projections.Tx, e domain.Envelope, id domain.TaskID) error {
	if e.Revision != 0 {
		return nil
	}
	return find(tx, e, FindingLost, Critical, "never added", func(row *FindingRow) {
		row.detail(string(id))
		row.Summary = fmt.Sprintf("items were worked on that nobody had added, %s; first %s at %d", timesOf(row.Count), row.Details[0], row.Position)
	})
}

func findSpawned(tx projections.Tx, e domain.Envelope, event work.Spawned) error {
	if strings.HasPrefix(event.Origin, election.OriginInvented) {
		if err := find(tx, e, FindingInvented, Warning, event.Origin, func(row *FindingRow) {
			row.detail(string(event.TaskID))
			row.Summary = fmt.Sprintf("%s %s; first %s at %d", CountOf(row.Count, "item"), event.Origin, row.Details[0], row.Position)
		}); err != nil {
			return err
		}
	}
	if strings.HasPrefix(event.Origin, work.OriginRecorded) {
		return pulseBeat(tx, e, nil) // earlier logs, which are not here, say how long it has been pending
	}
	return pulseBeat(tx, e, func(p *pulseRow) { p.Pending++ })
}

// CountOf returns a number with its noun: 1 item, 2 items.
func CountOf(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func findClaimed(tx projections.Tx, e domain.Envelope, event work.Claimed) error {
	if err := findUnadded(tx, e, event.TaskID); err != nil {
		return err
	}
	if after, err := findAfterEnd(tx, e, event.TaskID, "claimed", event.NodeID); after || err != nil {
		return err
	}
	return pulseBeat(tx, e, func(p *pulseRow) {
		p.Pending = max(p.Pending-1, 0)
		p.Held++
		p.progress(e)
	})
}

func findStarted(tx projections.Tx, e domain.Envelope, event work.Started) error {
	if err := findUnadded(tx, e, event.TaskID); err != nil {
		return err
	}
	return pulseBeat(tx, e, func(p *pulseRow) { p.progress(e) })
}

func findHeartbeat(tx projections.Tx, e domain.Envelope, event work.Heartbeat) error {
	if err := findUnadded(tx, e, event.TaskID); err != nil {
		return err
	}
	return pulseBeat(tx, e, func(p *pulseRow) { p.progress(e) })
}

func findCompleted(tx projections.Tx, e domain.Envelope, event work.Completed) error {
	if err := findUnadded(tx, e, event.TaskID); err != nil {
		return err
	}
	if after, err := findAfterEnd(tx, e, event.TaskID, "completed", event.NodeID); after || err != nil {
		return err
	}
	if err := ended(tx, e, event.TaskID, work.StateDone, event.NodeID); err != nil {
		return err
	}
	return pulseBeat(tx, e, func(p *pulseRow) {
		p.Held = max(p.Held-1, 0)
		p.progress(e)
	})
}

// findBack counts an item that is pending again.
func findBack(tx projections.Tx, e domain.Envelope, id domain.TaskID, progress bool) error {
	if err := findUnadded(tx, e, id); err != nil {
		return err
	}
	return pulseBeat(tx, e, func(p *pulseRow) {
		if p.Held > 0 {
			p.Held--
			p.Pending++
		}
		if progress {
			p.progress(e)
		}
	})
}

func findFailed(tx projections.Tx, e domain.Envelope, event work.Failed) error {
	if after, err := findAfterEnd(tx, e, event.TaskID, "failed", event.NodeID); after || err != nil {
		return err
	}
	if err := findFailing(tx, e, event); err != nil {
		return err
	}
	return findBack(tx, e, event.TaskID, true)
}

func findLeaseExpired(tx projections.Tx, e domain.Envelope, event work.LeaseExpired) error {
	return findBack(tx, e, event.TaskID, false)
}

func findReleased(tx projections.Tx, e domain.Envelope, event work.Released) error {
	return findBack(tx, e, event.TaskID, false)
}

func findRevoked(tx projections.Tx, e domain.Envelope, event work.Revoked) error {
	return findBack(tx, e, event.TaskID, false)
}

func findDead(tx projections.Tx, e domain.Envelope, event work.Dead) error {
	if err := ended(tx, e, event.TaskID, work.StateDead, ""); err != nil {
		return err
	}
	return pulseBeat(tx, e, func(p *pulseRow) { p.Pending = max(p.Pending-1, 0) })
}

func findCancelled(tx projections.Tx, e domain.Envelope, event work.Cancelled) error {
	if err := ended(tx, e, event.TaskID, work.StateCancelled, ""); err != nil {
		return err
	}
	return pulseBeat(tx, e, func(p *pulseRow) {
		if event.Lease != 0 {
			p.Held = max(p.Held-1, 0)
		} else {
			p.Pending = max(p.Pending-1, 0)
		}
	})
}

func findDropped(tx projections.Tx, e domain.Envelope, event work.Dropped) error {
	if err := ended(tx, e, event.TaskID, work.StateExpired, ""); err != nil {
		return err
	}
	if err := find(tx, e, FindingLost, Critical, "dropped: "+event.Reason, func(row *FindingRow) {
		row.detail(string(event.TaskID))
		row.Summary = fmt.Sprintf("%s dropped from the queue unworked (%s); first %s at %d", CountOf(row.Count, "item"), event.Reason, row.Details[0], row.Position)
	}); err != nil {
		return err
	}
	return pulseBeat(tx, e, func(p *pulseRow) { p.Pending = max(p.Pending-1, 0) })
}

func findRefused(tx projections.Tx, e domain.Envelope, event work.Refused) error {
	if err := find(tx, e, FindingOverLimit, Critical, "queue", func(row *FindingRow) {
		row.detail(string(event.TaskID))
		row.Summary = fmt.Sprintf("the queue was full, seen %s; the last item refused was %s with %d pending of %d", timesOf(row.Count), event.TaskID, event.Pending, event.Limit)
	}); err != nil {
		return err
	}
	return pulseBeat(tx, e, nil)
}

func findPressure(tx projections.Tx, e domain.Envelope, event work.BackpressureActivated) error {
	if event.HardLimit > 0 && event.Pending > event.HardLimit {
		if err := find(tx, e, FindingOverLimit, Critical, "queue", func(row *FindingRow) {
			row.Summary = fmt.Sprintf("the queue was over its limit, seen %s; last with %d pending of %d", timesOf(row.Count), event.Pending, event.HardLimit)
		}); err != nil {
			return err
		}
	}
	return pulseBeat(tx, e, nil)
}

func findRejected(tx projections.Tx, e domain.Envelope, event work.CompletionRejected) error {
	subject := string(event.NodeID)
	if subject == "" {
		subject = "unnamed"
	}
	if err := find(tx, e, FindingGhost, Warning, subject, func(row *FindingRow) {
		row.detail(fmt.Sprintf("%s of %s under lease %d (%s) at %d", event.Verb, event.TaskID, event.Lease, event.Reason, e.Position))
		row.Summary = fmt.Sprintf("%s reported %s on items it does not hold, last the %s of %s under lease %d: %s", subject, timesOf(row.Count), event.Verb, event.TaskID, event.Lease, event.Reason)
	}); err != nil {
		return err
	}
	return pulseBeat(tx, e, nil)
}

func findPolicy(tx projections.Tx, e domain.Envelope, event domain.PolicyChanged) error {
	if event.Name != domain.PolicyDefaultName {
		return nil
	}
	return pulseBeat(tx, e, func(p *pulseRow) { p.Hard = work.PolicyOf(event.Policy).HardLimit })
}
