//go:build unix

package endtoend

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
)

// attack is what a hostile caller does to a node over many connections. A client opens
// a new connection as soon as its last one is closed, until the attack ends.
type attack struct {
	name    string
	clients int
	// request makes the request of client n; it is sent again after hold, on a new
	// connection.
	request func(host string, n int) []byte
	hold    time.Duration
	reads   bool // the client reads the answer and sends its next request at once
}

// attacks are ways to make a node use processor time or memory for nothing. All come
// from the address that the honest callers beside them have too.
func attacks() []attack {
	backtracking := url.QueryEscape(strings.Repeat(`data.payload.pad matches "(x+x+)+y" or `, 20) + "false")
	list := "[" + strings.TrimSuffix(strings.Repeat("1,", 10_000), ",") + "]"
	return []attack{
		{ // 32 callers ask for events by costly patterns, add items with costly conditions, and claim for a node with 10,000 facts
			name: "expressions", clients: 32, reads: true,
			request: func(host string, n int) []byte {
				node, item := fmt.Sprintf("hostile-%d", n), n*8+rand.IntN(8)
				switch n % 8 {
				case 0:
					return postRequest(host, "/nodes/register", fmt.Sprintf(`{"node_id":%q,"facts":{"slots":1,"list":%s}}`, node, list))
				case 1:
					return postRequest(host, "/work/add", fmt.Sprintf(`{"task_id":"hostile-%d","task_type":"hostile","where":"count(list, # > 0 and # < %d) < 0"}`, item, 2+item))
				case 2, 3:
					return postRequest(host, "/work/claim", fmt.Sprintf(`{"node_id":"hostile-%d","limit":1}`, n/8*8))
				}
				return getRequest(host, "/events?limit=1000&where="+backtracking)
			},
		},
		{ // 256 event streams from the first event on that nobody reads
			name: "streams", clients: 256, hold: 4 * time.Second,
			request: func(host string, _ int) []byte { return getRequest(host, "/events/stream?from=1") },
		},
		{ // 1,024 commands whose bodies do not end, half of them 256 KiB long so far
			name: "bodies", clients: 1024, hold: 4 * time.Second,
			request: func(host string, n int) []byte {
				path, sent := "/work/heartbeat", 16
				if n%2 == 0 {
					path, sent = "/work/add", 256<<10
				}
				return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n{\"payload\":\"%s", path, host, 1<<20, strings.Repeat("x", sent))
			},
		},
		{ // 650 pages of 1,000 events that nobody reads
			name: "pages", clients: 650, hold: 4 * time.Second,
			request: func(host string, _ int) []byte { return getRequest(host, "/events?limit=1000") },
		},
	}
}

// begin starts an attack and waits until each of its clients has sent a request. end
// stops the attack and returns the number of requests that were sent.
func (a attack) begin(ctx context.Context, address string) (end func() int64, err error) {
	running, stop := context.WithCancel(ctx)
	var sent atomic.Int64
	var clients sync.WaitGroup
	first := make(chan struct{}, a.clients)
	for n := range a.clients {
		clients.Go(func() {
			tell := sync.OnceFunc(func() { first <- struct{}{} })
			for running.Err() == nil {
				a.once(running, address, n, func() {
					sent.Add(1)
					tell()
				})
			}
		})
	}
	end = func() int64 {
		stop()
		clients.Wait()
		return sent.Load()
	}
	for range a.clients {
		select {
		case <-first:
		case <-time.After(patience):
			end()
			return nil, fmt.Errorf("attack %s: want a request of each of %d clients within %s", a.name, a.clients, patience)
		case <-ctx.Done():
			end()
			return nil, ctx.Err()
		}
	}
	return end, nil
}

// once opens a connection and sends what the attack is made of.
func (a attack) once(ctx context.Context, address string, n int, sent func()) {
	socket, err := (&net.Dialer{Timeout: patience}).DialContext(ctx, "tcp", address)
	if err != nil {
		pause(ctx, 50*time.Millisecond) // the attack ends, or goes on
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
		pause(ctx, a.hold/2+rand.N(a.hold))
		return
	}
	// At most one answer: the next connection asks again.
	if _, err := io.CopyN(io.Discard, socket, 512); err != nil {
		pause(ctx, 10*time.Millisecond)
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func getRequest(host, path string) []byte {
	return fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, host)
}

func postRequest(host, path, body string) []byte {
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", path, host, len(body), body)
}
