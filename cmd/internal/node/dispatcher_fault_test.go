package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/ringrift/rift/commands"
	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/eventlog"
)

// followedOnly is a node whose read models follow the log, and none of whose other actors
// run.
func followedOnly(t *testing.T, log eventlog.Log) *Node {
	t.Helper()
	f := unfollowedOn(t, log)
	f.follow()
	t.Cleanup(func() { f.stop() })
	return f.Node
}

// story is a list of commands that are decided in groups, each appended in one call. A
// decision depends on the earlier ones in its group.
func story() [][]Order {
	report := func(id domain.TaskID) workcmd.Report { return workcmd.Report{TaskID: id, Lease: 1} }
	add := func(id string, key string) Order {
		return Order{ID: "add-" + id, Command: workcmd.AddTask{TaskID: domain.TaskID(id), TaskType: "selfplay", UniqueKey: key}}
	}
	order := func(id string, c domain.Command) Order { return Order{ID: id, Command: c} }
	return [][]Order{
		{
			add("a", ""), add("b", "key"), add("c", ""),
			order("batch", workcmd.AddTasks{Items: []workcmd.AddTask{{TaskID: "d", TaskType: "selfplay"}, {TaskID: "e", TaskType: "training"}, {TaskID: "f", TaskType: "selfplay"}}}),
			order("claim-1", workcmd.ClaimTasks{NodeID: "n1", Limit: 3}),
			order("heartbeat-a", workcmd.HeartbeatTask{Report: report("a")}),
		},
		{
			order("start-b", workcmd.StartTask{Report: report("b")}),
			order("ends", workcmd.CompleteTasks{Items: []workcmd.CompleteTask{{Report: report("a")}, {Report: report("c")}}}),
			order("claim-2", workcmd.ClaimTasks{NodeID: "n2", Limit: 2}),
			order("fail-d", workcmd.FailTask{Report: report("d"), Error: "out of memory"}),
			order("release-b", workcmd.ReleaseTask{Report: report("b")}),
			order("stale", workcmd.CompleteTask{Report: report("b")}),
			order("claim-3", workcmd.ClaimTasks{NodeID: "n3"}),
			order("cancel", workcmd.CancelTasks{TaskType: "selfplay", State: work.StateQueued}),
			add("g", ""),
		},
	}
}

// runStory returns the outcomes of the commands of a story, by their ids.
func runStory(t *testing.T, n *Node, story [][]Order) map[string]Outcome {
	t.Helper()
	outcomes := map[string]Outcome{}
	for _, orders := range story {
		for i, outcome := range n.DoAll(t.Context(), orders) {
			outcomes[orders[i].ID] = outcome
		}
	}
	return outcomes
}

// Whichever write fails, and in whatever way: what was answered is in the log, what was
// not stored was not answered as stored, no item is leased twice, the queue equals the
// fold of the log, and a repetition gets the first answer or continues.
func TestEveryWriteMayFail(t *testing.T) {
	healthyLog := &faultyLog{Log: eventlog.NewMemory()}
	undisturbed := followedOnly(t, healthyLog)
	for id, outcome := range runStory(t, undisturbed, story()) {
		if refused := errors.Is(outcome.Err, domain.ErrStaleLease); outcome.Err != nil && !refused || refused != (id == "stale") {
			t.Fatalf("%s, undisturbed: found %v", id, outcome.Err)
		}
	}
	if len(healthyLog.calls) != 2 {
		t.Fatalf("want each part of the story in one call, found calls of %v writes", healthyLog.calls)
	}
	total := healthyLog.writes
	for _, is := range faults {
		t.Run(is.String(), func(t *testing.T) {
			for at := range total {
				log := &faultyLog{Log: eventlog.NewMemory()}
				log.fault = func(nth int, _ eventlog.Write) fault {
					if nth == at {
						return is
					}
					return healthy
				}
				n := followedOnly(t, log)
				first := runStory(t, n, story())
				log.set(nil)
				checkStory(t, n, is, first)
				if t.Failed() {
					t.Fatalf("write %d of %d", at, total)
				}
			}
		})
	}
}

