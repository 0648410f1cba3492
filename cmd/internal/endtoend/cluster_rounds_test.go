//go:build unix

package endtoend

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ringrift/rift/domain"
)

// The load on the cluster, and how often it is judged.
const (
	roundClients   = 4
	roundLease     = 1.0 // seconds
	roundsTogether = 10  // are judged at once
	roundPause     = 5 * time.Millisecond
)

// rounds is a cluster under load, and what happens to it.
type rounds struct {
	*cluster
	random  *rand.Rand
	count   map[string]int
	righted []string // nodes whose clocks are right again

	witness *witness // of the rounds that are judged next
	crowd   string
	stopped atomic.Bool
	clients sync.WaitGroup
	settled atomic.Int64
	total   int // operations that were judged

	watching sync.WaitGroup
	mu       sync.Mutex
	leaders  map[uint64]map[string]bool // by term, as the nodes said
}

// A cluster of three under load loses its leader and its wires again and again. There
// is one leader in a term, nothing that was acknowledged is lost, the nodes hold the same
// bytes at the same positions, no item is done twice or held twice at once, and what
// clients saw is what some order of their commands, one after the other, would have shown.
func TestClusterRounds(t *testing.T) {
	count := int(number(t, "RIFT_CLUSTER_ROUNDS", 5))
	seed := number(t, "RIFT_CRASH_SEED", uint64(time.Now().UnixNano()))
	t.Logf("%d rounds, RIFT_CRASH_SEED=%d", count, seed)
	r := &rounds{cluster: newCluster(t), random: rand.New(rand.NewPCG(seed, 0)), count: map[string]int{}, leaders: map[uint64]map[string]bool{}}
	r.startAll()
	r.leader()
	ctx, cancel := context.WithCancel(t.Context())
	r.watching.Go(func() { r.watch(ctx) })
	defer r.watching.Wait()
	defer cancel()
	if !stepped {
		nodeTroubles = slices.DeleteFunc(nodeTroubles, func(t nodeTrouble) bool { return t.name == onSteppedClock })
	}
	kinds := r.random.Perm(len(nodeTroubles))
	for round := range count {
		if round%roundsTogether == 0 {
			r.begin(fmt.Sprintf("r%d", round))
		}
		r.more()
		began := time.Now()
		what := r.trouble(kinds[round%len(kinds)])
		if r.more(); t.Failed() {
			t.FailNow()
		}
		t.Logf("round %d: %s; over, and %d more commands answered, after %v", round, what, moreCommands, time.Since(began).Round(time.Millisecond))
		if (round+1)%roundsTogether == 0 || round+1 == count {
			r.end()
			r.judge()
			if t.Failed() {
				t.FailNow()
			}
		}
	}
	t.Logf("%d terms with a leader, %d operations, troubles %v", len(r.leaders), r.total, r.count)
}

// begin lets clients work, on items of new names.
func (r *rounds) begin(crowd string) {
	r.startAll()
	r.witness, r.crowd = newWitness(), crowd
	r.within(order{crowd + "-policy", "/policies/default", quickly(roundLease).body})
	r.stopped.Store(false)
	for i := range roundClients {
		seed := r.random.Uint64()
		r.clients.Go(func() { r.client(i, seed) })
	}
}

func (r *rounds) client(number int, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 0))
	var held []lease
	for n := 0; !r.stopped.Load() && r.t.Context().Err() == nil; n++ {
		o := draw(random, r.crowd, number, n, held)
		held = grasp(held, o, r.insist(r.t.Context(), number, o))
		r.settled.Add(1)
		<-time.After(roundPause) // else what is judged at the end is too much to search
	}
}

// within has the test's own client insist, for as long as anything may take.
func (r *rounds) within(o order) answer {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	a := r.insist(ctx, roundClients, o)
	if !a.ok() && a.Code != domain.Conflict { // of claims that lost every race
		r.t.Fatalf("%s %s: found %v, want it done within %v", o.path, o.key, a, patience)
	}
	return a
}

