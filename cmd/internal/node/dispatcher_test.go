package node

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	admincmd "github.com/ringrift/rift/commands/admin"
	nodescmd "github.com/ringrift/rift/commands/nodes"
	policycmd "github.com/ringrift/rift/commands/policy"
	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/eventlog"
)

// blockedLog blocks calls of AppendMany until the test releases them.
type blockedLog struct {
	eventlog.Log
	came chan int      // the number of writes of a call that began
	let  chan struct{} // one token for each call; closed: releases all
}

func newBlockedLog() *blockedLog {
	return &blockedLog{eventlog.NewMemory(), make(chan int, 1000), make(chan struct{})}
}

func (l *blockedLog) AppendMany(ctx context.Context, writes []eventlog.Write) []eventlog.Written {
	l.came <- len(writes)
	<-l.let
	return l.Log.AppendMany(ctx, writes)
}

func addOrder(id string) Order {
	return Order{ID: "add-" + id, Command: workcmd.AddTask{TaskID: domain.TaskID(id), TaskType: "selfplay"}}
}

// start runs an order and sends its outcome.
func start(ctx context.Context, n *Node, order Order) <-chan Outcome {
	told := make(chan Outcome, 1)
	go func() {
		result, err := n.Do(ctx, order)
		told <- Outcome{result, err}
	}()
	return told
}

// waitsFor yields the processor until a condition holds.
func waitsFor(t *testing.T, so func() bool) {
	t.Helper()
	for !so() {
		if t.Context().Err() != nil {
			t.Fatal("it never comes to it")
		}
		runtime.Gosched()
	}
}

// line returns the number of commands that wait to be decided.
func (d *dispatcher) line() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.waiting)
}

// If the context of a caller ends while its command waits, the command is dropped. If the
// append is in progress, the command happens. The error says which.
func TestACallerGoesAway(t *testing.T) {
	log := newBlockedLog()
	n := followedOnly(t, log)
	under, goAway := context.WithCancel(t.Context())
	first := start(under, n, addOrder("first"))
	<-log.came
	waits, giveUp := context.WithCancel(t.Context())
	second := start(waits, n, addOrder("second"))
	waitsFor(t, func() bool { return n.work.line() == 1 })
	giveUp()
	if o := <-second; o.Err == nil || !strings.Contains(o.Err.Error(), "nothing is stored") {
		t.Errorf("want to be told that nothing is stored, found %+v", o)
	}
	goAway()
	if o := <-first; o.Err == nil || !strings.Contains(o.Err.Error(), "may be stored") {
		t.Errorf("want to be told that it may be stored, found %+v", o)
	}
	close(log.let)
	third := do(t, n, "third", workcmd.AddTask{TaskID: "third", TaskType: "selfplay"})
	if third.Position != 2 {
		t.Errorf("want the first and the third stored, found the third at %d", third.Position)
	}
	if again := do(t, n, "add-first", addOrder("first").Command); !again.Duplicate || again.Position != 1 {
		t.Errorf("want the first answer, found %+v", again)
	}
	if second := do(t, n, "add-second", addOrder("second").Command); second.Duplicate || second.Position != 3 {
		t.Errorf("want the second stored only now, found %+v", second)
	}
	sameAsLoaded(t, n)
}

// The number of waiting commands is bounded, and all that wait are decided.
func TestTheWaitingLineIsBounded(t *testing.T) {
	log := newBlockedLog()
	n := followedOnly(t, log)
	n.work.most = 3
	told := []<-chan Outcome{start(t.Context(), n, addOrder("t"))}
	<-log.came
	for i := range 3 {
		told = append(told, start(t.Context(), n, addOrder(fmt.Sprint("t", i))))
	}
	waitsFor(t, func() bool { return n.work.line() == 3 })
	if _, err := n.Do(t.Context(), addOrder("more")); !errors.Is(err, domain.ErrTooMany) {
		t.Errorf("want too_many, found %v", err)
	}
	for _, outcome := range n.DoAll(t.Context(), []Order{addOrder("some"), addOrder("others")}) {
		if !errors.Is(outcome.Err, domain.ErrTooMany) {
			t.Errorf("want too_many, found %v", outcome.Err)
		}
	}
	close(log.let)
	for _, one := range told {
		if o := <-one; o.Err != nil {
			t.Error(o.Err)
		}
	}
	if calls := len(log.came); calls != 1 {
		t.Errorf("want those that waited in one call, found %d", calls)
	}
	do(t, n, "more", addOrder("more").Command)
}

// The number of commands in a group is bounded: the first are answered before the last are
// decided.
func TestAGroupTakesSoManyCommands(t *testing.T) {
	log := newBlockedLog()
	n := followedOnly(t, log)
	told := []<-chan Outcome{start(t.Context(), n, addOrder("first"))}
	if writes := <-log.came; writes != 1 {
		t.Fatalf("want the first alone, found %d", writes)
	}
	const further = 7
	for i := range maxCalls + further {
		told = append(told, start(t.Context(), n, addOrder(fmt.Sprint("t", i))))
	}
	waitsFor(t, func() bool { return n.work.line() == maxCalls+further })
	close(log.let)
	for _, one := range told {
		if o := <-one; o.Err != nil {
			t.Error(o.Err)
		}
	}
	var groups []int
	for len(log.came) > 0 {
		groups = append(groups, <-log.came)
	}
	if want := []int{maxCalls, further}; !slices.Equal(groups, want) {
		t.Errorf("want groups of %d, found %d", want, groups)
	}
}

