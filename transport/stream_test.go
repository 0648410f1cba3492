package transport_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/transport"
)

// following is an open stream whose lines a test reads one by one.
type following struct {
	head   chan struct{}
	status int
	header http.Header
	pipe   *io.PipeWriter
	reader *io.PipeReader
	lines  *bufio.Scanner
	done   chan struct{}
}

func (f *following) Header() http.Header { return f.header }

func (f *following) Flush() {}

func (f *following) WriteHeader(status int) {
	f.status = status
	close(f.head)
}

func (f *following) Write(p []byte) (int, error) { return f.pipe.Write(p) }

func follow(ctx context.Context, h http.Handler, target string, headers ...header) *following {
	reader, writer := io.Pipe()
	f := &following{head: make(chan struct{}), header: http.Header{}, pipe: writer, reader: reader, lines: bufio.NewScanner(reader), done: make(chan struct{})}
	r := httptest.NewRequestWithContext(ctx, "GET", target, nil)
	for _, one := range headers {
		r.Header.Set(one[0], one[1])
	}
	go func() {
		defer close(f.done)
		defer writer.Close()
		h.ServeHTTP(f, r)
	}()
	return f
}

// leave closes the connection like a client that goes away.
func (f *following) leave(cancel context.CancelFunc) {
	cancel()
	f.reader.Close()
	<-f.done
}

// next returns the next line with content, shortened to its start.
func (f *following) next() string {
	for f.lines.Scan() {
		if line := f.lines.Text(); line != "" {
			if i := strings.Index(line, `,"revision"`); i > 0 {
				line = line[:i]
			}
			return line
		}
	}
	return "the end"
}

func (f *following) expect(t *testing.T, lines ...string) {
	t.Helper()
	for _, want := range lines {
		if got := f.next(); got != want {
			t.Fatalf("want %q, found %q", want, got)
		}
	}
}

func event(i int, stream string) []string {
	return []string{fmt.Sprintf("id: %d", i), fmt.Sprintf(`data: {"position":%d,"stream":"%s"`, i, stream)}
}

func put(t *testing.T, n *node, stream string) {
	t.Helper()
	head, err := n.log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.log.Append(t.Context(), domain.StreamID(stream), domain.AnyRevision, eventlog.Proposed{
		ID: domain.DeriveID("put", int(head)), Type: "FACT", Version: 1, Time: epoch, Data: fmt.Appendf(nil, `{"n":%d}`, head+1),
	}); err != nil {
		t.Fatal(err)
	}
}

func TestAStreamGoesOnWhereTheClientWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, h := server(t, transport.Config{})
		for range 3 {
			put(t, n, "a-1")
		}
		ctx, cancel := context.WithCancel(t.Context())
		f := follow(ctx, h, "/events/stream", header{"Last-Event-ID", "1"})
		f.expect(t, "retry: 1000")
		f.expect(t, event(2, "a-1")...)
		f.expect(t, event(3, "a-1")...)
		f.expect(t, ": caught up")
		put(t, n, "a-2")
		f.expect(t, event(4, "a-2")...)
		if f.status != 200 || f.header.Get("Content-Type") != "text/event-stream" {
			t.Errorf("want an event stream, found %d %v", f.status, f.header)
		}
		f.leave(cancel)
	})
}

func TestWhereAStreamBegins(t *testing.T) {
	for target, want := range map[string]string{
		"/events/stream": "id: 3", "/events/stream?from=2": "id: 2", "/events/stream?from=0": "id: 1",
		"/events/stream?after=1": "id: 2", "/events/stream?after=0": "id: 1",
	} {
		synctest.Test(t, func(t *testing.T) {
			n, h := server(t, transport.Config{})
			put(t, n, "a-1")
			put(t, n, "a-1")
			ctx, cancel := context.WithCancel(t.Context())
			f := follow(ctx, h, target)
			f.expect(t, "retry: 1000")
			synctest.Wait()
			put(t, n, "a-1")
			got := f.next()
			if got == ": caught up" {
				got = f.next()
			}
			if got != want {
				t.Errorf("%s: want %s first, found %s", target, want, got)
			}
			f.leave(cancel)
		})
	}
}

func TestAQuietStreamShowsThatItLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, h := server(t, transport.Config{Heartbeat: 15 * time.Second})
		ctx, cancel := context.WithCancel(t.Context())
		where := url.QueryEscape("data.n > 1")
		f := follow(ctx, h, "/events/stream?from=0&stream=a-*&where="+where)
		f.expect(t, "retry: 1000", ": caught up")
		began := time.Now()
		f.expect(t, ": beat")
		if took := time.Since(began); took != 15*time.Second {
			t.Errorf("want the first sign after 15 s, found %s", took)
		}
		put(t, n, "a-1") // 1: kept out by the expression
		f.expect(t, "id: 1")
		put(t, n, "a-1")
		f.expect(t, event(2, "a-1")...)
		f.expect(t, ": beat")
		f.leave(cancel)
	})
}

func TestStreamsEndWhenTheNodeStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, h := server(t, transport.Config{Streams: 1})
		f := follow(t.Context(), h, "/events/stream")
		f.expect(t, "retry: 1000", ": caught up")
		if got := ask(t, h, "GET", "/events/stream", ""); got.status != 429 {
			t.Errorf("a second stream: want 429, found %d", got.status)
		}
		h.CloseStreams()
		f.expect(t, ": the node is stopping", "the end")
		<-f.done
		if got := ask(t, h, "GET", "/events/stream", ""); got.status != 503 {
			t.Errorf("after the stop: want 503, found %d", got.status)
		}
	})
}

func TestBadStreams(t *testing.T) {
	_, h := server(t, transport.Config{})
	for target, fields := range map[string]string{
		"/events/stream?where=data.": "where", "/events/stream?from=x": "from", "/events/stream?stream=x": "stream", "/events/stream?limit=3": "limit",
	} {
		if got := ask(t, h, "GET", target, ""); got.status != 400 || got.fields() != fields {
			t.Errorf("%s: want 400 [%s], found %d %s", target, fields, got.status, got.text)
		}
	}
	if got := ask(t, h, "GET", "/events/stream", "", header{"Last-Event-ID", "x"}); got.status != 400 {
		t.Errorf("a bad Last-Event-ID: want 400, found %d", got.status)
	}
}

// A client that followed another log, or this one before it was restored, gets an
// error with the end of the log, in whatever way it gives its position.
func TestAStreamBehindTheEndOfTheLogIsRefused(t *testing.T) {
	n, h := server(t, transport.Config{})
	put(t, n, "a-1")
	put(t, n, "a-1")
	for target, headers := range map[string][]header{
		"/events/stream?from=4": nil, "/events/stream?after=3": nil, "/events/stream": {{"Last-Event-ID", "3"}},
	} {
		r := httptest.NewRequestWithContext(t.Context(), "GET", target, nil)
		for _, one := range headers {
			r.Header.Set(one[0], one[1])
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		var p transport.Problem
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
			t.Fatal(err)
		}
		if w.Code != http.StatusConflict || p.Code != eventlog.Gone || p.Head == nil || *p.Head != 2 || p.Retryable {
			t.Errorf("%s: want 409 gone with the head, found %d %s", target, w.Code, w.Body)
		}
	}
	s := httptest.NewServer(h)
	defer s.Close()
	c, err := transport.NewClient(s.URL, [][]transport.Route{routes()})
	if err != nil {
		t.Fatal(err)
	}
	var refused *transport.Refused
	for _, err := range c.Follow(t.Context(), 3, transport.Selection{}) {
		if !errors.As(err, &refused) || refused.Problem.Head == nil || *refused.Problem.Head != 2 {
			t.Fatalf("want the client told where the log ends, found %v", err)
		}
	}
	if refused == nil {
		t.Fatal("want an error, found the end")
	}
}
