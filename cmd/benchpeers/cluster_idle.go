package main

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// idleNodes is the number of nodes of the idle cluster.
const idleNodes = 5

// idling is the result for a cluster without load.
type idling struct {
	Cores  []float64 `json:"core_percent"`     // processor time of each node
	Bytes  float64   `json:"bytes_per_second"` // bytes between all nodes, without the overhead of TCP
	Events uint64    `json:"events_appended"`
}

// measureIdle starts nodes that are connected through meters, waits until they are idle,
// and measures.
func measureIdle(ctx context.Context, program, dir string, lasts time.Duration) (seen idling, err error) {
	wires := &meters{}
	defer wires.close()
	cluster, err := startCluster(ctx, program, dir, idleNodes, func(listen string) (string, error) { return wires.open(ctx, listen) })
	if err != nil {
		return seen, err
	}
	defer func() { err = errors.Join(err, cluster.stop()) }()
	if err := cluster.rest(ctx); err != nil {
		return seen, err
	}
	if err := wait(ctx, lasts/2); err != nil { // for the work that follows a start
		return seen, err
	}
	head, used, err := cluster.reading(ctx)
	if err != nil {
		return seen, err
	}
	bytes, began := wires.bytes.Load(), time.Now()
	if err := wait(ctx, lasts); err != nil {
		return seen, err
	}
	seconds := time.Since(began).Seconds()
	seen.Bytes = float64(wires.bytes.Load()-bytes) / seconds
	after, usedAfter, err := cluster.reading(ctx)
	if err != nil {
		return seen, err
	}
	seen.Events = after - head
	for i := range used {
		seen.Cores = append(seen.Cores, 100*(usedAfter[i]-used[i]).Seconds()/seconds)
	}
	return seen, nil
}

// rest waits until all nodes have applied what the leader has.
func (c *riftCluster) rest(ctx context.Context) error {
	return throughNodes{riftCluster: c}.settle(ctx)
}

// reading returns the head of the log, and the processor time that each node has used.
func (c *riftCluster) reading(ctx context.Context) (head uint64, used []time.Duration, err error) {
	for _, m := range c.members {
		state, err := m.state(ctx)
		if err != nil {
			return 0, nil, err
		}
		cpu, err := m.cpu()
		if err != nil {
			return 0, nil, err
		}
		head, used = max(head, state.Position), append(used, cpu)
	}
	return head, used, nil
}

func wait(ctx context.Context, lasts time.Duration) error {
	timer := time.NewTimer(lasts)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// meters are proxies that count the bytes in both directions.
type meters struct {
	bytes   atomic.Uint64
	running sync.WaitGroup
	mu      sync.Mutex
	closers []io.Closer
	closed  bool
}

// open starts a proxy to an address and returns its address.
func (m *meters) open(ctx context.Context, to string) (string, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	m.keep(listener)
	m.running.Go(func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return
			}
			m.running.Go(func() { m.pass(ctx, from, to) })
		}
	})
	return listener.Addr().String(), nil
}

// keep has something closed together with the meters; at once if they are closed.
func (m *meters) keep(c io.Closer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		_ = c.Close()
		return
	}
	m.closers = append(m.closers, c)
}

// pass forwards a connection until one side ends it.
func (m *meters) pass(ctx context.Context, from net.Conn, address string) {
	defer from.Close()
	to, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return // as if nothing listened there
	}
	defer to.Close()
	m.keep(from)
	m.keep(to)
	var ways sync.WaitGroup
	for _, way := range [][2]net.Conn{{from, to}, {to, from}} {
		ways.Go(func() {
			_, _ = io.Copy(counted{way[1], &m.bytes}, way[0]) // the error does not matter, because the connection has ended
			_ = way[1].Close()
			_ = way[0].Close()
		})
	}
	ways.Wait()
}

// counted is a writer that counts its bytes.
type counted struct {
	to    io.Writer
	bytes *atomic.Uint64
}

func (c counted) Write(p []byte) (int, error) {
	n, err := c.to.Write(p)
	c.bytes.Add(uint64(n))
	return n, err
}

// close ends all connections.
func (m *meters) close() {
	m.mu.Lock()
	m.closed = true
	for _, c := range m.closers {
		_ = c.Close() // most are closed already
	}
	m.mu.Unlock()
	m.running.Wait()
}
