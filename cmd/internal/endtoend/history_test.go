//go:build unix

package endtoend

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/ringrift/rift/cmd/internal/queuemodel"
	"github.com/ringrift/rift/domain"
)

// board is what the clients of one history know together, so that they can
// report under each other's leases.
type board struct {
	mu      sync.Mutex
	started time.Time
	leases  []lease
	added   int
	batches int
	history []porcupine.Operation
	errors  []error
}

// ask sends a command and writes it down with its answer: a claim as one
// operation for each item it got, a batch as one for each of its reports.
func (b *board) ask(ctx context.Context, c *caller, client int, o order, asks ...queuemodel.Asked) {
	call := time.Now().UnixNano()
	a, err := c.do(ctx, o)
	returned := time.Now().UnixNano()
	b.mu.Lock()
	defer b.mu.Unlock()
	note := func(in queuemodel.Asked, out queuemodel.Told) {
		in.Returned = returned
		b.history = append(b.history, porcupine.Operation{ClientId: client, Input: in, Call: call, Output: out, Return: returned})
	}
	fault := func(format string, args ...any) {
		b.errors = append(b.errors, fmt.Errorf("%s %s: %w", o.path, o.body, fmt.Errorf(format, args...)))
	}
	switch {
	case err != nil:
		fault("%w", err)
	case a.Status >= 500:
		fault("found %v", a)
	case asks[0].Verb == "claim":
		if !a.ok() {
			return // it lost every race and changed nothing
		}
		for _, item := range a.Items {
			b.leases = append(b.leases, item)
			note(queuemodel.Asked{Verb: "claim", Item: item.TaskID}, queuemodel.Told{Lease: item.Lease, Deadline: nanos(item.Deadline)})
		}
		if len(a.Items) == 0 {
			note(asks[0], queuemodel.Told{})
		}
	case !strings.HasSuffix(o.path, "_batch"):
		note(asks[0], queuemodel.Told{Code: a.Code, Cancel: a.Cancel, Deadline: nanos(a.Deadline)})
	case len(a.Items) != len(asks):
		fault("want %d entries, found %d", len(asks), len(a.Items))
	default:
		b.batches++
		seen := map[domain.TaskID]bool{}
		for i, in := range asks {
			item := a.Items[i]
			switch {
			case item.TaskID != in.Item:
				fault("items[%d]: want %s, found %s", i, in.Item, item.TaskID)
			case !seen[in.Item]:
				note(in, queuemodel.Told{Code: item.Code, Cancel: item.Cancel, Deadline: nanos(item.Deadline)})
			case item.Code != domain.Conflict:
				fault("items[%d] stands twice: want conflict, found %q", i, item.Code)
			}
			seen[in.Item] = true
		}
	}
}

func nanos(at time.Time) int64 {
	if at.IsZero() {
		return 0
	}
	return at.UnixNano()
}

// known picks one of the latest leases that anybody was given.
func (b *board) known(random *rand.Rand) (lease, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	recent := b.leases[max(0, len(b.leases)-6):]
	if len(recent) == 0 {
		return lease{}, false
	}
	return recent[random.IntN(len(recent))], true
}

func (b *board) name() domain.TaskID {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.added++
	return domain.TaskID(fmt.Sprintf("h-%d", b.added))
}

// client keeps a few items moving, and does what it should not.
func (b *board) client(ctx context.Context, c *caller, client, operations int, seed uint64) {
	random := rand.New(rand.NewPCG(seed, uint64(client)))
	for n := range operations {
		key := fmt.Sprintf("h-c%d-%d", client, n)
		drawn := random.IntN(100)
		if drawn < 8 || n == 0 {
			name := b.name()
			timeout := 3600.0
			if random.IntN(4) == 0 {
				timeout = 0.03
			}
			b.ask(ctx, c, client, order{key, "/work/add", fmt.Sprintf(`{"task_id":%q,"task_type":"selfplay","timeout_seconds":%v}`, name, timeout)}, queuemodel.Asked{Verb: "add", Item: name})
			continue
		}
		known, found := b.known(random)
		if drawn < 45 || !found {
			b.ask(ctx, c, client, order{key, "/work/claim", fmt.Sprintf(`{"node_id":"gpu-%d","limit":%d}`, client, 1+random.IntN(3))}, queuemodel.Asked{Verb: "claim"})
			continue
		}
		verb, more := "heartbeat", ""
		switch {
		case drawn < 50:
			verb = "start"
		case drawn < 60:
		case drawn < 70:
			verb = "complete"
		case drawn < 80:
			verb, more = "fail", `,"error":"out of memory"`
		case drawn < 96:
			verb = "release"
		default:
			verb = "cancel"
		}
		body := fmt.Sprintf(`{"task_id":%q,"lease":%d%s}`, known.TaskID, known.Lease, more)
		if batched := verb == "heartbeat" || verb == "complete" || verb == "fail"; batched && random.IntN(2) == 0 {
			bodies, asks := []string{body}, []queuemodel.Asked{{Verb: verb, Item: known.TaskID, Lease: known.Lease}}
			for range random.IntN(4) {
				if other, found := b.known(random); found {
					bodies = append(bodies, fmt.Sprintf(`{"task_id":%q,"lease":%d%s}`, other.TaskID, other.Lease, more))
					asks = append(asks, queuemodel.Asked{Verb: verb, Item: other.TaskID, Lease: other.Lease})
				}
			}
			b.ask(ctx, c, client, order{key, "/work/" + verb + "_batch", `{"items":[` + strings.Join(bodies, ",") + `]}`}, asks...)
			continue
		}
		if verb == "cancel" {
			body = fmt.Sprintf(`{"task_id":%q}`, known.TaskID)
		}
		b.ask(ctx, c, client, order{key, "/work/" + verb, body}, queuemodel.Asked{Verb: verb, Item: known.TaskID, Lease: known.Lease})
	}
}

