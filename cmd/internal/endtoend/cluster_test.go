//go:build unix

package endtoend

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ringrift/rift/domain/election"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/eventlog/raftlog"
)

// cluster is three nodes that replicate a log, each a process.
type cluster struct {
	t     *testing.T
	key   string
	at    map[string]string // node: host:port
	data  map[string]string
	nodes map[string]*process
	more  []string // flags of every node
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{t: t, key: filepath.Join(t.TempDir(), "cluster.key"), at: map[string]string{}, data: map[string]string{}, nodes: map[string]*process{}}
	args := []string{"cluster", "init", "--cluster-key", c.key}
	for _, name := range []string{"n1", "n2", "n3"} {
		free, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer free.Close()
		c.at[name], c.data[name] = free.Addr().String(), filepath.Join(t.TempDir(), name)
		args = append(args, name+"=http://"+c.at[name])
	}
	made := exec.Command(binary, args...)
	made.Env = environment()
	if text, err := made.CombinedOutput(); err != nil {
		t.Fatalf("cluster init: %v\n%s", err, text)
	}
	return c
}

func (c *cluster) start(name string) {
	c.t.Helper()
	flags := []string{"--cluster-key", c.key, "--node-id", name, "--listen", c.at[name], "--memory-limit", "256MiB", "--log-level", "error"}
	c.nodes[name] = serve(c.t, c.data[name], append(flags, c.more...)...)
}

// leader waits until a node says that it leads.
func (c *cluster) leader() string {
	c.t.Helper()
	leader := ""
	eventually(c.t, "a node leads", func() bool {
		newest := uint64(0)
		leader = ""
		for name := range c.nodes {
			if state, err := c.state(name); err == nil && state.Role == "leader" && state.Term > newest {
				newest, leader = state.Term, name
			}
		}
		return leader != ""
	})
	return leader
}

func (c *cluster) state(name string) (state raftlog.State, err error) {
	ctx, cancel := context.WithTimeout(c.t.Context(), 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.at[name]+"/raft/state", nil)
	if err != nil {
		return state, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return state, err
	}
	defer answer.Body.Close()
	return state, json.NewDecoder(answer.Body).Decode(&state)
}

// add asks one node after the other, with one key, until an item is added.
func (c *cluster) add(ctx context.Context, key string) bool {
	names := []string{"n1", "n2", "n3"}
	for i := 0; ctx.Err() == nil; i++ {
		if i >= len(names) && i%len(names) == 0 {
			<-time.After(10 * time.Millisecond) // else three callers of a cluster without a leader take its processors
		}
		within, cancel := context.WithTimeout(ctx, 5*time.Second)
		at := &caller{base: "http://" + c.at[names[i%len(names)]], http: http.DefaultClient}
		a, err := at.do(within, order{key, "/work/add", fmt.Sprintf(`{"task_type":"selfplay","task_id":%q}`, key)})
		cancel()
		if err == nil && a.Status/100 == 2 {
			return true
		}
	}
	return false
}

// TestClusterKill kills the leader of three nodes again and again while items are
// added: each that was acknowledged is there once, on every node, at one position.
func TestClusterKill(t *testing.T) {
	c := newCluster(t)
	for name := range c.at {
		c.start(name)
	}
	c.leader()
	ctx, stop := context.WithCancel(t.Context())
	var acknowledged atomic.Int64
	var added [3]int
	var writers sync.WaitGroup
	for w := range added {
		writers.Go(func() {
			for c.add(ctx, fmt.Sprintf("w%d-%d", w, added[w])) {
				added[w]++
				acknowledged.Add(1)
			}
		})
	}
	more := func() {
		before := acknowledged.Load()
		eventually(t, "items are added", func() bool { return acknowledged.Load() >= before+20 })
	}
	for range number(t, "RIFT_CLUSTER_ROUNDS", 2) {
		more()
		leader := c.leader()
		began := time.Now()
		c.nodes[leader].kill()
		delete(c.nodes, leader)
		more()
		t.Logf("%s was killed; 20 items later after %v", leader, time.Since(began).Round(time.Millisecond))
		c.start(leader)
	}
	more()
	stop()
	writers.Wait()
	eventually(t, "the nodes agree", func() bool {
		positions := map[string]bool{}
		for name := range c.nodes {
			state, err := c.state(name)
			positions[fmt.Sprint(state.Position, state.Applied == state.Commit, err)] = true
		}
		return len(positions) == 1
	})
	for _, p := range c.nodes {
		p.stop(syscall.SIGTERM)
	}
	c.check(added[:])
}

// check compares what the nodes hold.
func (c *cluster) check(added []int) {
	t := c.t
	t.Helper()
	want := inspect(t, c.data["n1"])
	spawned, terms := map[string]int{}, map[string]int{}
	for _, e := range want {
		switch e.Type {
		case work.Spawned{}.EventType():
			spawned[strings.TrimPrefix(string(e.Stream), "task-")]++
		case election.LeaderChanged{}.EventType():
			var changed election.LeaderChanged
			if err := json.Unmarshal(e.Data, &changed); err != nil {
				t.Fatal(err)
			}
			terms[fmt.Sprint(changed.Term)]++
		}
	}
	for w, n := range added {
		for i := range n {
			if key := fmt.Sprintf("w%d-%d", w, i); spawned[key] != 1 {
				t.Errorf("item %s was acknowledged and is there %d times", key, spawned[key])
			}
		}
	}
	for term, n := range terms {
		if n != 1 {
			t.Errorf("term %s has %d changes of leader", term, n)
		}
	}
	for _, name := range []string{"n2", "n3"} {
		found := inspect(t, c.data[name])
		for i := range min(len(want), len(found)) {
			if want[i].ID != found[i].ID || want[i].Stream != found[i].Stream || string(want[i].Data) != string(found[i].Data) || !want[i].Time.Equal(found[i].Time) {
				t.Fatalf("%s: want %v, found %v", name, want[i], found[i])
			}
		}
		if diff := len(want) - len(found); diff < -2 || diff > 2 { // the last to stop wrote that it leads
			t.Errorf("%s: want %d events, found %d", name, len(want), len(found))
		}
	}
	t.Logf("%d items, %d terms with a leader, %d events on each node", len(spawned), len(terms), len(want))
}
