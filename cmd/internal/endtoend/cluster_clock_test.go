//go:build unix

package endtoend

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/ringrift/rift/cmd/internal/queuemodel"
	"github.com/ringrift/rift/domain"
)

// clockSteps are by how much clocks are stepped, to either side. The other nodes refuse
// what a node says whose clock is more than a minute off; by less it goes on, and may lead.
var clockSteps = []time.Duration{40 * time.Second, 40 * time.Second, 2 * time.Hour, 30 * 24 * time.Hour}

// stepClock steps the wall clock of a node, and sometimes back again, until end. Then the
// clock is right, and the node has to take part again by itself.
func (r *rounds) stepClock(victim string) (end func()) {
	over, seed := make(chan struct{}), r.random.Uint64()
	var stepping sync.WaitGroup
	stepping.Go(func() {
		random := rand.New(rand.NewPCG(seed, 0))
		pause := func(most time.Duration) bool {
			select {
			case <-time.After(time.Duration(random.Int64N(int64(most)))):
				return true
			case <-over:
				return false
			}
		}
		pause(150 * time.Millisecond)
		for {
			by := clockSteps[random.IntN(len(clockSteps))]
			if random.IntN(2) == 0 {
				by = -by
			}
			r.clock[victim].set(by)
			if !pause(3 * time.Second) {
				return
			}
			if random.IntN(2) == 0 {
				r.clock[victim].set(0)
				if !pause(time.Second) {
					return
				}
			}
		}
	})
	return func() {
		close(over)
		stepping.Wait()
		r.clock[victim].set(0)
		r.righted = append(r.righted, victim)
	}
}

// catchesUp waits until a node has applied what its cluster had decided.
func (c *cluster) catchesUp(name string) {
	c.t.Helper()
	decided, err := c.state(c.t.Context(), c.leader())
	eventually(c.t, name+" catches up", func() bool {
		if err != nil {
			decided, err = c.state(c.t.Context(), c.leader())
			return false
		}
		state, err := c.state(c.t.Context(), name)
		return err == nil && state.Leader != "" && state.Applied >= decided.Commit
	})
}

// checkTimes wants no step in the times of events: what a client asked for happened after
// it was sent and before it was answered, give or take the drift of the nodes' times.
func (r *rounds) checkTimes(byCommand map[string][]domain.Envelope, drift time.Duration, found *faults) {
	for key, events := range byCommand {
		sent, known := r.witness.first[key]
		if !known {
			continue
		}
		first := time.Unix(0, sent).Add(-drift).Truncate(time.Microsecond)
		for _, e := range events {
			if e.Time.Before(first) {
				found.add("%v: happened at %v, want it after %v, when %s was sent", e, e.Time, first, key)
			}
			if ended, answered := r.witness.ended[key]; answered && e.Time.After(time.Unix(0, ended).Add(drift)) {
				found.add("%v: happened at %v, want it before %v, when %s was answered", e, e.Time, time.Unix(0, ended).Add(drift), key)
			}
		}
	}
}

// mostDrift is how far the nodes' times were from the machine's.
func (r *rounds) mostDrift() (drift time.Duration) {
	for _, clock := range r.clock {
		drift = max(drift, clock.mostDrift())
	}
	r.t.Logf("the nodes' times were at most %v off", drift.Round(time.Millisecond))
	return drift
}

// allowForDrift lets a lease end before its deadline by as much as the time of the node
// that gave it may have been ahead.
func allowForDrift(history []porcupine.Operation, drift time.Duration) {
	for i, operation := range history {
		in := operation.Input.(queuemodel.Asked)
		in.Returned += int64(drift)
		history[i].Input = in
	}
}

