package relay_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringrift/rift/cmd/internal/node"
	"github.com/ringrift/rift/cmd/internal/relay"
	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections/store"
	"github.com/ringrift/rift/transport"
	wire "github.com/ringrift/rift/transport/relay"
)

// served is a node with its endpoints.
type served struct {
	node    *node.Node
	log     eventlog.Log
	handler *transport.Handler
	stop    func()
}

// serve starts a node on a log.
func serve(t testing.TB, name string, log eventlog.Log, tokens ...transport.Token) *served {
	t.Helper()
	n, err := node.Open(node.Config{Node: name, Log: log, StoreDir: "models", Store: store.Options{FS: vfs.NewMem(), Small: true}})
	if err != nil {
		t.Fatal(err)
	}
	handler, err := transport.NewHandler(n.Backend(), transport.Config{Now: n.Now, Tokens: tokens}, wiring.Areas()...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var actors sync.WaitGroup
	for _, actor := range []func(context.Context) error{n.Follow, n.Drain, n.Tick} {
		actors.Go(func() {
			if err := actor(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	s := &served{node: n, log: log, handler: handler}
	s.stop = sync.OnceFunc(func() {
		cancel()
		actors.Wait()
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(s.stop)
	return s
}

// behind runs an agent of a node at hubs until the test ends.
func behind(t testing.TB, name, token string, target http.Handler, hubs ...string) {
	t.Helper()
	agent, err := relay.NewAgent(relay.AgentConfig{
		Node: domain.NodeID(name), Hubs: hubs, Token: token, Handler: target, Logger: slog.New(slog.DiscardHandler),
		Backoff: time.Millisecond, Longest: 20 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := agent.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
}

// call sends a request, and repeats it while it is refused for a reason that may pass.
func call(t testing.TB, method, url, body string, header map[string]string) (int, string) {
	t.Helper()
	for {
		request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range header {
			request.Header.Set(name, value)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(response.Body)
		if err := response.Body.Close(); err != nil {
			t.Fatal(err)
		}
		if err != nil {
			t.Fatal(err)
		}
		if response.StatusCode != http.StatusServiceUnavailable && response.StatusCode != http.StatusGatewayTimeout {
			return response.StatusCode, string(answer)
		}
	}
}

func listen(t testing.TB, s *served) string {
	t.Helper()
	server := httptest.NewServer(s.handler)
	t.Cleanup(server.Close)
	t.Cleanup(s.node.EndWaits)
	return server.URL
}

// count counts the events of a type in a log.
func count(t testing.TB, log eventlog.Log, eventType string) int {
	t.Helper()
	n := 0
	for _, err := range log.ReadAll(t.Context(), 1, eventlog.Forward, eventlog.Filter{Types: []string{eventType}}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

func decode[T any](t testing.TB, text string) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return v
}

// hubOf returns a hub on a log in memory, for tests that call it directly.
func hubOf(t testing.TB, limits wire.Limits) (*relay.Hub, *served) {
	t.Helper()
	s := serve(t, "hub", eventlog.NewMemory())
	hub := relay.NewHub(relay.Config{Backend: s.node.Backend(), Node: "hub", Now: s.node.Now, Limits: limits, Inline: true})
	return hub, s
}
