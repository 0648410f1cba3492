package commands

import (
	"math"
	"slices"
	"time"

	"github.com/ringrift/rift/domain/work"
)

// Presence is when a node could hear the holders of leases.
type Presence struct {
	// There is since when the node has been running; how long it had not been before
	// is not known. Zero: it always was.
	There time.Time
	// Back is when its last pause ended, and Away how long that pause was.
	Back time.Time
	Away time.Duration
}

// Spared is the time before which a lease, or whatever else ends unless it is renewed,
// may not end if it began at the given time: its holder could not be heard while the
// node was away, and has that long again to renew it, one lease at most. Zero: the
// node was not away since.
func (p Presence) Spared(began time.Time, lease time.Duration) (until time.Time) {
	if began.Before(p.There) {
		until = p.There.Add(lease)
	}
	if back := p.Back.Add(min(p.Away, lease)); began.Before(p.Back) && back.After(until) {
		until = back
	}
	return until
}

// DueBut lists the deadlines that have come, except those of leases that were given
// before the node was away and may still be renewed (Spared). It lists at most limit
// of them, and says when the next one comes.
func (q *Queue) DueBut(now time.Time, presence Presence, policy work.Policy, limit int) ([]work.Deadline, time.Time) {
	lease := policy.LeaseSeconds.Duration()
	if !now.Before(presence.Spared(time.Time{}, lease)) {
		return q.Due(now, limit)
	}
	all, next := q.Due(now, math.MaxInt) // those that are spared must not take the place of others
	due := slices.DeleteFunc(all, func(at work.Deadline) bool {
		item, live := q.Find(at.TaskID)
		if !live || !item.State.Held() {
			return false
		}
		spared := presence.Spared(item.ClaimedAt, lease)
		if now.Before(spared) && (next.IsZero() || spared.Before(next)) {
			next = spared
		}
		return now.Before(spared)
	})
	if len(due) > limit {
		due, next = due[:limit], due[limit].At
	}
	return due, next
}
