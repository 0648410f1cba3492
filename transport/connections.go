package transport

import (
	"cmp"
	"context"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ringrift/rift/domain"
)

// connections limits how many connections are open. At the limit a new
// connection replaces an idle one or one with an unfinished request, so
// that a client that opens thousands of them cannot lock others out. A
// connection whose request is being served, or that carries an event
// stream, is never closed for another; budgets limit those.
type connections struct {
	most  int
	began time.Time

	mu   sync.Mutex
	open []*connection
	by   map[string]int // connections by caller address

	dropped, refused prometheus.Counter
}

func newConnections(most int, registry *prometheus.Registry) (*connections, error) {
	c := &connections{most: most, began: time.Now(), by: map[string]int{}}
	closed := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "rift_http_connections_closed_total",
		Help: "Connections closed at the bound: dropped for a new one while they asked for nothing, or refused because all others were in use.",
	}, []string{"reason"})
	c.dropped, c.refused = closed.WithLabelValues("dropped"), closed.WithLabelValues("refused")
	open := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "rift_http_connections", Help: "Open connections."}, func() float64 {
		c.mu.Lock()
		defer c.mu.Unlock()
		return float64(len(c.open))
	})
	for _, collector := range []prometheus.Collector{closed, open} {
		if err := registry.Register(collector); err != nil {
			return nil, domain.Errorf(domain.Internal, "metrics: %w", err)
		}
	}
	return c, nil
}

// Listen limits the connections of a listener that the handler's Server
// serves.
func (h *Handler) Listen(l net.Listener) net.Listener { return boundedListener{l, h.connections} }

type boundedListener struct {
	net.Listener
	connections *connections
}

// Accept waits for the next connection that there is room for.
func (l boundedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if admitted := l.connections.admit(conn); admitted != nil {
			return admitted, nil
		}
		_ = conn.Close() // nothing was sent on it yet
	}
}

// connection is an open connection. It is held while its request is served.
type connection struct {
	net.Conn
	of     *connections
	caller string
	state  atomic.Int32
	since  time.Duration // when it was accepted
	used   atomic.Int64  // when it was last used; 0: not yet
	place  int           // in of.open; -1 once it is closed
}

// The states of a connection.
const (
	waits   = iota // waits for a request, or for the rest of one
	isHeld         // a request is being served
	dropped        // closed to make room for another one
)

func (c *connections) now() time.Duration { return time.Since(c.began) }

// admit adds a connection, or returns nil when there is no room.
func (c *connections) admit(conn net.Conn) *connection {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.open) >= c.most {
		c.makeRoom()
	}
	if len(c.open) >= c.most {
		c.refused.Inc()
		return nil
	}
	one := &connection{Conn: conn, of: c, caller: addressOf(conn.RemoteAddr().String()), since: c.now(), place: len(c.open)}
	c.open = append(c.open, one)
	c.by[one.caller]++
	return one
}

// makeRoom drops waiting connections of the caller that has the most: first
// those without a request so far, then the least recently used. It drops
// several at once, so that the cost of the search is shared.
func (c *connections) makeRoom() {
	found := map[string][]*connection{}
	caller := ""
	for _, one := range c.open {
		if one.state.Load() == waits {
			found[one.caller] = append(found[one.caller], one)
			if c.by[one.caller] > c.by[caller] {
				caller = one.caller
			}
		}
	}
	candidates := found[caller]
	slices.SortFunc(candidates, func(a, b *connection) int {
		return cmp.Or(cmp.Compare(a.used.Load(), b.used.Load()), cmp.Compare(a.since, b.since))
	})
	for _, one := range candidates[:min(len(candidates), max(c.most/64, 1))] {
		if one.state.CompareAndSwap(waits, dropped) {
			c.remove(one)
			c.dropped.Inc()
			_ = one.Conn.Close() // it is idle: no request is lost
		}
	}
}

// remove takes a connection out of the count; later calls do nothing.
func (c *connections) remove(one *connection) {
	if one.place < 0 {
		return
	}
	last := c.open[len(c.open)-1]
	c.open[one.place], last.place = last, one.place
	c.open[len(c.open)-1] = nil
	c.open = c.open[:len(c.open)-1]
	one.place = -1
	if c.by[one.caller]--; c.by[one.caller] == 0 {
		delete(c.by, one.caller)
	}
}

// Close closes the connection and gives up its place.
func (c *connection) Close() error {
	c.of.mu.Lock()
	c.of.remove(c)
	c.of.mu.Unlock()
	return c.Conn.Close()
}

// Touch marks the connection as used, for servers whose requests are not
// seen here.
func (c *connection) Touch() { c.used.Store(int64(c.of.now())) }

// hold keeps the connection from being dropped until its request has ended.
func (c *connection) hold() { c.state.CompareAndSwap(waits, isHeld) }

func (c *connection) release() {
	c.Touch()
	c.state.CompareAndSwap(isHeld, waits)
}

// connectionOf returns the limited connection, which may be wrapped by
// others.
func connectionOf(c net.Conn) *connection {
	for c != nil {
		if one, ok := c.(*connection); ok {
			return one
		}
		inner, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			return nil
		}
		c = inner.NetConn()
	}
	return nil
}

// connectionChanged is the ConnState hook of Server.
func connectionChanged(c net.Conn, state http.ConnState) {
	if state == http.StateIdle {
		if one := connectionOf(c); one != nil {
			one.release()
		}
	}
}

// connectionKey is the context key of the connection of a request that
// Server serves.
type connectionKey struct{}

func withConnection(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connectionKey{}, c)
}

// hold protects the connection of an admitted request until it is answered.
func (x *exchange) hold() {
	if c, ok := x.request.Context().Value(connectionKey{}).(net.Conn); ok {
		if one := connectionOf(c); one != nil {
			one.hold()
		}
	}
}
