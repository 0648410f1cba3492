package work_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ringrift/rift/commands"
	admincmd "github.com/ringrift/rift/commands/admin"
	nodescmd "github.com/ringrift/rift/commands/nodes"
	policycmd "github.com/ringrift/rift/commands/policy"
	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/admin"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/eventlog"
)

// bench is a bus on an empty log in memory, with a queue and without a row.
type bench struct {
	bus      *commands.Bus
	log      eventlog.Log
	now      time.Time
	policy   domain.Policy
	commands int
}

func newBench(t rapid.TB) *bench {
	t.Helper()
	catalog, err := domain.NewCatalog(nil, work.Events(), nodes.Events(), domain.PolicyEvents(nil), admin.Events())
	if err != nil {
		t.Fatal(err)
	}
	log := eventlog.NewMemory()
	bus, err := commands.NewBus(log, catalog, nil, workcmd.Specs(), nodescmd.Specs(), policycmd.Specs(domain.Sections{work.DefaultPolicy()}), commands.Events(), admincmd.Specs())
	if err != nil {
		t.Fatal(err)
	}
	bus.Queue = foldedQueue{bus}
	return &bench{bus: bus, log: log, now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), policy: domain.Policy{}}
}

func (b *bench) do(c domain.Command) (commands.Result, error) {
	b.commands++
	return b.as(fmt.Sprintf("c%d", b.commands), c)
}

func (b *bench) as(id string, c domain.Command) (commands.Result, error) {
	return b.bus.Do(context.Background(), domain.Facts{Now: b.now, Command: id, Policy: b.policy, Node: "n1"}, c)
}

func (b *bench) task(t rapid.TB, id domain.TaskID) work.Task {
	t.Helper()
	var task work.Task
	for e, err := range b.log.Read(context.Background(), id.Stream(), 0, eventlog.Forward) {
		if err != nil {
			t.Fatal(err)
		}
		if err := b.bus.Catalog.Fill(&e); err != nil {
			t.Fatal(err)
		}
		task = task.Evolve(e)
	}
	return task
}

func report(id domain.TaskID, lease uint64) workcmd.Report {
	return workcmd.Report{TaskID: id, Lease: lease}
}

