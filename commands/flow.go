package commands

import (
	"math"
	"slices"
	"time"

	"github.com/ringrift/rift/domain/work"
)

// DueBut lists the deadlines that have come, but for those that end a lease which
// was given before a moment there and may still be renewed: before that nobody
// could hear its holder, so that it has one lease from there on to say that it is
// alive. It lists at most limit of them, and says when the next one is.
func (q *Queue) DueBut(now, there time.Time, policy work.Policy, limit int) ([]work.Deadline, time.Time) {
	spared := there.Add(policy.LeaseSeconds.Duration())
	if there.IsZero() || !now.Before(spared) {
		return q.Due(now, limit)
	}
	all, next := q.Due(now, math.MaxInt) // those that are spared must not take the place of others
	due := slices.DeleteFunc(all, func(at work.Deadline) bool {
		item, live := q.Find(at.TaskID)
		return live && item.State.Held() && item.ClaimedAt.Before(there)
	})
	if len(due) < len(all) && (next.IsZero() || spared.Before(next)) {
		next = spared
	}
	if len(due) > limit {
		due, next = due[:limit], due[limit].At
	}
	return due, next
}
