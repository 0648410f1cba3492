package transport_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/transport"
)

// unread is the connection of a client that reads the header of an answer and
// nothing of its body until it is released.
type unread struct {
	header  http.Header
	head    chan struct{}
	once    sync.Once
	release chan struct{}
	bytes   atomic.Int64 // that wait to be taken
}

func newUnread() *unread {
	return &unread{header: http.Header{}, head: make(chan struct{}), release: make(chan struct{})}
}

func (u *unread) Header() http.Header { return u.header }
func (u *unread) WriteHeader(int)     { u.once.Do(func() { close(u.head) }) }
func (u *unread) Flush()              {}
func (u *unread) Write(p []byte) (int, error) {
	u.WriteHeader(0)
	u.bytes.Add(int64(len(p)))
	<-u.release
	return 0, errors.New("the client is gone")
}

// countingLog counts the bytes of the events that were taken out of the log.
type countingLog struct {
	eventlog.Log
	read *atomic.Int64
}

func (l countingLog) ReadAll(ctx context.Context, from domain.Position, direction eventlog.Direction, filter eventlog.Filter) iter.Seq2[domain.Envelope, error] {
	return func(yield func(domain.Envelope, error) bool) {
		for e, err := range l.Log.ReadAll(ctx, from, direction, filter) {
			l.read.Add(int64(len(e.Data)))
			if !yield(e, err) {
				return
			}
		}
	}
}

type countingNode struct {
	*node
	read *atomic.Int64
}

func (n countingNode) Log() eventlog.Log { return countingLog{n.node.log, n.read} }

const padded = 10 << 10

func pad(t *testing.T, n *node, events int) {
	t.Helper()
	for i := range events {
		if _, err := n.log.Append(t.Context(), "a-1", domain.AnyRevision, eventlog.Proposed{
			ID: domain.DeriveID("pad", i), Type: "FACT", Version: 1, Time: epoch, Data: []byte(`{"pad":"` + strings.Repeat("x", padded) + `"}`),
		}); err != nil {
			t.Fatal(err)
		}
	}
}

func from(target, address string) *http.Request {
	r := httptest.NewRequest("GET", target, nil)
	r.RemoteAddr = address
	return r
}

// Unread streams hold no more than their share of the memory, however many there
// are, and no turn; the memory is released when they are gone.
func TestUnreadStreamsHoldTheirShareOfMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t)
		pad(t, n, 200)
		var read atomic.Int64
		const streams, memory = 8, 4 * 8 * 64 << 10 // 64 KiB for each
		h, err := transport.NewHandler(countingNode{n, &read}, transport.Config{Streams: streams, Bytes: memory}, areas()...)
		if err != nil {
			t.Fatal(err)
		}
		var done sync.WaitGroup
		clients := make([]*unread, streams)
		for i := range clients {
			clients[i] = newUnread()
			clients[i].once.Do(func() { close(clients[i].head) })
			done.Go(func() { h.ServeHTTP(clients[i], from("/events/stream?from=1", fmt.Sprintf("192.0.2.%d:1", i))) })
		}
		synctest.Wait() // they hang in the first line
		for _, client := range clients {
			if waits := client.bytes.Load(); waits > 64<<10 {
				t.Errorf("want no stream to hold more than its share, found %d bytes", waits)
			}
		}
		if got := read.Load(); got != 0 {
			t.Errorf("want nothing read for clients that do not take the first line, found %d bytes", got)
		}
		for _, client := range clients {
			close(client.release)
		}
		done.Wait()

		patient := make([]*patientClient, streams)
		for i := range patient {
			patient[i] = &patientClient{unread: newUnread()}
			done.Go(func() { h.ServeHTTP(patient[i], from("/events/stream?from=1", fmt.Sprintf("192.0.2.%d:1", i))) })
		}
		synctest.Wait()
		if got, most := read.Load(), int64(streams*(64<<10+2*padded)); got > most || got == 0 {
			t.Errorf("want at most %d bytes read for %d streams, found %d", most, streams, got)
		}
		if got := h.TurnsTaken(); got != 0 {
			t.Errorf("want no turn held while a client is waited for, found %d", got)
		}
		for _, client := range patient {
			close(client.release)
		}
		done.Wait()
		if !h.StreamMemoryFree() {
			t.Error("want all of the memory free again")
		}
		if got := h.Held("streams"); got != 0 {
			t.Errorf("want all places free again, found %d taken", got)
		}
	})
}

