//go:build unix

package endtoend

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/projections/store"
)

// ledger is the clients' side of the story: every command that was sent, and
// every answer that came back.
type ledger struct {
	mu      sync.Mutex
	entries map[string]*entry
}

// entry is one command of the ledger.
type entry struct {
	order
	sent    int // times it was begun
	answers []answer
	failure error // why the last try has no answer
}

func newLedger() *ledger { return &ledger{entries: map[string]*entry{}} }

// do sends a command and writes down what became of it.
func (l *ledger) do(ctx context.Context, c *caller, o order) (answer, error) {
	l.mu.Lock()
	e := l.entries[o.key]
	if e == nil {
		e = &entry{order: o}
		l.entries[o.key] = e
	}
	e.sent++
	l.mu.Unlock()
	a, err := c.do(ctx, o)
	l.mu.Lock()
	defer l.mu.Unlock()
	if e.failure = err; err == nil {
		e.answers = append(e.answers, a)
	}
	return a, err
}

// must is do for a command that has to succeed.
func (l *ledger) must(t *testing.T, c *caller, o order) answer {
	t.Helper()
	a, err := l.do(t.Context(), c, o)
	if err != nil || !a.ok() {
		t.Fatalf("%s %s: found %v, %v", o.path, o.body, a, err)
	}
	return a
}

// pick lists the entries that a test wants, in the order of their keys.
func (l *ledger) pick(wanted func(*entry) bool) []*entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	var picked []*entry
	for _, key := range slices.Sorted(maps.Keys(l.entries)) {
		if wanted(l.entries[key]) {
			picked = append(picked, l.entries[key])
		}
	}
	return picked
}

// open tells a command whose fate the client does not know: no answer yet, or
// one that says to ask again.
func (e *entry) open() bool {
	return len(e.answers) == 0 || e.answers[len(e.answers)-1].Status >= 500
}

// settled tells a command that was answered for good.
func (e *entry) settled() bool { return !e.open() }

// effects are the types of events that a command may lead to, by its path.
var effects = map[string][]string{
	"/work/add":             {"TASK_SPAWNED"},
	"/work/claim":           {"TASK_CLAIMED"},
	"/work/start":           {"TASK_STARTED"},
	"/work/heartbeat":       {"TASK_HEARTBEAT"},
	"/work/complete":        {"TASK_COMPLETED", "COMPLETION_REJECTED"},
	"/work/fail":            {"TASK_FAILED", "COMPLETION_REJECTED"},
	"/work/heartbeat_batch": {"TASK_HEARTBEAT"},
	"/work/complete_batch":  {"TASK_COMPLETED", "COMPLETION_REJECTED"},
	"/work/fail_batch":      {"TASK_FAILED", "COMPLETION_REJECTED"},
	"/work/release":         {"TASK_RELEASED", "COMPLETION_REJECTED"},
	"/work/cancel":          {"TASK_CANCELLED"},
	"/events":               {"QUALITY_DEGRADED"},
	"/policies/default":     {"POLICY_CHANGED"},
	"/admin/shutdown":       {"SHUTDOWN_REQUESTED"},
}

// initiatives are the types of events that a node comes up with by itself, by
// who in it does.
var initiatives = map[string][]string{
	"clock":                      {"TASK_LEASE_EXPIRED", "TASK_REQUEUED"},
	"reactor:task_failed":        {"TASK_RETRY_SCHEDULED", "TASK_DEAD"},
	"reactor:task_lease_expired": {"TASK_RETRY_SCHEDULED", "TASK_DEAD"},
	"reactor:quality_degraded":   {"SELFPLAY_FACTOR_SET", "SELFPLAY_ADJUSTED"},
}

// maxReactions bounds the commands that one reactor answers one event with here.
const maxReactions = 8

// faults collects what is wrong, a bounded part of it in words.
type faults struct {
	count int
	lines []string
}

func (f *faults) add(format string, args ...any) {
	f.count++
	if len(f.lines) < 20 {
		f.lines = append(f.lines, fmt.Sprintf(format, args...))
	}
}

func (f *faults) tell(t *testing.T, what string) {
	t.Helper()
	if f.count > 0 {
		t.Errorf("%s: %d faults, the first:\n%s", what, f.count, strings.Join(f.lines, "\n"))
	}
}