// insist asks one node after the other until there is an answer that tells what became
// of the command, or ctx ends.
func (r *rounds) insist(ctx context.Context, client int, o order) answer {
	for turn := client; ctx.Err() == nil; turn++ {
		r.witness.sent(client, o, time.Now())
		within, cancel := context.WithTimeout(ctx, 3*time.Second)
		at := &caller{base: "http://" + r.at[members[turn%len(members)]], http: http.DefaultClient}
		a, err := at.do(within, o)
		cancel()
		if err == nil && !a.Code.Retryable() {
			r.witness.answered(o, a, time.Now())
			return a
		}
		<-time.After(roundPause) // else callers of a cluster without a leader take its processors
	}
	return answer{}
}

// moreCommands is how many commands are answered before and after each trouble.
const moreCommands = 40

func (r *rounds) more() {
	r.t.Helper()
	before := r.settled.Load()
	eventually(r.t, "commands are answered", func() bool {
		r.startAll() // a node that had no disk space may take a moment to end
		return r.settled.Load() >= before+moreCommands
	})
}

// watch asks every node all the time whether it leads.
func (r *rounds) watch(ctx context.Context) {
	var nodes sync.WaitGroup
	defer nodes.Wait()
	for _, name := range members {
		nodes.Go(func() {
			for ctx.Err() == nil {
				state, err := r.state(ctx, name)
				if err == nil && state.Role == "leader" {
					r.mu.Lock()
					if r.leaders[state.Term] == nil {
						r.leaders[state.Term] = map[string]bool{}
					}
					r.leaders[state.Term][name] = true
					r.mu.Unlock()
				}
				<-time.After(20 * time.Millisecond)
			}
		})
	}
}

// onSteppedClock needs a binary whose clock can be stepped.
const onSteppedClock = "on a stepped clock"

// nodeTrouble is something that may happen to a node. begin returns what ends it.
type nodeTrouble struct {
	name  string
	begin func(r *rounds, victim string) (end func())
}

var nodeTroubles = []nodeTrouble{
	{"killed", func(r *rounds, victim string) func() {
		r.nodes[victim].kill()
		r.nodes[victim] = nil
		return r.startAll
	}},
	{"told to stop", func(r *rounds, victim string) func() {
		r.nodes[victim].stop(syscall.SIGTERM)
		r.nodes[victim] = nil
		return r.startAll
	}},
	{"paused", func(r *rounds, victim string) func() {
		p := r.nodes[victim]
		p.signal(syscall.SIGSTOP)
		return func() { p.signal(syscall.SIGCONT) }
	}},
	{"cut off", func(r *rounds, victim string) func() { return r.onWires(victim, true, true, lineCut) }},
	{"on dead wires", func(r *rounds, victim string) func() { return r.onWires(victim, true, true, lineDead) }},
	{"unheard", func(r *rounds, victim string) func() { return r.onWires(victim, true, false, lineCut) }},
	{"deaf", func(r *rounds, victim string) func() { return r.onWires(victim, false, true, lineDead) }},
	{"on flapping wires", (*rounds).flap},
	{"without disk space", (*rounds).starve},
	{onSteppedClock, (*rounds).stepClock},
	{"killed with another", func(r *rounds, victim string) func() {
		for _, name := range []string{victim, r.other(victim)} {
			r.nodes[name].kill()
			r.nodes[name] = nil
		}
		return r.startAll
	}},
}

// trouble lets something happen to a node, most often the one that leads, and now and
// then to another at the same time, and waits until it is over.
func (r *rounds) trouble(kind int) string {
	r.startAll()
	victim := r.leader()
	if r.random.IntN(3) == 0 {
		victim = r.other(victim)
	}
	var said []string
	var ends []func()
	begin := func(kind int, victim string) {
		what := nodeTroubles[kind]
		said = append(said, victim+" "+what.name)
		r.count[what.name]++
		ends = append(ends, what.begin(r, victim))
	}
	begin(kind, victim)
	if other := r.other(victim); r.random.IntN(4) == 0 && r.nodes[other] != nil {
		begin(r.random.IntN(len(nodeTroubles)-1), other) // not two more
	}
	<-time.After(time.Duration(200+r.random.IntN(2800)) * time.Millisecond)
	for _, end := range ends {
		end()
	}
	for _, name := range r.righted {
		r.catchesUp(name)
	}
	r.righted = nil
	return strings.Join(said, ", ")
}

