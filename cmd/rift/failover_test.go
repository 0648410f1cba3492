package main

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// When a node does not answer, or another program answers at its address, the same command
// goes to the next node. Later commands go first to the node that answered.
func TestFailover(t *testing.T) {
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := gone.Close(); err != nil {
		t.Fatal(err)
	}
	var broken, strangers, answered atomic.Int64
	breaking := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		broken.Add(1)
		panic(http.ErrAbortHandler)
	}))
	defer breaking.Close()
	strange := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		strangers.Add(1)
		w.Header().Set("Content-Type", "text/html")
	}))
	defer strange.Close()
	good := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || string(body) != "a body" || r.Header.Get("Idempotency-Key") != "k" {
			t.Errorf("found %q, %q, %v", body, r.Header.Get("Idempotency-Key"), err)
		}
		answered.Add(1)
		w.Header().Set("Content-Type", "application/json")
	}))
	defer good.Close()
	c := failover([]string{"http://" + gone.Addr().String(), breaking.URL, strange.URL, good.URL}, nil)
	for range 3 {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+gone.Addr().String()+"/work/add", strings.NewReader("a body"))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Idempotency-Key", "k")
		answer, err := c.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		if err := answer.Body.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if broken.Load() != 1 || strangers.Load() != 1 || answered.Load() != 3 {
		t.Errorf("found %d and %d asked in vain and %d answered, want 1, 1 and 3", broken.Load(), strangers.Load(), answered.Load())
	}
}

// While no node has a leader, all of them get the same command again and again, until one
// executes it.
func TestFailoverWaitsForALeader(t *testing.T) {
	var asked, keys atomic.Int64
	node := func(serves int64) *httptest.Server {
		return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Idempotency-Key") == "k" {
				keys.Add(1)
			}
			if asked.Add(1) < serves {
				w.Header().Set("Content-Type", "application/problem+json")
				w.WriteHeader(http.StatusMisdirectedRequest)
				return
			}
			w.Header().Set("Content-Type", "application/json")
		}))
	}
	a, b := node(1<<40), node(5)
	defer a.Close()
	defer b.Close()
	c := failover([]string{a.URL, b.URL}, nil)
	for _, want := range []int64{6, 7} { // a, b, a, b, a, b; then b
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, a.URL+"/work/add", strings.NewReader("a body"))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Idempotency-Key", "k")
		answer, err := c.Do(request)
		if err != nil || answer.StatusCode != http.StatusOK {
			t.Fatalf("found %+v, %v", answer, err)
		}
		if err := answer.Body.Close(); err != nil || asked.Load() != want || keys.Load() != want {
			t.Errorf("want %d requests with the key, found %d with and %d in all, %v", want, keys.Load(), asked.Load(), err)
		}
	}
}

// standsStill starts a node that answers nothing.
func standsStill(t *testing.T) *httptest.Server {
	t.Helper()
	ended := make(chan struct{})
	node := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-ended:
		}
	}))
	t.Cleanup(func() {
		close(ended)
		node.Close()
	})
	return node
}

// A node that stands still answers nothing, and the next one is asked. One that takes its
// time for a command is waited for while it answers that it lives.
func TestFailoverFromANodeThatStandsStill(t *testing.T) {
	still := standsStill(t)
	var lives atomic.Int64
	enough := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/healthz" {
			if lives.Add(1) == 3 {
				close(enough)
			}
			return
		}
		<-enough
		_, _ = io.WriteString(w, "slow") // the test reads it
	}))
	defer slow.Close()
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, "other") // the test reads it
	}))
	defer other.Close()
	for _, c := range []struct{ addresses, want []string }{
		{[]string{still.URL, other.URL}, []string{"other", "other"}},
		{[]string{slow.URL, other.URL}, []string{"slow"}},
	} {
		client := failover(c.addresses, nil)
		inTurn, several := client.Transport.(*nodesInTurn)
		if !several {
			t.Fatalf("want several nodes, found %T", client.Transport)
		}
		inTurn.patience = time.Millisecond
		for _, want := range c.want {
			answer, err := client.Post(c.addresses[0]+"/work/claim", "application/json", strings.NewReader("{}"))
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(answer.Body)
			if err := errors.Join(err, answer.Body.Close()); err != nil || string(text) != want {
				t.Errorf("want the answer %q, found %q, %v", want, text, err)
			}
		}
	}
}

// Every command takes a list of addresses.
func TestClientsTakeLists(t *testing.T) {
	server := realNode(t, t.TempDir())
	rift(t, "work", "add", "selfplay", "--task-id", "t-1", "--addr", "127.0.0.1:1,"+server.URL).want(t, exitDone, `"t-1"`, "")
	rift(t, "work", "show", "t-1", "--addr", "127.0.0.1:1,127.0.0.1:2").want(t, exitUnreachable, "", "nothing answers at http://127.0.0.1:1,http://127.0.0.1:2")
}
