//go:build unix

package endtoend

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/ringrift/rift/domain"
)

// load is a crowd of clients that keeps a node busy.
type load struct {
	ledger  *ledger
	caller  *caller
	name    string // of the crowd: part of every key and item it makes up
	seed    uint64
	stopped atomic.Bool
	done    sync.WaitGroup
	settled atomic.Int64 // commands answered
}

// begin starts the clients. Each ends when the node does not answer any more,
// or when the crowd is stopped.
func begin(ctx context.Context, l *ledger, c *caller, name string, clients int, seed uint64) *load {
	crowd := &load{ledger: l, caller: c, name: name, seed: seed}
	for i := range clients {
		crowd.done.Go(func() { crowd.client(ctx, i) })
	}
	return crowd
}

// stop lets the clients finish the command they wait for.
func (l *load) stop() {
	l.stopped.Store(true)
	l.done.Wait()
}

// client does what workers and producers do, in no sensible order.
func (l *load) client(ctx context.Context, number int) {
	random := rand.New(rand.NewPCG(l.seed, uint64(number)))
	var held []lease
	for n := 0; !l.stopped.Load(); n++ {
		o := draw(random, l.name, number, n, held)
		a, err := l.ledger.do(ctx, l.caller, o)
		if err != nil {
			return
		}
		l.settled.Add(1)
		held = grasp(held, o, a)
	}
}

// grasp gives the leases that a client goes on with, a few of the latest: the others'
// expire.
func grasp(held []lease, o order, a answer) []lease {
	if o.path == "/work/claim" {
		held = append(held, a.Items...)
	}
	return held[max(0, len(held)-8):]
}

// draw makes up the n-th command of a client of a crowd, which holds some leases.
func draw(random *rand.Rand, crowd string, number, n int, held []lease) order {
	o := order{key: fmt.Sprintf("%s-c%d-%d", crowd, number, n)}
	drawn := random.IntN(100)
	var mine lease
	if drawn >= 60 {
		if len(held) == 0 {
			drawn = 30
		} else {
			mine = held[random.IntN(len(held))]
		}
	}
	report := fmt.Sprintf(`"task_id":%q,"lease":%d`, mine.TaskID, mine.Lease)
	switch {
	case drawn < 28:
		o.path, o.body = "/work/add", fmt.Sprintf(`{"task_id":"i-%s","task_type":"selfplay","priority":%d,"payload":{"games":%d}}`, o.key, random.IntN(100), n)
	case drawn < 52:
		o.path, o.body = "/work/claim", fmt.Sprintf(`{"node_id":"gpu-%d","limit":%d}`, number, 1+random.IntN(3))
	case drawn < 60:
		o.path, o.body = "/events", fmt.Sprintf(`{"type":"QUALITY_DEGRADED","payload":{"config_key":"hex8_%dp","quality_score":0.5,"threshold":0.7}}`, 2+random.IntN(3))
	case drawn < 68:
		o.path, o.body = "/work/start", "{"+report+"}"
	case drawn < 76:
		o.path, o.body = "/work/heartbeat", fmt.Sprintf(`{%s,"progress":{"games":%d}}`, report, n)
	case drawn < 88:
		o.path, o.body = "/work/complete", fmt.Sprintf(`{%s,"result":{"wins":%d}}`, report, n)
	case drawn < 94:
		o.path, o.body = "/work/fail", "{"+report+`,"error":"out of memory"}`
	case drawn < 96:
		o.path, o.body = "/work/release", "{"+report+"}"
	case drawn < 99:
		o.path, o.body = batchOf(random, held)
	default: // a ghost of an earlier attempt
		o.path, o.body = "/work/complete", fmt.Sprintf(`{"task_id":%q,"lease":%d}`, mine.TaskID, mine.Lease+7)
	}
	return o
}

// batchOf is one call about all leases that a client holds, the last of them
// twice.
func batchOf(random *rand.Rand, held []lease) (path, body string) {
	verb := []string{"heartbeat", "complete", "fail"}[random.IntN(3)]
	more := ""
	if verb == "fail" {
		more = `,"error":"out of memory"`
	}
	var items []string
	for _, one := range append(held[:len(held):len(held)], held[len(held)-1]) {
		items = append(items, fmt.Sprintf(`{"task_id":%q,"lease":%d%s}`, one.TaskID, one.Lease, more))
	}
	return "/work/" + verb + "_batch", `{"items":[` + strings.Join(items, ",") + `]}`
}

// unexpected lists the answers that a client of a healthy node does not get.
func (l *ledger) unexpected() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []error
	for _, e := range l.entries {
		for _, a := range e.answers {
			switch {
			case a.ok():
			case a.Code == domain.StaleLease, a.Code == domain.Conflict && e.path == "/work/claim":
			default:
				all = append(all, fmt.Errorf("%s %s %s: %v", e.path, e.key, e.body, a))
			}
		}
	}
	if len(all) > 20 {
		all = all[:20]
	}
	return errors.Join(all...)
}
