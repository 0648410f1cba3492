package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringrift/rift/commands"
	nodescmd "github.com/ringrift/rift/commands/nodes"
	policycmd "github.com/ringrift/rift/commands/policy"
	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections"
	"github.com/ringrift/rift/projections/store"
	"github.com/ringrift/rift/transport"
)

// running is a node in memory whose actors follow the log and drain the outbox.
func running(t *testing.T, log eventlog.Log, tune ...func(*Config)) *Node {
	t.Helper()
	logger := slog.New(slog.NewTextHandler(t.Output(), nil))
	config := Config{Node: "n1", Log: log, Logger: logger, StoreDir: "models", Store: store.Options{FS: vfs.NewMem(), Small: true}}
	for _, change := range tune {
		change(&config)
	}
	n, err := Open(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var actors sync.WaitGroup
	for _, actor := range []func(context.Context) error{n.Follow, n.Drain, n.Tick, n.Publish} {
		actors.Go(func() {
			if err := actor(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() {
		stop()
		actors.Wait()
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

func do(t *testing.T, n *Node, id string, c domain.Command) commands.Result {
	t.Helper()
	result, err := n.Do(t.Context(), Order{ID: id, Command: c})
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// A node that was restarted decides by the policy in its log from the first command on,
// even before its read models have that policy.
func TestTheFirstCommandKnowsThePolicy(t *testing.T) {
	log := eventlog.NewMemory()
	t.Run("before", func(t *testing.T) {
		n := running(t, log)
		do(t, n, "set", policycmd.SetPolicy{Name: domain.PolicyDefaultName, Change: json.RawMessage(`{"work":{"recovery_limit":1,"soft_limit":1,"hard_limit":2}}`)})
		do(t, n, "one", workcmd.AddTask{TaskID: "one", TaskType: "selfplay"})
		do(t, n, "two", workcmd.AddTask{TaskID: "two", TaskType: "selfplay"})
	})
	for start := range 20 {
		t.Run(fmt.Sprint("start ", start), func(t *testing.T) {
			n := running(t, log)
			_, err := n.Do(t.Context(), Order{ID: fmt.Sprint("add", start), Command: workcmd.AddTask{TaskType: "selfplay"}})
			if !errors.Is(err, domain.ErrTooMany) || !strings.Contains(err.Error(), "limit is 2") {
				t.Errorf("want the queue of two full, found %v", err)
			}
		})
	}
}

// Concurrent claims take different items, and all items are taken.
func TestClaimsAtOnceTakeDifferentItems(t *testing.T) {
	n := running(t, eventlog.NewMemory())
	const items = 200
	for i := range items {
		do(t, n, fmt.Sprint("add", i), workcmd.AddTask{TaskID: domain.TaskID(fmt.Sprint("t", i)), TaskType: "selfplay"})
	}
	var mu sync.Mutex
	taken := map[domain.TaskID]int{}
	var claimers sync.WaitGroup
	for worker := range 8 {
		claimers.Go(func() {
			for i := 0; ; i++ {
				result, err := n.Do(context.Background(), Order{ID: fmt.Sprintf("claim%d/%d", worker, i), Command: workcmd.ClaimTasks{NodeID: "w", Limit: 3}})
				if err != nil {
					t.Error(err)
					return
				}
				got := result.Answer.(workcmd.TasksClaimed).Items
				if len(got) == 0 {
					return
				}
				mu.Lock()
				for _, item := range got {
					taken[item.TaskID]++
				}
				mu.Unlock()
			}
		})
	}
	claimers.Wait()
	if len(taken) != items {
		t.Errorf("want all %d items taken, found %d", items, len(taken))
	}
	for id, times := range taken {
		if times != 1 {
			t.Errorf("item %s was taken %d times", id, times)
		}
	}
}

// The commands of reactors are run without a request.
func TestReactorsAreDrained(t *testing.T) {
	n := running(t, eventlog.NewMemory())
	do(t, n, "a", workcmd.AddTask{TaskID: "a", TaskType: "selfplay"})
	do(t, n, "b", workcmd.AddTask{TaskID: "b", TaskType: "training", DependsOn: []domain.TaskID{"a"}})
	do(t, n, "c", workcmd.ClaimTasks{NodeID: "w"})
	do(t, n, "d", workcmd.CompleteTask{Report: workcmd.Report{TaskID: "a", Lease: 1}})
	deadline := time.Now().Add(30 * time.Second)
	for i := 0; ; i++ {
		result := do(t, n, fmt.Sprint("again", i), workcmd.ClaimTasks{NodeID: "w"})
		if items := result.Answer.(workcmd.TasksClaimed).Items; len(items) == 1 {
			if items[0].TaskID != "b" {
				t.Fatalf("want b, found %s", items[0].TaskID)
			}
			return
		}
		if time.Now().After(deadline) {
			for e, err := range n.log.ReadAll(t.Context(), 1, eventlog.Forward, eventlog.Filter{}) {
				t.Log(e, err)
			}
			_ = n.store.View(func(v projections.View) error {
				for _, table := range []string{"work.items", "work.by_state", "work.waits"} {
					for row, err := range v.Scan(table, projections.Span{}) {
						t.Logf("%s %q %s %v", table, row.Key, row.Value, err)
					}
				}
				return nil
			})
			t.Fatalf("b was never handed out, after %d claims", i)
		}
	}
}

// A node that is stopping accepts reports and leases no items.
func TestStoppingEndsClaimsOnly(t *testing.T) {
	n := running(t, eventlog.NewMemory())
	do(t, n, "a", workcmd.AddTask{TaskID: "a", TaskType: "selfplay"})
	do(t, n, "c", workcmd.ClaimTasks{NodeID: "w"})
	var told time.Duration
	n.config.OnShutdown = func(_ string, grace time.Duration) { told = grace }
	if err := n.Backend().Shutdown(t.Context(), "maintenance", 3*time.Second); err != nil || told != 3*time.Second {
		t.Fatalf("want the process told of 3s, found %v, %v", told, err)
	}
	if _, err := n.Do(t.Context(), Order{ID: "c2", Command: workcmd.ClaimTasks{NodeID: "w"}}); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("want a claim refused as unavailable, found %v", err)
	}
	do(t, n, "d", workcmd.CompleteTask{Report: workcmd.Report{TaskID: "a", Lease: 1}})
	health, err := n.Backend().Health(t.Context())
	if err != nil || health.Status != transport.StateDegraded {
		t.Errorf("want health degraded, found %v, %v", health.Status, err)
	}
}

// A query without a position sees what was acknowledged before it. It does not wait for
// read models that are far behind.
func TestQueriesShowWhatWasAcknowledged(t *testing.T) {
	n := running(t, eventlog.NewMemory())
	b := n.Backend()
	for i := range 30 {
		id := domain.TaskID(fmt.Sprint("t", i))
		stored, err := b.Do(t.Context(), transport.Call{ID: "add-" + string(id), Command: workcmd.AddTask{TaskID: id, TaskType: "selfplay"}})
		if err != nil {
			t.Fatal(err)
		}
		if err := b.View(t.Context(), transport.At{}, 0, func(v projections.View) error {
			if v.Position() < stored.Position {
				t.Errorf("want a view up to %d, found %d", stored.Position, v.Position())
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	raise(&n.answered, 1<<40)
	if err := b.View(t.Context(), transport.At{}, 0, func(projections.View) error { return nil }); err != nil {
		t.Errorf("want what read models have when they are far behind, found %v", err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.View(gone, transport.At{}, 0, func(projections.View) error { return nil }); err == nil {
		t.Error("want no answer for a caller that is gone, found one")
	}
}

// Silence is measured from the last sign of life of any kind.
func TestAnySignIsASignOfLife(t *testing.T) {
	l := newLevels()
	policy := nodes.DefaultPolicy()
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	l.note(nodescmd.RegisterNode{NodeID: "w"}, commands.Result{}, start, policy)
	l.note(workcmd.ClaimTasks{NodeID: "stranger"}, commands.Result{}, start, policy)
	if got := l.silent(start.Add(time.Second)); len(got) != 1 || got[0] != "w" {
		t.Fatalf("want w expected and strangers not, found %v", got)
	}
	l.note(workcmd.HeartbeatTask{}, commands.Result{Events: []domain.Envelope{{Event: work.Heartbeat{NodeID: "w"}}}}, start.Add(2*time.Second), policy)
	if got := l.silent(start.Add(time.Second)); len(got) != 0 {
		t.Fatalf("want a report on work to count, found %v silent", got)
	}
}

// Queries as of the past are answered, and those as of the future are refused.
func TestAsOf(t *testing.T) {
	n := running(t, eventlog.NewMemory())
	do(t, n, "a", workcmd.AddTask{TaskID: "a", TaskType: "selfplay"})
	b := n.Backend()
	if err := b.View(t.Context(), transport.At{Set: true, Position: 9}, 0, nil); !errors.Is(err, domain.ErrInvalid) {
		t.Errorf("want a position beyond the end refused, found %v", err)
	}
	within, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := b.View(within, transport.At{}, 9, nil); !errors.Is(err, domain.ErrTimeout) {
		t.Errorf("want a time-out for a position that never comes, found %v", err)
	}
}
