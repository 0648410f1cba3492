//go:build unix

package endtoend

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
)

// wire carries what one node of a cluster sends to another, with the answers: messages
// of Raft, which have none, and commands that are sent on. Each direction between two
// nodes is a wire of its own, so one may be cut and the other not.
type wire struct {
	to       string // host:port
	listener net.Listener
	ctx      context.Context
	running  sync.WaitGroup

	mu      sync.Mutex
	state   line
	changed chan struct{}
	open    map[net.Conn]bool
}

func newWire(t *testing.T, to string) *wire {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	w := &wire{to: to, listener: listener, ctx: ctx, changed: make(chan struct{}), open: map[net.Conn]bool{}}
	w.running.Go(w.accept)
	t.Cleanup(func() {
		cancel()
		_ = listener.Close() // which ends accept
		w.set(lineCut)
		w.running.Wait()
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

func (w *wire) accept() {
	for {
		from, err := w.listener.Accept()
		if err != nil {
			return
		}
		w.running.Go(func() { w.connect(from) })
	}
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