// The queue keeps its promises whatever order commands come in, and however
// often they are repeated: one live lease per item, lease numbers only grow,
// done is final, attempts never exceed the maximum, a refused report changes
// nothing but the record of it.
func TestQueueKeepsItsPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := newBench(t)
		ids := []domain.TaskID{"a", "b", "c"}
		attempts := rapid.IntRange(1, 3).Draw(t, "max attempts")
		before := map[domain.TaskID]work.Task{}
		leases := map[domain.TaskID]uint64{}
		holder := map[domain.TaskID]domain.NodeID{}
		anyID := rapid.SampledFrom(ids)
		lease := func(t *rapid.T, id domain.TaskID) uint64 {
			return uint64(rapid.IntRange(1, int(leases[id])+2).Draw(t, "lease"))
		}
		finish := func(id domain.TaskID, under uint64, c domain.Command) {
			task := b.task(t, id)
			live := task.State.Held() && task.Lease == under
			_, err := b.do(c)
			switch {
			case task.State == "":
				if !errors.Is(err, domain.ErrNotFound) {
					t.Fatalf("%T on an item that does not exist: want not_found, found %v", c, err)
				}
			case live && err != nil:
				t.Fatalf("%T under the live lease %d refused: %v", c, under, err)
			case !live && !errors.Is(err, domain.ErrStaleLease):
				t.Fatalf("%T under lease %d of an item that is %s under %d: want stale_lease, found %v", c, under, task.State, task.Lease, err)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				id := anyID.Draw(t, "id")
				_, err := b.do(workcmd.AddTask{TaskID: id, TaskType: "selfplay", MaxAttempts: attempts})
				if existed := before[id].State != ""; existed != errors.Is(err, domain.ErrConflict) {
					t.Fatalf("adding %s, which existed: %v, answered %v", id, existed, err)
				}
			},
			"lease": func(t *rapid.T) {
				id, node := anyID.Draw(t, "id"), domain.NodeID(rapid.SampledFrom([]string{"n1", "n2"}).Draw(t, "node"))
				task := b.task(t, id)
				result, err := b.do(workcmd.LeaseTask{TaskID: id, NodeID: node})
				if queued := task.State == work.StateQueued; queued != (err == nil) {
					t.Fatalf("leasing %s, which is %q, answered %v", id, task.State, err)
				}
				if err == nil {
					item := result.Answer.(workcmd.ClaimedTask)
					if item.Lease != leases[id]+1 {
						t.Fatalf("lease %d of %s follows %d", item.Lease, id, leases[id])
					}
					leases[id], holder[id] = item.Lease, node
				}
			},
			"start": func(t *rapid.T) {
				id := anyID.Draw(t, "id")
				under := lease(t, id)
				finish(id, under, workcmd.StartTask{report(id, under)})
			},
			"heartbeat": func(t *rapid.T) {
				id := anyID.Draw(t, "id")
				under := lease(t, id)
				if b.task(t, id).State == work.StateCancelled && b.task(t, id).Lease == under {
					result, err := b.do(workcmd.HeartbeatTask{Report: report(id, under)})
					if err != nil || !result.Answer.(workcmd.TaskHeartbeaten).Cancel {
						t.Fatalf("heartbeat of a cancelled item: want cancel, found %+v, %v", result.Answer, err)
					}
					return
				}
				finish(id, under, workcmd.HeartbeatTask{Report: report(id, under)})
			},
			"complete": func(t *rapid.T) {
				id := anyID.Draw(t, "id")
				under := lease(t, id)
				finish(id, under, workcmd.CompleteTask{Report: report(id, under), Result: json.RawMessage(`{"games":1}`)})
			},
			"fail": func(t *rapid.T) {
				id := anyID.Draw(t, "id")
				under := lease(t, id)
				retryable := rapid.Bool().Draw(t, "retryable")
				finish(id, under, workcmd.FailTask{Report: report(id, under), Error: "out of memory", Retryable: &retryable})
			},
			"release": func(t *rapid.T) {
				id := anyID.Draw(t, "id")
				under := lease(t, id)
				finish(id, under, workcmd.ReleaseTask{Report: report(id, under)})
			},
			"cancel": func(t *rapid.T) {
				_, err := b.do(workcmd.CancelTask{TaskID: anyID.Draw(t, "id")})
				if err != nil && !errors.Is(err, domain.ErrConflict) && !errors.Is(err, domain.ErrNotFound) {
					t.Fatal(err)
				}
			},
			"clock": func(t *rapid.T) {
				b.now = b.now.Add(time.Duration(rapid.IntRange(1, 400).Draw(t, "seconds")) * time.Second)
				for _, id := range ids {
					task := b.task(t, id)
					for _, c := range []domain.Command{workcmd.ExpireLease{id, task.Lease}, workcmd.RetryFailed{id}, workcmd.RequeueWaiting{id}} {
						if _, err := b.do(c); err != nil {
							t.Fatal(err)
						}
					}
				}
			},
			"": func(t *rapid.T) {
				for _, id := range ids {
					was, is := before[id], b.task(t, id)
					if was.State.Final() && is.State != was.State {
						t.Fatalf("%s was %s for ever and is %s", id, was.State, is.State)
					}
					if is.Lease < was.Lease {
						t.Fatalf("the lease of %s fell from %d to %d", id, was.Lease, is.Lease)
					}
					if is.Attempts > attempts {
						t.Fatalf("%s spent %d of %d attempts", id, is.Attempts, attempts)
					}
					if is.State.Held() && is.Node != holder[id] {
						t.Fatalf("%s is held by %s, and was leased to %s", id, is.Node, holder[id])
					}
					before[id] = is
				}
			},
		})
	})
}