// check compares a whole log with the ledger.
func (l *ledger) check(events []domain.Envelope) *faults {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found faults
	byCommand := checkOrder(events, &found)
	l.checkAnswers(events, byCommand, &found)
	l.checkOrigins(events, byCommand, &found)
	checkQueue(events, &found)
	return &found
}

// checkOrder wants positions and revisions without gaps, and every identity
// once. It sorts events by the command that they name.
func checkOrder(events []domain.Envelope, found *faults) map[string][]domain.Envelope {
	byCommand := map[string][]domain.Envelope{}
	next := map[domain.StreamID]domain.Revision{}
	identities := map[domain.EventID]domain.Position{}
	for i, e := range events {
		if e.Position != domain.Position(i+1) {
			found.add("place %d of the log: found position %d", i+1, e.Position)
		}
		if e.Revision != next[e.Stream] {
			found.add("%v: want revision %d", e, next[e.Stream])
		}
		next[e.Stream] = e.Revision + 1
		if first, twice := identities[e.ID]; twice {
			found.add("%v: has the identity of the event at %d", e, first)
		}
		identities[e.ID] = e.Position
		byCommand[e.Meta.Command] = append(byCommand[e.Meta.Command], e)
	}
	return byCommand
}

// checkAnswers wants every acknowledged event where the answer said, and no
// more events of a command than its answer named.
func (l *ledger) checkAnswers(events []domain.Envelope, byCommand map[string][]domain.Envelope, found *faults) {
	for key, e := range l.entries {
		for _, a := range e.answers {
			if a.Status >= 500 {
				continue // it promised nothing
			}
			for i, told := range a.Events {
				if told.Position < 1 || int(told.Position) > len(events) {
					found.add("%s %s: acknowledged %v is lost; the log ends at %d", e.path, key, told, len(events))
					continue
				}
				stored := events[told.Position-1]
				if stored.Type != told.Type || stored.Stream != told.Stream || stored.Revision != told.Revision || stored.Meta.Command != key {
					found.add("%s %s: acknowledged %v, but the log holds %v of command %s there", e.path, key, told, stored, stored.Meta.Command)
				}
				index := 0
				for _, before := range a.Events[:i] {
					if before.Stream == told.Stream {
						index++
					}
				}
				if want := commands.EventID(key, told.Stream, index); stored.ID != want {
					found.add("%v: found identity %v, want %v", stored, stored.ID, want)
				}
			}
			if stored := len(byCommand[key]); stored != len(a.Events) {
				found.add("%s %s: answered %v, but the log holds %d events of it", e.path, key, a, stored)
			}
			if first := e.answers[0]; first.Status < 500 && !sameAnswer(first, a) {
				found.add("%s %s: answered %v %v first, then %v %v", e.path, key, first, first.Items, a, a.Items)
			}
		}
	}
}

// sameAnswer tells whether a repeated command got its first answer again.
func sameAnswer(a, b answer) bool {
	return a.Status == b.Status && a.Code == b.Code && slices.Equal(a.Events, b.Events) &&
		slices.EqualFunc(a.Items, b.Items, func(x, y lease) bool {
			return x.TaskID == y.TaskID && x.Lease == y.Lease && x.Code == y.Code && x.Deadline.Equal(y.Deadline)
		})
}

