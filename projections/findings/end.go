package findings

import (
	"fmt"
	"strings"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
	workview "github.com/ringrift/rift/projections/work"
)

// Queries have no clock: what did not happen is judged at the latest moment in the
// log.

// stuck takes items that are held under a lease that ran out before the log ended.
func (p *page) stuck(state work.State, severity Severity, key string) error {
	for entry, err := range workview.ItemsFrom(p.v, state, key) {
		if err != nil {
			return err
		}
		if err := p.look(entry.Key); err != nil {
			return err
		}
		item, pulse := entry.Row, &p.pulse
		if item.State != state || item.Deadline == nil || !item.Deadline.Before(pulse.Last) || item.UpdatedAt.Before(pulse.Gap) {
			continue // what became of it may stand in what was not recorded
		}
		of := Critical
		if item.Origin != "" {
			of = Warning // its lease is the importer's: the recording knew none
		}
		if of != severity {
			continue
		}
		row := itemFinding(FindingStuck, severity, item, pulse.Last)
		if severity == Warning {
			row.Summary = fmt.Sprintf("%s %s was claimed by %s and not heard of for %s, up to where the log ends", item.TaskType, item.TaskID, item.NodeID, SpanOf(pulse.Last.Sub(item.UpdatedAt)))
		} else {
			row.Summary = fmt.Sprintf("%s %s is %s by %s under lease %d, which ran out at %s, %s before the log ends",
				item.TaskType, item.TaskID, item.State, item.NodeID, item.Lease, item.Deadline.Format(domain.Timestamp), SpanOf(pulse.Last.Sub(*item.Deadline)))
		}
		if err := p.add(row); err != nil {
			return err
		}
	}
	return nil
}

func itemFinding(kind string, severity Severity, item workview.TaskRow, until time.Time) FindingRow {
	row := FindingRow{
		Kind: kind, Severity: severity, Subject: string(item.TaskID), Count: 1,
		Position: item.Position, LastPosition: item.Position, At: item.UpdatedAt, Until: item.UpdatedAt,
	}
	row.cover(until)
	row.evidence(item.Spawned, "")
	row.evidence(item.Position, "")
	return row
}

// hopeless takes items that wait for one that will never be done.
func (p *page) hopeless(key string) error {
	for entry, err := range workview.ItemsFrom(p.v, work.StateBlocked, key) {
		if err != nil {
			return err
		}
		if err := p.look(entry.Key); err != nil {
			return err
		}
		if entry.Row.State != work.StateBlocked {
			continue
		}
		if err := p.waits(entry.Row); err != nil {
			return err
		}
	}
	return nil
}

func (p *page) waits(item workview.TaskRow) error {
	var row FindingRow
	for _, dependency := range item.BlockedOn {
		cause, exists, err := workview.ItemsTable.Get(p.v, string(dependency))
		if err != nil {
			return err
		}
		if exists && (!cause.State.Final() || cause.State == work.StateDone) {
			continue
		}
		if row.Count == 0 {
			row = itemFinding(FindingStuck, Critical, item, item.UpdatedAt)
		} else {
			row.Count++
		}
		fate := "was never added"
		if exists {
			fate = "is " + string(cause.State)
			row.evidence(cause.Position, "")
			row.LastPosition = max(row.LastPosition, cause.Position)
		}
		row.detail(fmt.Sprintf("%s, which %s", dependency, fate))
	}
	if row.Count == 0 {
		return nil
	}
	row.Summary = fmt.Sprintf("%s %s waits for %s", item.TaskType, item.TaskID, row.Details[0])
	if row.Count > 1 {
		row.Summary += fmt.Sprintf(", and for %s like it", CountOf(row.Count-1, "item"))
	} else {
		row.Details = nil // the summary says it
	}
	return p.add(row)
}

// scannedOfType bounds the queued items of one type that are looked at.
const scannedOfType = 1_000

// starved takes the types of items that were queued and never claimed while the log
// went on; one finding for a type. Its keys are types: a page ends between two.
func (p *page) starved(key string) error {
	var row FindingRow
	looked, of := 0, ""
	finish := func() error { // the type before
		if row.Count == 0 {
			return nil
		}
		least := ""
		if looked == scannedOfType {
			least = "at least "
		}
		row.Summary = fmt.Sprintf("%s%s queued and never claimed, the oldest for %s%s when the log ends", least, CountOf(row.Count, row.Subject+" item"), least, row.Lasted)
		return p.add(row)
	}
	for item, err := range workview.FirstItemsIn(p.v, work.StateQueued, scannedOfType, key) {
		if err != nil {
			return err
		}
		if item.TaskType != of { // items come in the order of types
			if err := finish(); err != nil {
				return err
			}
			row = FindingRow{Kind: FindingStarved, Severity: Warning, Subject: item.TaskType, Until: p.pulse.Last}
			looked, of = 0, item.TaskType
			if p.looked >= lookedPerPage || len(p.found) == p.limit {
				p.next = of
				return errFull
			}
		}
		looked++
		p.looked++
		if item.ClaimedAt != nil || p.pulse.Last.Sub(item.CreatedAt) < starvedFor || item.CreatedAt.Before(p.pulse.Gap) {
			continue
		}
		if strings.HasPrefix(item.Origin, work.OriginRecorded) {
			continue // by whom it was claimed stands in logs that are not here
		}
		row.starve(item)
	}
	return finish()
}

func (r *FindingRow) starve(item workview.TaskRow) {
	if r.Count == 0 {
		r.Position, r.At = item.Spawned, item.CreatedAt
	}
	r.Count++
	r.Position, r.LastPosition = min(r.Position, item.Spawned), max(r.LastPosition, item.Spawned)
	r.cover(item.CreatedAt)
	r.evidence(item.Spawned, "")
	r.detail(string(item.TaskID))
}
