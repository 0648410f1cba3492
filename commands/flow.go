package commands

import (
	"math"
	"slices"
	"time"

	"github.com/ringrift/rift/domain/work"
)

// Presence says when a node was able to hear the holders of leases.
type Presence struct {
	// There is when the node started, or began to lead; how long it had been away before
	// is not known.
	// Zero: it was never away.
	There time.Time
	// Back is when its last pause ended, and Away is the length of the pause.
	Back time.Time
	Away time.Duration
}

// Spared returns the time before which a lease that began at a given time must not end:
// its holder could not be heard while the node was away, and gets that time again to
// renew the lease, one lease duration at most. Zero: the node was not away since.
func (p Presence) Spared(began time.Time, lease time.Duration) (until time.Time) {
	if began.Before(p.There) {
		until = p.There.Add(lease)
	}
	if back := p.Back.Add(min(p.Away, lease)); began.Before(p.Back) && back.After(until) {
		until = back
	}
	return until
}

// DueBut lists at most limit deadlines that have passed, except those of leases that
// Spared protects, and returns when the next one passes.
func (q *Queue) DueBut(now time.Time, presence Presence, policy work.Policy, limit int) ([]work.Deadline, time.Time) {
	lease := policy.LeaseSeconds.Duration()
	if !now.Before(presence.Spared(time.Time{}, lease)) {
		return q.Due(now, limit)
	}
	all, next := q.Due(now, math.MaxInt) // protected leases do not count towards the limit
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