// A repeated command gets the first answer again, refusals included.
func TestRepeatedCommandGetsItsFirstAnswer(t *testing.T) {
	b := newBench(t)
	if _, err := b.as("add", workcmd.AddTask{TaskID: "a", TaskType: "selfplay"}); err != nil {
		t.Fatal(err)
	}
	again, err := b.as("add", workcmd.AddTask{TaskID: "a", TaskType: "selfplay"})
	if err != nil || !again.Duplicate || again.Answer.(workcmd.TaskAdded).TaskID != "a" {
		t.Fatalf("want the first answer again, found %+v, %v", again, err)
	}
	first, err := b.as("lease", workcmd.LeaseTask{TaskID: "a", NodeID: "n1"})
	if err != nil {
		t.Fatal(err)
	}
	second, err := b.as("lease", workcmd.LeaseTask{TaskID: "a", NodeID: "n1"})
	if err != nil || second.Answer != nil && second.Answer.(workcmd.ClaimedTask).Lease != first.Answer.(workcmd.ClaimedTask).Lease {
		t.Fatalf("want the same lease again, found %+v, %v", second, err)
	}
	_, refused := b.as("ghost", workcmd.CompleteTask{Report: report("a", 7)})
	_, repeated := b.as("ghost", workcmd.CompleteTask{Report: report("a", 7)})
	if !errors.Is(refused, domain.ErrStaleLease) || refused.Error() != repeated.Error() {
		t.Fatalf("want the same refusal twice, found %v and %v", refused, repeated)
	}
	head, _ := b.log.Head(context.Background())
	if head != 3 {
		t.Fatalf("want 3 events, found %d", head)
	}
}

// A refused report leaves what it brought, so that games already played are not lost.
func TestGhostsResultIsKept(t *testing.T) {
	b := newBench(t)
	for _, c := range []domain.Command{workcmd.AddTask{TaskID: "a", TaskType: "selfplay"}, workcmd.LeaseTask{TaskID: "a", NodeID: "n1"}} {
		if _, err := b.do(c); err != nil {
			t.Fatal(err)
		}
	}
	b.now = b.now.Add(time.Hour)
	if _, err := b.do(workcmd.ExpireLease{"a", 1}); err != nil {
		t.Fatal(err)
	}
	result, err := b.do(workcmd.CompleteTask{Report: report("a", 1), Result: json.RawMessage(`{"games":50}`)})
	if !errors.Is(err, domain.ErrStaleLease) {
		t.Fatalf("want stale_lease, found %v", err)
	}
	rejected, ok := result.Events[0].Event.(work.CompletionRejected)
	if !ok || string(rejected.Result) != `{"games":50}` || rejected.Reason != "stale" {
		t.Fatalf("want the result kept as stale, found %+v", result.Events[0].Event)
	}
}

// A dry run answers what would happen and stores nothing.
func TestDryRunStoresNothing(t *testing.T) {
	b := newBench(t)
	result, err := b.bus.Try(t.Context(), domain.Facts{Now: b.now, Command: "c", Policy: b.policy}, workcmd.AddTask{TaskID: "a", TaskType: "selfplay"})
	if err != nil || len(result.Events) != 1 {
		t.Fatalf("want one event, found %+v, %v", result, err)
	}
	if head, _ := b.log.Head(t.Context()); head != 0 {
		t.Fatalf("want an empty log, found %d events", head)
	}
}

// Every fault of a command is named at once.
func TestAddNamesEveryFault(t *testing.T) {
	b := newBench(t)
	priority := 101
	_, err := b.do(workcmd.AddTask{TaskID: "a b", Priority: &priority, TimeoutSeconds: -1, MaxAttempts: -1, Requires: []string{""}})
	var coded *domain.Error
	if !errors.As(err, &coded) {
		t.Fatal(err)
	}
	var fields []string
	for _, fault := range coded.Faults {
		fields = append(fields, fault.Field)
	}
	if got, want := fmt.Sprint(fields), "[task_id task_type priority requires[0] timeout_seconds max_attempts]"; got != want {
		t.Fatalf("want faults in %s, found %s", want, got)
	}
}

// Back-off doubles to its cap, spreads over its upper half, and is the same
// wherever it is decided.
func TestBackoffDoublesToItsCap(t *testing.T) {
	facts := domain.Facts{Policy: domain.Policy{}, Seed: 42}
	for attempts, bound := range []time.Duration{5, 5, 10, 20, 40, 80, 160, 300, 300} {
		if attempts == 0 {
			continue
		}
		bound *= time.Second
		wait := workcmd.Backoff(attempts, facts)
		if wait < bound/2 || wait > bound {
			t.Errorf("after %d attempts: want %v to %v, found %v", attempts, bound/2, bound, wait)
		}
		if again := workcmd.Backoff(attempts, facts); again != wait {
			t.Errorf("after %d attempts: %v, then %v", attempts, wait, again)
		}
	}
}
