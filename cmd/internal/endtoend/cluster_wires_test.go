//go:build linux

package endtoend

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// wire carries what one node of a cluster sends to another, with the answers: messages
// of Raft, which have none, and commands that are sent on. Each direction between two
// nodes is a wire of its own, so one may be cut and the other not.
type wire struct {
	to  string // host:port
	ctx context.Context

	mu      sync.Mutex
	state   line
	changed chan struct{}
	open    map[net.Conn]bool
}

func newWire(t *testing.T, to string) *wire {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	w := &wire{to: to, ctx: ctx, changed: make(chan struct{}), open: map[net.Conn]bool{}}
	t.Cleanup(func() {
		cancel()
		w.set(lineCut)
	})
	return w
}

// set changes how the wire is. One that is cut loses its connections.
func (w *wire) set(state line) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.state == state {
		return
	}
	w.state = state
	close(w.changed)
	w.changed = make(chan struct{})
	if state == lineCut {
		for c := range w.open {
			_ = c.Close()
		}
	}
}

// now is how the wire is, and a channel that is closed when that changes.
func (w *wire) now() (line, <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.state, w.changed
}

// keep has a connection closed when the wire is cut.
func (w *wire) keep(c net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.state == lineCut {
		return false
	}
	w.open[c] = true
	return true
}

func (w *wire) drop(c net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.open, c)
	_ = c.Close() // it is of no use to either side
}

// connect carries a connection until one side ends it, or the wire is cut.
func (w *wire) connect(from net.Conn) {
	defer w.drop(from)
	if !w.keep(from) {
		return
	}
	to, err := (&net.Dialer{}).DialContext(w.ctx, "tcp", w.to)
	if err != nil {
		return // as if nobody listened
	}
	defer w.drop(to)
	if !w.keep(to) {
		return
	}
	var ways sync.WaitGroup
	for _, way := range [][2]net.Conn{{from, to}, {to, from}} {
		ways.Go(func() {
			_, _ = io.Copy(lively{w, way[1]}, way[0]) // however it ends, it has ended
			w.drop(from)
			w.drop(to)
		})
	}
	ways.Wait()
}

// lively writes while the wire is open. On a dead wire it waits, and what is sent waits
// with it.
type lively struct {
	wire *wire
	to   net.Conn
}

func (l lively) Write(p []byte) (int, error) {
	for {
		state, changed := l.wire.now()
		if state != lineDead {
			return l.to.Write(p)
		}
		select {
		case <-changed:
		case <-l.wire.ctx.Done():
			return 0, l.wire.ctx.Err()
		}
	}
}

// front listens for a node at the address that all others know, and gives the address. A
// connection goes over the wire from the node whose process made it, or over the wire
// from nobody. The address cannot tell who calls: members agree on one for each of them.
func (c *cluster) front(name string) (address string) {
	c.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		c.t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				if caller, found := c.caller(from); found {
					c.wires[[2]string{caller, name}].connect(from)
				} else {
					_ = from.Close() // as its other end is
				}
			})
		}
	})
	c.t.Cleanup(func() {
		_ = listener.Close() // which ends the loop
		running.Wait()
	})
	return listener.Addr().String()
}

// caller finds the node whose process made a connection; nobody, if this process did.
func (c *cluster) caller(from net.Conn) (name string, found bool) {
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) { // a process may connect before it is noted
		socket, open := socketOf(from)
		if !open {
			break
		}
		if hasOpen(os.Getpid(), socket) {
			return nobody, true
		}
		for _, name := range members {
			if pid, runs := c.pids.Load(name); runs && hasOpen(pid.(int), socket) {
				return name, true
			}
		}
		<-time.After(time.Millisecond)
	}
	return "", false
}

// nobody is the caller that is no node.
const nobody = ""

// socketOf gives how the system calls the other end of a connection of this machine.
func socketOf(conn net.Conn) (socket string, open bool) {
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		return "", false
	}
	want := fmt.Sprintf(" %s %s ", inTable(conn.RemoteAddr()), inTable(conn.LocalAddr()))
	for line := range strings.Lines(string(table)) {
		fields := strings.Fields(line)
		if strings.Contains(line, want) && fields[9] != "0" {
			return "socket:[" + fields[9] + "]", true
		}
	}
	return "", false
}

// inTable is how the system's table of connections writes an address of the loopback.
func inTable(address net.Addr) string {
	return fmt.Sprintf("0100007F:%04X", address.(*net.TCPAddr).Port)
}

// hasOpen reports whether a process has a file open.
func hasOpen(pid int, file string) bool {
	folder := filepath.Join("/proc", strconv.Itoa(pid), "fd")
	descriptors, err := os.ReadDir(folder)
	if err != nil {
		return false // it has ended
	}
	return slices.ContainsFunc(descriptors, func(one os.DirEntry) bool {
		target, err := os.Readlink(filepath.Join(folder, one.Name()))
		return err == nil && target == file
	})
}

// The two other nodes go on without one that is cut off, whichever it is.
func TestClusterGoesOnWithoutANodeThatIsCutOff(t *testing.T) {
	r := &rounds{cluster: newCluster(t)}
	r.startAll()
	for _, victim := range members {
		mend := r.onWires(victim, true, true, lineCut)
		eventually(t, "another node leads", func() bool { return r.leader() != victim })
		r.acknowledges(otherThan(victim), "without-"+victim)
		eventually(t, victim+" hears nobody", func() bool {
			state, err := r.state(t.Context(), victim)
			return err == nil && state.Leader == ""
		})
		mend()
		r.catchesUp(victim)
	}
}

// acknowledges waits until a node acknowledges a command.
func (c *cluster) acknowledges(name, key string) {
	c.t.Helper()
	at := &caller{base: "http://" + c.at[name], http: http.DefaultClient}
	eventually(c.t, name+" acknowledges a command", func() bool {
		a, err := at.do(c.t.Context(), order{key, "/work/add", `{"task_type":"selfplay"}`})
		return err == nil && a.ok()
	})
}