// A node whose wall clock is stepped too far is refused by the others, and refuses them.
// They go on without it, with another leader if it led. Its own time is not stepped, and
// once its clock is right it takes part again, without a restart.
func TestClusterGoesOnWithoutAWrongClock(t *testing.T) {
	needsSteps(t)
	c := newCluster(t)
	c.startAll()
	for i, one := range []struct {
		leads bool
		by    time.Duration
		says  string
	}{
		{false, 30 * 24 * time.Hour, "the wall clock is 720h0m0s ahead of this node's"},
		{false, -2 * time.Hour, "the wall clock is 2h0m0s behind this node's"},
		{true, -30 * 24 * time.Hour, "the wall clock is 720h0m0s behind this node's"},
		{true, 2 * time.Hour, "the wall clock is 2h0m0s ahead of this node's"},
	} {
		victim := c.leader()
		if !one.leads {
			victim = otherThan(victim)
		}
		c.clock[victim].set(one.by)
		eventually(t, "another node leads", func() bool { return c.leader() != victim })
		for n := range 20 {
			c.acknowledges(otherThan(victim), fmt.Sprintf("clock-%d-%d", i, n))
		}
		c.says(victim, "/metrics", `rift_raft_refused_total{cause="time"}`)
		c.says(victim, "/admin/health", one.says)
		c.clock[victim].set(0)
		c.catchesUp(victim)
		if c.nodes[victim].gone() {
			t.Fatalf("%s ended by itself, with exit code %d", victim, c.nodes[victim].code)
		}
	}
	c.agree()
}

// A node that was started with a wrong clock has the time of that clock for long after it
// was set right. When it leads, the leases of before go on, and those that it gives end
// in time under the next leader.
func TestLeasesOfLeadersWhoseTimesDiffer(t *testing.T) {
	needsSteps(t)
	const lease = 10 * time.Second
	c := newCluster(t)
	c.startAll()
	first := c.leader()
	ahead := otherThan(first)
	c.nodes[ahead].stop(syscall.SIGTERM)
	c.clock[ahead].set(30 * 24 * time.Hour)
	c.start(ahead)
	started := time.Now()
	c.clock[ahead].set(0)
	c.catchesUp(ahead)

	ask := func(o order) (a answer) {
		t.Helper()
		eventually(t, o.key+" is answered", func() bool {
			var err error
			a, err = (&caller{base: "http://" + c.at[c.leader()], http: http.DefaultClient}).do(t.Context(), o)
			return err == nil && !a.Code.Retryable()
		})
		return a
	}
	ask(quickly(lease.Seconds()))
	ask(order{"add", "/work/add", `{"task_id":"held","task_type":"selfplay"}`})
	if a := ask(order{"claim", "/work/claim", `{"node_id":"gpu-1"}`}); len(a.Items) != 1 {
		t.Fatalf("claim: found %v, want the item", a)
	}
	beats := 0
	beat := func() {
		t.Helper()
		beats++
		if a := ask(order{fmt.Sprintf("beat-%d", beats), "/work/heartbeat", `{"task_id":"held","lease":1}`}); !a.ok() {
			t.Fatalf("heartbeat %d: found %v, want the lease to go on", beats, a)
		}
	}
	for time.Since(started) < lease+lease/5 { // the leases of before a start last that long anyway
		beat()
		<-time.After(lease / 10)
	}
	c.handOver(ahead)
	<-time.After(lease / 10) // it looks for deadlines that have passed
	beat()
	c.handOver(first)
	n := 0
	eventually(t, "the lease ends that nobody renews", func() bool {
		n++
		return len(ask(order{fmt.Sprintf("claim-%d", n), "/work/claim", `{"node_id":"gpu-2"}`}).Items) > 0
	})
}

// handOver makes a node lead.
func (c *cluster) handOver(to string) {
	c.t.Helper()
	eventually(c.t, to+" leads", func() bool {
		leader := c.leader()
		if leader != to {
			rift(c.t, "cluster", "transfer", to, "--cluster-key", c.key, "--addr", "http://"+c.at[leader]) // it may be refused
		}
		return leader == to
	})
}

// otherThan gives another node.
func otherThan(name string) string {
	return members[(slices.Index(members, name)+1)%len(members)]
}

// says waits until a node answers a query with a text.
func (c *cluster) says(name, path, text string) {
	c.t.Helper()
	eventually(c.t, fmt.Sprintf("%s says %q to %s", name, text, path), func() bool {
		request, err := http.NewRequestWithContext(c.t.Context(), http.MethodGet, "http://"+c.at[name]+path, nil)
		if err != nil {
			c.t.Fatal(err)
		}
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			return false
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		return err == nil && strings.Contains(string(body), text)
	})
}
