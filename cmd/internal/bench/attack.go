package bench

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ringrift/rift/domain"
)

// Attack is what a hostile caller does to a node over many connections, each of
// which it opens again as soon as it is closed, for as long as the attack lasts.
type Attack struct {
	Name    string
	About   string
	Clients int
	// request is what client n sends; it is sent again after hold, on a new connection.
	request func(host string, n int) []byte
	hold    time.Duration
	reads   bool // the answer is read, and the next request follows at once
}

// Attacks are the ways to make a node work, or hold memory, for nothing. All come
// from one address, that of the honest callers beside them.
func Attacks() []Attack {
	backtracking := url.QueryEscape(strings.Repeat(`data.payload.pad matches "(x+x+)+y" or `, 20) + "false")
	list := "[" + strings.TrimSuffix(strings.Repeat("1,", 10_000), ",") + "]"
	return []Attack{
		{
			Name: "expressions", About: "32 callers ask for events by costly patterns, add items with costly conditions, and claim for a node with 10,000 facts", Clients: 32, reads: true,
			request: func(host string, n int) []byte {
				node, item := fmt.Sprintf("hostile-%d", n), n*8+rand.IntN(8)
				switch n % 8 {
				case 0:
					return post(host, "/nodes/register", fmt.Sprintf(`{"node_id":%q,"facts":{"slots":1,"list":%s}}`, node, list))
				case 1:
					return post(host, addPath, fmt.Sprintf(`{"task_id":"hostile-%d","task_type":"hostile","where":"count(list, # > 0 and # < %d) < 0"}`, item, 2+item))
				case 2, 3:
					return post(host, claimPath, fmt.Sprintf(`{"node_id":"hostile-%d","limit":1}`, n/8*8))
				}
				return get(host, "/events?limit=1000&where="+backtracking)
			},
		},
		{
			Name: "streams", About: "256 event streams from the first event on that nobody reads", Clients: 256, hold: 4 * time.Second,
			request: func(host string, _ int) []byte { return get(host, "/events/stream?from=1") },
		},
		{
			Name: "bodies", About: "1,024 commands whose bodies do not end, half of them 256 KiB long so far", Clients: 1024, hold: 4 * time.Second,
			request: func(host string, n int) []byte {
				path, sent := "/work/heartbeat", 16
				if n%2 == 0 {
					path, sent = addPath, 256<<10
				}
				return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n{\"payload\":\"%s", path, host, 1<<20, strings.Repeat("x", sent))
			},
		},
		{
			Name: "pages", About: "650 pages of 1,000 events that nobody reads", Clients: 650, hold: 4 * time.Second,
			request: func(host string, _ int) []byte { return get(host, "/events?limit=1000") },
		},
	}
}

// attacking is an attack that goes on.
type attacking struct {
	sent atomic.Int64
	stop context.CancelFunc
	done sync.WaitGroup
}

// Begin starts an attack and waits until each of its clients has sent a request.
// The function it gives ends it, and tells how many requests were sent.
func (a Attack) Begin(ctx context.Context, address string) (end func() int64, err error) {
	running, stop := context.WithCancel(ctx)
	x := &attacking{stop: stop}
	first := make(chan struct{}, a.Clients)
	for n := range a.Clients {
		x.done.Go(func() {
			tell := sync.OnceFunc(func() { first <- struct{}{} })
			for running.Err() == nil {
				a.once(running, address, n, func() {
					x.sent.Add(1)
					tell()
				})
			}
		})
	}
	end = func() int64 {
		stop()
		x.done.Wait()
		return x.sent.Load()
	}
	for range a.Clients {
		select {
		case <-first:
		case <-time.After(patience):
			end()
			return nil, domain.Errorf(domain.Unavailable, "bench: attack %s: want a request of each of %d clients within %s", a.Name, a.Clients, patience)
		case <-ctx.Done():
			end()
			return nil, ctx.Err()
		}
	}
	return end, nil
}

// once opens a connection and sends what the attack is made of.
func (a Attack) once(ctx context.Context, address string, n int, sent func()) {
	socket, err := (&net.Dialer{Timeout: patience}).DialContext(ctx, "tcp", address)
	if err != nil {
		_ = pause(ctx, 50*time.Millisecond) // the attack ends, or goes on
		return
	}
	unblock := context.AfterFunc(ctx, func() { _ = socket.Close() })
	defer func() {
		unblock()
		_ = socket.Close()
	}()
	if tcp, ok := socket.(*net.TCPConn); ok && !a.reads {
		_ = tcp.SetReadBuffer(4 << 10) // what the system takes in is not the node's to hold
	}
	request := a.request(address, n)
	_ = socket.SetDeadline(time.Now().Add(patience))
	// A node that refuses a request may not read all of it.
	if _, err := socket.Write(request); err != nil && ctx.Err() != nil {
		return
	}
	sent()
	if !a.reads {
		_ = pause(ctx, a.hold/2+rand.N(a.hold))
		return
	}
	// At most one answer: the next connection asks again.
	if _, err := io.CopyN(io.Discard, socket, 512); err != nil {
		_ = pause(ctx, 10*time.Millisecond)
	}
}

// RunAttack makes an attack, says "begun" when it has, and tells how many requests
// were sent when ctx has ended.
func RunAttack(ctx context.Context, name, address string, out io.Writer) error {
	for _, a := range Attacks() {
		if a.Name != name {
			continue
		}
		end, err := a.Begin(ctx, address)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintln(out, "begun"); err == nil {
			<-ctx.Done()
		}
		_, err = fmt.Fprintln(out, end())
		return err
	}
	return domain.Errorf(domain.Invalid, "bench: want an attack, found %q", name)
}
