package esdb_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// proxy forwards connections to a node. It delays bytes, and closes or resets connections,
// at random by a seed.
type proxy struct {
	listener net.Listener
	target   string
	random   *rand.Rand

	mu    sync.Mutex
	open  map[net.Conn]struct{}
	calm  bool
	cuts  int
	conns sync.WaitGroup
}

func newProxy(t *testing.T, target string, seed uint64) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: listener, target: target, random: rand.New(rand.NewPCG(seed, seed)), open: map[net.Conn]struct{}{}}
	p.conns.Go(p.accept)
	t.Cleanup(func() {
		listener.Close()
		p.mu.Lock()
		for conn := range p.open {
			conn.Close()
		}
		p.mu.Unlock()
		p.conns.Wait()
	})
	return p
}

func (p *proxy) accept() {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.conns.Go(func() { p.pass(conn) })
	}
}

func (p *proxy) pass(from net.Conn) {
	to, err := net.Dial("tcp", p.target)
	if err != nil {
		from.Close()
		return
	}
	p.mu.Lock()
	p.open[from], p.open[to] = struct{}{}, struct{}{}
	p.mu.Unlock()
	var ways sync.WaitGroup
	ways.Go(func() { p.copy(to, from) })
	ways.Go(func() { p.copy(from, to) })
	ways.Wait()
	p.mu.Lock()
	delete(p.open, from)
	delete(p.open, to)
	p.mu.Unlock()
}

// copy forwards bytes until one side ends or a random fault does.
func (p *proxy) copy(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	buffer := make([]byte, 4<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			keep, delay, reset := p.fate(n)
			if delay > 0 {
				<-time.After(delay)
			}
			if _, err := to.Write(buffer[:keep]); err != nil {
				return
			}
			if keep < n {
				if tcp, ok := to.(*net.TCPConn); ok && reset {
					_ = tcp.SetLinger(0) // so that the other side sees a reset
				}
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (p *proxy) fate(n int) (keep int, delay time.Duration, reset bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.calm {
		return n, 0, false
	}
	switch p.random.IntN(60) {
	case 0:
		p.cuts++
		return p.random.IntN(n), 0, false
	case 1:
		p.cuts++
		return p.random.IntN(n), 0, true
	case 2, 3, 4:
		return n, time.Duration(p.random.IntN(3000)) * time.Microsecond, false
	}
	return n, 0, false
}

// Whatever happens to connections, what is acknowledged is stored once, in the order of
// its stream, and a subscription misses nothing.
func TestConnectionsThatFail(t *testing.T) {
	t.Parallel()
	address := serve(t)
	p := newProxy(t, address, 7)
	log := open(t, p.listener.Addr().String())
	const writers, appends = 4, 40
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	seen := make(chan []domain.EventID, 1)
	go func() {
		var ids []domain.EventID
		at := domain.Position(0)
		for item, err := range log.Subscribe(ctx, 0, eventlog.Filter{Streams: []string{"task-"}}) {
			if err != nil {
				t.Errorf("subscription: %v", err)
				break
			}
			if item.Position < at {
				t.Errorf("want positions that never fall, found %d behind %d", item.Position, at)
			}
			if at = item.Position; item.Envelope.Position != 0 {
				ids = append(ids, item.Envelope.ID)
			}
			if len(ids) == writers*appends*2 {
				break
			}
		}
		seen <- ids
	}()
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			stream := domain.Stream("task", fmt.Sprint(w))
			for i := range appends {
				batch := []eventlog.Proposed{proposed(w, i, 0), proposed(w, i, 1)}
				for { // a caller repeats an append that is unavailable
					receipt, err := log.Append(ctx, stream, domain.Revision(2*i-1), batch...)
					if err == nil {
						if receipt.Revision != domain.Revision(2*i+1) || receipt.First >= receipt.Last {
							t.Errorf("want revision %d, found %+v", 2*i+1, receipt)
						}
						break
					}
					if !errors.Is(err, domain.ErrUnavailable) {
						t.Errorf("append %d/%d: %v", w, i, err)
						return
					}
				}
			}
		})
	}
	group.Wait()
	ids := <-seen
	p.mu.Lock()
	p.calm = true
	if p.cuts == 0 {
		t.Error("want some connections cut")
	}
	p.mu.Unlock()
	var all []domain.EventID
	for e, err := range open(t, address).ReadAll(ctx, 0, eventlog.Forward, eventlog.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e.ID)
	}
	if len(all) != writers*appends*2 || !slices.Equal(all, ids) {
		t.Fatalf("want %d events told as they are stored, found %d stored, %d told", writers*appends*2, len(all), len(ids))
	}
}

func proposed(w, i, n int) eventlog.Proposed {
	return eventlog.Proposed{
		ID: domain.DeriveID(fmt.Sprint(w, i), n), Type: "TESTED", Version: 1, Time: time.UnixMicro(1), Data: []byte(`{"n":1}`),
	}
}

// The error of a node that is gone says so, within bounded time.
func TestNobodyThere(t *testing.T) {
	t.Parallel()
	log := open(t, "127.0.0.1:1")
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := log.Head(ctx); domain.CodeOf(err) != domain.Timeout {
		t.Fatalf("want a time-out, found %v", err)
	}
}
