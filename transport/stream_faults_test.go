package transport_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/transport"
)

// brokenLog fails its readers after the first event.
type brokenLog struct{ eventlog.Log }

func (l brokenLog) Subscribe(ctx context.Context, after domain.Position, filter eventlog.Filter) iter.Seq2[eventlog.Item, error] {
	return func(yield func(eventlog.Item, error) bool) {
		for item, err := range l.Log.Subscribe(ctx, after, filter) {
			if err == nil && item.Envelope.Position > 1 {
				yield(eventlog.Item{}, domain.Errorf(domain.Corrupt, "record 2: checksum"))
				return
			}
			if !yield(item, err) {
				return
			}
		}
	}
}

func (l brokenLog) ReadAll(ctx context.Context, from domain.Position, direction eventlog.Direction, filter eventlog.Filter) iter.Seq2[domain.Envelope, error] {
	return func(yield func(domain.Envelope, error) bool) {
		for e, err := range l.Log.ReadAll(ctx, from, direction, filter) {
			if err == nil && e.Position > 1 {
				yield(domain.Envelope{}, domain.Errorf(domain.Corrupt, "record 2: checksum"))
				return
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

type brokenNode struct{ *node }

func (n brokenNode) Log() eventlog.Log { return brokenLog{n.node.log} }

func TestAFailingLogIsNotTheEndOfAStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t)
		h, err := transport.NewHandler(brokenNode{n}, transport.Config{}, areas()...)
		if err != nil {
			t.Fatal(err)
		}
		put(t, n, "a-1")
		put(t, n, "a-1")
		f := follow(t.Context(), h, "/events/stream?from=1")
		f.expect(t, "retry: 1000")
		got := f.next() + f.next()
		if !strings.HasPrefix(got, `id: 1data: {"position":1`) && !strings.HasPrefix(got, "event: problem") {
			t.Errorf("want the event or the problem, found %s", got)
		}
		for line := got; !strings.Contains(line, `"code":"corrupt"`); line = f.next() {
			if line == "the end" {
				t.Fatal("the stream ended without saying why")
			}
		}
		<-f.done
	})
}

// TestASlowClientDoesNotHoldTheNode follows over a connection that is never read.
func TestASlowClientDoesNotHoldTheNode(t *testing.T) {
	n, h := server(t, transport.Config{SlowClient: 50 * time.Millisecond})
	payload := `{"pad":"` + strings.Repeat("x", 1<<20) + `"}`
	for i := range 12 {
		if _, err := n.log.Append(t.Context(), "a-1", domain.AnyRevision, eventlog.Proposed{
			ID: domain.DeriveID("pad", i), Type: "FACT", Version: 1, Time: epoch, Data: []byte(payload),
		}); err != nil {
			t.Fatal(err)
		}
	}
	ended := make(chan struct{})
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r)
		close(ended)
	}))
	s.Start()
	defer s.Close()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	r, err := http.NewRequestWithContext(t.Context(), "GET", s.URL+"/events/stream?from=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Fatal("a client that reads nothing still holds its stream")
	}
}

func TestTheClientFollowsThroughBreaks(t *testing.T) {
	n, h := server(t, transport.Config{})
	for range 5 {
		put(t, n, "a-1")
	}
	tries := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tries++
		if tries == 2 {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		h.ServeHTTP(&stingy{ResponseWriter: w, left: 900}, r)
	}))
	defer s.Close()
	defer h.CloseStreams()
	var seen []domain.Position
	breaks := 0
	c, err := transport.NewClient(s.URL, [][]transport.Route{routes()}, transport.WithRetries(3, time.Millisecond), transport.WithBroken(func(err error, after domain.Position, wait time.Duration) {
		breaks++
		if !errors.Is(err, domain.ErrUnavailable) || int(after) != len(seen) || wait < time.Millisecond {
			t.Errorf("want to be told of a break after %d, found after %d in %s: %v", len(seen), after, wait, err)
		}
	}))
	if err != nil {
		t.Fatal(err)
	}
	for one, err := range c.Follow(t.Context(), 0, transport.Selection{Streams: []string{"a-1"}}) {
		if err != nil {
			t.Fatal(err)
		}
		seen = append(seen, one.Position)
		if one.Record.Stream != "a-1" || one.Record.Type != "FACT" {
			t.Errorf("want the event read, found %+v", one.Record)
		}
		if one.Position == 5 {
			break
		}
	}
	if fmt.Sprint(seen) != "[1 2 3 4 5]" {
		t.Errorf("want each event once and in order, found %v", seen)
	}
	if tries < 3 || breaks != tries-1 {
		t.Errorf("want the connection broken on the way and that told, found %d connections, told of %d breaks", tries, breaks)
	}
	for _, err := range c.Follow(t.Context(), 0, transport.Selection{Where: "nonsense("}) {
		if !errors.Is(err, domain.ErrInvalid) {
			t.Errorf("a bad expression: want it to end the stream, found %v", err)
		}
	}
}

// stingy lets a part of an answer through and then breaks the connection.
type stingy struct {
	http.ResponseWriter
	left int
}

func (s *stingy) Write(p []byte) (int, error) {
	if len(p) > s.left {
		_, _ = s.ResponseWriter.Write(p[:s.left])
		_ = http.NewResponseController(s.ResponseWriter).Flush()
		panic(http.ErrAbortHandler)
	}
	s.left -= len(p)
	return s.ResponseWriter.Write(p)
}

func (s *stingy) Flush() { _ = http.NewResponseController(s.ResponseWriter).Flush() }