// checkStory checks the outcomes of a story, and that its commands can be repeated.
func checkStory(t *testing.T, n *Node, is fault, first map[string]Outcome) {
	t.Helper()
	sameAsLoaded(t, n)
	log := audit(t, n, true)
	for id, outcome := range first {
		log.answered(t, id, outcome.Result)
		failed := domain.CodeOf(outcome.Err) == domain.Unavailable
		if failed && is == conflicting {
			t.Errorf("%s met a conflict and was not decided again: %v", id, outcome.Err)
		}
		if wrote := len(log.wrote[id]); outcome.Err == nil && wrote != len(outcome.Result.Events) {
			t.Errorf("%s was answered with %d events, and the log has %d of it", id, len(outcome.Result.Events), wrote)
		}
	}
	again := runStory(t, n, story())
	for id, outcome := range again {
		before := first[id]
		if domain.CodeOf(outcome.Err) == domain.Unavailable {
			t.Errorf("%s, repeated: %v", id, outcome.Err)
		}
		if len(before.Result.Events) == 0 || domain.CodeOf(before.Err) == domain.Unavailable {
			continue // it has no answer that could be repeated
		}
		if a, b := fmt.Sprint(before.Err), fmt.Sprint(outcome.Err); a != b {
			t.Errorf("%s: want the answer %s again, found %s", id, a, b)
		}
		a, b := idsOf(before.Result), idsOf(outcome.Result)
		if !outcome.Result.Duplicate || slices.ContainsFunc(a, func(e string) bool { return !slices.Contains(b, e) }) {
			t.Errorf("%s: want the events %v again, found %v", id, a, b)
		}
		if id == "start-b" || len(a) < len(b) && id == "ends" {
			continue // a deadline depends on the time; a refusal without events is decided again
		}
		answer, err := json.Marshal(before.Result.Answer)
		repeated, err2 := json.Marshal(outcome.Result.Answer)
		if string(answer) != string(repeated) || len(a) != len(b) || err != nil || err2 != nil {
			t.Errorf("%s: want the answer %s again, found %s; %v, %v", id, answer, repeated, err, err2)
		}
	}
	sameAsLoaded(t, n)
	audit(t, n, true)
}

// A claim and a cancellation of a class are stored in part. When they are repeated, by the
// caller or by the node, the claim takes no more items than its limit, and the
// cancellation cancels the rest and lists all.
func TestWhatIsStoredInPartGoesOn(t *testing.T) {
	for _, is := range []fault{conflicting, unavailable} {
		for at := range 3 {
			log := &faultyLog{Log: eventlog.NewMemory()}
			n := followedOnly(t, log)
			for i := range 9 {
				do(t, n, fmt.Sprint("add", i), workcmd.AddTask{TaskID: domain.TaskID(fmt.Sprint("t", i)), TaskType: "selfplay"})
			}
			asked := func(id string, c domain.Command) (commands.Result, error) {
				first := log.writes
				log.set(func(nth int, _ eventlog.Write) fault {
					if nth == first+at {
						return is
					}
					return healthy
				})
				result, err := n.Do(t.Context(), Order{ID: id, Command: c})
				if failed := domain.CodeOf(err) == domain.Unavailable; failed != (is == unavailable) {
					t.Fatalf("%s, write %d %s: found %v", id, at, is, err)
				}
				if is == conflicting {
					return result, err
				}
				return n.Do(t.Context(), Order{ID: id, Command: c})
			}
			result, err := asked("claim", workcmd.ClaimTasks{NodeID: "w", Limit: 3})
			if err != nil || len(result.Answer.(workcmd.TasksClaimed).Items) != 2 {
				t.Errorf("want the two that were stored, found %+v, %v", result.Answer, err)
			}
			result, err = asked("cancel", workcmd.CancelTasks{State: work.StateQueued, Limit: 5})
			if answer := result.Answer.(workcmd.TasksCancelled); err != nil || answer.Cancelled != 5 {
				t.Errorf("want five cancelled, found %+v, %v", answer, err)
			}
			a := audit(t, n, true)
			if claims, ends := len(a.wrote["claim"]), len(a.wrote["cancel"]); claims != 2 || ends != 5 {
				t.Errorf("want 2 claimed and 5 cancelled, found %d and %d", claims, ends)
			}
			again, err := n.Do(t.Context(), Order{ID: "cancel", Command: workcmd.CancelTasks{State: work.StateQueued, Limit: 5}})
			if a, b := idsOf(result), idsOf(again); err != nil || !slices.Equal(a, b) {
				t.Errorf("want the answer again, found %v and %v, %v", a, b, err)
			}
			sameAsLoaded(t, n)
		}
	}
}