// patientClient takes the first line of a stream.
type patientClient struct {
	*unread
	first bool
}

func (p *patientClient) Write(b []byte) (int, error) {
	if !p.first {
		p.first = true
		return len(b), nil
	}
	return p.unread.Write(b)
}

// An event larger than the share of a stream is sent all the same, and so is every
// other, in order and once.
func TestAStreamThatCatchesUpTellsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t)
		pad(t, n, 40)
		h, err := transport.NewHandler(n, transport.Config{Streams: 1000, Bytes: 64 << 10}, areas()...)
		if err != nil {
			t.Fatal(err)
		}
		if h.StreamMemoryEach() > 16<<10 {
			t.Fatalf("want small stretches, found %d", h.StreamMemoryEach())
		}
		large := strings.Repeat("y", 40<<10)
		if _, err := n.log.Append(t.Context(), "b-1", domain.AnyRevision, eventlog.Proposed{ID: domain.DeriveID("l", 0), Type: "FACT", Version: 1, Time: epoch, Data: []byte(`{"pad":"` + large + `"}`)}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		f := follow(ctx, h, "/events/stream?from=1")
		f.lines.Buffer(nil, 1<<20)
		f.expect(t, "retry: 1000")
		for i := range 40 {
			f.expect(t, event(i+1, "a-1")...)
		}
		f.expect(t, event(41, "b-1")...)
		f.expect(t, ": caught up")
		pad(t, n, 41) // the last of them is new
		f.expect(t, event(42, "a-1")...)
		f.leave(cancel)
	})
}

// An unread page keeps its place, so there are never more of them than places.
func TestAPlaceIsHeldUntilTheAnswerIsWritten(t *testing.T) {
	n, h := server(t, transport.Config{Scans: 2})
	pad(t, n, 20)
	var done sync.WaitGroup
	var clients []*unread
	for i := range 2 {
		client := newUnread()
		clients = append(clients, client)
		done.Go(func() { h.ServeHTTP(client, from("/events?limit=20", fmt.Sprintf("192.0.2.%d:1", i))) })
		<-client.head
	}
	if got := ask(t, h, "GET", "/events", ""); got.status != 429 {
		t.Errorf("a third page while two are not read: want 429, found %d", got.status)
	}
	if got := h.Held("answers"); got < 2*20*padded || got > 3*20*padded {
		t.Errorf("want the bytes of both pages counted, found %d", got)
	}
	mustOK(t, ask(t, h, "POST", "/nodes/heartbeat", `{"node_id":"n1"}`))
	for _, client := range clients {
		close(client.release)
	}
	done.Wait()
	mustOK(t, ask(t, h, "GET", "/events", ""))
	for _, budget := range transport.BudgetNames {
		if got := h.Held(budget); got != 0 {
			t.Errorf("%s: want nothing held in the end, found %d", budget, got)
		}
	}
}

// Answers are limited in bytes: unread pages are refused before they fill the
// memory, and short answers are not.
func TestAnswersAreBoundedInBytes(t *testing.T) {
	const memory = 4 * 960 << 10 // pages of 30 KiB
	n, h := server(t, transport.Config{Scans: 100, Bytes: memory})
	pad(t, n, 20)
	refused := make(chan string, 1)
	var done sync.WaitGroup
	var clients []*unread
	for i := range 60 {
		client := newUnread()
		clients = append(clients, client)
		w := &firstOf{client, refused}
		done.Go(func() { h.ServeHTTP(w, from("/events?limit=20", fmt.Sprintf("192.0.2.%d:1", i))) })
		<-client.head
		if held := h.Held("answers"); held > memory/4 {
			t.Fatalf("want at most %d bytes held, found %d", memory/4, held)
		}
		if len(refused) > 0 {
			break
		}
	}
	if len(refused) == 0 || len(clients) < 10 {
		t.Errorf("want pages refused once the memory is full, found %d that were not", len(clients))
	}
	if got := ask(t, h, "GET", "/events?limit=20", ""); got.status != 429 || !strings.Contains(got.text, "bytes at once of the kind answers") {
		t.Errorf("want a page that does not fit refused with the bound, found %d %.200s", got.status, got.text)
	}
	mustOK(t, ask(t, h, "GET", "/events?stream=none-1", ""))
	for _, client := range clients {
		close(client.release)
	}
	done.Wait()
	if held := h.Held("answers"); held != 0 {
		t.Errorf("want nothing held in the end, found %d", held)
	}
}

