package report

import (
	"cmp"
	"slices"
	"time"

	"github.com/ringrift/rift/cmd/internal/states"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/admin"
	"github.com/ringrift/rift/domain/election"
)

// IncidentEvent is an event that matters, or several of a type that follow each other.
type IncidentEvent struct {
	Position domain.Position `json:"position"`
	Last     domain.Position `json:"last_position"` // of several
	Time     time.Time       `json:"time"`
	Type     string          `json:"type"`
	Stream   domain.StreamID `json:"stream"`
	What     string          `json:"what"`               // what the first of them says
	Subjects []string        `json:"subjects,omitempty"` // of several: the first few nodes or items
	Count    int             `json:"count"`

	weight int
}

// How much an event matters: to who leads and to the cluster as a whole, to nodes and to
// what is lost, or only beside those.
const (
	mattersMost  = 3
	matters      = 2
	mattersLeast = 1
)

// matter is how much types of events matter; the others tell of work as usual.
var matter = map[string]int{
	"LEADER_CHANGED": mattersMost, "LEADERS_OBSERVED": mattersMost, "SPLIT_BRAIN_HEALED": mattersMost, "TERM_ADOPTED": mattersMost, "STANDBY_TOOK_OVER": mattersMost,
	"VOTER_ADDED": mattersMost, "VOTER_REMOVED": mattersMost, "CLUSTER_UNHEALTHY": mattersMost, "CLUSTER_HEALTHY": mattersMost,
	"POLICY_CHANGED": mattersMost, "KIND_PAUSED": mattersMost, "KIND_RESUMED": mattersMost, "SHUTDOWN_REQUESTED": mattersMost,
	"EVENT_LOST": mattersMost, "RECORDING_GAP": mattersMost, "CRITICAL_LOGGED": mattersMost, "SILENCE_ALARM_RAISED": mattersMost, "SILENCE_ALARM_CLEARED": mattersMost,

	"VOTER_OFFLINE": matters, "VOTER_ONLINE": matters, "NODE_UNHEALTHY": matters, "NODE_RECOVERED": matters, "HOST_OFFLINE": matters, "NODE_RETIRED": matters, "NODE_LEFT": matters,
	"NODE_BREAKER_OPENED": matters, "NODE_ZOMBIE_DETECTED": matters, "BACKPRESSURE_ACTIVATED": matters, "BACKPRESSURE_RELEASED": matters,
	"TASK_LEASE_EXPIRED": matters, "TASK_DEAD": matters, "TASK_REVOKED": matters, "COMPLETION_REJECTED": matters, "TASK_REFUSED": matters,
	"HANDLER_FAILED": matters, "DEAD_LETTER_RETRIED": matters, "DEAD_LETTER_DISCARDED": matters, "DAEMON_CRASH_LOOP_DETECTED": matters, "SYNC_STALLED": matters,
	"TRAINING_FAILED": matters, "EVALUATION_DEAD": matters, "PROMOTION_FAILED": matters, "MODEL_PROMOTED": matters, "EVENT_UNHANDLED": matters,

	"HOST_ONLINE": mattersLeast, "NODE_BREAKER_CLOSED": mattersLeast, "NODE_REGISTERED": mattersLeast, "NODE_JOINED": mattersLeast, "TASK_FAILED": mattersLeast, "SWIM_MEMBER_CHANGED": mattersLeast,
	"TASK_EXPIRED": mattersLeast, "TRAINING_BLOCKED": mattersLeast,
}

// The bounds of a timeline.
const (
	timelineHeld  = 10_000
	timelineKept  = 200
	timelineNames = 4
)

// timeline collects the events that matter.
type timeline struct {
	at     time.Time
	events []IncidentEvent
	led    int // the index of the last change of who is believed to lead, plus 1
	beyond int // events that were not held
}

func incidentEvent(e domain.Envelope) IncidentEvent {
	what := states.Brief(e.Data, func(_, value string) bool { return value == e.Stream.ID() })
	return IncidentEvent{Position: e.Position, Last: e.Position, Time: e.Time, Type: e.Type, Stream: e.Stream, What: domain.Clip(what, 200), Count: 1}
}

// add takes an event. One that follows another of its type is counted there, unless it
// says something else of the cluster, and so is one that only says again who leads.
func (t *timeline) add(e domain.Envelope, sameLeaders bool) {
	one := incidentEvent(e)
	one.weight = matter[e.Type]
	observed := e.Type == (election.LeadersObserved{}).EventType()
	switch n := len(t.events); {
	case one.weight == 0:
		return
	case observed && sameLeaders && t.led > 0:
		t.events[t.led-1].again(e)
		return
	case n > 0 && t.events[n-1].Type == one.Type && (one.weight < mattersMost || t.events[n-1].What == one.What):
		t.events[n-1].again(e)
		return
	case n == timelineHeld:
		t.beyond++
		return
	}
	t.events = append(t.events, one)
	if observed {
		t.led = len(t.events)
	}
}

// again counts another event of the same kind.
func (i *IncidentEvent) again(e domain.Envelope) {
	for _, subject := range []string{i.Stream.ID(), e.Stream.ID()} {
		if subject != admin.DefaultCluster && len(i.Subjects) < timelineNames && !slices.Contains(i.Subjects, subject) {
			i.Subjects = append(i.Subjects, subject)
		}
	}
	i.Count++
	i.Last = e.Position
}

// prove adds an event that proves a critical finding, where it is not there yet.
func (t *timeline) prove(one IncidentEvent) {
	if !slices.ContainsFunc(t.events, func(e IncidentEvent) bool {
		return e.Type == one.Type && e.Position <= one.Position && one.Position <= e.Last
	}) {
		one.weight = matters
		t.events = append(t.events, one)
	}
}

// kept are the events that matter most and are nearest to the moment, in the order of
// the log, and how many were left out.
func (t *timeline) kept() ([]IncidentEvent, int) {
	return Nearest(t.events, t.at, timelineKept, t.beyond)
}

// Nearest keeps at most so many of some events, in their order: those that matter most
// and, of these, those nearest to a moment. It adds the events that it leaves out to
// those that were left out before.
func Nearest(events []IncidentEvent, at time.Time, most, before int) (kept []IncidentEvent, left int) {
	ranked := slices.Clone(events)
	slices.SortStableFunc(ranked, func(a, b IncidentEvent) int {
		return cmp.Or(cmp.Compare(b.weight, a.weight), cmp.Compare(a.Time.Sub(at).Abs(), b.Time.Sub(at).Abs()))
	})
	left = before
	for _, one := range ranked[min(most, len(ranked)):] {
		left += one.Count
	}
	kept = ranked[:min(most, len(ranked))]
	slices.SortFunc(kept, func(a, b IncidentEvent) int { return cmp.Compare(a.Position, b.Position) })
	return kept, left
}
