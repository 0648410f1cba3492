package bench

import (
	"container/heap"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// Turn after turn as many items wait and are held as at first, and every item of
// the first class gets its turn: the figure measures a queue that goes on.
func TestFleetIsSteady(t *testing.T) {
	const nodes, items = 25, 2000
	f, err := newFleet(nodes, items)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for range 20 * items {
		if err := f.turn(); err != nil {
			t.Fatal(err)
		}
		for _, held := range f.held {
			seen[held[len(held)-1]] = true
		}
		if pending := f.index.Pending(); pending != items-nodes*schedHeld {
			t.Fatalf("found %d items waiting, want %d", pending, items-nodes*schedHeld)
		}
	}
	if len(seen) < items/4 {
		t.Errorf("found %d of %d items picked, want the quarter that is critical", len(seen), items)
	}
	for i, held := range f.held {
		if len(held) != schedHeld {
			t.Errorf("node %s: found %d leases, want %d", f.nodes[i], len(held), schedHeld)
		}
	}
}

func TestSortedKeepsItsOrder(t *testing.T) {
	s := newSorted(100)
	for range 1000 {
		if err := s.turn(); err != nil {
			t.Fatal(err)
		}
	}
	last := heapItem{priority: 101}
	for s.items.Len() > 0 {
		item := heap.Pop(&s.items).(*heapItem)
		if item.priority > last.priority || item.priority == last.priority && item.queued < last.queued {
			t.Fatalf("found %+v after %+v", *item, last)
		}
		last = *item
	}
}

// A client goes round with what the claim gave it, only the claim is timed, and
// a claim that gives nothing ends the cell.
func TestClientsGoRound(t *testing.T) {
	var claims, completions, adds atomic.Int64
	dry := atomic.Bool{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		answer := "{}"
		switch r.URL.Path {
		case "/work/claim":
			claims.Add(1)
			answer = `{"items":[{"task_id":"t-1","lease":7,"payload":{"text":"` + strings.Repeat("x", 9000) + `"}}]}`
			if dry.Load() {
				answer = `{"items":[]}`
			}
		case "/work/complete":
			completions.Add(1)
			if string(body) != `{"task_id":"t-1","lease":7}` {
				t.Errorf("found %s", body)
			}
		case "/work/add":
			adds.Add(1)
		}
		_, _ = io.WriteString(w, answer[:len(answer)/2])
		w.(http.Flusher).Flush() // chunked, the item in two pieces
		_, _ = io.WriteString(w, answer[len(answer)/2:])
	}))
	defer server.Close()
	s := &suite{options: Options{Quick: true}}
	micros, err := s.rounders(context.WithoutCancel(t.Context()), strings.TrimPrefix(server.URL, "http://"), 3, (*asker).claimAround)
	if err != nil {
		t.Fatal(err)
	}
	if n := claims.Load(); completions.Load() != n || adds.Load() != n || len(micros) == 0 || int64(len(micros)) > n || micros[0] <= 0 {
		t.Errorf("found %d claims, %d completions, %d adds, %d of them timed", n, completions.Load(), adds.Load(), len(micros))
	}
	dry.Store(true)
	if _, err := s.rounders(t.Context(), strings.TrimPrefix(server.URL, "http://"), 1, (*asker).claimAround); err == nil || !strings.Contains(err.Error(), "want one item") {
		t.Errorf("found %v", err)
	}
}
