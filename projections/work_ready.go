package projections

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ringrift/rift/domain"
)

// StandingRow is a queued item's place: what it is ordered by within its group.
type StandingRow struct {
	TaskID   domain.TaskID   `json:"task_id"`
	Since    time.Time       `json:"since"` // queued
	Priority int             `json:"priority"`
	Spawned  domain.Position `json:"spawned"`
}

// ReadyRow is a group of queued items that the same nodes may run: equal in
// everything that a gate asks of an item. A claim looks at groups and at the
// items at their heads, so its cost does not grow with the queue. A group
// without items has no row.
type ReadyRow struct {
	TaskType  string             `json:"task_type"`
	ConfigKey string             `json:"config_key,omitempty"`
	Requires  []string           `json:"requires,omitempty"`
	Where     string             `json:"where,omitempty"`
	GPU       bool               `json:"requires_gpu,omitempty"`
	Pin       domain.NodeID      `json:"pin,omitempty"` // the only node that may have them
	Exclude   []domain.Exclusion `json:"exclude,omitempty"`
	Queued    int                `json:"queued"`
	Oldest    StandingRow        `json:"oldest"`
	Top       StandingRow        `json:"top"` // largest priority, then the oldest
}

// anyNode is where groups stand whose items are for no node in particular, and
// oneNode begins where those of one node do.
const (
	anyNode = "*"
	oneNode = "@"
)

func placeOfNode(node domain.NodeID) string {
	if node == "" {
		return anyNode
	}
	return oneNode + string(node)
}

// groupOf is the name of the item's group. Names sort by place, then by type.
func groupOf(r TaskRow) string {
	place, words, more := anyNode, "", ""
	if len(r.Requires) > 0 {
		requires := slices.Clone(r.Requires)
		slices.Sort(requires)
		words = strings.Join(slices.Compact(requires), ",")
	}
	if r.Pin != nil {
		place = placeOfNode(r.Pin.NodeID)
	}
	if r.Where != "" || r.RequiresGPU || len(r.Exclude) > 0 {
		var all strings.Builder
		fmt.Fprintf(&all, "%v %s", r.RequiresGPU, r.Where)
		for _, exclusion := range r.Exclude {
			fmt.Fprintf(&all, "\x00%s %d", exclusion.NodeID, exclusion.Until.UnixMicro())
		}
		more = domain.DeriveID(all.String(), 0).String()
	}
	return strings.Join([]string{place, r.TaskType, r.ConfigKey, words, more}, "\x00")
}

func (r TaskRow) standing() StandingRow {
	return StandingRow{r.TaskID, r.QueuedAt, r.Priority, r.Spawned}
}

// byPriority orders a group's items: larger priority first, then the older.
func (s StandingRow) byPriority(group string) string {
	behind := min(max(100-s.Priority, 0), 999)
	order := string([]byte{byte('0' + behind/100), byte('0' + behind/10%10), byte('0' + behind%10)})
	return group + "\x00" + order + s.age()
}

// byAge orders a group's items: the older first.
func (s StandingRow) byAge(group string) string { return group + "\x00" + s.age() }

func (s StandingRow) age() string { return timeKey(s.Since) + positionKey(s.Spawned) }

func requeue(tx Tx, before, after TaskRow) error {
	was, is := before.State == domain.WorkQueued, after.State == domain.WorkQueued
	switch {
	case was && is && groupOf(before) != groupOf(after):
		if err := dequeue(tx, before); err != nil {
			return err
		}
		return enqueue(tx, after)
	case !was && is:
		return enqueue(tx, after)
	case was && !is:
		return dequeue(tx, before)
	}
	return nil
}

func enqueue(tx Tx, item TaskRow) error {
	group, place := groupOf(item), item.standing()
	if err := workQueueTable.Put(tx, place.byPriority(group), place); err != nil {
		return err
	}
	if err := workAgeTable.Put(tx, place.byAge(group), place); err != nil {
		return err
	}
	ready, found, err := workReadyTable.Get(tx, group)
	if err != nil {
		return err
	}
	if !found {
		ready = ReadyRow{
			TaskType: item.TaskType, ConfigKey: item.ConfigKey, Requires: item.Requires, Where: item.Where, GPU: item.RequiresGPU,
			Exclude: item.Exclude, Oldest: place, Top: place,
		}
		if item.Pin != nil {
			ready.Pin = item.Pin.NodeID
		}
	}
	if place.byAge("") < ready.Oldest.byAge("") {
		ready.Oldest = place
	}
	if place.byPriority("") < ready.Top.byPriority("") {
		ready.Top = place
	}
	ready.Queued++
	return workReadyTable.Put(tx, group, ready)
}

// dequeue takes an item out of its group. Only when it stood at a head is the
// queue looked at, from where it stood: what comes before is gone.
func dequeue(tx Tx, item TaskRow) error {
	group, place := groupOf(item), item.standing()
	ready, found, err := workReadyTable.Get(tx, group)
	if err != nil || !found {
		return err
	}
	if err := workQueueTable.Delete(tx, place.byPriority(group)); err != nil {
		return err
	}
	if err := workAgeTable.Delete(tx, place.byAge(group)); err != nil {
		return err
	}
	if ready.Queued--; ready.Queued == 0 {
		return workReadyTable.Delete(tx, group)
	}
	if ready.Top.TaskID == place.TaskID {
		if ready.Top, err = headFrom(tx, workQueueTable, group, place.byPriority(group)); err != nil {
			return err
		}
	}
	if ready.Oldest.TaskID == place.TaskID {
		if ready.Oldest, err = headFrom(tx, workAgeTable, group, place.byAge(group)); err != nil {
			return err
		}
	}
	return workReadyTable.Put(tx, group, ready)
}

func headFrom(v View, table Table[StandingRow], group, from string) (StandingRow, error) {
	for entry, err := range table.Scan(v, Span{Prefix: group + "\x00", From: from}) {
		return entry.Row, err
	}
	return StandingRow{}, domain.Errorf(domain.Internal, "group %q: rows say that it has items, and there is none from %q on", group, from)
}
