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
	"sync"
	"testing"
	"time"

	"github.com/ringrift/rift/eventlog/raftlog"
)

// members are the nodes of a cluster here.
var members = []string{"n1", "n2", "n3"}

// cluster is three nodes that replicate a log, each a process, with a wire from each to
// each other.
type cluster struct {
	t     *testing.T
	key   string
	at    map[string]string // node: host:port
	known map[string]string // the same, as the nodes know each other
	data  map[string]string
	wires map[[2]string]*wire // from, to
	nodes map[string]*process // that run
	pids  sync.Map            // of their processes, by name
	clock map[string]*wallClock
	more  []string // flags of every node

	starved map[string]bool // nodes that had no disk space since they were started
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{
		t: t, key: filepath.Join(t.TempDir(), "cluster.key"),
		at: map[string]string{}, known: map[string]string{}, data: map[string]string{}, wires: map[[2]string]*wire{}, nodes: map[string]*process{}, clock: map[string]*wallClock{}, starved: map[string]bool{},
	}
	args := []string{"cluster", "init", "--cluster-key", c.key}
	for _, name := range members {
		free, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer free.Close()
		c.at[name], c.data[name], c.clock[name] = free.Addr().String(), filepath.Join(t.TempDir(), name), newWallClock(t)
		c.known[name] = c.front(name)
		args = append(args, name+"=http://"+c.known[name])
	}
	for _, to := range members {
		for _, from := range append([]string{nobody}, members...) {
			c.wires[[2]string{from, to}] = newWire(t, c.at[to])
		}
	}
	made := exec.Command(binary, args...)
	made.Env = environment()
	if text, err := made.CombinedOutput(); err != nil {
		t.Fatalf("cluster init: %v\n%s", err, text)
	}
	return c
}

// start starts a node, which finds the others at the ends of its wires.
func (c *cluster) start(name string) {
	c.t.Helper()
	flags := []string{
		"--cluster-key", c.key, "--node-id", name,
		"--listen", c.at[name], "--memory-limit", "256MiB", "--log-level", "error",
	}
	var variables []string
	if stepped {
		variables = append(variables, c.clock[name].variable())
	}
	p, addressFile := launch(c.t, variables, c.data[name], append(flags, c.more...)...)
	c.pids.Store(name, p.command.Process.Pid)
	p.listens(addressFile)
	c.nodes[name] = p
}

// startAll starts the nodes that do not run. None may have ended by itself, but one whose
// entries found no room on the disk.
func (c *cluster) startAll() {
	c.t.Helper()
	for _, name := range members {
		p := c.nodes[name]
		if p != nil && p.gone() {
			if !c.starved[name] {
				c.t.Fatalf("%s ended by itself, with exit code %d", name, p.code)
			}
			p = nil
		}
		if p == nil {
			c.start(name)
			delete(c.starved, name)
		}
	}
}

// leader waits until a node says that it leads.
func (c *cluster) leader() string {
	c.t.Helper()
	leader := ""
	eventually(c.t, "a node leads", func() bool {
		newest := uint64(0)
		leader = ""
		for name := range c.nodes {
			if state, err := c.state(c.t.Context(), name); err == nil && state.Role == "leader" && state.Term > newest {
				newest, leader = state.Term, name
			}
		}
		return leader != ""
	})
	return leader
}

func (c *cluster) state(ctx context.Context, name string) (state raftlog.State, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
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

// agree waits until all nodes have applied the same.
func (c *cluster) agree() {
	c.t.Helper()
	eventually(c.t, "the nodes agree", func() bool {
		positions := map[string]bool{}
		for _, name := range members {
			state, err := c.state(c.t.Context(), name)
			positions[fmt.Sprint(state.Position, state.Applied == state.Commit, err)] = true
		}
		return len(positions) == 1
	})
}