// Whatever clients see of the queue over HTTP, while leases run out under them,
// is what some order of their commands, one after the other, would have shown.
func TestHistoriesAreLinearizable(t *testing.T) {
	seed := number(t, "RIFT_CRASH_SEED", uint64(time.Now().UnixNano()))
	t.Logf("RIFT_CRASH_SEED=%d", seed)
	data := filepath.Join(t.TempDir(), "data")
	node := serve(t, data)
	c := node.caller()
	c.must(t, quickly(0.05))
	b := &board{started: time.Now()}
	var clients sync.WaitGroup
	for client := range 5 {
		clients.Go(func() { b.client(t.Context(), c, client, 250, seed) })
	}
	clients.Wait()
	node.stop(syscall.SIGTERM)
	for _, err := range b.errors {
		t.Error(err)
	}
	result, info := porcupine.CheckOperationsVerbose(queuemodel.Queue, b.history, checking)
	if result != porcupine.Ok {
		picture := filepath.Join(t.ArtifactDir(), "history.html")
		if err := porcupine.VisualizePath(queuemodel.Queue, info, picture); err != nil {
			t.Error(err)
		}
		t.Fatalf("the history is %s, want it linearizable; its picture is %s (kept with -artifacts)", result, picture)
	}
	seen := map[string]int{"empty": len(queuemodel.LonelyClaims(b.history)), "batch": b.batches}
	for _, operation := range b.history {
		in, out := operation.Input.(queuemodel.Asked), operation.Output.(queuemodel.Told)
		seen[in.Verb+" "+string(out.Code)]++
	}
	for _, e := range inspect(t, data) {
		seen[e.Type]++
	}
	t.Logf("%d operations in %v: %v", len(b.history), time.Since(b.started), seen)
	for _, wanted := range []string{"complete ", "complete stale_lease", "fail ", "release ", "release stale_lease", "empty", "batch", "TASK_LEASE_EXPIRED", "TASK_REQUEUED", "TASK_CANCELLED"} {
		if seen[wanted] == 0 {
			t.Errorf("found no %q in the history; it shows too little", wanted)
		}
	}
	lies(t, b.history)
}

// undisturbed says whether no other operation on the same item was under way
// beside this one.
func undisturbed(history []porcupine.Operation, at int) bool {
	one := history[at]
	for i, other := range history {
		if i != at && other.Input.(queuemodel.Asked).Item == one.Input.(queuemodel.Asked).Item && other.Call <= one.Return && one.Call <= other.Return {
			return false
		}
	}
	return true
}

// lies changes a true history so that it cannot have happened, and wants the
// checker to notice: one that calls everything linearizable proves nothing. It
// changes an answer that stands alone: beside a cancel, say, the holder may
// indeed be refused.
func lies(t *testing.T, history []porcupine.Operation) {
	t.Helper()
	for name, change := range map[string]func(*queuemodel.Asked, *queuemodel.Told) bool{
		"a claim skips a lease number": func(in *queuemodel.Asked, out *queuemodel.Told) bool {
			out.Lease += 2
			return in.Verb == "claim" && out.Lease > 2
		},
		"a report under an unknown lease is accepted": func(in *queuemodel.Asked, out *queuemodel.Told) bool {
			if in.Verb != "complete" || out.Code != "" {
				return false
			}
			in.Lease += 100
			return true
		},
		"the holder is refused": func(in *queuemodel.Asked, out *queuemodel.Told) bool {
			if in.Verb != "release" || out.Code != "" {
				return false
			}
			in.Returned = 0 // before any deadline
			out.Code = domain.StaleLease
			return true
		},
	} {
		changed := append([]porcupine.Operation(nil), history...)
		done := false
		for i := range changed {
			in, out := changed[i].Input.(queuemodel.Asked), changed[i].Output.(queuemodel.Told)
			if done = undisturbed(changed, i) && change(&in, &out); done {
				changed[i].Input, changed[i].Output = in, out
				break
			}
		}
		if !done {
			t.Errorf("%s: the history has nothing to change", name)
			continue
		}
		if result := porcupine.CheckOperationsTimeout(queuemodel.Queue, changed, checking); result != porcupine.Illegal {
			t.Errorf("%s: found the history %s, want it %s", name, result, porcupine.Illegal)
		}
	}
}

// checking bounds the search for an order.
const checking = time.Minute
