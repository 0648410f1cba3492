package findings

import (
	"fmt"
	"strings"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
	workview "github.com/ringrift/rift/projections/work"
)

// Queries have no clock: what did not happen is judged as of the latest time in the log.

// stuck adds items whose lease had expired at the end of the log.
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
			continue // its end may be in a part that was not recorded
		}
		of := Critical
		if item.Origin != "" {
			of = Warning // the recording has no leases; this one was made by the import
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

// hopeless adds items that wait for an item that will never be done.
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
		row.Details = nil // the summary has it
	}
	return p.add(row)
}

// scannedOfType bounds the queued items of one type that are looked at.
const scannedOfType = 1_000

// starved adds the types of items that were queued for long and never claimed, one finding
// for each type. Its keys are types, so a page ends between two types.
func (p *page) starved(key string) error {
	var row FindingRow
	looked, of := 0, ""
	finish := func() error { // adds the finding of the previous type
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
		if item.TaskType != of { // items are sorted by type
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
			continue // its claim may be in a log that is not here
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
