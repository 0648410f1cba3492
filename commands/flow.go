package commands

import (
	"math"
	"slices"
	"time"

	"github.com/ringrift/rift/domain/work"
)

// Presence is what a node knows of when it could hear the holders of leases.
type Presence struct {
	// There is since when it has run awake; how long it had not, nobody can tell.
	// Zero: always.
	There time.Time
	// Back is when it went on after it had stood still last, for Away.
	Back time.Time
	Away time.Duration
}

// Spared is until when nothing may end of what began at a moment and ends unless it
// is renewed within a lease: who could not be heard has as long to say that he is
// alive as the node was away, at most one lease. Zero: it was there.
func (p Presence) Spared(began time.Time, lease time.Duration) (until time.Time) {
	if began.Before(p.There) {
		until = p.There.Add(lease)
	}
	if back := p.Back.Add(min(p.Away, lease)); began.Before(p.Back) && back.After(until) {
		until = back
	}
	return until
}

// DueBut lists the deadlines that have come, but for those that end a lease which
// was given before the node was away and may still be renewed. It lists at most
// limit of them, and says when the next one is.
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
