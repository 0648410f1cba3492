package projections

import (
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/ringrift/rift/domain"
)

// pulseBeat moves the queue's pulse: change is what an event does to the counts, nil
// for one that only shows that time went on.
func pulseBeat(tx Tx, e domain.Envelope, change func(*pulseRow)) error {
	pulse, seen, err := findingsPulseTable.Get(tx, "queue")
	if err != nil {
		return err
	}
	if !seen {
		pulse = pulseRow{Hard: builtIn.Work.HardLimit, Progress: e.Time, ProgressAt: e.Position}
	}
	if quiet := pulse.quiet(); pulse.Pending > 0 && !pulse.Silent && e.Time.Sub(quiet) >= silentFor {
		pulse.Silent = true
		if err := findSilence(tx, e, pulse, quiet); err != nil {
			return err
		}
	}
	pending := pulse.Pending
	if change != nil {
		change(&pulse)
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
	return findingsPulseTable.Put(tx, "queue", pulse)
}

// quiet is since when something was pending and nothing happened to it.
func (p *pulseRow) quiet() time.Time {
	if p.Waiting.After(p.Progress) {
		return p.Waiting
	}
	return p.Progress
}

func findSilence(tx Tx, e domain.Envelope, pulse pulseRow, quiet time.Time) error {
	return find(tx, e, FindingSilent, Warning, "behind "+pulse.ProgressAt.String(), func(row *FindingRow) {
		row.evidence(pulse.ProgressAt, "")
		row.Position = pulse.ProgressAt
		row.cover(quiet)
		aside := ""
		if gap := e.Time.Sub(pulse.Last); gap >= silentFor {
			aside = fmt.Sprintf("; for %s of it nothing at all was recorded", spanOf(gap))
		}
		row.Summary = fmt.Sprintf("nothing was claimed or finished for %s behind %d while %s pending%s", row.Lasted, pulse.ProgressAt, were(pulse.Pending), aside)
	})
}

func were(items int) string {
	if items == 1 {
		return "1 item was"
	}
	return fmt.Sprintf("%d items were", items)
}

// progress notes that something was claimed, reported on or finished.
func (p *pulseRow) progress(e domain.Envelope) {
	if e.Time.After(p.Progress) {
		p.Progress = e.Time
	}
	p.ProgressAt, p.Silent = e.Position, false
}

// findUnadded checks that an item's first fact is that it exists. Streams start with
// revision 0, so whatever else stands there is about an item nobody added.
func findUnadded(tx Tx, e domain.Envelope, id domain.TaskID) error {
	if e.Revision != 0 {
		return nil
	}
	return find(tx, e, FindingLost, Critical, "never added", func(row *FindingRow) {
		row.detail(string(id))
		row.Summary = fmt.Sprintf("items were worked on that nobody had added, %s; first %s at %d", timesOf(row.Count), row.Details[0], row.Position)
	})
}

func findSpawned(tx Tx, e domain.Envelope, event domain.TaskSpawned) error {
	if strings.HasPrefix(event.Origin, domain.OriginInvented) {
		if err := find(tx, e, FindingInvented, Warning, event.Origin, func(row *FindingRow) {
			row.detail(string(event.TaskID))
			row.Summary = fmt.Sprintf("%s %s; first %s at %d", countOf(row.Count, "item"), event.Origin, row.Details[0], row.Position)
		}); err != nil {
			return err
		}
	}
	return pulseBeat(tx, e, func(p *pulseRow) { p.Pending++ })
}

func countOf(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func findClaimed(tx Tx, e domain.Envelope, event domain.TaskClaimed) error {
	if err := findUnadded(tx, e, event.TaskID); err != nil {
		return err
	}
	return pulseBeat(tx, e, func(p *pulseRow) {
		p.Pending = max(p.Pending-1, 0)
		p.Held++
		p.progress(e)
	})
}

func findStarted(tx Tx, e domain.Envelope, event domain.TaskStarted) error {
	if err := findUnadded(tx, e, event.TaskID); err != nil {
		return err
	}
	return pulseBeat(tx, e, func(p *pulseRow) { p.progress(e) })
}

func findHeartbeat(tx Tx, e domain.Envelope, event domain.TaskHeartbeat) error {
	if err := findUnadded(tx, e, event.TaskID); err != nil {
		return err
	}
	return pulseBeat(tx, e, func(p *pulseRow) { p.progress(e) })
}

func findCompleted(tx Tx, e domain.Envelope, event domain.TaskCompleted) error {
	if err := findUnadded(tx, e, event.TaskID); err != nil {
		return err
	}
	return pulseBeat(tx, e, func(p *pulseRow) {
		p.Held = max(p.Held-1, 0)
		p.progress(e)
	})
}

// findBack counts an item that is pending again.
func findBack(tx Tx, e domain.Envelope, id domain.TaskID, progress bool) error {
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

func findFailed(tx Tx, e domain.Envelope, event domain.TaskFailed) error {
	return findBack(tx, e, event.TaskID, true)
}

func findLeaseExpired(tx Tx, e domain.Envelope, event domain.TaskLeaseExpired) error {
	return findBack(tx, e, event.TaskID, false)
}

func findReleased(tx Tx, e domain.Envelope, event domain.TaskReleased) error {
	return findBack(tx, e, event.TaskID, false)
}

func findRevoked(tx Tx, e domain.Envelope, event domain.TaskRevoked) error {
	return findBack(tx, e, event.TaskID, false)
}

func findDead(tx Tx, e domain.Envelope, _ domain.TaskDead) error {
	return pulseBeat(tx, e, func(p *pulseRow) { p.Pending = max(p.Pending-1, 0) })
}

func findCancelled(tx Tx, e domain.Envelope, event domain.TaskCancelled) error {
	return pulseBeat(tx, e, func(p *pulseRow) {
		if event.Lease != 0 {
			p.Held = max(p.Held-1, 0)
		} else {
			p.Pending = max(p.Pending-1, 0)
		}
	})
}

func findDropped(tx Tx, e domain.Envelope, event domain.TaskDropped) error {
	if err := find(tx, e, FindingLost, Critical, "dropped: "+event.Reason, func(row *FindingRow) {
		row.detail(string(event.TaskID))
		row.Summary = fmt.Sprintf("%s dropped from the queue unworked (%s); first %s at %d", countOf(row.Count, "item"), event.Reason, row.Details[0], row.Position)
	}); err != nil {
		return err
	}
	return pulseBeat(tx, e, func(p *pulseRow) { p.Pending = max(p.Pending-1, 0) })
}

func findRefused(tx Tx, e domain.Envelope, event domain.TaskRefused) error {
	if err := find(tx, e, FindingOverLimit, Critical, "queue", func(row *FindingRow) {
		row.detail(string(event.TaskID))
		row.Summary = fmt.Sprintf("the queue was full, seen %s; the last item refused was %s with %d pending of %d", timesOf(row.Count), event.TaskID, event.Pending, event.Limit)
	}); err != nil {
		return err
	}
	return pulseBeat(tx, e, nil)
}

func findPressure(tx Tx, e domain.Envelope, event domain.BackpressureActivated) error {
	if event.HardLimit > 0 && event.Pending > event.HardLimit {
		if err := find(tx, e, FindingOverLimit, Critical, "queue", func(row *FindingRow) {
			row.Summary = fmt.Sprintf("the queue was over its limit, seen %s; last with %d pending of %d", timesOf(row.Count), event.Pending, event.HardLimit)
		}); err != nil {
			return err
		}
	}
	return pulseBeat(tx, e, nil)
}

func findRejected(tx Tx, e domain.Envelope, event domain.CompletionRejected) error {
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

func findPolicy(tx Tx, e domain.Envelope, event domain.PolicyChanged) error {
	if event.Name != domain.PolicyDefaultName {
		return nil
	}
	return pulseBeat(tx, e, func(p *pulseRow) { p.Hard = event.Policy.Work.HardLimit })
}

// scannedAtEnd bounds the rows that one kind of end-of-log finding looks at.
const scannedAtEnd = 50_000

// endFindings finds what is wrong by not having happened. The moment it is
// judged at is the latest one in the log: queries have no clock.
func endFindings(v View) ([]FindingRow, error) {
	pulse, seen, err := findingsPulseTable.Get(v, "queue")
	if err != nil || !seen {
		return nil, err
	}
	found, err := stuckItems(v, pulse)
	if err != nil {
		return nil, err
	}
	waiting, err := hopelessItems(v)
	if err != nil {
		return nil, err
	}
	starved, err := starvedItems(v, pulse)
	if err != nil {
		return nil, err
	}
	return append(append(found, waiting...), starved...), nil
}

// indexed is an item under one key of an index that points at it.
type indexed struct {
	key  string
	item TaskRow
}

// itemsOf reads the items that an index points at, in the index's order, no
// more than scannedAtEnd of them.
func itemsOf[R any](v View, index Table[R], of func(R) domain.TaskID) iter.Seq2[indexed, error] {
	return func(yield func(indexed, error) bool) {
		scanned := 0
		for entry, err := range index.Scan(v, Span{}) {
			if err != nil {
				yield(indexed{}, err)
				return
			}
			if scanned++; scanned > scannedAtEnd {
				return
			}
			item, exists, err := WorkItemsTable.Get(v, string(of(entry.Row)))
			if (exists || err != nil) && !yield(indexed{entry.Key, item}, err) || err != nil {
				return
			}
		}
	}
}

// stuckItems are held under a lease that ran out before the log ended.
func stuckItems(v View, pulse pulseRow) ([]FindingRow, error) {
	var stuck []FindingRow
	for entry, err := range itemsOf(v, workHoldersTable, func(r HolderRow) domain.TaskID { return r.TaskID }) {
		if err != nil {
			return nil, err
		}
		item := entry.item
		if item.Deadline == nil || !item.Deadline.Before(pulse.Last) {
			continue
		}
		row := itemFinding(FindingStuck, Critical, item, pulse.Last)
		row.Summary = fmt.Sprintf("%s %s is %s by %s under lease %d, which ran out at %s, %s before the log ends",
			item.TaskType, item.TaskID, item.State, item.NodeID, item.Lease, item.Deadline.Format(domain.Timestamp), spanOf(pulse.Last.Sub(*item.Deadline)))
		stuck = append(stuck, row)
	}
	return stuck, nil
}

func itemFinding(kind string, severity Severity, item TaskRow, until time.Time) FindingRow {
	row := FindingRow{
		Kind: kind, Severity: severity, Subject: string(item.TaskID), Count: 1,
		Position: item.Position, LastPosition: item.Position, At: item.UpdatedAt, Until: item.UpdatedAt,
	}
	row.cover(until)
	row.evidence(item.Spawned, "")
	row.evidence(item.Position, "")
	return row
}

// hopelessItems wait for an item that will never be done.
func hopelessItems(v View) ([]FindingRow, error) {
	var hopeless []FindingRow
	for entry, err := range itemsOf(v, workWaitsTable, func(r TaskRef) domain.TaskID { return r.TaskID }) {
		if err != nil {
			return nil, err
		}
		item := entry.item
		if item.State != domain.WorkBlocked {
			continue
		}
		for _, dependency := range item.BlockedOn {
			if pair(string(dependency), string(item.TaskID)) != entry.key {
				continue
			}
			cause, exists, err := WorkItemsTable.Get(v, string(dependency))
			if err != nil {
				return nil, err
			}
			if exists && (!cause.State.Final() || cause.State == domain.WorkDone) {
				continue
			}
			row := itemFinding(FindingStuck, Critical, item, item.UpdatedAt)
			fate := "was never added"
			if exists {
				fate = "is " + string(cause.State)
				row.evidence(cause.Position, "")
				row.LastPosition = max(row.LastPosition, cause.Position)
			}
			row.Summary = fmt.Sprintf("%s %s waits for %s, which %s", item.TaskType, item.TaskID, dependency, fate)
			hopeless = append(hopeless, row)
		}
	}
	return hopeless, nil
}

// starvedItems were queued and never claimed while the log went on; one finding
// per type.
func starvedItems(v View, pulse pulseRow) ([]FindingRow, error) {
	var starved []FindingRow
	for entry, err := range itemsOf(v, workQueueTable, func(r StandingRow) domain.TaskID { return r.TaskID }) {
		if err != nil {
			return nil, err
		}
		item := entry.item
		if item.ClaimedAt != nil || pulse.Last.Sub(item.CreatedAt) < starvedFor {
			continue
		}
		i := len(starved) - 1
		if i < 0 || starved[i].Subject != item.TaskType { // the queue is in the order of types
			starved = append(starved, FindingRow{
				Kind: FindingStarved, Severity: Warning, Subject: item.TaskType,
				Position: item.Spawned, At: item.CreatedAt, Until: pulse.Last,
			})
			i++
		}
		row := &starved[i]
		row.Count++
		row.Position, row.LastPosition = min(row.Position, item.Spawned), max(row.LastPosition, item.Spawned)
		row.cover(item.CreatedAt)
		row.evidence(item.Spawned, "")
		row.detail(string(item.TaskID))
		row.Summary = fmt.Sprintf("%s queued and never claimed, the oldest for %s when the log ends", countOf(row.Count, item.TaskType+" item"), row.Lasted)
	}
	return starved, nil
}
