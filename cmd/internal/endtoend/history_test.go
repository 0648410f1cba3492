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
func (b *board) ask(ctx context.Context, c *caller, client int, o order, asks ...asked) {
	call := time.Now().UnixNano()
	a, err := c.do(ctx, o)
	returned := time.Now().UnixNano()
	b.mu.Lock()
	defer b.mu.Unlock()
	note := func(in asked, out told) {
		in.returned = returned
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
	case asks[0].verb == "claim":
		if !a.ok() {
			return // it lost every race and changed nothing
		}
		for _, item := range a.Items {
			b.leases = append(b.leases, item)
			note(asked{verb: "claim", item: item.TaskID}, told{lease: item.Lease, deadline: nanos(item.Deadline)})
		}
		if len(a.Items) == 0 {
			note(asks[0], told{})
		}
	case !strings.HasSuffix(o.path, "_batch"):
		note(asks[0], told{code: a.Code, cancel: a.Cancel, deadline: nanos(a.Deadline)})
	case len(a.Items) != len(asks):
		fault("want %d entries, found %d", len(asks), len(a.Items))
	default:
		b.batches++
		seen := map[domain.TaskID]bool{}
		for i, in := range asks {
			item := a.Items[i]
			switch {
			case item.TaskID != in.item:
				fault("items[%d]: want %s, found %s", i, in.item, item.TaskID)
			case !seen[in.item]:
				note(in, told{code: item.Code, cancel: item.Cancel, deadline: nanos(item.Deadline)})
			case item.Code != domain.Conflict:
				fault("items[%d] stands twice: want conflict, found %q", i, item.Code)
			}
			seen[in.item] = true
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
			b.ask(ctx, c, client, order{key, "/work/add", fmt.Sprintf(`{"task_id":%q,"task_type":"selfplay","timeout_seconds":%v}`, name, timeout)}, asked{verb: "add", item: name})
			continue
		}
		known, found := b.known(random)
		if drawn < 45 || !found {
			b.ask(ctx, c, client, order{key, "/work/claim", fmt.Sprintf(`{"node_id":"gpu-%d","limit":%d}`, client, 1+random.IntN(3))}, asked{verb: "claim"})
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
			bodies, asks := []string{body}, []asked{{verb: verb, item: known.TaskID, lease: known.Lease}}
			for range random.IntN(4) {
				if other, found := b.known(random); found {
					bodies = append(bodies, fmt.Sprintf(`{"task_id":%q,"lease":%d%s}`, other.TaskID, other.Lease, more))
					asks = append(asks, asked{verb: verb, item: other.TaskID, lease: other.Lease})
				}
			}
			b.ask(ctx, c, client, order{key, "/work/" + verb + "_batch", `{"items":[` + strings.Join(bodies, ",") + `]}`}, asks...)
			continue
		}
		if verb == "cancel" {
			body = fmt.Sprintf(`{"task_id":%q}`, known.TaskID)
		}
		b.ask(ctx, c, client, order{key, "/work/" + verb, body}, asked{verb: verb, item: known.TaskID, lease: known.Lease})
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
	result, info := porcupine.CheckOperationsVerbose(queue, b.history, checking)
	if result != porcupine.Ok {
		picture := filepath.Join(t.ArtifactDir(), "history.html")
		if err := porcupine.VisualizePath(queue, info, picture); err != nil {
			t.Error(err)
		}
		t.Fatalf("the history is %s, want it linearizable; its picture is %s (kept with -artifacts)", result, picture)
	}
	seen := map[string]int{"empty": len(lonelyClaims(b.history)), "batch": b.batches}
	for _, operation := range b.history {
		in, out := operation.Input.(asked), operation.Output.(told)
		seen[in.verb+" "+string(out.code)]++
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
		if i != at && other.Input.(asked).item == one.Input.(asked).item && other.Call <= one.Return && one.Call <= other.Return {
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
	for name, change := range map[string]func(*asked, *told) bool{
		"a claim skips a lease number": func(in *asked, out *told) bool {
			out.lease += 2
			return in.verb == "claim" && out.lease > 2
		},
		"a report under an unknown lease is accepted": func(in *asked, out *told) bool {
			if in.verb != "complete" || out.code != "" {
				return false
			}
			in.lease += 100
			return true
		},
		"the holder is refused": func(in *asked, out *told) bool {
			if in.verb != "release" || out.code != "" {
				return false
			}
			in.returned = 0 // before any deadline
			out.code = domain.StaleLease
			return true
		},
	} {
		changed := append([]porcupine.Operation(nil), history...)
		done := false
		for i := range changed {
			in, out := changed[i].Input.(asked), changed[i].Output.(told)
			if done = undisturbed(changed, i) && change(&in, &out); done {
				changed[i].Input, changed[i].Output = in, out
				break
			}
		}
		if !done {
			t.Errorf("%s: the history has nothing to change", name)
			continue
		}
		if result := porcupine.CheckOperationsTimeout(queue, changed, checking); result != porcupine.Illegal {
			t.Errorf("%s: found the history %s, want it %s", name, result, porcupine.Illegal)
		}
	}
}

// The model itself, on histories short enough to judge by eye. A line is an
// operation: its interval, what was asked, what was answered.
func TestQueueModel(t *testing.T) {
	for name, c := range map[string]struct {
		want    porcupine.CheckResult
		history string
	}{
		"plain life":                         {porcupine.Ok, `0-1 add x|2-3 claim x → 1 1000|4-5 start x 1|6-7 heartbeat x 1 → 1000|8-9 complete x 1`},
		"two claims, one lease":              {porcupine.Illegal, `0-1 add x|2-5 claim x → 1 1000|3-6 claim x → 1 1000`},
		"claimed while held":                 {porcupine.Illegal, `0-1 add x|2-3 claim x → 1 1000|4-5 claim x → 2 1000`},
		"claimed after the deadline":         {porcupine.Ok, `0-1 add x|2-3 claim x → 1 20|30-31 claim x → 2 1000`},
		"claimed before the deadline":        {porcupine.Illegal, `0-1 add x|2-3 claim x → 1 20|18-19 claim x → 2 1000`},
		"completed twice":                    {porcupine.Illegal, `0-1 add x|2-3 claim x → 1 1000|4-5 complete x 1|6-7 complete x 1`},
		"completed twice, once refused":      {porcupine.Ok, `0-1 add x|2-3 claim x → 1 1000|4-7 complete x 1|4-7 complete x 1 stale_lease`},
		"ghost completes":                    {porcupine.Illegal, `0-1 add x|2-3 claim x → 1 20|30-31 claim x → 2 1000|32-33 complete x 1`},
		"ghost refused":                      {porcupine.Ok, `0-1 add x|2-3 claim x → 1 20|30-31 claim x → 2 1000|32-33 complete x 1 stale_lease`},
		"holder refused in time":             {porcupine.Illegal, `0-1 add x|2-3 claim x → 1 1000|4-5 complete x 1 stale_lease`},
		"holder refused late":                {porcupine.Ok, `0-1 add x|2-3 claim x → 1 20|30-31 complete x 1 stale_lease`},
		"refused late, then accepted":        {porcupine.Illegal, `0-1 add x|2-3 claim x → 1 20|30-31 complete x 1 stale_lease|32-33 complete x 1`},
		"accepted late":                      {porcupine.Ok, `0-1 add x|2-3 claim x → 1 20|30-31 complete x 1`},
		"a heartbeat saves it":               {porcupine.Illegal, `0-1 add x|2-3 claim x → 1 20|4-5 heartbeat x 1 → 1000|30-31 claim x → 2 1000`},
		"nothing although queued":            {porcupine.Illegal, `0-1 add x|2-3 claim|4-5 claim x → 1 1000`},
		"nothing although released":          {porcupine.Illegal, `0-1 add x|2-3 claim x → 1 1000|4-5 release x 1|6-7 claim`},
		"nothing while held":                 {porcupine.Ok, `0-1 add x|2-3 claim x → 1 1000|4-5 claim`},
		"nothing after a failure":            {porcupine.Ok, `0-1 add x|2-3 claim x → 1 1000|4-5 fail x 1|6-7 claim|8-9 claim x → 2 1000`},
		"nothing beside another claim":       {porcupine.Ok, `0-1 add x|2-5 claim|4-7 claim`},
		"nothing before it was there":        {porcupine.Ok, `0-5 add x|2-3 claim|6-7 claim x → 1 1000`},
		"done for ever":                      {porcupine.Illegal, `0-1 add x|2-3 claim x → 1 20|4-5 complete x 1|30-31 claim x → 2 1000`},
		"cancelled for ever":                 {porcupine.Illegal, `0-1 add x|2-3 cancel x|4-5 claim x → 1 1000`},
		"the holder learns of the cancel":    {porcupine.Ok, `0-1 add x|2-3 claim x → 1 1000|4-5 cancel x|6-7 heartbeat x 1 cancel|8-9 complete x 1 stale_lease`},
		"the holder works on after a cancel": {porcupine.Illegal, `0-1 add x|2-3 claim x → 1 1000|4-5 cancel x|6-7 heartbeat x 1 → 1000`},
		"added twice":                        {porcupine.Illegal, `0-1 add x|2-3 add x`},
		"items do not mix":                   {porcupine.Ok, `0-1 add x|0-1 add y|2-3 claim x → 1 1000|4-5 claim y → 1 1000|6-7 complete x 1|8-9 complete y 1`},
	} {
		t.Run(name, func(t *testing.T) {
			var history []porcupine.Operation
			for line := range strings.SplitSeq(c.history, "|") {
				history = append(history, operation(t, line))
			}
			if got := porcupine.CheckOperationsTimeout(queue, history, checking); got != c.want {
				t.Errorf("found %s, want %s", got, c.want)
			}
		})
	}
}

// operation reads "CALL-RETURN VERB [ITEM [LEASE]] [cancel | CODE] [→ NUMBERS]":
// the lease and deadline of a claim, the deadline of a heartbeat.
func operation(t *testing.T, line string) porcupine.Operation {
	t.Helper()
	var o porcupine.Operation
	var in asked
	var out told
	question, answer, _ := strings.Cut(line, " → ")
	words := strings.Fields(question)
	scan := func(text, format string, into ...any) {
		if _, err := fmt.Sscanf(text, format, into...); err != nil {
			t.Fatalf("operation %q: %v", line, err)
		}
	}
	scan(words[0], "%d-%d", &o.Call, &o.Return)
	in.verb, in.returned = words[1], o.Return
	if len(words) > 2 {
		in.item = domain.TaskID(words[2])
	}
	if len(words) > 3 {
		scan(words[3], "%d", &in.lease)
	}
	if len(words) > 4 {
		if out.cancel = words[4] == "cancel"; !out.cancel {
			out.code = domain.Code(words[4])
		}
	}
	switch {
	case answer == "":
	case in.verb == "claim":
		scan(answer, "%d %d", &out.lease, &out.deadline)
	default:
		scan(answer, "%d", &out.deadline)
	}
	o.Input, o.Output = in, out
	return o
}
