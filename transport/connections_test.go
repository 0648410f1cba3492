package transport_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ringrift/rift/transport"
)

// listening serves a handler on a port of its own until the test ends.
func listening(t *testing.T, h *transport.Handler) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := h.Server()
	var served sync.WaitGroup
	served.Go(func() { _ = s.Serve(h.Listen(listener)) })
	t.Cleanup(func() {
		_ = s.Close()
		served.Wait()
		settled(t, h, 0, 0)
	})
	return listener.Addr().String()
}

// wire is a client's connection.
type wire struct {
	t *testing.T
	net.Conn
	reader *bufio.Reader
}

func dial(t *testing.T, address string) *wire {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return &wire{t, c, bufio.NewReader(c)}
}

func (w *wire) say(text string) {
	w.t.Helper()
	if _, err := io.WriteString(w, text); err != nil {
		w.t.Fatal(err)
	}
}

// get sends a query on the connection and reads the answer.
func (w *wire) get() int {
	w.t.Helper()
	w.say("GET /work/status HTTP/1.1\r\nHost: localhost\r\n\r\n")
	return w.answer()
}

func (w *wire) answer() int {
	w.t.Helper()
	response, err := http.ReadResponse(w.reader, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		w.t.Fatal(err)
	}
	return response.StatusCode
}

// ended waits for the end of the connection from the other side.
func (w *wire) ended() {
	w.t.Helper()
	if _, err := w.reader.ReadByte(); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		w.t.Errorf("want the connection closed, found %v", err)
	}
}

// counted checks how many connections were closed for a reason.
func counted(t *testing.T, h *transport.Handler, reason string, want int) {
	t.Helper()
	line := fmt.Sprintf("rift_http_connections_closed_total{reason=%q} %d\n", reason, want)
	if text := ask(t, h, "GET", "/metrics", "").text; !strings.Contains(text, line) {
		t.Errorf("want %s, found %.300s", line, text[max(strings.Index(text, "rift_http_connections_closed_total{"), 0):])
	}
}

// settled waits until the handler has seen that so many connections are open, and
// so many of them wait.
func settled(t *testing.T, h *transport.Handler, open, waiting int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; runtime.Gosched() {
		o, w := h.CountConnections()
		if o == open && w == waiting {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("want %d connections, %d of which wait, found %d and %d", open, waiting, o, w)
		}
	}
}

// At the limit a new connection replaces first an unused one, then one with an
// incomplete request, then the least recently used.
func TestAConnectionThatAsksForNothingGivesWay(t *testing.T) {
	_, h := server(t, transport.Config{Connections: 4})
	address := listening(t, h)
	first, second := dial(t, address), dial(t, address)
	for _, w := range []*wire{first, second, first} {
		if status := w.get(); status != 200 {
			t.Fatalf("want 200, found %d", status)
		}
		settled(t, h, 2, 2)
	}
	silent, half := dial(t, address), dial(t, address)
	half.say("POST /work/add HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
	settled(t, h, 4, 4)
	for i, victim := range []*wire{silent, half, second} {
		next := dial(t, address)
		if status := next.get(); status != 200 {
			t.Errorf("connection %d beyond the bound: want 200, found %d", i, status)
		}
		victim.ended()
	}
	if status := first.get(); status != 200 {
		t.Errorf("want the connection in use left alone, found %d", status)
	}
	counted(t, h, "dropped", 3)
	counted(t, h, "refused", 0)
}

// Connections that are served are not dropped: a new one is refused, and counted.
func TestServedConnectionsStay(t *testing.T) {
	_, h := server(t, transport.Config{Connections: 2, Streams: 4})
	address := listening(t, h)
	streams := []*wire{dial(t, address), dial(t, address)}
	for _, w := range streams {
		w.say("GET /events/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
		if line, err := w.reader.ReadString('\n'); err != nil || !strings.HasPrefix(line, "HTTP/1.1 200") {
			t.Fatalf("want a stream, found %q %v", line, err)
		}
	}
	dial(t, address).ended()
	counted(t, h, "refused", 1)
	_ = streams[0].Close()
	settled(t, h, 1, 0)
	if status := dial(t, address).get(); status != 200 {
		t.Errorf("want a place again, found %d", status)
	}
}

// Honest requests are answered while one caller opens thousands of connections and
// leaves a request unfinished on each of half of them.
func TestThousandsOfIdleConnections(t *testing.T) {
	_, h := server(t, transport.Config{Connections: 64})
	address := listening(t, h)
	client := &http.Client{Transport: &http.Transport{MaxIdleConns: 4}}
	defer client.CloseIdleConnections()
	ask := func(i int) {
		t.Helper()
		request, err := http.NewRequest(http.MethodPost, "http://"+address+"/work/add", strings.NewReader(fmt.Sprintf(`{"task_id":"t%d","task_type":"selfplay"}`, i)))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Idempotency-Key", fmt.Sprint("honest-", i)) // which lets a client try again
		response, err := client.Do(request)
		if err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
		if _, err := io.Copy(io.Discard, response.Body); err != nil || response.StatusCode != 200 {
			t.Fatalf("request %d: found %s %v", i, response.Status, err)
		}
		_ = response.Body.Close()
	}
	ask(0) // a used connection is dropped after unused ones
	ctx, stop := context.WithCancel(t.Context())
	var attack sync.WaitGroup
	defer attack.Wait()
	defer stop()
	opened := make(chan int, 1)
	attack.Go(func() {
		var open []net.Conn
		defer func() {
			for _, c := range open {
				_ = c.Close()
			}
		}()
		n := 0
		for ; n < 2000 && ctx.Err() == nil; n++ {
			c, err := net.Dial("tcp", address)
			if err != nil {
				t.Error(err)
				break
			}
			if n%2 == 0 {
				_, _ = io.WriteString(c, "POST /work/add HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{") // it may be closed already
			}
			if open = append(open, c); len(open) > 100 {
				_ = open[0].Close() // the test needs its files itself
				open = open[1:]
			}
		}
		opened <- n
	})
	for i := 1; ; i++ {
		ask(i)
		select {
		case n := <-opened:
			t.Logf("%d requests beside %d connections", i, n)
			return
		default:
		}
	}
}
