//go:build unix

package worker

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ringrift/rift/cmd/internal/wiring"
	nodescmd "github.com/ringrift/rift/commands/nodes"
	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/transport"
)

// forward passes a request on as a proxy would.
func forward(t *testing.T, w http.ResponseWriter, r *http.Request, address string) {
	t.Helper()
	onward := r.Clone(r.Context())
	onward.URL.Scheme, onward.URL.Host, onward.RequestURI = "http", address, ""
	answer, err := http.DefaultTransport.RoundTrip(onward)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer func() { _ = answer.Body.Close() }()
	for name, values := range answer.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.StatusCode)
	if _, err := io.Copy(w, answer.Body); err != nil {
		t.Error(err)
	}
}

// The node is away while an item runs and when it is done, and comes back with its
// log: the item is completed once, under its first lease.
func TestTheNodeComesBack(t *testing.T) {
	s := newSite(t)
	s.lease(20)
	s.add("a")
	gate := filepath.Join(t.TempDir(), "gate")
	file := filepath.Join(t.TempDir(), "pid")
	if err := unix.Mkfifo(gate, 0o600); err != nil {
		t.Fatal(err)
	}
	h := s.hire(once, "gate", gate, file)
	pid := pidIn(t, file)
	s.await("a", work.StateRunning)
	s.stop()
	open(t, gate)
	eventually(t, "the command's end", func() bool { return gone(pid) })
	eventually(t, "a report that nobody takes", func() bool { return strings.Contains(h.log.String(), "no node takes a report") })
	s.up()
	if sum := h.end(); sum.Completed != 1 {
		t.Errorf("found %+v", sum)
	}
	if row := s.await("a", work.StateDone); row.Lease != 1 {
		t.Errorf("found lease %d", row.Lease)
	}
}

// The first three answers to every command are lost, of which net/http itself
// repeats some for the sake of their Idempotency-Key. The repetitions are harmless:
// each event is on the log once, and nothing is refused.
func TestLostAnswersAreHarmless(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	seen := map[string]int{}
	s := newSiteWith(t, transport.Config{}, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			key := r.Header.Get("Idempotency-Key")
			mu.Lock()
			lose := strings.HasPrefix(key, "worker/") && !strings.Contains(key, "register") && !strings.Contains(key, "beat") && seen[key] < 3
			seen[key]++
			mu.Unlock()
			if lose {
				next.ServeHTTP(httptest.NewRecorder(), r)
				panic(http.ErrAbortHandler)
			}
			next.ServeHTTP(w, r)
		})
	})
	const items = 10
	for i := range items {
		s.add(fmt.Sprintf("t%d", i))
	}
	h := s.hire(func(c *Config) { c.MaxItems, c.Slots = items, 5 }, "play")
	if sum := h.end(); sum.Completed != items {
		t.Errorf("found %+v", sum)
	}
	for i := range items {
		if got, want := s.history(fmt.Sprintf("t%d", i)), []string{"TASK_SPAWNED", "TASK_CLAIMED", "TASK_STARTED", "TASK_COMPLETED"}; !slices.Equal(got, want) {
			t.Errorf("found %v, want %v", got, want)
		}
	}
}

// Of several addresses the first that serves is used, and strangers get no token.
func TestAnotherNodeIsAsked(t *testing.T) {
	token := transport.Token{Secret: "a secret of the tests"}
	s := newSiteWith(t, transport.Config{Tokens: []transport.Token{token}}, nil)
	follower := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusMisdirectedRequest)
		fmt.Fprintf(w, `{"type":"urn:rift:problem:not_leader","code":"not_leader","leader":%q,"detail":"not me"}`, s.address)
	}))
	t.Cleanup(follower.Close)
	stranger := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("a stranger is asked %s", r.URL) }))
	t.Cleanup(stranger.Close)
	redirecting := httptest.NewServer(http.RedirectHandler(stranger.URL, http.StatusTemporaryRedirect))
	t.Cleanup(redirecting.Close)
	if _, err := s.client(transport.WithToken(token.Secret)).Do(t.Context(), workcmd.AddTask{TaskID: "a", TaskType: "selfplay", Payload: json.RawMessage("1")}); err != nil {
		t.Fatal(err)
	}
	log := &testLog{}
	config := configOf(t, log, []string{"127.0.0.1:1"}, "play")
	cluster, err := NewCluster(ClusterConfig{
		Addresses: []string{"127.0.0.1:1", follower.URL, "127.0.0.1:2", s.address}, Token: token.Secret, Timeout: 5 * time.Second, Routes: wiring.Routes(),
	})
	if err != nil {
		t.Fatal(err)
	}
	config.Cluster, config.MaxItems = cluster, 1
	h := &hired{t: t, log: log, kill: make(chan struct{}), ended: make(chan struct{})}
	h.run(config)
	if sum := h.end(); sum.Completed != 1 {
		t.Errorf("found %+v", sum)
	}
	lone, err := NewCluster(ClusterConfig{Addresses: []string{redirecting.URL}, Token: token.Secret, Timeout: time.Second, Routes: wiring.Routes()})
	if err != nil {
		t.Fatal(err)
	}
	if err := lone.do(t.Context(), nodescmd.NodeHeartbeat{NodeID: "w1"}, "k", anyReceipt); !transport.Foreign(err) {
		t.Errorf("found %v, want a redirect not followed", err)
	}
	wrong, err := NewCluster(ClusterConfig{Addresses: []string{s.address}, Token: "wrong", Timeout: time.Second, Routes: wiring.Routes()})
	if err != nil {
		t.Fatal(err)
	}
	config.Cluster = wrong
	if _, err := Run(t.Context(), nil, config); domain.CodeOf(err) != domain.Unauthorized {
		t.Errorf("found %v, want a wrong token told at once", err)
	}
}