// firstOf is the status and code of a refusal.
type firstOf struct {
	*unread
	refused chan string
}

func (f *firstOf) WriteHeader(status int) {
	if status == http.StatusTooManyRequests {
		f.refused <- "429"
	}
	f.unread.WriteHeader(status)
}

// Incomplete bodies take no place, so workers are served meanwhile.
func TestUnfinishedBodiesTakeNoPlace(t *testing.T) {
	const unfinished = 50
	_, h := server(t, transport.Config{InFlight: 2, SlowClient: time.Hour})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := h.Server()
	var served sync.WaitGroup
	served.Go(func() { _ = s.Serve(listener) })
	defer served.Wait()
	defer s.Close()
	for range unfinished {
		c, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := io.WriteString(c, "POST /work/heartbeat HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n{"+strings.Repeat(" ", 50_000)); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "every part has come", func() bool { return h.Held("bodies") >= unfinished*(50_000-transport.Uncounted) })
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	for range 3 {
		response, err := client.Post("http://"+listener.Addr().String()+"/nodes/heartbeat", "application/json", strings.NewReader(`{"node_id":"n1"}`))
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != 200 {
			t.Errorf("a heartbeat: want 200, found %d", response.StatusCode)
		}
	}
	if got := h.Held("vital"); got != 0 {
		t.Errorf("want no place taken by a body that did not come, found %d", got)
	}
}

// A body must arrive within SlowClient, and the bodies being received are limited
// in bytes.
func TestBodiesAreBoundedInTimeAndBytes(t *testing.T) {
	_, h := server(t, transport.Config{SlowClient: time.Millisecond})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := h.Server()
	var served sync.WaitGroup
	served.Go(func() { _ = s.Serve(listener) })
	defer served.Wait()
	defer s.Close()
	c, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "POST /work/add HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(c) // until the node gives up
	if err != nil || !strings.Contains(string(answer), "400 Bad Request") || !strings.Contains(string(answer), "want all of it within 1ms") {
		t.Errorf("a body that does not come: want 400 that says so, found %v %s", err, answer)
	}

	_, small := server(t, transport.Config{Bytes: 4 * 100 << 10})
	if got := ask(t, small, "POST", "/work/add", `{"task_type":"`+strings.Repeat("x", 90<<10)+`"}`); got.status != 429 || !strings.Contains(got.text, "from one caller") {
		t.Errorf("a body larger than the caller's share: want 429, found %d %s", got.status, got.text)
	}
	if got := small.Held("bodies"); got != 0 {
		t.Errorf("want nothing held after a refusal, found %d", got)
	}
}

// An expensive expression ends with its caller, and the turn is released.
func TestACostlyExpressionEndsWithItsCaller(t *testing.T) {
	n, h := server(t, transport.Config{ScanTime: time.Minute})
	list := strings.TrimSuffix(strings.Repeat("1,", 20_000), ",")
	for i := range 50 {
		if _, err := n.log.Append(t.Context(), "a-1", domain.AnyRevision, eventlog.Proposed{
			ID: domain.DeriveID("c", i), Type: "FACT", Version: 1, Time: epoch, Data: []byte(`{"list":[` + list + `],"text":"` + strings.Repeat("ab", 50_000) + `"}`),
		}); err != nil {
			t.Fatal(err)
		}
	}
	costly := "/events?where=" + url.QueryEscape(`all(data.list, data.text != data.text + "c")`)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, "GET", costly, nil))
	if w.Code == 200 {
		t.Errorf("want the read of a caller that is gone to end with an error, found %d", w.Code)
	}
	got := mustOK(t, ask(t, h, "GET", costly, ""))
	if got.body["where_errors"] != 50.0 || !strings.Contains(fmt.Sprint(got.body["where_error"]), "position 1: it takes more than 1048576 steps") {
		t.Errorf("want 50 events of which it could not be told, found %v %v", got.body["where_errors"], got.body["where_error"])
	}
	if held := h.TurnsTaken(); held != 0 {
		t.Errorf("want no turn held in the end, found %d", held)
	}
}