// other draws another node.
func (r *rounds) other(than string) string {
	at := 0
	for i, name := range members {
		if name == than {
			at = i
		}
	}
	return members[(at+1+r.random.IntN(len(members)-1))%len(members)]
}

// onWires changes the wires of a node, out, in or both, until end.
func (r *rounds) onWires(victim string, out, in bool, state line) (end func()) {
	set := func(state line) {
		for way, w := range r.wires {
			if out && way[0] == victim || in && way[1] == victim {
				w.set(state)
			}
		}
	}
	set(state)
	return func() { set(lineOpen) }
}

// flap cuts the wires of a node and mends them, again and again, until end.
func (r *rounds) flap(victim string) (end func()) {
	over, seed := make(chan struct{}), r.random.Uint64()
	var flapping sync.WaitGroup
	flapping.Go(func() {
		random := rand.New(rand.NewPCG(seed, 0))
		for {
			open := r.onWires(victim, true, true, lineCut)
			cut := time.After(time.Duration(20+random.IntN(400)) * time.Millisecond)
			select {
			case <-cut:
			case <-over:
			}
			open()
			select {
			case <-time.After(time.Duration(20+random.IntN(400)) * time.Millisecond):
			case <-over:
				return
			}
		}
	})
	return func() {
		close(over)
		flapping.Wait()
	}
}

// starve takes the disk space of a node away. One whose entries do not reach the disk
// gives up, and is started again once there is space.
func (r *rounds) starve(victim string) (end func()) {
	p := r.nodes[victim]
	space := limited(r.t)
	r.starved[victim] = true
	space.take(r.t, p)
	return func() {
		space.give(r.t, p)
		r.startAll()
	}
}

// end stops the clients, has every item done, and stops the nodes once they agree, in every
// second case after all of them were killed.
func (r *rounds) end() {
	r.t.Helper()
	r.stopped.Store(true)
	r.clients.Wait()
	r.startAll()
	n := 0
	for left := r.pending(); left > 0; left = r.pending() {
		eventually(r.t, "an item ends", func() bool {
			n++
			a := r.within(order{fmt.Sprintf("%s-last-%d", r.crowd, n), "/work/claim", `{"node_id":"gpu-last","limit":20}`})
			if len(a.Items) == 0 {
				return r.pending() < left
			}
			r.within(order{fmt.Sprintf("%s-done-%d", r.crowd, n), "/work/complete_batch", reports(a.Items)})
			return true
		})
	}
	r.agree()
	if r.random.IntN(2) == 0 {
		for _, name := range members {
			r.nodes[name].kill()
			r.nodes[name] = nil
		}
		// What was applied last may be in the entries alone. It is applied again before a
		// leader decides anything.
		r.startAll()
		r.within(order{r.crowd + "-again", "/policies/default", quickly(roundLease).body})
		r.agree()
	}
	for _, name := range members {
		r.nodes[name].stop(syscall.SIGTERM)
		r.nodes[name] = nil
	}
}

// reports is a batch that reports items done.
func reports(held []lease) string {
	items := make([]string, len(held))
	for i, one := range held {
		items[i] = fmt.Sprintf(`{"task_id":%q,"lease":%d}`, one.TaskID, one.Lease)
	}
	return `{"items":[` + strings.Join(items, ",") + `]}`
}

// pending asks the nodes until one tells how many items have not ended.
func (r *rounds) pending() (n int) {
	r.t.Helper()
	eventually(r.t, "a node tells how many items have not ended", func() bool {
		for _, name := range members {
			found, err := unended(r.t.Context(), "http://"+r.at[name]+"/work/status?consistency=strong")
			if n = found; err == nil {
				return true
			}
		}
		return false
	})
	return n
}
