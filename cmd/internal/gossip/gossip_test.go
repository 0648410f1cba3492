package gossip_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"

	"github.com/ringrift/rift/cmd/internal/gossip"
	"github.com/ringrift/rift/cmd/internal/node"
	"github.com/ringrift/rift/cmd/internal/peer"
	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections/store"
	"github.com/ringrift/rift/transport"
	wire "github.com/ringrift/rift/transport/gossip"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"),
		goleak.IgnoreAnyFunction("github.com/golang/glog.(*fileSink).flushDaemon"))
}

// counted counts the bytes of the bodies that a node takes and answers.
type counted struct {
	http.Handler
	mu    sync.Mutex
	bytes int
	calls int
}

type countedWriter struct {
	http.ResponseWriter
	of *counted
}

func (w countedWriter) Write(b []byte) (int, error) {
	w.of.add(len(b))
	return w.ResponseWriter.Write(b)
}

func (c *counted) add(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bytes += n
}

func (c *counted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.add(int(r.ContentLength))
	c.mu.Lock()
	c.calls++
	c.mu.Unlock()
	c.Handler.ServeHTTP(countedWriter{w, c}, r)
}

type served struct {
	*node.Node
	log     eventlog.Log
	edge    *counted
	address string
}

func serve(t testing.TB, name string, actors bool, tokens ...transport.Token) *served {
	t.Helper()
	log := eventlog.NewMemory()
	n, err := node.Open(node.Config{Node: name, Log: log, StoreDir: "models", Manual: !actors, Store: store.Options{FS: vfs.NewMem(), Small: true}})
	if err != nil {
		t.Fatal(err)
	}
	handler, err := transport.NewHandler(n.Backend(), transport.Config{Now: n.Now, Tokens: tokens}, wiring.Areas()...)
	if err != nil {
		t.Fatal(err)
	}
	s := &served{Node: n, log: log, edge: &counted{Handler: handler}}
	server := httptest.NewServer(s.edge)
	s.address = server.URL
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	if actors {
		for _, actor := range []func(context.Context) error{n.Follow, n.Drain, n.Tick} {
			running.Go(func() {
				if err := actor(ctx); err != nil {
					t.Error(err)
				}
			})
		}
	}
	t.Cleanup(func() {
		server.Close()
		cancel()
		running.Wait()
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func online(t testing.TB, log eventlog.Log) map[domain.StreamID]int {
	t.Helper()
	found := map[domain.StreamID]int{}
	for e, err := range log.ReadAll(t.Context(), 1, eventlog.Forward, eventlog.Filter{Types: []string{"HOST_ONLINE"}}) {
		if err != nil {
			t.Fatal(err)
		}
		found[e.Stream]++
	}
	return found
}

// Five nodes, each of which asks one or two others, hear of all, and each has the
// others online once. What runs by itself ends when it is told to.
func TestNodesHearOfEachOther(t *testing.T) {
	const count = 5
	var nodes []*served
	for i := range count {
		nodes = append(nodes, serve(t, fmt.Sprint("node-", i), true))
	}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for i, n := range nodes {
		others := gossip.Others{Addresses: []string{nodes[(i+1)%count].address, nodes[(i+2)%count].address}, Every: 5 * time.Millisecond}
		running.Go(func() {
			if err := n.Gossip().Run(ctx, others); err != nil {
				t.Error(err)
			}
		})
	}
	for deadline := time.Now().Add(time.Minute); ; <-time.After(5 * time.Millisecond) {
		done := 0
		for _, n := range nodes {
			if len(online(t, n.log)) == count-1 {
				done++
			}
		}
		if done == count {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("not everybody has heard of everybody")
		}
	}
	stop()
	running.Wait()
	for i, n := range nodes {
		for stream, times := range online(t, n.log) {
			if times != 1 || stream == domain.NodeID(fmt.Sprint("node-", i)).Stream() {
				t.Errorf("node %d has %s online %d times", i, stream, times)
			}
		}
	}
}

// Two nodes that know the same say so in few bytes.
func TestNodesThatAgreeSayLittle(t *testing.T) {
	a, b := serve(t, "a", false), serve(t, "b", false)
	var documents []string
	for i := range 500 {
		documents = append(documents, fmt.Sprintf(`{"node_id":"n-%d","incarnation":1767323045000,"counter":1,"time":%q}`, i, time.Now().UTC().Format(time.RFC3339Nano)))
	}
	if status, answer := post(t, b.address+"/gossip", `{"node_id":"x","documents":[`+strings.Join(documents, ",")+`]}`, ""); status != http.StatusOK {
		t.Fatalf("%d %s", status, answer)
	}
	client, err := peer.Caller{Node: "a"}.Filled().New(b.address, wire.Area())
	if err != nil {
		t.Fatal(err)
	}
	for try := 0; ; try++ { // each of the two may say something new in between
		b.edge.bytes, b.edge.calls = 0, 0
		if err := a.Gossip().Exchange(t.Context(), gossip.At(client)); err != nil {
			t.Fatal(err)
		}
		if b.edge.calls == 1 {
			break
		}
		if try == 100 {
			t.Fatalf("want that they agree, found %d calls", b.edge.calls)
		}
	}
	t.Logf("%d bytes", b.edge.bytes)
	if b.edge.bytes > 200 {
		t.Errorf("want at most 200 bytes, found %d", b.edge.bytes)
	}
	known, _, err := a.Gossip().Peers(t.Context())
	if err != nil || len(known.Peers) != 502 {
		t.Errorf("want 502 documents, found %d %v", len(known.Peers), err)
	}
}

// Who shows no token, or is of another cluster, is refused and changes nothing; what
// an evil node answers is refused too.
func TestStrangersAreRefused(t *testing.T) {
	guarded := serve(t, "a", false, transport.Token{Name: "node", Secret: "a-secret-of-the-cluster"})
	push := fmt.Sprintf(`{"node_id":"x","cluster":"main","documents":[{"node_id":"x","incarnation":1767323045000,"counter":1,"time":%q}]}`, time.Now().UTC().Format(time.RFC3339))
	if status, answer := post(t, guarded.address+"/gossip", push, ""); status != http.StatusUnauthorized {
		t.Errorf("%d %s", status, answer)
	}
	if status, answer := post(t, guarded.address+"/gossip", strings.Replace(push, `"main"`, `"other"`, 1), "a-secret-of-the-cluster"); status != http.StatusForbidden {
		t.Errorf("%d %s", status, answer)
	}
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if strings.Contains(string(body), `"root"`) {
			_, _ = io.WriteString(w, `{"position":0,"events":[],"digests":"AA=="}`)
			return
		}
		_, _ = io.WriteString(w, `{"position":0,"events":[],"documents":[{"node_id":"../x","incarnation":1,"counter":1,"time":"2026-01-02T03:04:05Z"},{"node_id":"y","incarnation":18446744073709551615,"counter":1}],"wanted":["../x","a","a","z"]}`)
	}))
	defer evil.Close()
	client, err := peer.Caller{Node: "a"}.Filled().New(evil.URL, wire.Area())
	if err != nil {
		t.Fatal(err)
	}
	if err := guarded.Gossip().Exchange(t.Context(), gossip.At(client)); err != nil {
		t.Error(err)
	}
	known, _, err := guarded.Gossip().Peers(t.Context())
	if err != nil || len(known.Peers) != 1 || known.Counts.Foreign != 1 || known.Counts.Invalid != 2 {
		text, _ := json.Marshal(known)
		t.Errorf("%s %v", text, err)
	}
	if events := online(t, guarded.log); len(events) != 0 {
		t.Errorf("found %v", events)
	}
}

