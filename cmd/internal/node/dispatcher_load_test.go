package node

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/ringrift/rift/commands"
	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/eventlog"
)

// worker sends commands about a few items and remembers the answers.
type worker struct {
	name   string
	random *rand.Rand
	leases map[domain.TaskID]uint64
}

// next returns a random command.
func (w *worker) next() domain.Command {
	id := domain.TaskID(fmt.Sprint("t", w.random.IntN(12)))
	report := workcmd.Report{TaskID: id, Lease: w.leases[id]}
	if report.Lease == 0 || w.random.IntN(4) == 0 {
		report.Lease = 1 + w.random.Uint64N(4)
	}
	switch w.random.IntN(12) {
	case 0, 1:
		id = domain.TaskID(fmt.Sprintf("%s-%d", w.name, w.random.IntN(1000)))
		return workcmd.AddTask{TaskID: id, TaskType: "selfplay", UniqueKey: []string{"", "", "k1", "k2"}[w.random.IntN(4)]}
	case 2:
		return workcmd.AddTask{TaskID: id, TaskType: "training"}
	case 3, 4, 5:
		return workcmd.ClaimTasks{NodeID: domain.NodeID(w.name), Limit: 1 + w.random.IntN(3)}
	case 6:
		return workcmd.HeartbeatTask{Report: report}
	case 7:
		return workcmd.FailTask{Report: report, Error: "broken"}
	case 8:
		return workcmd.ReleaseTask{Report: report}
	case 9:
		return workcmd.CancelTask{TaskID: id}
	case 10:
		other := report
		other.TaskID = domain.TaskID(fmt.Sprint("t", w.random.IntN(12)))
		return workcmd.CompleteTasks{Items: []workcmd.CompleteTask{{Report: report}, {Report: other}}}
	}
	return workcmd.CompleteTask{Report: report}
}

// run sends commands. An unavailable one is retried, or given up.
func (w *worker) run(ctx context.Context, n *Node, times int, told func(string, Outcome)) {
	for i := range times {
		order := Order{ID: fmt.Sprintf("%s/%d", w.name, i), Command: w.next()}
		var outcome Outcome
		for range 1 + w.random.IntN(5) {
			outcome.Result, outcome.Err = n.Do(ctx, order)
			if domain.CodeOf(outcome.Err) != domain.Unavailable {
				break
			}
		}
		told(order.ID, outcome)
		w.heard(outcome.Result)
	}
}

// heard remembers leases.
func (w *worker) heard(result commands.Result) {
	if claimed, ok := result.Answer.(workcmd.TasksClaimed); ok {
		for _, item := range claimed.Items {
			w.leases[item.TaskID] = item.Lease
		}
	}
}

// crew runs workers concurrently and returns the answers that they got.
func crew(t *testing.T, n *Node, seed uint64, times int) map[string]Outcome {
	t.Helper()
	var mu sync.Mutex
	told := map[string]Outcome{}
	var all sync.WaitGroup
	for i := range uint64(6) {
		all.Go(func() {
			w := worker{fmt.Sprint("w", i), rand.New(rand.NewPCG(seed, i)), map[domain.TaskID]uint64{}}
			w.run(context.WithoutCancel(t.Context()), n, times, func(id string, outcome Outcome) {
				mu.Lock()
				defer mu.Unlock()
				told[id] = outcome
			})
		})
	}
	all.Wait()
	return told
}

// Random writes fail, under concurrent callers.
func TestWritesFailUnderLoad(t *testing.T) {
	for _, is := range faults {
		t.Run(is.String(), func(t *testing.T) {
			seed := uint64(time.Now().UnixNano())
			t.Logf("seed %d", seed)
			random := rand.New(rand.NewPCG(seed, 99))
			log := &faultyLog{Log: eventlog.NewMemory()}
			log.fault = func(int, eventlog.Write) fault {
				if random.IntN(12) == 0 {
					return is
				}
				return healthy
			}
			n := running(t, log)
			told := crew(t, n, seed, 60)
			log.set(nil)
			a := audit(t, n, is == fromHereOnGone)
			for id, outcome := range told {
				a.answered(t, id, outcome.Result)
				// A batch may be stored in part, and a retry does not change what is
				// stored.
				if errors.Is(outcome.Err, domain.ErrConflict) && len(a.wrote[id]) > 0 {
					t.Errorf("%s was refused as %v, and the log has %d events of it", id, outcome.Err, len(a.wrote[id]))
				}
			}
			quiet(t, n)
			sameAsLoaded(t, n)
		})
	}
}

// quiet waits until the outbox is empty.
func quiet(t *testing.T, n *Node) {
	t.Helper()
	for range 200 {
		head, err := n.log.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := n.upTo(t.Context(), head); err != nil {
			t.Fatal(err)
		}
		ran, err := n.DrainOnce(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if ran == 0 && n.store.OutboxLen() == 0 {
			return
		}
	}
	t.Fatal("reactors do not come to an end")
}

// Another writer appends to items' streams. What the node decides on a queue that is
// behind is not stored, and is decided again on one that is up to date.
func TestForeignWritersMeetConflicts(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 99))
	inner := eventlog.NewMemory()
	log := &faultyLog{Log: inner}
	foreign := 0
	log.before = func(ctx context.Context, w eventlog.Write) {
		if random.IntN(6) > 0 {
			return
		}
		foreign++
		id := domain.TaskID(w.Stream.ID())
		var event domain.Event = work.CompletionRejected{TaskID: id, Lease: 1, Reason: "elsewhere"}
		if random.IntN(3) == 0 {
			event = work.Cancelled{TaskID: id, Reason: "elsewhere"}
		}
		if _, err := inner.Append(ctx, w.Stream, domain.StreamExists, proposedOf(t, fmt.Sprint("foreign", foreign), event)); err != nil && !errors.Is(err, domain.ErrConflict) {
			t.Error(err)
		}
	}
	n := followedOnly(t, log)
	told := crew(t, n, seed, 60)
	log.mu.Lock()
	log.before = nil
	log.mu.Unlock()
	a := audit(t, n, false)
	for id, outcome := range told {
		a.answered(t, id, outcome.Result)
		if errors.Is(outcome.Err, domain.ErrConflict) && len(a.wrote[id]) > 0 {
			t.Errorf("%s was refused as %v, and the log has %d events of it", id, outcome.Err, len(a.wrote[id]))
		}
	}
	if foreign == 0 || len(log.calls) == 0 {
		t.Fatal("want conflicts, found none")
	}
	for id := range a.items { // a command on each item shows what the queue does not know about it
		if _, err := n.Do(t.Context(), Order{ID: "end-" + string(id), Command: workcmd.CancelTask{TaskID: id}}); err != nil && !errors.Is(err, domain.ErrConflict) {
			t.Error(err)
		}
	}
	sameAsLoaded(t, n)
}
