package findings

import (
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/projections"
	workview "github.com/ringrift/rift/projections/work"
)

// scannedAtEnd bounds the items of one state that an end-of-log finding looks at.
const scannedAtEnd = 50_000

// endFindings finds what is wrong by not having happened. The moment it is
// judged at is the latest one in the log: queries have no clock.
func endFindings(v projections.View) ([]FindingRow, error) {
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

// stuckItems are held under a lease that ran out before the log ended.
func stuckItems(v projections.View, pulse pulseRow) ([]FindingRow, error) {
	var stuck []FindingRow
	for _, state := range []work.State{work.StateLeased, work.StateRunning} {
		for item, err := range firstIn(v, state) {
			if err != nil {
				return nil, err
			}
			if item.Deadline == nil || !item.Deadline.Before(pulse.Last) || item.UpdatedAt.Before(pulse.Gap) {
				continue // what became of it may stand in what was not recorded
			}
			if item.Origin != "" { // its lease is the importer's: the recording knew none
				row := itemFinding(FindingStuck, Warning, item, pulse.Last)
				row.Summary = fmt.Sprintf("%s %s was claimed by %s and not heard of for %s, up to where the log ends", item.TaskType, item.TaskID, item.NodeID, SpanOf(pulse.Last.Sub(item.UpdatedAt)))
				stuck = append(stuck, row)
				continue
			}
			row := itemFinding(FindingStuck, Critical, item, pulse.Last)
			row.Summary = fmt.Sprintf("%s %s is %s by %s under lease %d, which ran out at %s, %s before the log ends",
				item.TaskType, item.TaskID, item.State, item.NodeID, item.Lease, item.Deadline.Format(domain.Timestamp), SpanOf(pulse.Last.Sub(*item.Deadline)))
			stuck = append(stuck, row)
		}
	}
	return stuck, nil
}

// firstIn yields the first scannedAtEnd items in a state.
func firstIn(v projections.View, state work.State) iter.Seq2[workview.TaskRow, error] {
	return func(yield func(workview.TaskRow, error) bool) {
		n := 0
		for item, err := range workview.ItemsIn(v, state) {
			if n++; n > scannedAtEnd || !yield(item, err) {
				return
			}
		}
	}
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

// hopelessItems wait for an item that will never be done.
func hopelessItems(v projections.View) ([]FindingRow, error) {
	var hopeless []FindingRow
	for item, err := range firstIn(v, work.StateBlocked) {
		if err != nil {
			return nil, err
		}
		for _, dependency := range item.BlockedOn {
			cause, exists, err := workview.ItemsTable.Get(v, string(dependency))
			if err != nil {
				return nil, err
			}
			if exists && (!cause.State.Final() || cause.State == work.StateDone) {
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

// scannedOfType bounds the queued items of one type that are looked at.
const scannedOfType = 5_000

// starvedItems were queued and never claimed while the log went on; one finding
// per type.
func starvedItems(v projections.View, pulse pulseRow) ([]FindingRow, error) {
	var starved []FindingRow
	looked, of := 0, ""
	for item, err := range workview.FirstItemsIn(v, work.StateQueued, scannedOfType) {
		if err != nil {
			return nil, err
		}
		if item.TaskType != of {
			looked, of = 0, item.TaskType
		}
		looked++
		if item.ClaimedAt != nil || pulse.Last.Sub(item.CreatedAt) < starvedFor || item.CreatedAt.Before(pulse.Gap) {
			continue
		}
		if strings.HasPrefix(item.Origin, work.OriginRecorded) {
			continue // by whom it was claimed stands in logs that are not here
		}
		i := len(starved) - 1
		if i < 0 || starved[i].Subject != item.TaskType { // items come in the order of types
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
		least := ""
		if looked == scannedOfType {
			least = "at least "
		}
		row.Summary = fmt.Sprintf("%s%s queued and never claimed, the oldest for %s%s when the log ends", least, CountOf(row.Count, item.TaskType+" item"), least, row.Lasted)
	}
	return starved, nil
}