func post(t testing.TB, url, body, token string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), "POST", url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(answer)
}

// Row 52: gossip of eight megabytes. Here a message has a bound, in bytes and in
// documents, and so has a document; what is over it is refused as a whole and with a
// code, and the node goes on.
func TestRow52HugeGossipIsRefused(t *testing.T) {
	n := serve(t, "a", false)
	document := func(i int, facts string) string {
		return fmt.Sprintf(`{"node_id":"n-%d","incarnation":1767323045000,"counter":1,"facts":%s,"time":%q}`, i, facts, time.Now().UTC().Format(time.RFC3339))
	}
	many := make([]string, 513)
	for i := range many {
		many[i] = document(i, `{}`)
	}
	for name, one := range map[string]struct {
		documents string
		want      int
	}{
		"eight megabytes":    {document(1, `{"x":"`+strings.Repeat("x", 8<<20)+`"}`), http.StatusRequestEntityTooLarge},
		"facts too long":     {document(1, `{"x":"`+strings.Repeat("x", 2<<10)+`"}`), http.StatusBadRequest},
		"too many documents": {strings.Join(many, ","), http.StatusBadRequest},
	} {
		for _, path := range []string{"/gossip", "/gossip/anti-entropy"} {
			status, answer := post(t, n.address+path, `{"node_id":"x","documents":[`+one.documents+`]}`, "")
			if path != "/gossip" && name == "facts too long" {
				if status != http.StatusOK || strings.Contains(answer, "applied") { // one bad document spoils no exchange
					t.Errorf("%s to %s: %d %.200s", name, path, status, answer)
				}
			} else if status != one.want {
				t.Errorf("%s to %s: want %d, found %d %.200s", name, path, one.want, status, answer)
			}
		}
	}
	if status, answer := post(t, n.address+"/gossip", `{"node_id":"x","documents":[`+document(1, `{}`)+`]}`, ""); status != http.StatusOK || !strings.Contains(answer, `"applied":1`) {
		t.Errorf("%d %s", status, answer)
	}
	if known, _, err := n.Gossip().Peers(t.Context()); err != nil || len(known.Peers) != 2 {
		t.Errorf("want the node and one more, found %d %v", len(known.Peers), err)
	}
}