// A node that closes decides the commands that wait and refuses new ones.
func TestCloseDecidesWhatWaits(t *testing.T) {
	log := newBlockedLog()
	n, err := Open(Config{Node: "n1", Log: log, StoreDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	told := []<-chan Outcome{start(t.Context(), n, addOrder("t0"))}
	<-log.came
	const waiting = 20
	for i := range waiting {
		told = append(told, start(t.Context(), n, addOrder(fmt.Sprint("t", i+1))))
	}
	waitsFor(t, func() bool { return n.work.line() == waiting })
	closed := make(chan error, 1)
	go func() { closed <- n.Close() }()
	waitsFor(t, func() bool { return errors.Is(n.work.put(), domain.ErrUnavailable) })
	if _, err := n.Do(t.Context(), addOrder("late")); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("want a late command refused as unavailable, found %v", err)
	}
	close(log.let)
	for i, one := range told {
		if o := <-one; o.Err != nil || len(o.Result.Events) != 1 {
			t.Errorf("command %d: found %+v", i, o)
		}
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if head, err := log.Head(t.Context()); err != nil || head != waiting+1 {
		t.Errorf("want %d events, found %d, %v", waiting+1, head, err)
	}
}

// A node whose read models have stopped to follow the log can be closed, and commands that
// wait for them are answered.
func TestCloseWaitsForNobodyWhoIsGone(t *testing.T) {
	n, err := Open(Config{Node: "n1", Log: eventlog.NewMemory(), StoreDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	// Nothing follows the log, so the read models never have what claims wait for.
	do(t, n, "register", nodescmd.RegisterNode{NodeID: "w", Facts: []byte(`{"slots":2}`)})
	told := start(t.Context(), n, addOrder("waits"))
	waitsFor(t, func() bool { return n.work.line() == 0 })
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := n.Follow(ctx); err != nil {
		t.Fatal(err)
	}
	if o := <-told; !errors.Is(o.Err, domain.ErrUnavailable) {
		t.Errorf("want what waits for read models that nobody moves unavailable, found %+v", o)
	}
	if err := n.Close(); err != nil {
		t.Error(err)
	}
}

// The same command sent twice at once happens once, and both callers get its answer.
func TestOneIDTwiceAtOnce(t *testing.T) {
	n := followedOnly(t, eventlog.NewMemory())
	for i := range 50 {
		order := Order{ID: fmt.Sprint("add", i), Command: workcmd.AddTask{TaskID: domain.TaskID(fmt.Sprint("t", i)), TaskType: "selfplay"}}
		claim := Order{ID: fmt.Sprint("claim", i), Command: workcmd.ClaimTasks{NodeID: "w"}}
		for _, outcomes := range [][]Outcome{n.DoAll(t.Context(), []Order{order, order, order}), n.DoAll(t.Context(), []Order{claim, claim})} {
			for k, o := range outcomes {
				if o.Err != nil || len(o.Result.Events) != 1 || o.Result.Duplicate != (k > 0) || !slices.Equal(idsOf(o.Result), idsOf(outcomes[0].Result)) {
					t.Fatalf("round %d, try %d: found %+v; the first was %+v", i, k, o, outcomes[0])
				}
			}
		}
		release := Order{ID: fmt.Sprint("done", i), Command: workcmd.CompleteTask{Report: workcmd.Report{TaskID: domain.TaskID(fmt.Sprint("t", i)), Lease: 1}}}
		var both sync.WaitGroup
		var outcomes [2]Outcome
		for k := range outcomes {
			both.Go(func() { outcomes[k].Result, outcomes[k].Err = n.Do(t.Context(), release) })
		}
		both.Wait()
		if a, b := outcomes[0], outcomes[1]; a.Err != nil || b.Err != nil || a.Result.Duplicate == b.Result.Duplicate || !slices.Equal(idsOf(a.Result), idsOf(b.Result)) {
			t.Fatalf("round %d: found %+v and %+v", i, a, b)
		}
	}
}

// A dry run returns what would happen, and changes neither the log nor the queue.
func TestDryRunsChangeNothing(t *testing.T) {
	n := followedOnly(t, eventlog.NewMemory())
	for i := range 4 {
		do(t, n, fmt.Sprint("add", i), workcmd.AddTask{TaskID: domain.TaskID(fmt.Sprint("t", i)), TaskType: "selfplay", UniqueKey: fmt.Sprint("k", i)})
	}
	do(t, n, "claim", workcmd.ClaimTasks{NodeID: "gpu-1", Limit: 1})
	look := func() string {
		t.Helper()
		head, err := n.log.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var digest string
		if err := n.Queue(t.Context(), func(q *work.Queue) (err error) {
			digest, err = q.Digest()
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(head, digest)
	}
	before := look()
	for i, c := range []domain.Command{
		workcmd.AddTask{TaskID: "new", TaskType: "selfplay", UniqueKey: "k9"},
		workcmd.AddTasks{Items: []workcmd.AddTask{{TaskID: "new", TaskType: "selfplay"}}},
		workcmd.ClaimTasks{NodeID: "w", Limit: 3},
		workcmd.CompleteTask{Report: workcmd.Report{TaskID: "t0", Lease: 1}},
		workcmd.FailTasks{Items: []workcmd.FailTask{{Report: workcmd.Report{TaskID: "t0", Lease: 1}, Error: "broken"}}},
		workcmd.CancelTasks{TaskType: "selfplay"},
		policycmd.SetPolicy{Name: domain.PolicyDefaultName, Change: []byte(`{"work":{"max_attempts":2}}`), Reason: "r"},
	} {
		for range 2 {
			result, err := n.Do(t.Context(), Order{ID: fmt.Sprint("dry", i), Command: c, Dry: true})
			if err != nil || len(result.Events) == 0 || result.Duplicate {
				t.Errorf("%s: want what would happen, found %+v, %v", c.CommandType(), result, err)
			}
		}
		if after := look(); after != before {
			t.Errorf("%s: a dry run changed %s to %s", c.CommandType(), before, after)
		}
	}
	if took := claimed(t, n, "claim", 1); !slices.Equal(took, []domain.TaskID{"t0"}) {
		t.Errorf("want the claim as it was, found %q", took)
	}
}

// A claim sees the pauses, nodes and policies that were acknowledged before it, although
// the read models are behind.
func TestClaimsKnowWhatWasAcknowledged(t *testing.T) {
	n := running(t, eventlog.NewMemory())
	for i := range 40 {
		do(t, n, fmt.Sprint("add", i), workcmd.AddTask{TaskID: domain.TaskID(fmt.Sprint("t", i)), TaskType: "export", RequiresGPU: i%2 == 1})
		do(t, n, fmt.Sprint("pause", i), admincmd.PauseKind{Kind: "export", Reason: "test"})
		if took := claimed(t, n, fmt.Sprint("paused", i), 1); len(took) != 0 {
			t.Fatalf("round %d: %q was handed out while its kind is paused", i, took)
		}
		do(t, n, fmt.Sprint("resume", i), admincmd.ResumeKind{Kind: "export", Reason: "test"})
		do(t, n, fmt.Sprint("without", i), nodescmd.RegisterNode{NodeID: "gpu-1", Facts: []byte(`{"slots":2,"has_gpu":false}`)})
		took := claimed(t, n, fmt.Sprint("first", i), 1)
		if want := 1 - i%2; len(took) != want {
			t.Fatalf("round %d: want %d items for a node without a GPU, found %q", i, want, took)
		}
		do(t, n, fmt.Sprint("with", i), nodescmd.RegisterNode{NodeID: "gpu-1", Facts: []byte(`{"slots":2,"has_gpu":true}`)})
		took = append(took, claimed(t, n, fmt.Sprint("second", i), 1)...)
		if len(took) != 1 {
			t.Fatalf("round %d: want the item handed out, found %q", i, took)
		}
		do(t, n, fmt.Sprint("done", i), workcmd.CompleteTask{Report: workcmd.Report{TaskID: took[0], Lease: 1}})
	}
}

// An event that no log stores is refused before other decisions depend on it.
func TestWhatIsTooLargeIsRefusedByItself(t *testing.T) {
	n := followedOnly(t, eventlog.NewMemory())
	do(t, n, "add", workcmd.AddTask{TaskID: "a", TaskType: "selfplay", UniqueKey: "key"})
	do(t, n, "claim", workcmd.ClaimTasks{NodeID: "w"})
	large := []byte(`"` + strings.Repeat("x", eventlog.MaxEventBytes) + `"`)
	outcomes := n.DoAll(t.Context(), []Order{
		{ID: "large", Command: workcmd.CompleteTask{Report: workcmd.Report{TaskID: "a", Lease: 1}, Result: large}},
		{ID: "next", Command: workcmd.AddTask{TaskID: "b", TaskType: "selfplay", UniqueKey: "key"}},
		{ID: "batch", Command: workcmd.CompleteTasks{Items: []workcmd.CompleteTask{{Report: workcmd.Report{TaskID: "a", Lease: 1}, Result: large}}}},
	})
	if domain.CodeOf(outcomes[0].Err) != domain.TooLarge || !errors.Is(outcomes[1].Err, domain.ErrConflict) {
		t.Errorf("want too_large and a conflict with a, which is live, found %v and %v", outcomes[0].Err, outcomes[1].Err)
	}
	if answer, ok := outcomes[2].Result.Answer.(workcmd.TasksCompleted); !ok || answer.Items[0].Code != domain.TooLarge {
		t.Errorf("want the entry of a batch refused as too_large, found %+v, %v", outcomes[2].Result.Answer, outcomes[2].Err)
	}
	audit(t, n, true)
	sameAsLoaded(t, n)
}