// checkOrigins traces every event to a command that was sent, once, or to what
// the node may do by itself.
func (l *ledger) checkOrigins(events []domain.Envelope, byCommand map[string][]domain.Envelope, found *faults) {
	position := map[domain.EventID]domain.Position{}
	for _, e := range events {
		position[e.ID] = e.Position
		if sent, ok := l.entries[e.Meta.Command]; ok {
			if !slices.Contains(effects[sent.path], e.Type) {
				found.add("%v: is no effect of %s", e, sent.path)
			}
			if e.ID != commands.EventID(e.Meta.Command, e.Stream, 0) {
				found.add("%v: is not the first event of command %s on its stream", e, e.Meta.Command)
			}
			for _, other := range byCommand[e.Meta.Command] {
				if many := sent.path == "/work/claim" || strings.HasSuffix(sent.path, "_batch"); other.ID != e.ID && (!many || other.Stream == e.Stream) {
					found.add("%v: command %s of %s has the event at %d too, want one", e, e.Meta.Command, sent.path, other.Position)
				}
			}
			continue
		}
		if !slices.Contains(initiatives[e.Meta.Actor], e.Type) {
			found.add("%v: nobody asked for it: command %q, actor %q", e, e.Meta.Command, e.Meta.Actor)
			continue
		}
		if place := slices.Index(initiatives[e.Meta.Actor], e.Type); e.ID != commands.EventID(e.Meta.Command, e.Stream, 0) &&
			(place == 0 || e.ID != commands.EventID(e.Meta.Command, e.Stream, place)) {
			found.add("%v: is no event that command %s leads to on its stream", e, e.Meta.Command)
		}
		reactor, reacts := strings.CutPrefix(e.Meta.Actor, "reactor:")
		if !reacts {
			if !strings.HasPrefix(e.Meta.Command, "clock/") {
				found.add("%v: found command %q of the clock", e, e.Meta.Command)
			}
			continue
		}
		cause, err := domain.ParseEventID(e.Meta.Causation)
		if err != nil || position[cause] == 0 || !reactionTo(cause, reactor, e.Meta.Command) {
			found.add("%v: command %q is no answer of %s to event %q", e, e.Meta.Command, reactor, e.Meta.Causation)
		}
	}
}

func reactionTo(cause domain.EventID, reactor, command string) bool {
	for index := range maxReactions {
		if command == store.CommandID(cause, reactor, index) {
			return true
		}
	}
	return false
}

// checkQueue follows every item through its life: one live lease at a time,
// numbers that only grow, done once.
func checkQueue(events []domain.Envelope, found *faults) {
	catalog, err := wiring.Catalog()
	if err != nil {
		found.add("catalogue: %v", err)
		return
	}
	tasks := map[domain.StreamID]work.Task{}
	for _, e := range events {
		if e.Stream.Category() != "task" {
			continue
		}
		if err := catalog.Fill(&e); err != nil {
			found.add("%v: %v", e, err)
			continue
		}
		task := tasks[e.Stream]
		wrong := ""
		switch fact := e.Event.(type) {
		case work.Spawned:
			wrong = cmp.Or(unless(task.State == "", "exists"))
		case work.Claimed:
			wrong = cmp.Or(unless(task.State == work.StateQueued, "is not queued"), unless(fact.Lease == task.Lease+1, "had another lease last"))
		case work.Started:
			wrong = unless(task.State == work.StateLeased && fact.Lease == task.Lease, "is not held under this lease")
		case work.Heartbeat:
			wrong = unless(task.State.Held() && fact.Lease == task.Lease, "is not held under this lease")
		case work.Completed:
			wrong = unless(task.State.Held() && fact.Lease == task.Lease, "is not held under this lease")
		case work.Failed:
			wrong = unless(task.State.Held() && fact.Lease == task.Lease, "is not held under this lease")
		case work.Released:
			wrong = unless(task.State.Held() && fact.Lease == task.Lease, "is not held under this lease")
		case work.LeaseExpired:
			wrong = cmp.Or(unless(task.State.Held() && fact.Lease == task.Lease, "is not held under this lease"), unless(!e.Time.Before(task.Deadline), fmt.Sprintf("is not due at %v before %v", e.Time, task.Deadline)))
		case work.CompletionRejected:
			wrong = unless(!task.State.Held() || fact.Lease != task.Lease, "is held under this lease")
		case work.RetryScheduled:
			wrong = unless(task.State == work.StateFailed, "did not fail")
		case work.Requeued:
			wrong = cmp.Or(unless(task.State == work.StateWaiting, "does not wait"), unless(!e.Time.Before(task.NotBefore), fmt.Sprintf("is not due at %v before %v", e.Time, task.NotBefore)))
		}
		if wrong != "" {
			found.add("%v: the item %s; it is %s under lease %d", e, wrong, task.State, task.Lease)
		}
		tasks[e.Stream] = task.Evolve(e)
	}
}

func unless(holds bool, wrong string) string {
	if holds {
		return ""
	}
	return wrong
}
