package work

import (
	"cmp"
	"slices"
	"time"

	"github.com/ringrift/rift/domain"
)

// The kinds of deadlines.
const (
	DueLease   = "lease"   // the lease ends
	DueRetry   = "retry"   // the back-off is over
	DuePreempt = "preempt" // the grace period of a preempted holder ends
	DuePin     = "pin"     // the pin ends
)

// Deadline is a time at which something must be decided about an item.
type Deadline struct {
	Kind   string
	TaskID domain.TaskID
	Lease  uint64 // for the kinds that end a lease
	At     time.Time
}

// deadline is an item's entry in the heap of deadlines.
type deadline struct {
	kind  string // empty: no deadline
	at    int64  // microseconds
	place int
}

// deadlineOf returns the next deadline of an item; without a kind for none.
func (i *Item) deadlineOf() Deadline {
	switch {
	case i.State.Held() && i.Asked != nil && i.Asked.Until.Before(i.Deadline):
		return Deadline{DuePreempt, i.ID, i.Lease, i.Asked.Until}
	case i.State.Held():
		return Deadline{DueLease, i.ID, i.Lease, i.Deadline}
	case i.State == StateWaiting:
		return Deadline{DueRetry, i.ID, 0, i.NotBefore}
	case i.Pin != nil && !i.State.Final() && i.State != StateFailed:
		return Deadline{DuePin, i.ID, 0, i.Pin.Until}
	}
	return Deadline{}
}

// setDue updates an item's entry in the heap of deadlines after a change of its
// state.
func (q *Queue) setDue(item *Item) {
	next := item.deadlineOf()
	if item.due.kind == next.Kind && (next.Kind == "" || item.due.at == next.At.UnixMicro()) {
		return
	}
	if item.due.kind != "" {
		q.due.remove(item)
	}
	if item.due.kind = next.Kind; next.Kind != "" {
		item.due.at = next.At.UnixMicro()
		q.due.push(item)
	}
}

// Due lists at most limit deadlines up to now, the earliest first, and returns the
// time of the next one after them (zero for none).
func (q *Queue) Due(now time.Time, limit int) (due []Deadline, next time.Time) {
	// The due items are a subtree of the heap that includes its root.
	places := []int{0}
	for len(places) > 0 {
		at := places[len(places)-1]
		places = places[:len(places)-1]
		if at >= len(q.due) {
			continue
		}
		if moment := q.due[at].deadlineOf().At; moment.After(now) {
			if next.IsZero() || moment.Before(next) {
				next = moment
			}
			continue
		}
		due = append(due, q.due[at].deadlineOf())
		places = append(places, 2*at+1, 2*at+2)
	}
	slices.SortFunc(due, func(a, b Deadline) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.TaskID, b.TaskID)) })
	if len(due) > limit {
		due, next = due[:limit], due[limit].At
	}
	return due, next
}

// deadlines is a heap of items by deadline, then by id.
type deadlines []*Item

func (d deadlines) before(a, b *Item) bool {
	if a.due.at != b.due.at {
		return a.due.at < b.due.at
	}
	return a.ID < b.ID
}

func (d deadlines) put(at int, item *Item) {
	d[at] = item
	item.due.place = at
}

func (d *deadlines) push(item *Item) {
	*d = append(*d, item)
	d.up(len(*d)-1, item)
}

func (d *deadlines) remove(item *Item) {
	at, last := item.due.place, len(*d)-1
	moved := (*d)[last]
	(*d)[last] = nil
	*d = (*d)[:last]
	if at == last {
		return
	}
	if at > 0 && d.before(moved, (*d)[(at-1)/2]) {
		d.up(at, moved)
		return
	}
	d.down(at, moved)
}

// up places an item on the path from the free place at to the root.
func (d deadlines) up(at int, item *Item) {
	for at > 0 {
		parent := (at - 1) / 2
		if !d.before(item, d[parent]) {
			break
		}
		d.put(at, d[parent])
		at = parent
	}
	d.put(at, item)
}

// down places an item on the path from the free place at to the leaves.
func (d deadlines) down(at int, item *Item) {
	for {
		least := 2*at + 1
		if least >= len(d) {
			break
		}
		if least+1 < len(d) && d.before(d[least+1], d[least]) {
			least++
		}
		if !d.before(d[least], item) {
			break
		}
		d.put(at, d[least])
		at = least
	}
	d.put(at, item)
}