// proposedOf returns an event as another writer would append it.
func proposedOf(t *testing.T, cause string, event domain.Event) eventlog.Proposed {
	t.Helper()
	data, err := json.Marshal(event)
	if err != nil {
		t.Fatal(err)
	}
	return eventlog.Proposed{ID: domain.DeriveID(cause, 0), Type: event.EventType(), Version: 1, Time: time.Unix(1e9, 0).UTC(), Meta: domain.Meta{Command: cause}, Data: data}
}

// An event that another writer appends about an ended or a live item leaves the queue
// equal to the fold of the log.
func TestOutsidersTellOfItems(t *testing.T) {
	n := followedOnly(t, eventlog.NewMemory())
	do(t, n, "add", workcmd.AddTask{TaskID: "a", TaskType: "selfplay"})
	do(t, n, "live", workcmd.AddTask{TaskID: "b", TaskType: "selfplay"})
	do(t, n, "claim", workcmd.ClaimTasks{NodeID: "w"})
	do(t, n, "done", workcmd.CompleteTask{Report: workcmd.Report{TaskID: "a", Lease: 1}})
	for i, event := range []domain.Event{
		work.Spawned{TaskID: "a", TaskType: "selfplay", TimeoutSeconds: 60, MaxAttempts: 1, UniqueKey: "key"},
		work.Spawned{TaskID: "b", TaskType: "training", TimeoutSeconds: 60, MaxAttempts: 1},
		work.Spawned{TaskID: "c", TaskType: "selfplay", TimeoutSeconds: 60, MaxAttempts: 1},
		work.Claimed{TaskID: "c", Lease: 7, NodeID: "elsewhere", Deadline: time.Unix(2e9, 0).UTC(), Attempt: 1},
		work.Claimed{TaskID: "a", Lease: 9, NodeID: "elsewhere", Deadline: time.Unix(2e9, 0).UTC(), Attempt: 1},
	} {
		stream := domain.Stream("task", fmt.Sprint([]string{"a", "b", "c", "c", "a"}[i]))
		do(t, n, fmt.Sprint("told", i), n.bus.Bridged(stream, domain.AnyRevision, event))
		sameAsLoaded(t, n)
	}
}

// A refusal that depends on a write that was not stored is decided again.
func TestARefusalRestsOnWhatIsStored(t *testing.T) {
	log := &faultyLog{Log: eventlog.NewMemory()}
	log.fault = func(nth int, _ eventlog.Write) fault {
		return []fault{unavailable, healthy}[min(nth, 1)]
	}
	n := followedOnly(t, log)
	outcomes := n.DoAll(t.Context(), []Order{
		{ID: "first", Command: workcmd.AddTask{TaskID: "a", TaskType: "selfplay", UniqueKey: "key"}},
		{ID: "second", Command: workcmd.AddTask{TaskID: "b", TaskType: "selfplay", UniqueKey: "key"}},
	})
	if domain.CodeOf(outcomes[0].Err) != domain.Unavailable || outcomes[1].Err != nil {
		t.Errorf("want the first unavailable and the second added, found %v and %v", outcomes[0].Err, outcomes[1].Err)
	}
	audit(t, n, true)
	sameAsLoaded(t, n)
}
